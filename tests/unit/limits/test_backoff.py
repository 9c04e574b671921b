"""Waits between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wardwright.limits.backoff import SPREAD_BITS, delay_s


@given(failures=st.integers(1, 10_000), draw=st.integers(0, 2**SPREAD_BITS - 1))
def test_a_wait_never_passes_its_bound_and_is_at_least_half_of_what_it_could_be(failures: int, draw: int) -> None:
    wait = delay_s(failures, draw, first_s=1, longest_s=300)
    whole = min(2 ** (failures - 1), 300)
    assert whole / 2 <= wait < whole


@given(failures=st.integers(1, 30), draw=st.integers(0, 2**SPREAD_BITS - 1))
def test_the_same_luck_waits_at_least_as_long_after_one_more_failure(failures: int, draw: int) -> None:
    first, then = (delay_s(count, draw, first_s=1, longest_s=300) for count in (failures, failures + 1))
    assert then >= first
