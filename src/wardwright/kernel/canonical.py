"""Canonical JSON: one value, one sequence of bytes, one digest.

Within the values a record may hold (null, booleans, strings, integers within ±(2^53−1), lists, objects with ASCII
keys) msgspec's encoder with sorted keys writes what RFC 8785 asks for; the tests hold the two together.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from wardwright.kernel.errors import WardwrightError

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

_sorted = msgspec.json.Encoder(order="sorted")


def encode(value: object) -> bytes:
    """The canonical bytes of a value, keys sorted. Does not check the value: see `require`.

    >>> encode({"b": 1, "a": None})
    b'{"a":null,"b":1}'
    """
    return _sorted.encode(value)


def digest(value: object) -> str:
    """`sha256:` and the hex digest of the canonical bytes."""
    return "sha256:" + hashlib.sha256(encode(value)).hexdigest()


def require(value: object, path: str = "$") -> None:
    """Raise `record_invalid` with the path of the first value that canonical JSON does not allow.

    Floats, integers past INTEGER_MAX, lone surrogates and keys beyond ASCII have more than one spelling, so a digest
    over them would not mean one value.
    """
    match value:
        case None | bool():
            return
        case int():
            if not -INTEGER_MAX <= value <= INTEGER_MAX:
                raise WardwrightError("record_invalid", f"{path}: integer beyond ±(2^53−1)")
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise WardwrightError("record_invalid", f"{path}: lone surrogate") from None
        case list() | tuple():
            for index, item in enumerate(value):
                require(item, f"{path}[{index}]")
        case dict():
            for key, item in value.items():
                if not (isinstance(key, str) and key.isascii()):
                    raise WardwrightError("record_invalid", f"{path}: key {key!r} is not ASCII text")
                require(item, f"{path}.{key}")
        case msgspec.Struct():
            require(msgspec.to_builtins(value), path)
        case _:
            raise WardwrightError("record_invalid", f"{path}: a {type(value).__name__} has no canonical form")
