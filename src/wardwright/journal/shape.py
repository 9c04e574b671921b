"""Which types may be written: those whose every value has one canonical form, but for the size of integers.

Judged once a type, from its declaration, so that placing a record does not walk its values. What a declaration cannot
promise, the range of an integer, `oversized` looks for in the encoded bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import inspect

from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError

_DIGITS: Final = bytes(ord("9") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
_LONG: Final = b"9" * 16
"""2^53−1 has sixteen digits and begins with a 9."""
_NINE: Final = ord("9")
_BEFORE_NUMBER: Final = b":[,-"


def require_type(kind: type[msgspec.Struct]) -> None:
    """Raise `record_invalid` when a value of this Struct could hold what canonical JSON does not allow.

    Floats have more than one spelling, maps carry keys of their writer's choosing (use pairs), sets have no order, and
    an untyped value promises nothing.

    >>> class Taken(msgspec.Struct):
    ...     share: float
    >>> require_type(Taken)
    Traceback (most recent call last):
    wardwright.kernel.errors.WardwrightError: Taken.share: FloatType has no canonical form
    """
    _require(inspect.type_info(kind), kind.__name__, set())


def encoder_of(kind: type[msgspec.Struct]) -> Callable[[msgspec.Struct], bytes]:
    """What writes the canonical bytes of values of this Struct: the plain encoder where sorting would change nothing.

    Raises `record_invalid` as `require_type` does.
    """
    require_type(kind)
    return _plain.encode if _ordered(inspect.type_info(kind), set()) else canonical.encode


def oversized(data: bytes) -> bool:
    """Whether encoded data may hold an integer beyond ±(2^53−1). Never misses one; digits in text can mislead it."""
    marks = data.translate(_DIGITS)
    at = marks.find(_LONG)
    while at >= 0:
        if data[at - 1] in _BEFORE_NUMBER and (data[at] == _NINE or marks[at + 16 : at + 17] == b"9"):
            return True
        at = marks.find(_LONG, at + 17)
    return False


def require_data(data: bytes) -> None:
    """Raise `record_invalid` when encoded data holds an integer beyond ±(2^53−1)."""
    if oversized(data):
        canonical.require(msgspec.json.decode(data), "data")


_plain = msgspec.json.Encoder()


def _ordered(shape: inspect.Type, seen: set[type]) -> bool:
    """Whether every Struct within declares its members in the order in which canonical JSON writes them."""
    match shape:
        case inspect.UnionType(types=types) | inspect.TupleType(item_types=types):
            return all(_ordered(member, seen) for member in types)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) | inspect.Metadata(type=item):
            return _ordered(item, seen)
        case inspect.StructType(cls=cls, fields=fields, tag_field=tag):
            if cls in seen:
                return True
            seen.add(cls)
            names = [field.encode_name for field in fields]
            # A tag is written first, whatever it is called.
            names = names if tag is None else [tag, *names]
            return names == sorted(names) and all(_ordered(field.type, seen) for field in fields)
        case _:
            return True


def _require(shape: inspect.Type, path: str, seen: set[type]) -> None:
    match shape:
        case inspect.NoneType() | inspect.BoolType() | inspect.IntType() | inspect.StrType():
            return
        case inspect.LiteralType() | inspect.EnumType():
            return
        case inspect.UnionType(types=types):
            for member in types:
                _require(member, path, seen)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            _require(item, f"{path}[]", seen)
        case inspect.TupleType(item_types=items):
            for index, item in enumerate(items):
                _require(item, f"{path}[{index}]", seen)
        case inspect.StructType(cls=cls, fields=fields, array_like=False):
            if cls in seen:
                return
            seen.add(cls)
            for field in fields:
                if not field.encode_name.isascii():
                    raise WardwrightError("record_invalid", f"{path}: key {field.encode_name!r} is not ASCII text")
                _require(field.type, f"{path}.{field.name}", seen)
        case inspect.Metadata(type=inner):
            _require(inner, path, seen)
        case _:
            raise WardwrightError("record_invalid", f"{path}: {type(shape).__name__} has no canonical form")
