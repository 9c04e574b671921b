"""What is still known of one call's facts: more than the rules of the day read, less than there was.

Rule 1: what a ruling recorded comes first, then what the receipt says in other words, then the captured request.
Rule 2: what none of them tells is *not kept*: neither absent nor unavailable then. A decision that rests on it cannot
be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Raw

from wardwright.calls.governance import Governance
from wardwright.calls.governed_answer import Written
from wardwright.calls.policy_facts import METADATA, Asked, request_facts
from wardwright.calls.receipt import Receipt, said
from wardwright.calls.receipt_facts import receipt_facts
from wardwright.calls.ruling import PhaseName, Ruling
from wardwright.dialects.openai_request import (
    ChatHead,
    EmbeddingsHead,
    Survey,
    decode_chat,
    decode_embeddings,
    survey,
)
from wardwright.journal.captures import Body, Capture
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.phases import Fact, Facts
from wardwright.rehearsal.rulings import NOT_KEPT, facts_of

_OF_THE_REQUEST: Final = ("caller.", "request.", "tools.", "conversation.", METADATA, "text.")
"""Fields that hold the same in every phase."""

_CLAIMS: Final = ("tenant", "application", "agent", "house", "user", "session", "run")


class Recollection:
    """One call, as its receipt and its captured bodies have it."""

    def __init__(self, receipt: Receipt, recorded: Governance | None, capture: Capture | None) -> None:
        self._receipt = receipt
        self._asked = None if capture is None else _asked(receipt, capture.request)
        self._shared: dict[str, Fact] = {}
        self._unavailable: dict[str, str] = {}
        self._recorded = recorded
        self._told: dict[str, bool] = {}
        """Of comparisons over the request, which hold the same in every phase."""
        for ruling in receipt.policy if recorded is not None else ():
            assert recorded is not None
            facts = facts_of(ruling, recorded)
            fields = {key: leaf.field for key, leaf in recorded.comparisons[ruling.phase]}
            self._told |= {key: held for key, held in facts.told.items() if fields[key].startswith(_OF_THE_REQUEST)}
            self._shared |= {name: fact for name, fact in facts.known.items() if name.startswith(_OF_THE_REQUEST)}
            self._unavailable |= dict(ruling.unavailable)
        self._rebuilt = _of_the_request(receipt)

    def facts(
        self,
        phase: PhaseName,
        reads: Iterable[str],
        *,
        attempt: int | None = None,
        ruling: Ruling | None = None,
        written: Written | None = None,
    ) -> Facts:
        """These fields at one point of the call; `ruling` is what was recorded there, `written` the answer."""
        own = {} if ruling is None else dict(ruling.facts)
        unavailable = {} if ruling is None else dict(ruling.unavailable)
        more = self._of_the_phase(phase, attempt, written)
        known: dict[str, Fact] = {}
        missing: dict[str, str] = {}
        for name in reads:
            if name in own:
                known[name] = own[name]
            elif name in unavailable:
                missing[name] = unavailable[name]
            elif name in more:
                known[name] = more[name]
            elif name.startswith(_OF_THE_REQUEST):
                self._recall(name, known, missing)
            else:
                missing[name] = NOT_KEPT
        here = {} if ruling is None or self._recorded is None else facts_of(ruling, self._recorded).told
        return Facts(known=known, unavailable=missing, told={**self._told, **here})

    def _recall(self, name: str, known: dict[str, Fact], missing: dict[str, str]) -> None:
        if name in self._shared:
            known[name] = self._shared[name]
        elif name in self._unavailable:
            missing[name] = self._unavailable[name]
        elif name in self._rebuilt:
            known[name] = self._rebuilt[name]
        elif self._asked is not None and name != "request.input_tokens":
            found = request_facts(self._asked, (name,))
            known |= found.known
            missing |= found.unavailable
            if name not in found.known and name not in found.unavailable:
                missing[name] = NOT_KEPT
        else:
            missing[name] = NOT_KEPT

    def _of_the_phase(self, phase: PhaseName, attempt: int | None, written: Written | None) -> Mapping[str, Fact]:
        receipt = self._receipt
        match phase:
            case "request":
                return {}
            case "route":
                return _of_the_route(receipt)
            case "stream":
                return _of_the_attempt(receipt, attempt)
            case "output":
                return {**_of_the_attempt(receipt, attempt), **_of_the_output(receipt, attempt, written)}
            case "receipt":
                return receipt_facts(receipt)


def _of_the_request(receipt: Receipt) -> dict[str, Fact]:
    """What a receipt says of its request, whether or not a rule asked."""
    caller, request, contract, facts = receipt.caller, receipt.request, receipt.contract, receipt.facts
    known: dict[str, Fact] = {"caller.key": caller.key, "caller.tags": caller.tags}
    for name in _CLAIMS:
        known[f"caller.{name}"] = said(getattr(caller, name))
    known |= {
        "conversation.source": request.conversation_source,
        "request.bytes": request.bytes,
        "request.choices": request.choices,
        "request.hops": request.hops,
        "request.messages": request.messages,
        "request.retries": request.retries,
        "request.stream": request.stream,
        "tools.count": request.tools,
    }
    if contract is not None:
        known["request.model"] = contract.name
    if facts is not None:
        known |= {
            "conversation.in_tool_loop": facts.in_tool_loop,
            "conversation.step": facts.step,
            "conversation.turn": facts.turn,
            "request.capabilities": facts.capabilities,
        }
        members = {"cost_usd_max": facts.cost_usd_max, "data_class": facts.data_class, "region": facts.region}
        known |= {f"{METADATA}{name}": value for name, value in members.items() if value is not None}
        if not _changed_the_request(receipt.policy):
            known["request.input_tokens"] = facts.input_tokens
    return known


def _changed_the_request(policy: Iterable[Ruling]) -> bool:
    """Whether rules added text, so that the estimate in the receipt is not the one they read."""
    return any(ruling.phase == "request" and ruling.decision.transforms for ruling in policy)


def _of_the_route(receipt: Receipt) -> dict[str, Fact]:
    plan, facts = receipt.plan, receipt.facts
    if plan is None or facts is None or _restricted(receipt.policy):
        return {}
    targets = tuple(f"{attempt.provider}/{attempt.model}" for attempt in plan.attempts)
    return {
        "route.first": targets[0] if targets else None,
        "route.resting": tuple(name for name, _ in facts.resting),
        "route.skipped": tuple(skip.target for skip in plan.skipped),
        "route.targets": targets,
    }


def _restricted(policy: Iterable[Ruling]) -> bool:
    """Whether rules of the route phase narrowed the plan, so that the one in the receipt is not the one they read."""
    return any(ruling.phase == "route" and ruling.decision.constraints for ruling in policy)


def _of_the_attempt(receipt: Receipt, attempt: int | None) -> dict[str, Fact]:
    if attempt is None or attempt >= len(receipt.attempts):
        return {}
    tried = receipt.attempts[attempt]
    return {
        "attempt.model": tried.model,
        "attempt.number": attempt + 1,
        "attempt.provider": tried.provider,
        "attempt.target": tried.target,
    }


def _of_the_output(receipt: Receipt, attempt: int | None, written: Written | None) -> dict[str, Fact]:
    if attempt is None or attempt >= len(receipt.attempts):
        return {}
    tried = receipt.attempts[attempt]
    known: dict[str, Fact] = {"output.finish": tried.finish}
    if tried.usage_source == "reported":
        known["usage.input_tokens"] = tried.usage.input_total
        known["usage.output_tokens"] = tried.usage.output_total
    if written is not None:
        known["output.reasoning"] = written.reasoning
        known["output.text"] = written.text
        known["output.tool_names"] = written.tools
    return known


def _asked(receipt: Receipt, body: Body) -> Asked | None:
    """The captured request as rules read it; None where it was cut, or cannot be read."""
    contract, request = receipt.contract, receipt.request
    if len(body.content) < body.size or contract is None:
        return None
    head: ChatHead | EmbeddingsHead
    found: Survey | None = None
    messages: Raw | None = None
    try:
        if request.kind == "chat":
            members, head = decode_chat(body.content)
            found, messages = survey(head), members["messages"]
        else:
            _, head = decode_embeddings(body.content)
    except WardwrightError:
        return None
    return Asked(
        bytes=body.size,
        caller=receipt.caller,
        conversation_source=request.conversation_source,
        found=found,
        head=head,
        hops=request.hops,
        input_tokens=0,
        messages=messages,
        model=contract.name,
        retries=request.retries,
        secret=None,
    )
