"""The hand that places entries: from a proposal to the canonical line that goes into a segment.

Rule 1: one scribe a writer. `lam` and `at` run over all its chains; `seq` and `prev` run within each.
Rule 2: placing moves the scribe only when it succeeds, so an entry that cannot be written leaves no gap.
Rule 3: a placed line is final. What fails to reach the disk is written again as the same bytes.

This runs once a record, so the envelope is assembled by hand around the encoding of `data`; the tests hold the result
equal to RFC 8785 over the whole record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from wardwright.journal import shape
from wardwright.journal.entry import GENESIS, VERSION, Chain, Entry
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError

RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
"""No line is longer."""
_EMPTY: Final = hashlib.sha256()
_TEXTS_MAX: Final = 512
"""Actors and kinds whose rendering is kept."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain ends: what its next record is chained to."""

    at: int = 0
    id: str = GENESIS
    lam: int = 0
    seq: int = 0
    """0 for a chain without records."""


class Scribe:
    """Places entries for one writer, in the order in which they are given."""

    def __init__(self, *, node: str, writer: str, heads: Mapping[Chain, Head]) -> None:
        self.node = node
        self.writer = writer
        self.lam = max((head.lam for head in heads.values()), default=0)
        """Lamport time of the last record placed."""
        self.at = max((head.at for head in heads.values()), default=0)
        self._seqs: dict[Chain, int] = {chain: head.seq for chain, head in heads.items()}
        self._prevs: dict[Chain, str] = {chain: head.id for chain, head in heads.items()}
        self._node = f',"node":{_text(node)},"prev":"'
        self._end = f',"v":{VERSION},"writer":{_text(writer)}}}'
        self._texts: dict[str, str] = {}
        self._encoders: dict[type[msgspec.Struct], Callable[[msgspec.Struct], bytes]] = {}

    def head(self, chain: Chain) -> Head:
        """Where the chain ends now."""
        return Head(at=self.at, id=self._prevs[chain], lam=self.lam, seq=self._seqs[chain])

    def place(self, entry: Entry) -> bytes:
        """The line of an entry, newline included; sets `entry.id`.

        Raises `record_invalid`, and places nothing, when the entry holds a value without a canonical form, is longer
        than RECORD_BYTES_MAX, or refers to an entry that was never placed.
        """
        data = entry.data
        encode = self._encoders.get(type(data)) or self._prove(type(data))
        chain = entry.chain
        at = entry.at if entry.at > self.at else self.at
        lam = self.lam + 1
        seq = self._seqs[chain] + 1
        texts = self._texts
        try:
            actor = texts.get(entry.actor) or self._render(entry.actor)
            kind_text = texts.get(entry.kind) or self._render(entry.kind)
            run = "null" if entry.run is None else _text(entry.run)
            body = encode(data)
        except UnicodeEncodeError:
            raise WardwrightError("record_invalid", f"{entry.kind}: lone surrogate") from None
        if shape.oversized(body):
            shape.require_data(body)
        if len(body) > RECORD_BYTES_MAX:
            raise WardwrightError("record_invalid", f"{entry.kind}: {len(body)} bytes, more than {RECORD_BYTES_MAX}")
        refs = _refs(entry) if entry.refs else "[]"
        start = b'{"actor":%b,"at":%d,"chain":"%b","data":%b' % (actor.encode(), at, chain.encode(), body)
        end = (
            f',"kind":{kind_text},"lam":{lam}{self._node}{self._prevs[chain]}","refs":{refs},"run":{run},"seq":{seq}'
            f"{self._end}"
        ).encode()
        digest = _EMPTY.copy()  # cheaper than making one
        digest.update(start + end)
        name = digest.hexdigest()
        self.lam = lam
        self.at = at
        self._seqs[chain] = seq
        self._prevs[chain] = name
        entry.id = name
        return b'%b,"id":"%b"%b\n' % (start, name.encode(), end)

    def _prove(self, kind: type[msgspec.Struct]) -> Callable[[msgspec.Struct], bytes]:
        encode = self._encoders[kind] = shape.encoder_of(kind)
        return encode

    def _render(self, text: str) -> str:
        rendered = _text(text)
        if len(self._texts) < _TEXTS_MAX:
            self._texts[text] = rendered
        return rendered


def _text(text: str) -> str:
    return canonical.encode(text).decode()


def _refs(entry: Entry) -> str:
    parts = []
    for relation, target in entry.refs:
        name = target.id if isinstance(target, Entry) else target
        if name is None:
            raise WardwrightError("record_invalid", f"{entry.kind}: refers to an entry that was not written")
        parts.append(f'{{"id":{_text(name)},"rel":"{relation}"}}')
    return f"[{','.join(parts)}]"
