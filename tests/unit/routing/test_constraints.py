from __future__ import annotations

import pytest

from wardwright.contracts.model import Target
from wardwright.kernel.globs import matches
from wardwright.routing.constraints import admits, excluded_by, names

QWEN = Target(name="fast", provider="box", model="org/qwen-3", context_window=8192, labels=("local", "eu"))
CLOUD = Target(name="big", provider="cloud", model="gpt-5-mini", context_window=8192)


@pytest.mark.parametrize(
    ("glob", "text", "verdict"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a--b--c", True),
        ("a*b*c", "a--c--b", False),
        ("*mini*", "gpt-5-mini", True),
        ("gpt-?", "gpt-5", False),
        ("[ab]", "a", False),
        ("a**b", "ab", True),
    ],
)
def test_a_star_is_any_run_of_characters_and_nothing_else_is_special(glob: str, text: str, verdict: bool) -> None:
    assert matches(glob, text) is verdict


def test_many_stars_on_a_long_text_do_not_backtrack() -> None:
    assert not matches("*a" * 40 + "b", "a" * 20_000)


@pytest.mark.parametrize(
    "pattern", ["fast", "box", "local", "eu", "loc*", "box/*", "local/*", "box/org/qwen*", "*/*", "*"]
)
def test_a_pattern_names_a_target_by_its_name_provider_label_or_model(pattern: str) -> None:
    assert names(pattern, QWEN)


@pytest.mark.parametrize(
    "pattern", ["", "/", "big", "Box", "fast/*", "local/org/qwen*", "box/qwen*", "org/qwen-3", "box/"]
)
def test_a_pattern_that_does_not_describe_a_target_does_not_name_it(pattern: str) -> None:
    assert not names(pattern, QWEN)


def test_an_empty_constraint_admits_nothing() -> None:
    assert not admits((), QWEN)


def test_constraints_are_intersected_by_what_they_mean() -> None:
    both = (("local",), ("box/org/qwen*", "cloud"))
    assert excluded_by(both, QWEN) is None
    assert excluded_by(both, CLOUD) == ("local",)


def test_disjoint_constraints_leave_no_target() -> None:
    disjoint = (("local",), ("cloud",))
    assert [excluded_by(disjoint, target) for target in (QWEN, CLOUD)] == [("cloud",), ("local",)]
