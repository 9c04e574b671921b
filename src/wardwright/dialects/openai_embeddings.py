"""Embeddings, passed through under the name that was asked for."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.dialects.answer import Tally, Whole
from wardwright.dialects.failures import broken_by
from wardwright.dialects.openai_words import WireUsage, usage_of
from wardwright.kernel.events import Broken


class _Read(msgspec.Struct, gc=False):
    data: list[msgspec.Raw] | None = None
    usage: WireUsage | None = None
    model: object = None
    error: object = None


_read = msgspec.json.Decoder(_Read).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_NOT_EMBEDDINGS: Final = Broken("upstream_failed", "the upstream's answer is not a list of embeddings")


def read_embeddings(body: bytes, model: str) -> Whole | Broken:
    """The client's body, with `model` the name asked for, and the usage; Broken where the body is no such answer."""
    try:
        if not body.isascii():
            body.decode()
        read = _read(body)
        members = _members(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _NOT_EMBEDDINGS
    if read.error:
        return broken_by(read.error)
    if read.data is None:
        return _NOT_EMBEDDINGS
    members["model"] = msgspec.Raw(_encode(model))
    members.setdefault("object", msgspec.Raw(b'"list"'))
    tally = Tally(
        events=1,
        usage=None if read.usage is None else usage_of(read.usage),
        upstream_model=read.model if isinstance(read.model, str) else None,
    )
    return Whole(_encode(members), tally)
