"""OpenAI's words for how an answer ended and what it cost, and ours.

Rule: an ending that nobody knows is not an ending. Servers that speak this dialect have their own words for `stop` and
`length`; those are listed. A word that is not, such as `error` or `abort`, means that the answer did not finish.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.kernel.events import FinishReason
from wardwright.kernel.usage import Usage

FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "function_call",
    # other servers' words
    "STOP": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "MAX_TOKENS": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "SAFETY": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """A usage object on the wire, as far as it is counted. Servers send null, or leave members out."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


def usage_of(wire: WireUsage) -> Usage:
    """Token classes that do not overlap.

    On the wire cached and written tokens are parts of `prompt_tokens`, reasoning is a part of `completion_tokens`. A
    part larger than its whole, which some servers report, is cut to it, so that no class goes below zero.

    >>> usage_of(WireUsage(prompt_tokens=10, completion_tokens=5, prompt_tokens_details=_PromptDetails(4)))
    Usage(cache_write=0, cached_input=4, input=6, output=5, reasoning=0)
    """
    prompt = wire.prompt_tokens or 0
    completion = wire.completion_tokens or 0
    prompt_details, completion_details = wire.prompt_tokens_details, wire.completion_tokens_details
    cached = written = reasoning = 0
    if prompt_details is not None:
        cached = prompt_details.cached_tokens or 0
        written = prompt_details.cache_write_tokens or 0
    if completion_details is not None:
        reasoning = completion_details.reasoning_tokens or 0
    if not (cached >= 0 and written >= 0 and cached + written <= prompt and 0 <= reasoning <= completion):
        prompt, completion = max(prompt, 0), max(completion, 0)
        cached = min(max(cached, 0), prompt)
        written = min(max(written, 0), prompt - cached)
        reasoning = min(max(reasoning, 0), completion)
    return Usage(
        cache_write=written,
        cached_input=cached,
        input=prompt - cached - written,
        output=completion - reasoning,
        reasoning=reasoning,
    )


_wire_usage = msgspec.json.Decoder(WireUsage | None)


def reported_usage(raw: msgspec.Raw) -> Usage | None:
    """The usage in a JSON object; None for null, and for an account that nobody can read, such as counts in words.

    A good answer is not thrown away because its bill is odd: what is not reported is estimated.
    """
    try:
        wire = _wire_usage.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return None if wire is None else usage_of(wire)


def wire_usage(usage: Usage) -> dict[str, object]:
    """OpenAI's usage object of ours, for answers that came in another dialect."""
    details: dict[str, int] = {"cached_tokens": usage.cached_input}
    if usage.cache_write:
        details["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.input_total + usage.output_total,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
