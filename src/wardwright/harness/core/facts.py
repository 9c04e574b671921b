"""What rules read of one tool call, field by field; only what some rule reads is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from wardwright.calls.receipt import Caller, said
from wardwright.calls.tool_phases import ARGUMENTS
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.hands import Scope
from wardwright.kernel import canonical
from wardwright.limits.prediction import Prediction
from wardwright.policy.phases import Fact, Facts


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One call, and what was found out about it."""

    arguments: Mapping[str, object]
    """As plain values; defaults are filled in."""
    caller: Caller
    contract: ToolContract
    degraded: bool
    evidence: int
    mode: str
    plan: str | None
    prediction: Prediction | None
    scope: Scope
    shape: str
    undoes: str | None
    walls: str


class Gave(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    status: str
    error: str | None
    cached: bool
    attempts: int
    took_us: int
    result: bytes
    """As JSON; empty where there is none."""


def before(asked: Asked, reads: Iterable[str]) -> Facts:
    """What these fields hold before the call; a name that is no field of it is left out."""
    known: dict[str, Fact] = {}
    unavailable: dict[str, str] = {}
    for name in reads:
        if name.startswith(ARGUMENTS):
            known[name] = _argument(asked.arguments.get(name.removeprefix(ARGUMENTS)))
        elif name.startswith("prediction."):
            if asked.prediction is None:
                unavailable[name] = f"is not foretold in the mode `{asked.mode}`"
            else:
                known[name] = getattr(asked.prediction, name.removeprefix("prediction."))
        elif name in _CALL:
            known[name] = _CALL[name](asked)
    return Facts(known, unavailable)


def after(asked: Asked, gave: Gave, reads: Iterable[str]) -> Facts:
    """The same after it."""
    names = tuple(reads)
    values: dict[str, Fact] = {
        "result.status": gave.status,
        "result.error": gave.error,
        "result.cached": gave.cached,
        "result.attempts": gave.attempts,
        "result.bytes": len(gave.result),
        "result.took_ms": gave.took_us // 1000,
    }
    if "result.text" in names:
        values["result.text"] = gave.result.decode()
    facts = before(asked, names)
    return Facts({**facts.known, **{name: values[name] for name in names if name in values}}, facts.unavailable)


def _argument(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else canonical.encode(value).decode()


_CALL: Final[dict[str, Callable[[Asked], Fact]]] = {
    "caller.tenant": lambda one: one.caller.tenant.value,
    "caller.application": lambda one: said(one.caller.application),
    "caller.agent": lambda one: said(one.caller.agent),
    "caller.house": lambda one: said(one.caller.house),
    "caller.user": lambda one: said(one.caller.user),
    "caller.key": lambda one: one.caller.key,
    "caller.session": lambda one: said(one.caller.session),
    "caller.run": lambda one: said(one.caller.run),
    "caller.tags": lambda one: one.caller.tags,
    "tool.name": lambda one: one.contract.name,
    "tool.effect": lambda one: one.contract.effect,
    "tool.reversal": lambda one: one.contract.reversal,
    "tool.mode": lambda one: one.mode,
    "tool.walls": lambda one: one.walls,
    "tool.shape": lambda one: one.shape,
    "tool.degraded": lambda one: one.degraded,
    "tool.evidence": lambda one: one.evidence,
    "tool.plan": lambda one: one.plan,
    "tool.undoes": lambda one: one.undoes,
    "scope.read": lambda one: one.scope.read,
    "scope.write": lambda one: one.scope.write,
    "scope.hosts": lambda one: (*one.scope.hosts, *one.scope.public_hosts),
    "scope.programs": lambda one: one.scope.programs,
}
