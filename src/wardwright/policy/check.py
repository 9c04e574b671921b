"""What is probably not meant, found without running anything: findings, each with a code of its own.

The codes stand in FINDINGS. Reminders that trigger rules (P08), patterns that are not linear (P12), unknown fields and
types (P13) and undeclared state (P14) are refused by the compiler. Rules in code (P15), tool schemas (P17) and the
change against what serves (P18) are none of this file's business.

Rule 1: a finding rests on what is proved (see `policy.regions`); where that is only a possibility it says *may*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.policy import (
    Annotate,
    Drop,
    InjectReminder,
    Reroute,
    RestrictRoutes,
    Retrying,
    RetryWithReminder,
    Rewrite,
    State,
    effect_of,
    hold_of,
)
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.patterns.search import finds, samples
from wardwright.policy.arbiter import ENDS, RANKS
from wardwright.policy.clashes import overlap, share_a_channel
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.compiler import changes
from wardwright.policy.conditions import boxes, leaves
from wardwright.policy.regions import box_covers

Severity: TypeAlias = Literal["warning", "note"]

FINDINGS: Final[dict[str, str]] = {
    "P01": "a rule can never fire: its condition contradicts itself",
    "P02": "a rule that changes calls always fires",
    "P03": "a rule adds nothing: another fires wherever it does, with the same effects",
    "P04": "an `allow` meets a refusal, which it does not lift",
    "P05": "two rules would change the same text in different ways",
    "P06": "several reminders may come together",
    "P07": "two restrictions may leave no target",
    "P09": "text is held until a cap, since what is looked for has no longest match",
    "P10": "an answer is to be stopped or asked for again, and may have been released before",
    "P11": "state counts a label that no rule in force can write, or is to pass what it keeps",
    "P16": "where it cannot tell, a rule lets pass what it is there to stop",
}
"""What is found, by code."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a policy that is probably not meant."""

    code: str
    severity: Severity
    rules: tuple[str, ...]
    """The rules it is about, as `policy/rule`."""
    message: str
    hint: str | None
    place: Place

    def error(self) -> WardwrightError:
        """The finding in the coat of an error."""
        return WardwrightError("policy_finding", f"{self.code}: {self.message}", place=self.place, hint=self.hint)


def check(policy: Policy) -> tuple[Finding, ...]:
    """Every finding, by code and place."""
    found = [finding for rule in policy.every() for finding in _alone(rule)]
    for rules in policy.rules.values():
        acting = [rule for rule in rules if not rule.shadow]
        for left, right in combinations(acting, 2):
            found.extend(_together(left, right))
        found.extend(_restrictions(acting))
        found.extend(_subsumed(acting))
    found.extend(_unwritten(policy))
    found.extend(_unreachable(policy))
    return tuple(sorted(found, key=lambda one: (one.code, one.rules)))


def _finding(
    code: str, message: str, *rules: Compiled, hint: str | None = None, severity: Severity = "warning"
) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        rules=tuple(rule.name for rule in rules),
        message=message,
        hint=hint,
        place=rules[-1].place,
    )


# One rule


def _alone(rule: Compiled) -> Iterator[Finding]:
    if rule.boxes == ():
        yield _finding("P01", f"`{rule.name}` can never fire: its condition contradicts itself", rule)
    elif not rule.channels and changes(rule.rule) and boxes(rule.node, holds=False) == []:
        yield _finding(
            "P02", f"`{rule.name}` always fires", rule, hint="add a `when`, or accept that every call meets it"
        )
    yield from _held(rule)
    if changes(rule.rule) and rule.rule.on_error in ("annotate", "silent") and not rule.shadow:
        message = f"where `{rule.name}` cannot be told it lets the call pass"
        yield _finding("P16", message, rule, hint="leave `on_error` out: the call is then refused")


def _held(rule: Compiled) -> Iterator[Finding]:
    if rule.match is None:
        return
    hold = hold_of(rule.rule)
    if hold.mode == "exact" and not rule.match.bounded:
        message = (
            f"`{rule.name}` may hold text until its cap of {hold.chars_max:,} characters: a match has no longest length"
        )
        hint = None if rule.detects else "bound the repetition, such as `{0,64}` for `*`"
        yield _finding("P09", message, rule, hint=hint)
    stops = max(RANKS[effect_of(action)] for action in rule.rule.then) >= ENDS
    if stops and hold.mode == "pass":
        message = f"`{rule.name}` is to stop the answer, and `mode: pass` releases what it finds before it is found"
        yield _finding("P10", message, rule, hint="use `mode: exact`")
    if hold.mode == "exact" and any(isinstance(action, Retrying) for action in rule.rule.then):
        message = f"text before what `{rule.name}` finds may have left, and the answer then ends instead of a retry"
        yield _finding("P10", message, rule, hint="use `mode: full`, or a unit with `mode: boundary`", severity="note")
    if changes(rule.rule) and hold.on_cap == "release_and_flag" and hold.mode != "pass":
        message = f"past its cap `{rule.name}` releases text that it could not judge"
        yield _finding("P16", message, rule, hint="use `on_cap: fail_closed`")


# Two rules


def _together(left: Compiled, right: Compiled) -> Iterator[Finding]:
    if not overlap(left, right):
        return
    effects = {effect_of(action) for action in left.rule.then}, {effect_of(action) for action in right.rule.then}
    for allowing, refusing, pair in ((effects[0], effects[1], (left, right)), (effects[1], effects[0], (right, left))):
        if "allow" in allowing and "block" in refusing:
            message = f"`{pair[0].name}` allows what `{pair[1].name}` may refuse, and an `allow` lifts no refusal"
            yield _finding("P04", message, *pair, hint="write the exception under `unless` of the rule that refuses")
    if left.patterns and right.patterns and share_a_channel(left.rule, right.rule):
        yield from _spans(left, right)
    yield from _reminders(left, right)


def _spans(left: Compiled, right: Compiled) -> Iterator[Finding]:
    """Two rules that change spans, where a text that one finds is also found by the other."""
    changed = [
        next((action for action in rule.rule.then if isinstance(action, Rewrite | Drop)), None)
        for rule in (left, right)
    ]
    if None in changed or changed[0] == changed[1]:
        return
    for one, other in ((left, right), (right, left)):
        for text in samples(one.match) if one.match is not None else ():
            if other.search is not None and finds(other.search, text):
                message = f"`{left.name}` and `{right.name}` would change the same text in different ways"
                yield _finding("P05", message, left, right, hint="let one of them find less, or give it a `priority`")
                return


def _reminders(left: Compiled, right: Compiled) -> Iterator[Finding]:
    for cls in (InjectReminder, RetryWithReminder):
        if all(any(isinstance(action, cls) for action in rule.rule.then) for rule in (left, right)):
            message = f"the reminders of `{left.name}` and `{right.name}` may come together"
            yield _finding("P06", message, left, right, severity="note")


def _restrictions(rules: Sequence[Compiled]) -> Iterator[Finding]:
    """Restrictions that share no pattern, once for each two; whether a target carries both labels is not known here."""
    meeting: dict[tuple[tuple[str, ...], tuple[str, ...]], list[tuple[Compiled, Compiled]]] = {}
    for left, right in combinations(rules, 2):
        for one, other in product(_allowed(left), _allowed(right)):
            if not _may_meet(one, other) and overlap(left, right):
                first, second = sorted((one, other))
                meeting.setdefault((first, second), []).append((left, right))
    for (one, other), pairs in meeting.items():
        left, right = pairs[0]
        more = f" (and {len(pairs) - 1} more like them)" if len(pairs) > 1 else ""
        message = (
            f"`{left.name}` and `{right.name}` may both hold{more}: only targets that match both "
            f"{_named(one)} and {_named(other)} are left"
        )
        yield _finding("P07", message, left, right, severity="note")


def _allowed(rule: Compiled) -> list[tuple[str, ...]]:
    return [action.to for action in rule.rule.then if isinstance(action, RestrictRoutes | Reroute)]


def _may_meet(left: Sequence[str], right: Sequence[str]) -> bool:
    return any("*" in pattern for pattern in (*left, *right)) or bool(set(left) & set(right))


def _named(patterns: Sequence[str]) -> str:
    return " or ".join(f"`{pattern}`" for pattern in patterns)


def _subsumed(rules: Sequence[Compiled]) -> Iterator[Finding]:
    for rule in rules:
        for other in rules:
            if rule is other or rule.rule.then != other.rule.then or other.rule.priority < rule.rule.priority:
                continue
            if (
                (rule.rule.match, rule.rule.expect, rule.rule.on)
                != (other.rule.match, other.rule.expect, other.rule.on)
                or not rule.boxes
                or other.boxes is None
            ):
                continue
            covered = all(any(box_covers(outer, inner) for outer in other.boxes) for inner in rule.boxes)
            if covered and not (rule.boxes == other.boxes and rule.rule.id < other.rule.id):
                message = f"`{rule.name}` adds nothing: `{other.name}` fires wherever it does, with the same effects"
                yield _finding("P03", message, other, rule, hint="remove it")
                break


# Labels


def _unwritten(policy: Policy) -> Iterator[Finding]:
    writing = [rule for rule in policy.every() if not rule.shadow and rule.boxes != ()]
    written = {action.label for rule in writing for action in rule.rule.then if isinstance(action, Annotate)}
    told: set[str] = set()
    for rule in policy.every():
        for state in rule.document.value.state:
            missing = [label for label in state.events if label not in written]
            if missing and f"state.{state.name}" in rule.reads and state.name not in told:
                told.add(state.name)
                message = (
                    f"`{rule.name}` reads the state `{state.name}`, and no rule in force can annotate `{missing[0]}`"
                )
                yield _finding("P11", message, rule, hint=f"add a rule with `annotate: {missing[0]}`")


def _unreachable(policy: Policy) -> Iterator[Finding]:
    """Counts that are to pass what their state keeps."""
    counts = {
        one.field: min(one.declared.items_max, one.declared.within.events or one.declared.items_max)
        for one in policy.recalled
        if isinstance(one.declared, State) and one.declared.measure in ("count", "distinct")
    }
    for rule in policy.every():
        for leaf in leaves(rule.node):
            most = counts.get(leaf.field)
            if most is None or leaf.test.op not in ("gt", "gte"):
                continue
            wanted = int(leaf.test.values[0]) + (leaf.test.op == "gt")
            if wanted > most:
                message = f"`{rule.name}` waits for `{leaf.field}` to reach {wanted:,}, and it keeps {most:,} events"
                yield _finding("P11", message, rule, hint="raise `items_max`, and `events` where `within` has it")
