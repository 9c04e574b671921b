"""The examples that ship, served by a gateway in this process, and what is decisive in a receipt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from parts.gateway_thread import GatewayThread, running
from wardwright.calls.receipt import Receipt

EXAMPLES: Final = Path(__file__).parents[2] / "examples"

_DIGESTS: Final = frozenset({"tools.latest_calls", "tools.latest_results"})
"""Facts that differ with the key of every installation."""


@contextmanager
def serving(folder: Path) -> Iterator[GatewayThread]:
    """A gateway over all examples, their scripts at the beginning."""
    shutil.copytree(EXAMPLES, folder / "contracts")
    with running(folder, []) as gateway:
        yield gateway


def told(receipt: Receipt) -> dict[str, Any]:
    """What a receipt says about how the call was decided: no digests, no times, nothing that is not set."""
    rulings = []
    for ruling in receipt.policy:
        kept = [f"{one.policy}/{one.rule}: {one.effect}" for one in ruling.decision.kept]
        rulings.append(
            _set(
                phase=ruling.phase,
                attempt=ruling.attempt,
                facts={name: fact for name, fact in ruling.facts if fact not in (None, ()) and name not in _DIGESTS},
                caught=[
                    _set(
                        rule=one.rule,
                        channel=one.channel,
                        start=one.start,
                        end=one.end,
                        action=one.action,
                        released_chars=one.released_chars,
                    )
                    for one in ruling.caught
                ],
                unmet={rule: [_words(one) for one in wrong] for rule, wrong in ruling.unmet},
                decided=ruling.decision.effect,
                kept=kept,
            )
        )
    plan = receipt.plan
    return _set(
        status=receipt.status,
        error=receipt.error,
        variant=None if receipt.contract is None else receipt.contract.variant,
        skipped=[] if plan is None else [f"{skip.target}: {skip.reason}" for skip in plan.skipped],
        attempts=[f"{tried.target}: {tried.failure or 'answered'}" for tried in receipt.attempts],
        reminders=[text for replan in receipt.replans for text in replan.reminders],
        policy=rulings,
    )


def _words(unmet: Any) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(unmet).items() if name != "span"}


def _set(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, [], {}, ())}
