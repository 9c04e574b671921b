"""What a command makes of an answer that is an error."""

from __future__ import annotations

import pytest

from wardwright.cli.door import Told, error_of, refused
from wardwright.cli.exits import Exit, exit_of
from wardwright.dialects.openai_wire import error_body
from wardwright.kernel.errors import Said, WardwrightError


def test_a_refusal_by_a_rule_names_it_and_says_where_its_reasons_stand() -> None:
    said = WardwrightError("policy_blocked", "Ask again in the morning.", said=Said("owls_sleep", "desk/no-night-owls"))
    error = refused(403, "application/json", error_body(said, "rcp_1"))
    assert (error.code, exit_of(error)) == ("policy_blocked", Exit.DENIED)
    assert error.message == "Ask again in the morning. (rule desk/no-night-owls, owls_sleep)"
    assert error.hint == "`wardwright policy trace rcp_1` says why"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("policy_indeterminate", "policy_indeterminate"),
        ("model_not_found", "policy_blocked"),  # an author's word that means something else here
        (None, "policy_blocked"),
    ],
)
def test_a_rules_own_code_never_passes_for_one_of_ours(code: str | None, expected: str) -> None:
    assert error_of(Told(message="no", code=code, rule="a/b")).code == expected


def test_an_error_of_no_rule_keeps_its_code() -> None:
    error = refused(404, "application/json", error_body(WardwrightError("model_not_found", "no model `x`"), "rcp_1"))
    assert (error.code, error.message, error.hint) == ("model_not_found", "no model `x`", None)
