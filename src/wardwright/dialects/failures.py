"""What an upstream's refusal means: status, headers and error body into one of the classes routing acts on.

Rule 1: the upstream's own word for a context that is too long wins over its status: servers send it as 400, 413, 422
and 500.
Rule 2: 401 and 403 are our credentials or rights, never the caller's; so is an account that ran out of money, which
servers send as 400, 402, 403 and 429.
Rule 3: messages pass `discretion` before anyone sees them.
"""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from wardwright.dialects.discretion import presentable
from wardwright.dialects.exchange import Failure, FailureClass, Headers
from wardwright.kernel.events import Broken

RETRY_AFTER_S_MAX: Final = 86_400
"""No upstream is believed to need longer."""

_CONTEXT_CODES: Final = frozenset(
    {
        "context_length_exceeded",      # OpenAI, and most that copy it
        "exceed_context_size_error",    # llama.cpp
        "model_context_window_exceeded",
        "context_window_exceeded",
        "string_above_max_length",
    }
)  # fmt: skip

_CONTEXT_WORDS: Final = re.compile(
    r"""
      maximum\ context\ length                            # OpenAI, vLLM
    | context[\ _]length[\ _]exceeded
    | longer\ than\ the\ (?:maximum\ )?(?:model|context)  # vLLM
    | exceeds?\ (?:the\ )?(?:available\ |model'?s?\ |maximum\ )*context\ (?:size|length|window|limit)  # llama.cpp
    | (?:prompt|input)\ (?:is\ )?too\ long                # Anthropic, Ollama
    | input\ length\ and\ `?max_tokens`?\ exceed          # Anthropic
    | exceeds?\ (?:the\ )?(?:maximum\ )?(?:number\ of\ )?(?:input\ )?tokens?\ (?:allowed|limit)
    | reduce\ the\ length\ of\ the\ (?:messages|input|prompt)
    | too\ many\ (?:input\ )?tokens
    | context\ window
    """,
    re.VERBOSE | re.IGNORECASE,
)

_MONEY_CODES: Final = frozenset(
    {"billing_error", "billing_hard_limit_reached", "billing_not_active", "insufficient_quota", "insufficient_balance"}
)
_MONEY_WORDS: Final = re.compile(r"credit balance is too low|exceeded your current quota", re.IGNORECASE)

_BUSY_TYPES: Final = frozenset({"overloaded_error", "overloaded", "engine_overloaded"})
_LIMIT_WORDS: Final = frozenset({"rate_limit_error", "rate_limit_exceeded", "rate_limit", "429"})
_ABSENT_CODES: Final = frozenset({"model_not_found", "not_found_error", "deployment_not_found"})


class _Detail(msgspec.Struct):
    message: object = None
    type: object = None
    code: object = None


class _Body(msgspec.Struct):
    """The shapes that error bodies have: OpenAI's and Anthropic's envelope, Ollama's string, FastAPI's `detail`."""

    error: _Detail | str | None = None
    message: object = None
    detail: object = None
    type: object = None
    code: object = None


_body = msgspec.json.Decoder(_Body)


def failure_of(status: int, headers: Headers, body: bytes) -> Failure:
    """Why an answer outside 2xx failed."""
    message, words = _said(body)
    kind = _kind(status, message, words)
    retry_after_s = _retry_after_s(headers) if kind in ("rate_limited", "overloaded", "server_error") else None
    shown = presentable(message) if kind != "credentials" else ""
    return Failure(kind=kind, message=shown or _PLAIN[kind], retry_after_s=retry_after_s, status=status)


def broken_by(error: object) -> Broken:
    """What an error inside a 200 answer means, whatever shape its `error` member has."""
    members = error if isinstance(error, dict) else {"message": error}
    said = members.get("message")
    message = said if isinstance(said, str) else ""
    words = frozenset(str(members[name]) for name in ("type", "code") if members.get(name) is not None)
    if words & _CONTEXT_CODES or _CONTEXT_WORDS.search(message):
        code = "context_length_exceeded"
    elif words & _LIMIT_WORDS:
        code = "upstream_rate_limited"
    elif words & _BUSY_TYPES:
        code = "upstream_unavailable"
    else:
        code = "upstream_failed"
    shown = presentable(message)
    return Broken(code, f"the upstream reported an error: {shown}" if shown else "the upstream reported an error")


def _kind(status: int, message: str, words: frozenset[str]) -> FailureClass:
    if status not in (401, 403, 429) and (words & _CONTEXT_CODES or _CONTEXT_WORDS.search(message)):
        return "context_length"
    if 400 <= status < 500 and (words & _MONEY_CODES or _MONEY_WORDS.search(message)):
        return "credentials"
    match status:
        case 429:
            return "rate_limited"
        case 401 | 403:
            return "credentials"
        case 402:
            return "credentials"
        case 404:
            return "not_served"
        case 408:
            return "server_error"
        case 503 | 529:
            return "overloaded"
        case _ if status >= 500:
            return "overloaded" if words & _BUSY_TYPES else "server_error"
        case _ if status >= 400:
            return "not_served" if words & _ABSENT_CODES else "rejected"
        case _:
            return "protocol"


_PLAIN: Final[dict[FailureClass, str]] = {
    "context_length": "the request does not fit the model's context",
    "credentials": "the provider refused the gateway's credentials",
    "not_served": "the provider does not serve this model",
    "overloaded": "the provider is overloaded",
    "protocol": "the provider answered with a status that is neither an answer nor an error",
    "rate_limited": "the provider limits the rate",
    "rejected": "the provider refused the request",
    "server_error": "the provider failed",
}


def _said(body: bytes) -> tuple[str, frozenset[str]]:
    """The message, and the words by which the error calls itself."""
    try:
        read = _body.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", frozenset()
    message: object
    words: tuple[object, ...]
    if isinstance(read.error, _Detail):
        message, words = read.error.message, (read.error.type, read.error.code, read.type, read.code)
    else:
        message, words = read.error, (read.type, read.code)
    for candidate in (message, read.message, read.detail):
        if isinstance(candidate, str) and candidate:
            return candidate, frozenset(str(word) for word in words if word is not None)
    return "", frozenset(str(word) for word in words if word is not None)


def _retry_after_s(headers: Headers) -> int | None:
    """Whole seconds to wait, rounded up: `retry-after-ms`, else `retry-after` in seconds or as a date beside `date`."""
    fields = {name: value.decode("latin-1").strip() for name, value in headers}
    wait = _number(fields.get(b"retry-after-ms", ""))
    if wait is not None:
        wait /= 1000
    else:
        asked = fields.get(b"retry-after", "")
        wait = _number(asked)
        if wait is None:
            wait = _until(asked, fields.get(b"date", ""))
    return None if wait is None else min(max(math.ceil(wait), 0), RETRY_AFTER_S_MAX)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _until(asked: str, sent: str) -> float | None:
    """Seconds between the answer's own `date` and the date asked for: no clock of ours takes part."""
    try:
        return (parsedate_to_datetime(asked) - parsedate_to_datetime(sent)).total_seconds()
    except (ValueError, TypeError):
        return None
