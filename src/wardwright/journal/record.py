"""Reading a line of a segment.

`parse` is strict and proves the line: canonical bytes, known envelope, an id that is the hash of the rest. `read` is
for lines this journal wrote and verifies elsewhere. `named` is the proof of the id alone, on bytes, for start-up.

A record is never rewritten. An envelope of an older `v` is lifted by its upcaster when read, after its own bytes were
proven; a golden file of each version stays in the tests for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import msgspec

from wardwright.journal import shape
from wardwright.journal.entry import VERSION, Record
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError

Upcaster = Callable[[bytes], bytes]
"""From a line of one version to the same record as a line of the next."""

UPCASTERS: Final[Mapping[int, Upcaster]] = {}
"""By the version they read. One a version before VERSION; VERSION 1 has none before it."""

_ID: Final = b',"id":"'
_ID_BYTES: Final = len(_ID) + 64 + 1


class _Version(msgspec.Struct):
    v: int


def _no_reals(text: str) -> NoReturn:
    raise ValueError(f"the real number {text} has no canonical form")


_version = msgspec.json.Decoder(_Version)
_record = msgspec.json.Decoder(Record)
_plain = msgspec.json.Decoder(float_hook=_no_reals)


def read(line: bytes, upcasters: Mapping[int, Upcaster] = UPCASTERS) -> Record:
    """The record of a line that is known to be whole. Raises `journal_broken` when it is not one."""
    try:
        record = _record.decode(line)
        if record.v == VERSION:
            return record
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    return _decode(_lifted(line, upcasters))


def parse(line: bytes, upcasters: Mapping[int, Upcaster] = UPCASTERS) -> Record:
    """The record of a line, its newline removed. Raises `journal_broken` with what is wrong with the line."""
    named(line)
    try:
        if canonical.encode(_plain.decode(line)) != line:
            raise WardwrightError("journal_broken", "the line is not in canonical form")
        if not line.isascii() or shape.oversized(line):
            canonical.require(msgspec.json.decode(line), "record")
    except WardwrightError as error:
        raise WardwrightError("journal_broken", error.message) from error
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
        raise WardwrightError("journal_broken", f"the line is not a record: {error}") from error
    lifted = _lifted(line, upcasters)
    record = _decode(lifted)
    if canonical.encode(record) != lifted:
        raise WardwrightError("journal_broken", "the envelope has members that its version does not know")
    return record


def named(line: bytes) -> tuple[str, bytes]:
    """The id of a canonical line, proven to be the hash of the rest, and what follows it. Raises `journal_broken`.

    The envelope's id is the last `,"id":"` of its line: after it come members that hold no object with an `id` but in
    first place, and text in which quotes are escaped.
    """
    at = line.rfind(_ID)
    tail = line[at + _ID_BYTES :]
    if at < 0 or line[at + _ID_BYTES - 1 : at + _ID_BYTES] != b'"':
        raise WardwrightError("journal_broken", "the line is not a record")
    digest = hashlib.sha256(line[:at])
    digest.update(tail)
    name = digest.hexdigest()
    if line[at + len(_ID) : at + _ID_BYTES - 1] != name.encode():
        raise WardwrightError("journal_broken", "the id is not the hash of the record")
    return name, tail


def _lifted(line: bytes, upcasters: Mapping[int, Upcaster]) -> bytes:
    try:
        version = _version.decode(line).v
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WardwrightError("journal_broken", f"the line is not a record: {error}") from error
    if version > VERSION:
        raise WardwrightError(
            "journal_broken",
            f"the record has version {version}, newer than the {VERSION} that this build reads",
            hint="verify it with the release that wrote it, or a later one",
        )
    while version < VERSION:
        upcaster = upcasters.get(version)
        if upcaster is None:
            raise WardwrightError("journal_broken", f"no release wrote records of version {version}")
        line = upcaster(line)
        version += 1
    return line


def _decode(line: bytes) -> Record:
    try:
        return _record.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WardwrightError("journal_broken", f"the line is not a record: {error}") from error
