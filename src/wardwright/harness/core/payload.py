"""Bytes in a result: as text where they are text, and said to be something else where they are not."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Literal, TypeVar

import msgspec

from wardwright.kernel.errors import Place, WardwrightError

T = TypeVar("T")


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some bytes."""

    encoding: Literal["utf-8", "base64"]
    text: str


def told(data: bytes) -> Payload:
    """Bytes as text where they are UTF-8 without zero bytes, else in base64.

    >>> told(b"hi").text, told(b"\\xff").encoding
    ('hi', 'base64')
    """
    if is_text(data):
        return Payload(encoding="utf-8", text=data.decode())
    return Payload(encoding="base64", text=base64.b64encode(data).decode())


def is_text(data: bytes) -> bool:
    """Whether bytes are text: UTF-8 without a zero byte."""
    if b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def untold(payload: Payload, argument: str) -> bytes:
    """The bytes of a payload that a caller gave. Raises `tool_arguments`."""
    if payload.encoding == "utf-8":
        return payload.text.encode()
    try:
        return base64.b64decode(payload.text, validate=True)
    except (binascii.Error, ValueError) as cause:
        message = f"the argument `{argument}` is not base64"
        raise WardwrightError("tool_arguments", message, place=Place(path=argument)) from cause


def whole_chars(data: bytes) -> bytes:
    """Bytes that were cut somewhere, without the beginning of a character that the cut went through.

    >>> whole_chars("né".encode()[:2])
    b'n'
    """
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        wanted = 1 if byte < 0x80 else 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4
        return data[:-back] if wanted > back and byte >= 0xC0 else data
    return data


def fitting(data: bytes, json_bytes_max: int) -> bytes:
    """As much of some bytes as fits into JSON of this length, as text or in base64; no character is cut through.

    >>> len(fitting(b"a" * 10, 8)), len(fitting(b"\\x01" * 10, 20))
    (6, 3)
    """
    if not is_text(data):
        return data[: max(0, json_bytes_max - 2) // 4 * 3]
    low, high = 0, min(len(data), json_bytes_max)
    while low < high:
        middle = (low + high + 1) // 2
        if len(msgspec.json.encode(whole_chars(data[:middle]).decode())) <= json_bytes_max:
            low = middle
        else:
            high = middle - 1
    return data if low == len(data) else whole_chars(data[:low])


def fitting_items(items: Sequence[T], json_bytes_max: int) -> tuple[T, ...]:
    """As many of the first items as fit into a JSON list of this length."""
    length = 2
    for index, item in enumerate(items):
        length += len(msgspec.json.encode(item)) + 1
        if length > json_bytes_max:
            return tuple(items[:index])
    return tuple(items)
