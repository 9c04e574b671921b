"""Detectors in rules."""

from __future__ import annotations

import pytest

from parts.policies import facts, policy, rule
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.detectors.samples import SAMPLES
from wardwright.kernel.detectors.table import NAMES, rows_of
from wardwright.policy.conditions import leaves
from wardwright.policy.detectors import DETECTORS
from wardwright.policy.evaluate import decide
from wardwright.policy.explain import sentence
from wardwright.policy.operators import OPERATORS


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_may_name_a_row_a_family_or_any(name: str) -> None:
    compiled = policy(rule(f"{{detector: [body, {name}]}}"))
    samples = SAMPLES[rows_of(name)[0].name]

    assert decide(compiled, "ask", facts(body=samples.texts()[0])).effect == "block"
    assert decide(compiled, "ask", facts(body="A plain question.")).effect == "allow"


def test_every_name_of_the_table_is_one_of_a_rule() -> None:
    assert tuple(DETECTORS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_witnesses_hold_and_near_misses_just_do_not(name: str) -> None:
    (leaf,) = leaves(policy(rule(f"{{detector: [body, {name}]}}")).of("ask")[0].node)
    row = OPERATORS["detector"]
    holds, misses = list(row.witnesses(leaf.test)), list(row.near_misses(leaf.test))

    assert holds
    assert misses
    assert all(leaf.check({"body": text}) for text in holds)
    assert not any(leaf.check({"body": text}) for text in misses)


@pytest.mark.parametrize(
    ("name", "said", "denied"),
    [
        ("iban", "holds an IBAN", "does not hold an IBAN"),
        ("secrets", "holds secrets", "does not hold secrets"),
        ("personal_data", "holds personal data", "does not hold personal data"),
    ],
)
def test_a_detector_is_said_in_words(name: str, said: str, denied: str) -> None:
    (leaf,) = leaves(policy(rule(f"{{detector: [body, {name}]}}")).of("ask")[0].node)

    assert (OPERATORS["detector"].said(leaf.test), OPERATORS["detector"].denied(leaf.test)) == (said, denied)


def searching(detector: str) -> str:
    """A policy of one rule that searches an answer."""
    return f"rules:\n- {{id: r, phase: answer, on: [text], match: {{detector: {detector}}}, then: [block], why: w}}\n"


def test_a_rule_that_searches_with_a_detector_finds_what_is_proved() -> None:
    (rule,) = policy(searching("credit_card")).of("answer")

    assert rule.detects == rows_of("credit_card")
    assert rule.search is not None
    assert rule.search("order 4111 1111 1111 1112, card 4111 1111 1111 1111") == (32, 51)


def test_a_search_with_a_detector_is_explained_in_words() -> None:
    (rule,) = policy(searching("credit_card")).of("answer")

    assert sentence(rule).startswith("When the text shows a payment card number: ")


def test_a_search_with_a_detector_that_does_not_exist_is_refused_with_the_likely_one() -> None:
    with pytest.raises(ContractErrors) as caught:
        policy(searching("credit_cart"))
    (error,) = caught.value.errors

    assert (error.code, error.hint) == ("policy_field", "did you mean `credit_card`?")
