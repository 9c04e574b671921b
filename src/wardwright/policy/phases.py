"""A phase as data: what a rule may read there, and what it may do.

Rule 1: a wing that decides something describes its phases as values and hands them to the compiler; this package knows
none of them by name.
Rule 2: a field has one type. Text is a `str`, texts are a tuple of them; integers, booleans and decimals (normalised
text such as `0.25`) stand as themselves. None: the call has no such thing. A field that should be known and is not is
*unavailable*, with a reason: what rests on it cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.policy import ActionName

FieldType: TypeAlias = Literal["text", "texts", "integer", "decimal", "boolean"]

Fact: TypeAlias = str | int | bool | tuple[str, ...] | None
"""What one field holds."""

View: TypeAlias = dict[str, Fact]
"""One snapshot by field, as compiled conditions read it."""

OPEN: Final = ".*"
"""The end of a field's name that stands for any: `metadata.*`."""


class Field(msgspec.Struct, frozen=True):
    """One thing that rules of a phase may read."""

    name: str
    """Dotted; `metadata.*` is every name that begins so."""
    type: FieldType
    doc: str
    """One sentence for authors."""


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a call at which rules decide."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    actions: frozenset[ActionName]
    """What rules here may propose."""
    channels: tuple[str, ...] = ()
    """What `match` may look at; empty where there is nothing to search."""
    whole: bool = False
    """Its channels are complete, so that `expect` may judge them."""
    budgets: Literal["none", "before", "after"] = "none"
    """What rules here know of declared budgets: `before` the call, with what calls in flight have reserved; `after`
    it, what ended calls used, this one among them."""

    def field(self, name: str) -> Field | None:
        """The field of this name, of an open family too."""
        for field in self.fields:
            if field.name == name:
                return field
            if field.name.endswith(OPEN) and name.startswith(field.name[:-1]) and len(name) >= len(field.name):
                return field
        return None

    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)


class Facts(msgspec.Struct, frozen=True):
    """What a phase knew when it decided. Every field that its rules read is in one of the two."""

    known: Mapping[str, Fact]
    unavailable: Mapping[str, str] = {}
    """Why a field that should be known is not."""
    told: Mapping[str, bool] = {}
    """Of fields that are unavailable because their text was not kept: comparisons, by key, and whether they held."""


def misfit(field: Field, value: object) -> str | None:
    """Why a value cannot stand in a field, or None.

    >>> misfit(Field("a", "integer", ""), True)
    'is no whole number'
    """
    if value is None:
        return None
    match field.type:
        case "text" | "decimal":
            return None if isinstance(value, str) else "is no text"
        case "texts":
            fits = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
            return None if fits else "is no list of texts"
        case "integer":
            return None if isinstance(value, int) and not isinstance(value, bool) else "is no whole number"
        case "boolean":
            return None if isinstance(value, bool) else "is neither true nor false"


def checked(phase: Phase, values: Mapping[str, object], names: Iterable[str] = ()) -> Facts:
    """Facts from values of unknown origin. A value of the wrong type, or a name that the phase does not have, is
    unavailable; of `names`, those that no value was given for are absent."""
    known: dict[str, Fact] = dict.fromkeys(names)
    unavailable: dict[str, str] = {}
    for name, value in values.items():
        field = phase.field(name)
        why = "is no field of this phase" if field is None else misfit(field, value)
        if why is None:
            known[name] = value  # type: ignore[assignment]
        else:
            known.pop(name, None)
            unavailable[name] = why
    return Facts(known, unavailable)
