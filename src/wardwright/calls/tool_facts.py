"""What rules read of the tools that a conversation has called.

Rule 1: facts are about the latest assistant message: a call of long ago neither fires a rule nor keeps it from firing.
Parallel calls count each on its own.
Rule 2: facts land in receipts, and arguments and results can be guessed: what stands for them is a digest under the
tenant's key, which compares equal within the tenant and tells nobody else anything.
Rule 3: no fact says that a tool failed. A result that holds nothing is a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from wardwright.calls.facts import WORD_CHARS_MAX
from wardwright.dialects.openai_tool_steps import NOTHING, Step, ToolCall, canonical, steps_of
from wardwright.policy.phases import Fact
from wardwright.routing.draw import Keyed

CALLS_MAX: Final = 128
"""Parallel calls of one step that facts tell apart: more than any provider makes."""

DIGEST_CHARS: Final = 32
"""Hex characters that stand for a call or a result."""


class Unread(Exception):
    """Why the tool calls of a request cannot be told; the text says it after the field's name."""


class ToolUse:
    """The tool calls of one request. Raises Unread where they have a shape that this file does not know."""

    __slots__ = ("_secret", "_steps", "calls")

    def __init__(self, messages: Raw, secret: Keyed) -> None:
        try:
            self._steps: tuple[Step, ...] = steps_of(messages)
        except msgspec.ValidationError:
            raise Unread("tool calls have a shape that is not known") from None
        self._secret = secret
        self.calls: tuple[ToolCall, ...] = self._steps[-1].calls if self._steps else ()
        """Of the latest assistant message."""
        if len(self.calls) > CALLS_MAX:
            raise Unread(f"has more than {CALLS_MAX} calls")
        if any(len(call.name) > WORD_CHARS_MAX for call in self.calls):
            raise Unread(f"has a name of more than {WORD_CHARS_MAX} characters")

    def names(self) -> tuple[str, ...]:
        return tuple(call.name for call in self.calls)

    def call_digests(self) -> tuple[str, ...]:
        return tuple(self._digest("call", call.name, canonical(call.arguments)) for call in self.calls)

    def result_digests(self) -> tuple[str, ...]:
        return tuple(self._digest("result", canonical(result)) for result in self._results())

    def result_chars(self) -> int:
        return sum(map(len, self._results()))

    def empty_results(self) -> int:
        return sum(canonical(result) in NOTHING for result in self._results())

    def unanswered(self) -> int:
        return sum(call.result is None for call in self.calls)

    def repeats(self) -> int:
        """The most that one call of the latest step stands in the conversation with the result it has there."""
        latest = {_pair(call) for call in self.calls if call.result is not None}
        if not latest:
            return 0
        names = {name for name, _, _ in latest}
        stands = Counter(
            _pair(call) for step in self._steps for call in step.calls if call.result is not None and call.name in names
        )
        return max(stands[pair] for pair in latest)

    def _results(self) -> tuple[str, ...]:
        return tuple(call.result for call in self.calls if call.result is not None)

    def _digest(self, *said: str) -> str:
        # Lengths keep `("ab", "c")` and `("a", "bc")` apart; the first word, calls from whole bodies.
        framed = "".join(f"{len(one)}:{one}" for one in ("tool", *said))
        return self._secret.digest(framed.encode()).hex()[:DIGEST_CHARS]


def _pair(call: ToolCall) -> tuple[str, str, str]:
    return call.name, canonical(call.arguments), canonical(call.result or "")


TOOL_FACTS: Final[dict[str, Callable[[ToolUse], Fact]]] = {
    "tools.empty_results": ToolUse.empty_results,
    "tools.latest": ToolUse.names,
    "tools.latest_calls": ToolUse.call_digests,
    "tools.latest_results": ToolUse.result_digests,
    "tools.latest_results_chars": ToolUse.result_chars,
    "tools.repeats": ToolUse.repeats,
    "tools.unanswered": ToolUse.unanswered,
}
"""Every field of the family that is about calls made."""
