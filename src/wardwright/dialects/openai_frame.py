"""The bytes that every plain chunk of one stream shares, learnt from one of them.

A server writes the chunks of a stream with one piece of code: `id`, `object`, `created` and `model` stand in the same
place with the same value. Where they stand before `choices`, everything up to there is the *head*; where they stand
after it, everything from the first of them on is the *tail*. Exchanging either gives the client's chunk without looking
at what lies between. Servers that say the role again in every delta have a longer head, exchanged for one without it.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.dialects.answer import Identity

Shape: TypeAlias = Literal["usage absent", "usage null", "usage either"]
"""What the chunks of a frame must say of `usage` to be plain. The first two are told apart for a client that asked for
usage and so must find `usage: null` in every chunk."""

_CHOICES: Final = b'"choices":'
_DELTA: Final = b'"choices":[{"index":0,"delta":{'
_ROLE: Final = b'"role":"assistant",'
_IDENTITY: Final = (b',"id":', b',"object":', b',"created":', b',"model":')
_DECISIVE: Final = ("choices", "usage", "error")
"""Members that no frame may hold: they decide what becomes of a chunk."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Frame:
    """What to exchange for what. `opening` begins with `data: `, `closing` ends with the blank line."""

    __slots__ = ("between", "closing", "inner", "opening", "our_closing", "our_opening", "our_seam", "seam", "shape")

    def __init__(
        self,
        shape: Shape,
        opening: bytes,
        closing: bytes,
        our_opening: bytes,
        our_closing: bytes,
        inner: bytes = b"{",
    ) -> None:
        self.shape = shape
        self.inner = inner
        """What makes JSON of a between again, with `}` behind it."""
        self.opening = opening
        self.closing = closing
        self.our_opening = our_opening
        self.our_closing = our_closing
        self.seam = closing + opening
        """Between what two chunks hold."""
        self.our_seam = our_closing + our_opening
        self.between = itemgetter(slice(len(opening), 2 - len(closing)))
        """What a line of the stream holds between its opening and its closing."""

    def fits(self, payload: bytes) -> bool:
        """A chunk's JSON stands in this frame."""
        return payload.startswith(self.opening[6:]) and payload.endswith(self.closing[:-2])


def learn(payload: bytes, identity: Identity, *, include_usage: bool) -> Frame | None:
    """The frame of one chunk's JSON; None where it has no clear one: a member missing, spaces, escapes, odd order."""
    place = payload.find(_CHOICES)
    if place < 0:
        return None
    shape: Shape = (
        "usage either" if not include_usage else "usage null" if b'"usage":null' in payload else "usage absent"
    )
    end = b"}" if shape != "usage absent" else b',"usage":null}'
    if place > 1:
        ours = _exchanged(payload[: place - 1] + b"}", identity)
        if ours is None:
            return None
        return Frame(shape, b"data: " + payload[:place], b"}\n\n", b"data: " + ours[:-1] + b",", end + b"\n\n")
    start = min(payload.rfind(name) for name in _IDENTITY)
    if start < 0:
        return None
    tail = payload[start:]
    ours = _exchanged(b"{" + tail[1:], identity)
    if ours is None:
        return None
    return Frame(shape, b"data: {", tail + b"\n\n", b"data: {", b"," + ours[1:-1] + end + b"\n\n")


def with_role(frame: Frame, payload: bytes) -> Frame | None:
    """The longer frame of a stream whose deltas all say the role; None if this chunk of the frame does not."""
    if not payload.startswith(frame.opening[6:] + _DELTA + _ROLE):
        return None
    return Frame(
        frame.shape,
        frame.opening + _DELTA + _ROLE,
        frame.closing,
        frame.our_opening + _DELTA,
        frame.our_closing,
        b"{" + _DELTA,
    )


def _exchanged(part: bytes, identity: Identity) -> bytes | None:
    """An object with ours for the four members of identity; None if it is no such object, or not written compactly.

    That it decodes at all shows that the part was cut at the top level of the chunk.
    """
    try:
        members: dict[str, object] = _decode(part)  # type: ignore[assignment]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not ("id" in members and "object" in members and "created" in members and "model" in members):
        return None
    if _encode(members) != part:
        return None
    for name in _DECISIVE:
        if name in members:
            return None
    members["id"] = identity.id
    members["object"] = "chat.completion.chunk"
    members["created"] = identity.created
    members["model"] = identity.model
    return _encode(members)
