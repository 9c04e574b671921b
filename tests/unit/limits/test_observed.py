"""Keys: the tenant first, from general to particular."""

from __future__ import annotations

from wardwright.limits.observed import PART_CHARS_MAX, key_of


def test_a_key_ends_at_its_last_known_level() -> None:
    assert key_of("t", kind="model", name="coder") == ("t", "model coder")
    assert key_of("t", kind="model", name="coder", model="m") == ("t", "model coder", "", "", "", "m")


def test_a_tool_and_a_model_of_one_name_are_two_subjects() -> None:
    assert key_of("t", kind="tool", name="x") != key_of("t", kind="model", name="x")


def test_a_claimed_name_of_any_length_takes_bounded_room() -> None:
    key = key_of("t", kind="tool", name="x", house="h" * 10_000)
    assert max(map(len, key)) <= PART_CHARS_MAX
    assert key != key_of("t", kind="tool", name="x", house="h" * 10_001)
