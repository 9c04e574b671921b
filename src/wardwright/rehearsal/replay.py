"""Make the decisions of a receipt again, from the facts it holds and the contracts its closure names.

A receipt claims: *from these facts, under this contract, this was decided.* Replaying holds it to that. Nothing is
called and nothing is looked up but stored contracts by their digests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from wardwright.calls.facts import variant_of
from wardwright.calls.governance import Governance, govern
from wardwright.calls.receipt import Contract, Receipt
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import Closure, restored
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import PolicyContract
from wardwright.kernel.detectors.table import DETECTORS_VERSION
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.rulings import again
from wardwright.routing.graph import resolve
from wardwright.routing.plan import Plan
from wardwright.routing.planner import plan

Load: TypeAlias = Callable[[str], bytes | None]
"""Stored bytes by their digest; None for what is not there."""

Verdict: TypeAlias = Literal["reproduced", "different", "unknown", "undecided"]
"""`unknown`: a contract that took part is not stored here; `undecided`: the call ended before anything was decided."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What replaying a receipt found."""

    differences: tuple[str, ...] = ()
    """One sentence for each decision that came out otherwise."""
    plan: Plan | None = None
    """The route decision as it comes out now."""
    receipt: str
    verdict: Verdict
    why: str = ""
    """For `unknown` and `undecided`."""


def replay(receipt: Receipt, load: Load) -> Replay:
    """Decide again what the receipt says was decided."""
    contract, facts = receipt.contract, receipt.facts
    if contract is None or (receipt.plan is None and not receipt.policy):
        why = f"the call was refused ({receipt.error}) before its route was decided"
        return Replay(receipt=receipt.receipt, verdict="undecided", why=why)
    try:
        closure = msgspec.json.decode(_loaded(contract.closure, load), type=Closure)
        models = _models(closure, load)
        route = resolve(contract.name, models)
        governance = _governance(contract, closure, load)
    except (WardwrightError, msgspec.MsgspecError) as error:
        return Replay(receipt=receipt.receipt, verdict="unknown", why=str(error))
    if governance is not None and receipt.detectors not in (None, DETECTORS_VERSION):
        why = "the table of detectors has changed, and the text that they read was not kept"
        return Replay(receipt=receipt.receipt, verdict="unknown", why=why)
    differences: list[str] = []
    decided: Plan | None = None
    if governance is not None:
        differences += _ruled_otherwise(receipt, governance)
    if facts is not None and receipt.plan is not None:
        decided = plan(route, facts)
        differences += _differences(receipt.plan, decided)
        variant = variant_of(models[contract.name], contract.digest, facts.conversation)
        drawn = None if variant is None or receipt.request.kind != "chat" else variant.name
        if drawn != contract.variant:
            differences.append(f"the prompt variant comes out as {drawn or 'none'}, not {contract.variant or 'none'}")
    for replanned in receipt.replans:
        differences += _differences(replanned.plan, plan(route, replanned.facts))
    return Replay(
        differences=tuple(differences),
        plan=decided,
        receipt=receipt.receipt,
        verdict="different" if differences else "reproduced",
    )


def _governance(contract: Contract, closure: Closure, load: Load) -> Governance | None:
    """The rules that were asked. Raises WardwrightError for a policy that is not stored here, or loads no longer."""
    documents = []
    for name, digest in closure.policies:
        if name in contract.policies:
            policy = restored(_loaded(digest, load))
            assert isinstance(policy, PolicyContract)
            documents.append(Located(policy, name))
    return govern(documents)


def _ruled_otherwise(receipt: Receipt, governance: Governance) -> list[str]:
    found = []
    for ruling, decision in again(receipt.policy, governance):
        if decision != ruling.decision:
            where = ruling.phase if ruling.attempt is None else f"{ruling.phase} of attempt {ruling.attempt + 1}"
            found.append(
                f"the rules of the phase {where} come out as {decision.effect}, not {ruling.decision.effect}"
                if decision.effect != ruling.decision.effect
                else f"the rules of the phase {where} give other reasons"
            )
    return found


def _models(closure: Closure, load: Load) -> dict[str, ModelContract]:
    """Every contract that took part, by name. Raises WardwrightError for one that is not stored here."""
    models: dict[str, ModelContract] = {}
    for name, digest in closure.models:
        contract = restored(_loaded(digest, load))
        assert isinstance(contract, ModelContract)
        models[name] = contract
    return models


def _loaded(digest: str, load: Load) -> bytes:
    data = load(digest)
    if data is None:
        raise WardwrightError("contract_not_found", f"{digest} is not stored here")
    return data


def _differences(recorded: Plan, again: Plan) -> list[str]:
    found = []
    if recorded.attempts != again.attempts:
        before = ", ".join(attempt.target for attempt in recorded.attempts) or "nothing"
        now = ", ".join(attempt.target for attempt in again.attempts) or "nothing"
        found.append(f"the plan comes out as {now}, not {before}")
    if recorded.skipped != again.skipped:
        found.append("other targets are skipped, or for other reasons")
    if recorded.draws != again.draws:
        found.append("an alloy draws otherwise")
    if recorded.refusal != again.refusal:
        found.append("the refusal comes out otherwise")
    return found
