"""Budgets as documents: what they may say, what means nothing, and that a spelling is no other budget."""

from __future__ import annotations

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from wardwright.contracts.budget import Budget, Within
from wardwright.contracts.decode import decode
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import canonical, digest, restored
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.schema import schema

WHOLE = {
    "name": "spend",
    "of": "cost_usd",
    "limit": "25",
    "per": "user",
    "within": "{age_s: 86400}",
    "why": "because",
}


def text(**members: str | None) -> str:
    lines = [f"    {name}: {value}" for name, value in {**WHOLE, **members}.items() if value is not None]
    return "\n".join(["kind: policy", "name: p", "rules: []", "budgets:", "  -", *lines, ""])


def read(document: str) -> PolicyContract:
    (found,) = decode(document.encode(), "p.yaml")
    assert isinstance(found.value, PolicyContract)
    return found.value


def test_a_budget_alone_makes_a_policy() -> None:
    assert read(text()).budgets == (
        Budget(name="spend", of="cost_usd", limit="25", per="user", within=Within(age_s=86400), why="because"),
    )


@pytest.mark.parametrize(
    ("unit", "limit", "amount"),
    [("cost_usd", "25", 25_000_000_000), ("cost_usd", "0.000001", 1_000), ("tokens", "128", 128)],
)
def test_money_is_counted_in_nano_usd_and_the_rest_as_it_stands(unit: str, limit: str, amount: int) -> None:
    assert read(text(of=unit, limit=limit)).budgets[0].amount == amount


def test_the_canonical_form_is_the_same_budget() -> None:
    policy = read(text(missing="skip", on_exceeded="fact", within="{calendar: month}"))

    assert restored(canonical(policy)) == policy


def test_a_default_that_is_spelled_out_changes_no_digest() -> None:
    spelled = text(missing="deny", on_exceeded="block", session="any", limit="25.0")

    assert digest(read(spelled)) == digest(read(text()))


def test_a_changed_budget_is_told_by_its_name_and_member() -> None:
    before, after = read(text()), read(text(limit="30", within="{calendar: day}"))

    assert [(one.path, one.old, one.new) for one in diff(before, after)] == [
        ("budgets[spend].limit", "`25`", "`30`"),
        ("budgets[spend].within.age_s", "86,400", None),
        ("budgets[spend].within.calendar", None, "`day`"),
    ]
    assert [one.sentence for one in diff(before, read(text(name="other")))] == [
        "The budget `spend` was removed.",
        "The budget `other` was added.",
    ]


@pytest.mark.parametrize(
    ("members", "message", "hint", "line"),
    [
        ({"of": "cost"}, "`of` is `cost_usd`, `input_tokens`", "did you mean `cost_usd`?", 7),
        ({"per": "usr"}, "`per` is `agent`, `application`", "did you mean `user`?", 9),
        ({"limit": "0"}, "`limit` is more than 0 and at most 9,007,199 USD", "to refuse every call, use a rule", 8),
        ({"limit": "9007200"}, "`limit` is more than 0 and at most 9,007,199 USD", None, 8),
        ({"limit": "-1"}, "`limit` is a number from 0", "at most 15 digits", 8),
        ({"of": "requests", "limit": "1.5"}, "a limit of requests is a whole number; here stands `1.5`", None, 8),
        ({"within": "{}"}, "`within` is empty: nothing would ever leave", "add `age_s: 86400` for a rolling day", 10),
        ({"within": "{age_s: 9, calendar: day}"}, "`age_s` and `calendar` cannot both hold", "remove one", 10),
        ({"within": "{age_s: 0}"}, "`age_s` is a whole number from 1 to 31,622,400", None, 10),
        ({"within": "{calendar: week}"}, "`calendar` is `day` or `month`", None, 10),
        ({"within": "{age: 9}"}, "`within` has no member `age`", "did you mean `age_s`?", 10),
        ({"why": '" "'}, "`why` is empty", "say what goes wrong without the budget", 11),
        ({"why": None}, "a budget needs `why`", "add `why: …`", 6),
        ({"session": "declared"}, "`session` means nothing under `per: user`", "remove it", 12),
        ({"per": "tenant", "missing": "skip"}, "`missing` means nothing under `per: tenant`", "remove it", 12),
        ({"on_exceed": "fact"}, "a budget has no member `on_exceed`", "did you mean `on_exceeded`?", 12),
    ],
)
def test_what_means_nothing_is_refused_where_it_stands(
    members: dict[str, str | None], message: str, hint: str | None, line: int
) -> None:
    with pytest.raises(ContractErrors) as caught:
        read(text(**members))
    (error,) = caught.value.errors

    assert error.message.startswith(message)
    assert (error.hint or "").startswith(hint or "")
    assert error.place is not None
    assert error.place.line == line


def test_two_budgets_of_one_name_are_refused() -> None:
    twice = text() + "\n".join(["  -", *(f"    {name}: {value}" for name, value in WHOLE.items()), ""])
    with pytest.raises(ContractErrors, match="two budgets have the name `spend`: the first is on line 6"):
        read(twice)


def test_more_budgets_than_a_policy_may_have_are_refused() -> None:
    many = "".join(
        f"  - {{name: b{n}, of: requests, limit: 1, per: key, within: {{age_s: 1}}, why: w}}\n" for n in range(33)
    )
    with pytest.raises(ContractErrors, match="a policy has at most 32 budgets; this has 33"):
        read(f"kind: policy\nname: p\nrules: []\nbudgets:\n{many}")


def test_a_policy_with_neither_rule_nor_budget_is_refused() -> None:
    with pytest.raises(ContractErrors, match="a policy has 1 to 512 rules; this has 0"):
        read("kind: policy\nname: p\nrules: []\n")


@pytest.mark.parametrize(
    "members", [{}, {"limit": "0.25"}, {"within": "{calendar: day}", "per": "session", "session": "declared"}]
)
def test_the_schema_admits_what_decodes(members: dict[str, str]) -> None:
    document = YAML(typ="safe", pure=True).load(text(**members))

    assert list(jsonschema_rs.validator_for(schema("policy")).iter_errors(document)) == []


@pytest.mark.parametrize("members", [{"of": "cost"}, {"within": "{age_s: 0}"}, {"why": None}, {"on_exceed": "fact"}])
def test_the_schema_refuses_what_an_editor_should_mark(members: dict[str, str | None]) -> None:
    document = YAML(typ="safe", pure=True).load(text(**members))

    assert list(jsonschema_rs.validator_for(schema("policy")).iter_errors(document)) != []
