"""Budgets in rules: fields where they are declared, refusals where they are not, sentences for readers."""

from __future__ import annotations

import pytest

from wardwright.calls.phases import PHASES
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.budget_words import budgets_explained
from wardwright.policy.compiled import Policy
from wardwright.policy.decision import NOTHING
from wardwright.policy.evaluate import decide
from wardwright.policy.loading import load
from wardwright.policy.phases import Facts

SPEND = "{name: spend, of: cost_usd, limit: 25, per: user, within: {age_s: 86400}, why: w}"


def located(text: str, name: str = "p") -> Located[PolicyContract]:
    (found,) = decode(f"kind: policy\nname: {name}\n{text}".encode(), f"{name}.yaml")
    assert isinstance(found.value, PolicyContract)
    return Located(found.value, found.file, found.places)


def ruled(when: str, phase: str = "request", budgets: str = SPEND, examples: str = "{}") -> str:
    return (
        f"budgets: [{budgets}]\n"
        f"rules:\n  - {{id: r, phase: {phase}, when: {when}, then: [annotate: x], why: w, examples: {examples}}}\n"
    )


def made(*texts: str) -> Policy:
    return load([located(text, f"p{index}") for index, text in enumerate(texts)], PHASES)


def refused(*texts: str) -> WardwrightError:
    with pytest.raises(ContractErrors) as caught:
        made(*texts)
    (error,) = caught.value.errors
    return error


@pytest.mark.parametrize("phase", ["request", "route", "receipt"])
@pytest.mark.parametrize("fact", ["used", "left", "share_ppm"])
def test_a_declared_budget_is_read_before_the_call_and_after_it(phase: str, fact: str) -> None:
    policy = made(ruled(f"{{gte: [budget.spend.{fact}, 5]}}", phase))

    assert policy.reads[phase] == {f"budget.spend.{fact}"}


def test_a_rule_on_a_budget_fires_by_its_facts() -> None:
    policy = made(ruled("{gte: [budget.spend.share_ppm, 800000]}"))

    assert decide(policy, "request", Facts({"budget.spend.share_ppm": 799_999})) == NOTHING
    assert decide(policy, "request", Facts({"budget.spend.share_ppm": 800_000})) != NOTHING


def test_examples_set_the_facts_of_budgets() -> None:
    examples = "{fires: [{budget.spend.left: 4}], silent: [{budget.spend.left: 5}]}"

    assert made(ruled("{lt: [budget.spend.left, 5]}", examples=examples)).budgets[0].budget.name == "spend"


def test_an_example_that_comes_out_otherwise_is_refused() -> None:
    error = refused(ruled("{lt: [budget.spend.left, 5]}", examples="{fires: [{budget.spend.left: 5}]}"))

    assert error.code == "policy_example"


@pytest.mark.parametrize(
    ("when", "phase", "message", "hint"),
    [
        ("{gt: [budget.spent.used, 1]}", "request", "this policy declares no budget `spent`", "did you mean `spend`?"),
        (
            "{gt: [budget.spend.use, 1]}",
            "request",
            "a budget has no `use` in the phase `request`",
            "did you mean `used`?",
        ),
        (
            "{gt: [budget.spend.before_ppm, 1]}",
            "request",
            "the phase `request` has no field `budget.spend.before_ppm`",
            "the phase `receipt` has it",
        ),
        (
            "{gt: [budget.spend.used, 1]}",
            "stream",
            "the phase `stream` has no field `budget.spend.used`",
            "the phase `request`, `route` or `receipt` has it",
        ),
        (
            "{eq: [budget.spend.used, many]}",
            "request",
            "`budget.spend.used` is a whole number and never `many`",
            None,
        ),
    ],
)
def test_what_a_budget_cannot_tell_is_refused_with_its_place(
    when: str, phase: str, message: str, hint: str | None
) -> None:
    error = refused(ruled(when, phase))

    assert (error.code, error.message, error.hint) == ("policy_field", message, hint)
    assert error.place is not None
    assert (error.place.file, error.place.line) == ("p0.yaml", 5)


def test_a_rule_on_a_budget_that_nobody_declares_is_told_how_to() -> None:
    error = refused("rules: [{id: r, phase: request, when: {gt: [budget.spend.used, 1]}, then: [annotate: x], why: w}]")

    assert error.message == "this policy declares no budget `spend`"
    assert error.hint == "declare it under `budgets`, and read `budget.<name>.share_ppm`"


def test_a_rule_does_not_read_the_budget_of_another_policy() -> None:
    reader = "rules: [{id: r, phase: request, when: {gt: [budget.spend.used, 1]}, then: [annotate: x], why: w}]"

    assert refused(f"rules: []\nbudgets: [{SPEND}]", reader).message == "this policy declares no budget `spend`"


def test_two_policies_with_one_budget_name_are_refused_together() -> None:
    error = refused(f"rules: []\nbudgets: [{SPEND}]", f"rules: []\nbudgets: [{SPEND}]")

    assert error.code == "policy_ambiguous"
    assert error.message == "the policies `p0` and `p1` both have a budget `spend`"


def test_a_build_that_keeps_no_budgets_refuses_them() -> None:
    with pytest.raises(ContractErrors, match="this build keeps no budgets, and `p` declares them") as caught:
        load([located(f"rules: []\nbudgets: [{SPEND}]")], PHASES, budgets=False)

    assert caught.value.code == "policy_unenforceable"


BLOCKS = "a call that could pass it is refused with `budget_exceeded`."
DECLARED = "{name: b, of: tokens, limit: 9, per: session, session: declared, missing: skip, within: {age_s: 9}, why: w}"
TELLS = "rules may read how much of it is used, and nothing else happens."


@pytest.mark.parametrize(
    ("budget", "limit", "past", "otherwise"),
    [
        (SPEND, "At most 25 USD for each user in any 86,400 s: ", BLOCKS, "refuse with `budget_unclaimed`"),
        (
            "{name: b, of: latency_ms, limit: 90000, per: tenant, within: {calendar: day}, on_exceeded: fact, why: w}",
            "At most 90,000 ms of latency for each tenant and calendar day (UTC): ",
            TELLS,
            "",
        ),
        (
            DECLARED,
            "At most 9 tokens for each declared session in any 9 s: ",
            BLOCKS,
            "let it pass uncounted",
        ),
        (
            "{name: b, of: requests, limit: 9, per: run, on_exceeded: fact, within: {age_s: 60}, why: w}",
            "At most 9 requests for each run in any 60 s: ",
            TELLS,
            "rules that read it cannot be told",
        ),
    ],
)
def test_a_budget_is_explained_in_a_sentence(budget: str, limit: str, past: str, otherwise: str) -> None:
    (words,) = budgets_explained(made(f"rules: []\nbudgets: [{budget}]"))

    assert (words.sentence, words.otherwise) == (limit + past, otherwise)
