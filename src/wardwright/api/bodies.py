"""Captured bodies over HTTP: whoever may read a receipt may read what was asked and answered, where it was kept."""

from __future__ import annotations

import codecs
from base64 import b64encode
from typing import Literal

import msgspec
from starlette.concurrency import run_in_threadpool

from wardwright.api.operation import Ask
from wardwright.api.receipts import readable
from wardwright.journal.captures import Body, Capture
from wardwright.kernel.errors import WardwrightError


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One body."""

    bytes: int
    """How many there were."""
    content: str
    """What was kept."""
    cut: bool
    """Only the first bytes were kept."""
    encoding: Literal["utf-8", "base64"]
    """How the bytes became `content`: base64 where they are not text."""


class Bodies(msgspec.Struct, frozen=True, kw_only=True):
    """What one call's client sent and was told."""

    id: str
    """The receipt's id."""
    request: Shown
    """As the client sent it, before anything was added."""
    answer: Shown
    """What was handed to the client's connection: a whole answer, the events of a stream, or an error."""


async def show_bodies(ask: Ask[None]) -> Bodies:
    full = await readable(ask)
    receipt = full.receipt
    capture = None
    if receipt is not None and receipt.captured:
        capture = await run_in_threadpool(ask.front.captures.get, receipt.caller.tenant.value, full.id)
    return bodies_of(full.id, capture)


def bodies_of(id_: str, capture: Capture | None) -> Bodies:
    """Raises `capture_not_found`."""
    if capture is None:
        raise WardwrightError(
            "capture_not_found",
            f"the bodies of `{id_}` are not kept",
            hint="`capture: bodies` in the settings keeps those of later calls",
        )
    return Bodies(id=id_, request=shown(capture.request), answer=shown(capture.answer))


def shown(body: Body) -> Shown:
    """A body as JSON can hold it. A character that the cut went through is left out.

    >>> shown(Body(content="Grüße".encode()[:3], size=7)).content
    'Gr'
    """
    cut = len(body.content) < body.size
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(body.content, final=not cut)
    except UnicodeDecodeError:
        return Shown(bytes=body.size, content=b64encode(body.content).decode(), cut=cut, encoding="base64")
    return Shown(bytes=body.size, content=text, cut=cut, encoding="utf-8")
