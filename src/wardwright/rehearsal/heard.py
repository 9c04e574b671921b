"""A captured answer, judged by stream rules as if it were being written now.

Rule: only an answer that is the model's own can be judged so. What rules changed, or gave up, was never captured as the
model wrote it; what was cut is not whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from wardwright.calls.answer_rulings import left_of
from wardwright.calls.governance import Governance
from wardwright.calls.governed_answer import GovernedAnswer
from wardwright.calls.receipt import Receipt
from wardwright.dialects.answer import Identity
from wardwright.dialects.openai_events import OpenAIEvents, OpenAIWhole
from wardwright.dialects.openai_render import ChunkRenderer
from wardwright.journal.captures import Capture
from wardwright.policy.compiled import Compiled
from wardwright.streams.governor import Governor
from wardwright.streams.rule import Past

_NOBODY: Final = Identity("", "", 0)
"""Nobody is told what this answer becomes."""

_EVENT: Final = re.compile(rb"(?<=\n\n)")
"""Behind each event of a stream."""

_CHANGED: Final = frozenset({"rewrite", "drop"})


def heard(
    receipt: Receipt,
    capture: Capture | None,
    governance: Governance,
    armed: tuple[Compiled, ...],
    retries: Mapping[str, int],
) -> GovernedAnswer | None:
    """The answer that the client got, after the rules that watch it; None where it cannot be judged so.

    `retries` are attempts of the call that rules gave up before.
    """
    if capture is None or not _is_the_models(receipt) or len(capture.answer.content) < capture.answer.size:
        return None
    answer = GovernedAnswer(
        OpenAIEvents() if receipt.request.stream else OpenAIWhole(),
        _governor(governance, armed, retries, stream=receipt.request.stream),
        ChunkRenderer(_NOBODY),
        waits=governance.waits,
        whole=False,
    )
    for event in _EVENT.split(capture.answer.content):
        answer.feed(event, 0)
    answer.close(0)
    return None if answer.broken is not None and answer.stop is None else answer


def _governor(
    governance: Governance, armed: tuple[Compiled, ...], retries: Mapping[str, int], *, stream: bool
) -> Governor | None:
    rules = governance.stream
    if rules is None:
        return None
    watching = {rule.name for rule in armed}
    return Governor(
        rules,
        past=tuple(Past(rule=name, retries=count) for name, count in sorted(retries.items())),
        retries_left=left_of(retries),
        silent=frozenset(rule.id for rule in rules.rules if rule.id not in watching),
        delivery="live" if stream and not governance.waits else "whole",
    )


def _is_the_models(receipt: Receipt) -> bool:
    """Whether the client got what the model wrote, all of it and nothing else."""
    if receipt.status != "completed" or receipt.request.kind != "chat" or not receipt.attempts:
        return False
    last = len(receipt.attempts) - 1
    for ruling in receipt.policy:
        for one in ruling.caught:
            if ruling.attempt != last and one.cause == "retry_after_release":
                return False  # the answer goes on with what another attempt began
            if ruling.attempt == last and one.action in _CHANGED and not one.shadow and one.lost_to is None:
                return False
    return True
