"""A condition beside the facts it saw: each comparison with its value, and whether it held.

Rule: of text that was not kept a comparison shows whether it held, where that is recorded.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.policy.conditions import AllOf, AnyOf, Compared, Inverse, Node, Untold, weigh
from wardwright.policy.explain import words
from wardwright.policy.phases import Fact, Facts

VALUE_CHARS_MAX: Final = 60
"""Of a value in a line for people."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True, tag_field="node", tag="comparison"):
    """One comparison of one field."""

    actual: Fact
    """What the field held; null where it was absent, or where `seen` is not `kept`."""
    field: str
    held: bool | None
    """null: it could not be told."""
    said: str
    """The comparison in words."""
    seen: Literal["kept", "withheld", "unavailable"]
    """`withheld`: text of the conversation, which receipts do not keep."""
    why: str = ""
    """For `unavailable`: the reason."""


class Combined(msgspec.Struct, frozen=True, kw_only=True, tag_field="node", tag="combined"):
    """Conditions taken together."""

    form: Literal["all", "any", "not"]
    held: bool | None
    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Combined


def weighed(node: Node, facts: Facts) -> Condition:
    """A condition as these facts have it."""
    match node:
        case Compared():
            return _comparison(node, facts)
        case Inverse():
            return Combined(form="not", held=_held(node, facts), parts=(weighed(node.part, facts),))
        case AllOf() | AnyOf():
            return Combined(
                form="all" if isinstance(node, AllOf) else "any",
                held=_held(node, facts),
                parts=tuple(weighed(part, facts) for part in node.parts),
            )
        case _:
            assert_never(node)


def _comparison(leaf: Compared, facts: Facts) -> Comparison:
    untold: list[Untold] = []
    held = weigh(leaf, facts, dict(facts.known), untold)
    why = facts.unavailable.get(leaf.field)
    seen: Literal["kept", "withheld", "unavailable"] = "kept"
    if why is not None:
        seen = "withheld" if held is not None else "unavailable"
    elif untold:
        seen, why = "unavailable", untold[0].why
    return Comparison(
        actual=facts.known.get(leaf.field),
        field=leaf.field,
        held=held,
        said=words(leaf),
        seen=seen,
        why=why or "" if seen == "unavailable" else "",
    )


def _held(node: Node, facts: Facts) -> bool | None:
    return weigh(node, facts, dict(facts.known), [])


def otherwise(condition: Condition, *, wanted: bool) -> tuple[Comparison, ...]:
    """The fewest comparisons that would have to come out otherwise for a condition to be as wanted."""
    match condition:
        case Comparison():
            return () if condition.held is wanted else (condition,)
        case Combined(form="not", parts=(part,)):
            return otherwise(part, wanted=not wanted)
        case Combined():
            each = [otherwise(part, wanted=wanted) for part in condition.parts]
            if (condition.form == "all") is wanted:
                return tuple(one for some in each for one in some)
            return min(each, key=len, default=())
        case _:
            assert_never(condition)


def shown(comparison: Comparison) -> str:
    """What a comparison saw, for people."""
    match comparison.seen:
        case "withheld":
            return "withheld"
        case "unavailable":
            return f"unknown, {comparison.why}"
        case "kept":
            return value(comparison.actual)
        case _:
            assert_never(comparison.seen)


def value(fact: Fact) -> str:
    """A fact in few characters.

    >>> value(True), value(5000), value(("a", "b")), value(None), value("x")
    ('yes', '5,000', 'a, b', 'absent', '`x`')
    """
    match fact:
        case None:
            return "absent"
        case bool():
            return "yes" if fact else "no"
        case int():
            return f"{fact:,}"
        case str():
            return f"`{fact if len(fact) <= VALUE_CHARS_MAX else fact[:VALUE_CHARS_MAX] + '…'}`"
        case ():
            return "none"
        case tuple():
            told = ", ".join(fact)
            return told if len(told) <= VALUE_CHARS_MAX else told[:VALUE_CHARS_MAX] + "…"
