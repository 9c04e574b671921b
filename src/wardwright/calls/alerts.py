"""What a rule tells somebody about one call: the document that sinks deliver.

Rule 1: it holds no text of the caller or the model: what the rule says of itself, and who called.
Rule 2: its id is made from the receipt's id, the rule and the words, so that one call tells one sink the same thing
once, and two calls that go wrong alike tell it twice.
Rule 3: members stand in alphabetical order and hold canonical values only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from wardwright.calls.receipt import Caller
from wardwright.journal.sinks import Letter
from wardwright.kernel import canonical
from wardwright.kernel.errors import Said, WardwrightError
from wardwright.policy.decision import Decision

FORMAT: Final = 1
ID_HEX_DIGITS: Final = 28
WORDS_CHARS_MAX: Final = 2_000
"""What is sent of a rule's message and of its reason: a letter stays well below what the work queue takes."""

Severity: TypeAlias = Literal["info", "warning", "critical"]


class RaisedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. Sinks receive it as JSON, with its `id`."""

    at: int
    """µs since the epoch; when it was raised."""
    caller: Caller
    """Who called, as far as anyone said so."""
    message: str
    """The rule's own words."""
    model: str
    """The contract's name."""
    phase: str
    """Of the call, in which the rule decided."""
    policy: str
    receipt: str
    """The id of the call's receipt."""
    rule: str
    severity: Severity
    sink: str
    """The name of the sink that it is for."""
    why: str
    """Why the rule exists."""

    @property
    def id(self) -> str:
        """`alt_…`: the same for the same receipt, rule, sink, severity and message."""
        named = [self.receipt, self.policy, self.rule, self.sink, self.severity, self.message]
        return "alt_" + hashlib.sha256(canonical.encode(named)).hexdigest()[:ID_HEX_DIGITS]

    @property
    def rule_name(self) -> str:
        """`policy/rule`."""
        return f"{self.policy}/{self.rule}"


Raised: TypeAlias = Literal["queued", "duplicate", "dead_lettered", "dropped", "refused"]
"""What became of an alert when it was raised. `refused`: its sink is full and fails closed, so the call may not go on
(`alert_sink_full`)."""


class Alerts(Protocol):
    """Whoever takes alerts from calls. Implemented by `runtime.alerts`."""

    def raise_(self, alert: RaisedAlert) -> Raised:
        """Hand an alert over for delivery: at once, and without an exception for what the world does."""
        ...


def alerts_of(
    decision: Decision, *, at: int, caller: Caller, model: str, phase: str, receipt: str, why_of: Callable[[str], str]
) -> tuple[RaisedAlert, ...]:
    """What a decision tells somebody. `why_of` gives the reason of a rule by its name, `policy/rule`.

    Rules in shadow tell nobody: a decision does not keep what they propose.
    """
    return tuple(
        RaisedAlert(
            at=at,
            caller=caller,
            message=action.message,
            model=model,
            phase=phase,
            policy=proposal.policy,
            receipt=receipt,
            rule=proposal.rule,
            severity=action.severity,
            sink=action.sink,
            why=why_of(proposal.rule_name),
        )
        for proposal, action in decision.alerts
    )


def full(alert: RaisedAlert) -> WardwrightError:
    """What the caller is told whose call may not go on, since nobody could be told of it."""
    name = alert.rule_name
    return WardwrightError(
        "alert_sink_full",
        f"the rule `{name}` must alert somebody, and nobody can be told now",
        said=Said("alert_sink_full", name),
    )


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is sent."""

    alert: RaisedAlert
    format: int
    id: str


def letter_of(alert: RaisedAlert) -> Letter:
    """The alert as sinks take it, its words cut to WORDS_CHARS_MAX."""
    id_ = alert.id
    if max(len(alert.message), len(alert.why)) > WORDS_CHARS_MAX:
        alert = msgspec.structs.replace(alert, message=alert.message[:WORDS_CHARS_MAX], why=alert.why[:WORDS_CHARS_MAX])
    return Letter(body=canonical.encode(_Document(alert=alert, format=FORMAT, id=id_)), id=id_)


def alert_in(body: bytes) -> RaisedAlert:
    """The alert of a letter. Raises msgspec.MsgspecError for what is none."""
    return msgspec.json.decode(body, type=_Document).alert
