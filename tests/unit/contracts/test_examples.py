"""The examples that ship: they load, they agree with each other, and each shows what it is there to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.contracts.check import Gathered, check, gather
from wardwright.contracts.decode import decode
from wardwright.contracts.documents import SUFFIXES
from wardwright.contracts.route_words import described
from wardwright.runtime.settings import FILES

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def examples() -> Gathered:
    files = [file for file in sorted(EXAMPLES.rglob("*")) if file.suffix in SUFFIXES and file.name not in FILES]
    assert files
    return gather(document for file in files for document in decode(file.read_bytes(), file.name))


def test_the_examples_have_no_errors_and_no_warnings(examples: Gathered) -> None:
    verdict = check(examples.models, examples.providers, examples.policies)

    assert examples.errors == ()
    assert (verdict.errors, verdict.warnings) == ((), ())


def test_the_examples_need_no_key_and_no_network(examples: Gathered) -> None:
    assert {provider.value.transport for provider in examples.providers.values()} == {"scripted"}
    assert all(provider.value.credential is None for provider in examples.providers.values())


def test_each_example_shows_its_own_route(examples: Gathered) -> None:
    assert {name: described(one.value.route) for name, one in examples.models.items()} == {
        "ambiguous-success": "coder",
        "coding-balanced": "alloy(swift, cascade(steady, reviewer))",
        "credential-redaction": "cascade(fast, reviewed)",
        "deprecated-api": "coder",
        "json-contract": "screener",
        "local-first-private": "guard(data_class private or restricted: local, otherwise cascade(local, hosted))",
        "long-context-safe": "dispatcher(small, medium, large)",
        "partial-alloy-ladder": "alloy(quick, careful, thorough)",
        "private-helpdesk": "cascade(hosted, local)",
        "prompt-experiment": "coder",
        "session-escalation": "cascade(usual, reviewed)",
        "spend-and-uncertainty": "cascade(large, small)",
        "tool-loop-brake": "coder",
    }


def test_the_shipped_policies_govern_models(examples: Gathered) -> None:
    named = {name for model in examples.models.values() for name in model.value.policies}

    assert set(examples.policies) - named == {"output-budget"}


def test_one_member_of_the_alloy_always_fails(examples: Gathered) -> None:
    (script,) = examples.providers["swift"].value.scripts

    assert [step.status for step in script.steps] == [503]
