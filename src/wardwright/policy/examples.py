"""The examples of a policy, run: what must fire fires, what must stay silent does, and near misses are made.

An example gives fields of its rule's phase and, for rules that search or expect, what a channel carries. Fields that it
leaves out are absent. The whole text is searched as the stream's rules would search it, and judged as an answer's would
be; the arguments of a tool are those of a call of a tool that the rule names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.contracts.policy import Example, ExampleFact, OperatorName
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.conditions import Compared, holds, leaves
from wardwright.policy.decision import Span
from wardwright.policy.evaluate import told
from wardwright.policy.expectation import Verdict
from wardwright.policy.operators import OPERATORS, Comparing
from wardwright.policy.phases import Fact, Phase, checked

NEAR_MISSES_MAX: Final = 64
"""Generated cases a rule."""

Expected: TypeAlias = Literal["fires", "silent"]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One example and how it came out."""

    rule: str
    """`policy/rule`."""
    name: str
    """Such as `fires[0]`."""
    expected: Expected
    came: Literal["fires", "silent", "indeterminate"]
    reasons: tuple[str, ...] = ()
    """What was missing, or which fields the phase does not have."""
    place: Place

    @property
    def passed(self) -> bool:
        return self.expected == self.came

    def error(self) -> WardwrightError:
        """The failure as an error."""
        came = {"fires": "fires", "silent": "stays silent", "indeterminate": "cannot be told"}[self.came]
        wanted = "fire" if self.expected == "fires" else "stay silent"
        because = f": {'; '.join(self.reasons)}" if self.reasons else ""
        message = f"`{self.rule}` should {wanted} on its example `{self.name}`, and {came}{because}"
        return WardwrightError("policy_example", message, place=self.place)


class Miss(msgspec.Struct, frozen=True, kw_only=True):
    """A case made from an example by changing one field so that one comparison just fails."""

    rule: str
    field: str
    value: Fact
    silent: bool
    """Whether the rule is silent then; where not, the comparison does not decide on this example."""


def run(policy: Policy) -> tuple[Case, ...]:
    """Every example of every rule that is not switched off."""
    return tuple(case for rule in policy.every() for case in cases(rule, policy.phases[rule.rule.phase]))


def cases(rule: Compiled, phase: Phase) -> Iterator[Case]:
    """The examples of one rule."""
    kinds: tuple[tuple[Expected, tuple[Example, ...]], ...] = (
        ("fires", rule.rule.examples.fires),
        ("silent", rule.rule.examples.silent),
    )
    for expected, examples in kinds:
        for index, example in enumerate(examples):
            came, reasons = _came(rule, phase, example.facts)
            yield Case(
                rule=rule.name,
                name=f"{expected}[{index}]",
                expected=expected,
                came=came,
                reasons=reasons,
                place=rule.document.place(f"{rule.path}.examples.{expected}[{index}]"),
            )


def near_misses(rule: Compiled, phase: Phase) -> tuple[Miss, ...]:
    """From each example that fires, a case for each comparison that holds in it, with that one just failing."""
    found: list[Miss] = []
    for example in rule.rule.examples.fires:
        for field, value in _changes(rule, phase, example):
            if len(found) == NEAR_MISSES_MAX:
                return tuple(found)
            changed = [fact for fact in example.facts if fact.field != field]
            if value is not None:
                changed.append(_fact(field, value))
            came, _ = _came(rule, phase, changed)
            found.append(Miss(rule=rule.name, field=field, value=value, silent=came == "silent"))
    return tuple(found)


def _changes(rule: Compiled, phase: Phase, example: Example) -> Iterator[tuple[str, Fact]]:
    """Fields, or channels, and what they hold in a near miss of an example."""
    values = {fact.field: value_of(fact) for fact in example.facts if fact.field not in phase.channels}
    view = dict(checked(phase, values, rule.reads).known)
    for leaf in leaves(rule.node):
        if leaf.field in view and holds(leaf, view):
            yield from ((leaf.field, value) for value in _missing(leaf))
    if rule.match is not None and rule.rule.match is not None:
        op: OperatorName = "detector" if rule.detects else "regex"
        searched = Comparing(
            op=op, type="text", values=rule.rule.match.values, patterns=(rule.match,), detector=rule.search
        )
        shown = [fact.field for fact in example.facts if fact.field in phase.channels]
        yield from ((channel, value) for channel in shown for value in OPERATORS[op].near_misses(searched))


def found_in(rule: Compiled, texts: Mapping[str, str]) -> Span | None:
    """The first thing that a searching rule finds in whole texts by channel. Raises TimeoutError."""
    channels = dict.fromkeys(channel.channel for channel in rule.rule.on)
    for channel in channels:
        span = None if rule.search is None else rule.search(texts.get(channel, ""))
        if span is not None:
            return Span(channel=channel, start=span[0], end=span[1])
    return None


def unmet_in(rule: Compiled, texts: Mapping[str, str]) -> Verdict | None:
    """The first of some whole texts by channel that is not as an expecting rule wants it."""
    assert rule.expecting is not None
    for channel in dict.fromkeys(channel.channel for channel in rule.channels):
        if channel in texts and not (verdict := rule.expecting.judge(texts[channel])).met:
            return verdict
    return None


def _came(
    rule: Compiled, phase: Phase, facts: Iterable[ExampleFact]
) -> tuple[Literal["fires", "silent", "indeterminate"], tuple[str, ...]]:
    texts = {fact.field: str(value_of(fact)) for fact in facts if fact.field in phase.channels}
    values = {fact.field: value_of(fact) for fact in facts if fact.field not in phase.channels}
    snapshot = checked(phase, values, rule.reads)
    foreign = sorted(snapshot.unavailable)
    if foreign:
        return "indeterminate", tuple(f"{name} {snapshot.unavailable[name]}" for name in foreign)
    held, untold = told(rule, snapshot, dict(snapshot.known))
    if held is None:
        return "indeterminate", untold
    try:
        if held and rule.match is not None and found_in(rule, texts) is None:
            held = False
    except TimeoutError:
        return "indeterminate", ("the example could not be searched in time",)
    if held and rule.expecting is not None and unmet_in(rule, texts) is None:
        held = False
    return ("fires" if held else "silent"), ()


def value_of(fact: ExampleFact) -> Fact:
    """What a fact of an example holds."""
    match fact.shape:
        case "value":
            return fact.values[0]
        case "list":
            return tuple(str(value) for value in fact.values)
        case "pieces":
            return "".join(str(value) for value in fact.values)


def _missing(leaf: Compared) -> Iterable[Fact]:
    """Values of the field for which the comparison just fails."""
    misses = OPERATORS[leaf.test.op].near_misses(leaf.test)
    if leaf.over == "value":
        return misses
    return [(value,) for value in misses if isinstance(value, str)]


def _fact(field: str, value: Fact) -> ExampleFact:
    if isinstance(value, tuple):
        return ExampleFact(field=field, values=value, shape="list")
    assert value is not None
    return ExampleFact(field=field, values=(value,))
