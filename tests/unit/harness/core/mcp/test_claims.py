"""What `_meta` may claim."""

from __future__ import annotations

import pytest

from wardwright.harness.core.mcp.claims import claims_of
from wardwright.kernel.errors import WardwrightError


def test_claims_are_read_by_our_prefix_alone() -> None:
    said = claims_of({"wardwright/run": "r1", "run": "other", "wardwright/evidence": ["rct_1"], "progressToken": 7})
    assert (said.run, said.evidence, said.approval) == ("r1", ("rct_1",), None)


@pytest.mark.parametrize(
    "meta",
    [
        {"wardwright/run": 7},
        {"wardwright/run": ""},
        {"wardwright/session": "a\nb"},
        {"wardwright/plan": "x" * 257},
        {"wardwright/evidence": "rct_1"},
        {"wardwright/evidence": ["rct_1"] * 65},
    ],
)
def test_a_claim_that_is_not_plain_text_is_refused(meta: dict[str, object]) -> None:
    with pytest.raises(WardwrightError) as refused:
        claims_of(meta)
    assert refused.value.code == "tool_arguments"
