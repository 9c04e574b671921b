"""Semantic rules over one JSON value: a pointer, an operator of conditions, and what to say where it does not hold.

Rule 1: an absent value, or null, satisfies nothing but a negation; a value of a type that the operator does not compare
satisfies nothing at all.
Rule 2: numbers are compared exactly, as decimals: 0.69999999999999999 is less than 0.7.
Rule 3: what could not be searched in time does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from wardwright.contracts.policy import Requirement, Value
from wardwright.policy.answer_schema import kind_of, steps
from wardwright.policy.operators import ITEM, OPERATORS, Check, Comparing

Json: TypeAlias = object
"""A JSON value; numbers with a fraction or an exponent are Decimals."""

Told: TypeAlias = bool | str
"""Whether a comparison holds, or why it cannot be made."""

_NUMBERS: Final = frozenset({"gt", "gte", "lt", "lte", "between"})


class Required(msgspec.Struct, frozen=True):
    """One requirement, ready to be asked."""

    pointer: str
    at: tuple[str, ...]
    """The steps of the pointer."""
    over: str
    negated: bool
    compare: Callable[[Json], Told]
    """One value that is there with the operands."""
    said: str
    """What holds of the value, in words."""
    wanted: str
    """What must hold, and why, in words."""

    def objection(self, root: Json) -> str | None:
        """What is wrong, or None."""
        value = resolve(root, self.at)
        if value is None:
            return None if self.negated else f"is missing, and {self.wanted}"
        if self.over == "value":
            told = self.compare(value)
        elif isinstance(value, list):
            told = _over(self.over, [self.compare(item) for item in value])
        else:
            told = f"is {kind_of(value)}, not a list"
        if isinstance(told, str):
            return f"{told}, and {self.wanted}"
        return None if told is not self.negated else self.wanted


def required(requirement: Requirement, test: Comparing) -> Required:
    """`test` is the requirement's comparison with its list resolved and its patterns admitted."""
    said, wanted = _said(requirement, test)
    return Required(
        pointer=requirement.pointer,
        at=tuple(steps(requirement.pointer)),
        over=requirement.over,
        negated=requirement.negated,
        compare=_compare(test),
        said=said,
        wanted=f"{wanted}: {requirement.why.strip()}" if requirement.why else wanted,
    )


def _said(requirement: Requirement, test: Comparing) -> tuple[str, str]:
    """What holds of the value, and what must, in words."""
    operator, negated = OPERATORS[test.op], requirement.negated
    match requirement.over, negated:
        case "value", _ if test.op == "exists":
            return ("is absent", "must not be there") if negated else ("is there", "must be there")
        case "value", _:
            said = (operator.denied if negated else operator.said)(test)
            return said, f"must be one that {said}"
        case "any", _:
            item = f"{'no' if negated else 'some'} item that {operator.said(test)}"
        case _, True:
            item = f"some item that {operator.denied(test)}"
        case _:
            item = f"no item but such as {operator.said(test)}"
    return f"has {item}", f"must have {item}"


def resolve(root: Json, at: tuple[str, ...]) -> Json:
    """What stands at a pointer (RFC 6901); None where nothing does, or null."""
    value = root
    for step in at:
        match value:
            case dict():
                value = value.get(step)
            case list() if step.isascii() and step.isdigit() and (step == "0" or step[0] != "0") and len(step) < 8:
                value = value[int(step)] if int(step) < len(value) else None
            case _:
                return None
    return value


def _over(over: str, items: list[Told]) -> Told:
    """Any or all of the items; one that cannot be told leaves the whole untold unless another decides."""
    ends = over == "any"
    if ends in items:
        return ends
    return next((item for item in items if isinstance(item, str)), not ends)


def _compare(test: Comparing) -> Callable[[Json], Told]:
    match test.op:
        case "exists":
            return lambda value: True
        case "eq" | "in":
            return _equal(test.values)
        case op if op in _NUMBERS:
            return _ordered(test)
        case _:
            return _searched(OPERATORS[test.op].check(ITEM, test))


def _equal(values: tuple[Value, ...]) -> Callable[[Json], Told]:
    """A decimal operand is kept as text, so a number is compared with every operand that reads as one."""
    texts = frozenset(value for value in values if isinstance(value, str))
    flags = frozenset(value for value in values if isinstance(value, bool))
    numbers = [number for value in values if (number := _number(value)) is not None]

    def compare(value: Json) -> Told:
        match value:
            case bool():
                return value in flags
            case str():
                return value in texts
            case int() | Decimal():
                return any(value == number for number in numbers)
            case _:
                return f"is {kind_of(value)}"

    return compare


def _number(value: Value) -> Decimal | None:
    if isinstance(value, bool):
        return None
    plain = isinstance(value, int) or value.replace(".", "", 1).isdecimal()
    return Decimal(value) if plain else None


def _ordered(test: Comparing) -> Callable[[Json], Told]:
    bounds = [Decimal(value) for value in test.values]
    low = bounds[0] if test.op in ("gt", "gte", "between") else None
    high = bounds[-1] if test.op in ("lt", "lte", "between") else None
    strict = test.op in ("gt", "lt")

    def compare(value: Json) -> Told:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return f"is {kind_of(value)}, not a number"
        if strict and value in bounds:
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    return compare


def _searched(check: Check) -> Callable[[Json], Told]:
    def compare(value: Json) -> Told:
        if not isinstance(value, str):
            return f"is {kind_of(value)}, not text"
        try:
            return check({ITEM: value})
        except TimeoutError:
            return "could not be searched in time"

    return compare
