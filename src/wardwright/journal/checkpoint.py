"""Signed statements about a chain: checkpoints, which end segments, and retirements, which replace them.

A checkpoint stands in the chain that it speaks of, as the last record of its segment. A retirement stands in the
control chain and speaks of a segment of `calls` that is about to be deleted. What is signed is the canonical encoding
of the statement.

A local signature proves that the holder of the node's key saw this head. It does not prove that nothing was appended
later and taken away together with its checkpoints: that takes a copy of a checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from wardwright.journal.entry import Chain, Record
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError

CHECKPOINT: Final = "journal.checkpoint"
RETIRED: Final = "segment.retired"

Check: TypeAlias = Callable[[str, bytes, str], bool]
"""(key, message, signature) -> whether that key made that signature. False for a key that is not known."""


class Signer(Protocol):
    """Whoever holds the node's signing key."""

    @property
    def key(self) -> str:
        """Names the public key."""
        ...

    def sign(self, message: bytes) -> str:
        """The Ed25519 signature, hex."""
        ...


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was opened and not closed yet."""

    opened: str
    """The id of its `call.opened` record."""
    receipt: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint states. Its records are those after the checkpoint before it."""

    chain: Chain
    count: int
    """How many records it covers; itself not counted."""
    first: int
    """The `seq` of the first of them."""
    head: str
    """The id of the record before the checkpoint."""
    key: str
    open: tuple[OpenCall, ...]
    """Calls in flight, so that a start needs to read no further back than this."""
    prev: str | None
    """The id of the checkpoint before; None for the first."""
    reason: Literal["closed", "rotated"]
    """`closed`: the writer ended here in good order."""
    seq: int
    """The `seq` of `head`."""
    writer: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `journal.checkpoint`."""

    seal: Seal
    signature: str


class Retirement(msgspec.Struct, frozen=True, kw_only=True):
    """What a retirement states: this segment was whole, and its deletion was meant."""

    chain: Chain
    first: int
    """The `seq` of the segment's first record."""
    head: str
    """The id of its last: the `prev` of whatever follows."""
    key: str
    segment: int
    seq: int
    """The `seq` of its last."""
    writer: str


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `segment.retired`."""

    retirement: Retirement
    signature: str


_checkpoint = msgspec.json.Decoder(Checkpoint)
_retired = msgspec.json.Decoder(Retired)


def seal(statement: Seal, signer: Signer) -> Checkpoint:
    """The signed checkpoint of a statement."""
    return Checkpoint(seal=statement, signature=signer.sign(canonical.encode(statement)))


def retire(statement: Retirement, signer: Signer) -> Retired:
    """The signed retirement of a statement."""
    return Retired(retirement=statement, signature=signer.sign(canonical.encode(statement)))


def checkpoint_of(record: Record) -> Checkpoint | None:
    """The checkpoint that a record is, if it is one. Raises `journal_broken` for one that cannot be read."""
    if record.kind != CHECKPOINT:
        return None
    try:
        return _checkpoint.decode(record.data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WardwrightError("journal_broken", f"the checkpoint cannot be read: {error}") from error


def retired_of(record: Record) -> Retired | None:
    """The retirement that a record is, if it is one. Raises `journal_broken` for one that cannot be read."""
    if record.kind != RETIRED:
        return None
    try:
        return _retired.decode(record.data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WardwrightError("journal_broken", f"the retirement cannot be read: {error}") from error


def signed(statement: Seal | Retirement, signature: str, check: Check) -> bool:
    """Whether the key that the statement names made the signature."""
    return check(statement.key, canonical.encode(statement), signature)
