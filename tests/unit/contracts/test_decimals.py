"""Decimals as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardwright.contracts.decimals import DIGITS_MAX, PLACES_MAX, compare, normalise

amounts = st.decimals(
    min_value=0, max_value=10**DIGITS_MAX - 1, places=PLACES_MAX, allow_nan=False, allow_infinity=False
)


@given(amounts)
def test_a_spelling_keeps_the_exact_value_and_is_its_own_canonical_form(amount: Decimal) -> None:
    text = normalise(f"{amount:f}")

    assert text is not None
    assert Decimal(text) == amount
    assert normalise(text) == text


@given(amounts, st.integers(-6, 6))
def test_an_exponent_is_another_spelling_of_the_same_value(amount: Decimal, exponent: int) -> None:
    shifted = f"{amount.scaleb(-exponent):f}e{exponent}"
    text = normalise(shifted)

    assert text is None or Decimal(text) == amount


@given(amounts, amounts)
def test_decimals_compare_as_their_values_do(left: Decimal, right: Decimal) -> None:
    expected = (left > right) - (left < right)

    assert compare(normalise(f"{left:f}") or "", normalise(f"{right:f}") or "") == expected


@pytest.mark.parametrize("text", ["", ".", "-1", "1,5", "1e", "e3", "0x1", "1e999", "1" * 31, "1 2", "١"])
def test_what_is_no_decimal_within_the_bounds_is_none(text: str) -> None:
    assert normalise(text) is None
