"""What we write in OpenAI's dialect: request bodies towards upstreams, errors towards clients.

Rule 1: a member that we do not know goes upstream as it came.
Rule 2: an error says nothing that its WardwrightError does not; what may stand in one is decided where it is raised.
Rule 3: inside a stream an error is an event with a top-level `error`, the one form in which OpenAI's SDKs raise.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.dialects.openai_request import Members
from wardwright.kernel.errors import WardwrightError

_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(Members)

_TRUE: Final = msgspec.Raw(b"true")
_FALSE: Final = msgspec.Raw(b"false")
_ASK_USAGE: Final = msgspec.Raw(b'{"include_usage":true}')


class _Error(msgspec.Struct, omit_defaults=True):
    message: str
    type: str
    param: str | None
    code: str
    receipt_id: str | None
    rule: str | None = None


class _Envelope(msgspec.Struct):
    error: _Error


def upstream_body(
    members: Members, *, model: str, stream: bool, ask_usage: bool, drop: tuple[str, ...] = ()
) -> tuple[bytes, tuple[str, ...]]:
    """The request body for one target, and which of `drop` the client had sent.

    `members` are the client's top-level members as raw JSON. `ask_usage`: a streamed answer shall report its usage,
    whether the client asked or not; the relay keeps from the client what it did not ask for.
    """
    body = dict(members)
    dropped = tuple([name for name in drop if body.pop(name, None) is not None]) if drop else ()
    body["model"] = msgspec.Raw(_encode(model))
    if stream:
        body["stream"] = _TRUE
        if ask_usage:
            body["stream_options"] = _with_usage(body.get("stream_options"))
        elif "stream_options" in body:
            body["stream_options"] = _without_usage(body["stream_options"])
    else:
        if "stream" in body:
            body["stream"] = _FALSE
        body.pop("stream_options", None)  # OpenAI refuses it without `stream`
    return _encode(body), dropped


def error_body(error: WardwrightError, receipt_id: str | None) -> bytes:
    """OpenAI's error envelope. Where a rule refused, `code` is its author's, and `rule` names it.

    >>> error_body(WardwrightError("model_not_found", "no model `codign`"), None)[:60]
    b'{"error":{"message":"no model `codign`","type":"invalid_requ'
    """
    message = error.message or error.row.means
    if error.hint:
        message = f"{message}; {error.hint}"
    place = error.place
    return _encode(
        _Envelope(
            _Error(
                message=message,
                type=error.row.type,
                param=None if place is None else place.path,
                code=error.code if error.said is None else error.said.code,
                receipt_id=receipt_id,
                rule=None if error.said is None else error.said.rule,
            )
        )
    )


def error_event(error: WardwrightError, receipt_id: str | None) -> bytes:
    """The last event of a stream that broke. No terminator follows it: the answer is not complete."""
    return b"data: %b\n\n" % error_body(error, receipt_id)


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    given = _options(options)
    if not given:
        return _ASK_USAGE
    return msgspec.Raw(_encode({**given, "include_usage": _TRUE}))


def _without_usage(options: msgspec.Raw) -> msgspec.Raw:
    """For upstreams that do not know `include_usage`: the client's other options stay."""
    return msgspec.Raw(_encode({name: raw for name, raw in _options(options).items() if name != "include_usage"}))


def _options(options: msgspec.Raw | None) -> Members:
    try:
        return _members.decode(options) if options is not None else {}
    except msgspec.ValidationError:
        return {}
