"""What the bounds of tools should be, from what their calls taught: proposals, what they make of a contract, and which
recorded calls would have come out otherwise.

Rule 1: only a threshold whose bounds somebody declared is proposed (`limits.adaptation` says when and how far).
Rule 2: nothing here applies anything. A proposal is a changed contract beside the old one, and a rehearsal of it.
Rule 3: what cannot be known is not claimed: a call that a longer timeout or a further attempt might have saved counts
as unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.policy import Comparison, Condition, Leaf, PolicyContract, RequireApproval, Rule
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.scorecard import made_of_tool
from wardwright.limits import adaptation
from wardwright.limits.adaptation import ALLOW, ASK, Bounds, Proposal
from wardwright.limits.breaker import Breaker
from wardwright.limits.observed import Key, Observation, key_of
from wardwright.limits.patterns import Patterns
from wardwright.limits.prediction import Prediction

Adapted: TypeAlias = Literal["timeout_s", "attempts", "failure_ppm"]

MEMBERS: Final[dict[Adapted, tuple[str, ...]]] = {
    "attempts": ("retry", "attempts_max"),
    "failure_ppm": ("breaker", "failure_ppm"),
    "timeout_s": ("timeout_s",),
}
"""Where each threshold stands in the contract of a tool."""


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal, held against the calls of the span."""

    tool: str
    rule: str | None = None
    """The rule that asks a person about this tool, as `policy/rule`; null: a member of the tool's contract changes."""
    proposal: Proposal
    prediction: Prediction
    """What it rests on."""
    calls: int
    """Of the span, that were tried."""
    otherwise: int
    """Those that would have come out otherwise."""
    unknown: int
    """Those that might have, which nobody can tell."""


def proposals(
    contract: ToolContract,
    receipts: Sequence[ToolReceipt],
    patterns: Patterns,
    bounds: Mapping[Adapted, Bounds],
    *,
    tenant: str,
    now_us: int,
) -> tuple[Rehearsed, ...]:
    """What to change in a tool's contract. `receipts` are its calls of the span, in the order of time."""
    key = key_of(tenant, kind="tool", name=contract.name)
    tried = [one for one in receipts if one.attempts and one.cached_from is None]
    known = patterns.predict(key, now_us)
    found: list[tuple[Proposal | None, Prediction]] = []
    if "timeout_s" in bounds:
        found.append((adaptation.timeout(key, contract.timeout_s, known, bounds["timeout_s"]), known))
    if "attempts" in bounds and contract.effect != "irreversible":
        again = repeated(tried, key).predict(key, now_us)
        found.append((adaptation.attempts(key, contract.attempts_max, again, bounds["attempts"]), again))
    if "failure_ppm" in bounds:
        breaker = contract.breaker
        limit = adaptation.failure_rate(key, breaker.failure_ppm, breaker.calls_min, known, bounds["failure_ppm"])
        found.append((limit, known))
    return tuple(_rehearsed(contract, one, prediction, tried) for one, prediction in found if one is not None)


def asking(policy: PolicyContract) -> Iterator[tuple[Rule, str]]:
    """The rules of a policy that do nothing but ask a person about one tool, and that tool's name."""
    for rule in policy.rules:
        alone = rule.match is None and rule.expect is None and not rule.unless and rule.enforce != "off"
        asks = bool(rule.then) and all(isinstance(one, RequireApproval) for one in rule.then)
        if rule.phase == "tool.before" and alone and asks and (tool := _one_tool(rule.when)) is not None:
            yield rule, tool


def ask_or_allow(
    policy: PolicyContract,
    rule: Rule,
    tool: str,
    receipts: Sequence[ToolReceipt],
    patterns: Patterns,
    *,
    tenant: str,
    now_us: int,
) -> Rehearsed | None:
    """Whether a rule that asks about one tool should go on doing so: where hardly any call fails, nobody needs to be
    asked, and the rule goes into shadow; where many do, one in shadow is enforced."""
    key = key_of(tenant, kind="tool", name=tool)
    known = patterns.predict(key, now_us)
    now = ALLOW if rule.enforce == "shadow" else ASK
    proposal = adaptation.effect(key, now, known, Bounds(high=ALLOW, low=ASK, step_max=1))
    if proposal is None:
        return None
    mine = [one for one in receipts if one.tool.name == tool]
    spoke = sum(_spoke(one, policy.name, rule.id, shadow=now == ALLOW) for one in mine)
    name = f"{policy.name}/{rule.id}"
    return Rehearsed(
        calls=len(mine), otherwise=spoke, prediction=known, proposal=proposal, rule=name, tool=tool, unknown=0
    )


def enforced(to: int) -> Literal["shadow", "enforce"]:
    """What `enforce` of a rule that asks becomes."""
    return "shadow" if to == ALLOW else "enforce"


def _one_tool(when: Condition | None) -> str | None:
    """The tool that a condition names, where it does nothing else."""
    match when:
        case Leaf(field="tool.name", test=Comparison(op="eq", values=(str() as tool,), list=None)):
            return tool
        case _:
            return None


def _spoke(receipt: ToolReceipt, policy: str, rule: str, *, shadow: bool) -> bool:
    return any(
        (one.policy, one.rule) == (policy, rule)
        for ruling in receipt.policy
        for one in (ruling.decision.shadow if shadow else ruling.decision.kept)
    )


def changed(contract: ToolContract, made: Iterable[Rehearsed]) -> ToolContract:
    """The contract as the proposals want it."""
    for one in made:
        to = one.proposal.to
        match one.proposal.threshold:
            case "timeout_s":
                contract = msgspec.structs.replace(contract, timeout_s=to)
            case "attempts":
                retry = msgspec.structs.replace(contract.retry, attempts_max=to)
                contract = msgspec.structs.replace(contract, retry=retry)
            case "failure_ppm":
                breaker = msgspec.structs.replace(contract.breaker, failure_ppm=to)
                contract = msgspec.structs.replace(contract, breaker=breaker)
            case "allow":
                raise AssertionError("what asks is a rule, and rules are for people to change")
    return contract


def repeated(receipts: Iterable[ToolReceipt], key: Key) -> Patterns:
    """What tries after a failed one taught."""
    patterns = Patterns()
    order = 0
    for receipt in receipts:
        for one in receipt.attempts[1:]:
            order += 1
            patterns.learn(
                Observation(
                    at_us=receipt.started_at + receipt.timings.total_us,
                    key=key,
                    latency_us=one.took_us,
                    order=order,
                    outcome="succeeded" if one.error is None else "failed",
                    writer="again",
                )
            )
    return patterns


def _rehearsed(
    contract: ToolContract, proposal: Proposal, prediction: Prediction, tried: Sequence[ToolReceipt]
) -> Rehearsed:
    otherwise = unknown = 0
    was, to = proposal.was, proposal.to
    match proposal.threshold:
        case "timeout_s":
            otherwise = sum(one.status == "completed" and one.timings.ran_us > to * 1_000_000 for one in tried)
            unknown = sum(one.status == "timed_out" for one in tried) if to > was else 0
        case "attempts":
            otherwise = sum(one.status == "completed" and len(one.attempts) > to for one in tried)
            unknown = sum(one.status == "failed" and len(one.attempts) >= was for one in tried) if to > was else 0
        case "failure_ppm":
            before, after = _refused(contract, was, tried), _refused(contract, to, tried)
            otherwise = len(before ^ after)
        case "allow":
            pass
    return Rehearsed(
        calls=len(tried),
        otherwise=otherwise,
        prediction=prediction,
        proposal=proposal,
        tool=contract.name,
        unknown=unknown,
    )


def _refused(contract: ToolContract, failure_ppm: int, tried: Sequence[ToolReceipt]) -> frozenset[str]:
    """The calls that a breaker with this limit would have turned away, had they come as they did."""
    settings = msgspec.structs.replace(contract.breaker, failure_ppm=failure_ppm)
    breakers: dict[tuple[str, ...], Breaker] = {}
    found: set[str] = set()
    for one in tried:
        scope = one.scope
        where = () if scope is None else (*scope.public_hosts, *scope.hosts, *scope.programs)[:1]
        breaker = breakers.setdefault(where, Breaker(settings))
        began_s = one.started_at / 1_000_000
        if not breaker.admits(began_s):
            found.add(one.receipt)
            continue
        ended_s = (one.started_at + one.timings.total_us) / 1_000_000
        breaker.record(made_of_tool(one).outcome == "succeeded", ended_s, began_s)
    return frozenset(found)
