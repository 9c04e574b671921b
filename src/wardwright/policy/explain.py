"""What a policy does, in plain sentences, made from what is compiled: they cannot say something else than it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

import msgspec

from wardwright.contracts.policy import (
    Action,
    Alert,
    Allow,
    Annotate,
    Block,
    Channel,
    Comparison,
    Drop,
    Hold,
    InjectReminder,
    Machine,
    Oblige,
    RequireApproval,
    Reroute,
    RestrictRoutes,
    Retry,
    Retrying,
    RetryWithReminder,
    Rewrite,
    Rule,
    SetArgument,
    State,
    SwitchModel,
    Transform,
    Transition,
    effect_of,
)
from wardwright.kernel.detectors.table import words as detected
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.conditions import AllOf, AnyOf, Compared, Inverse, Node
from wardwright.policy.expectation import Expecting, Form, JsonExpecting, XmlExpecting
from wardwright.policy.operators import OPERATORS
from wardwright.policy.strata import Recalled


class RuleWords(msgspec.Struct, frozen=True, kw_only=True):
    """One rule for a reader."""

    rule: str
    """`policy/rule`."""
    phase: str
    enforce: str
    priority: int
    sentence: str
    """When it acts, and what it does."""
    otherwise: str
    """What happens where its condition cannot be told."""
    why: str
    owner: str
    reads: tuple[str, ...]
    """Fields and channels, sorted."""
    effects: tuple[str, ...]
    """Actions by their words, in the rule's order."""
    past: tuple[str, ...] = ()
    """What it reads of the past, a sentence each, by field."""


def explained(policy: Policy) -> tuple[RuleWords, ...]:
    """Every rule, by phase, policy and id."""
    return tuple(_rule(rule, policy) for rule in policy.every())


def _rule(compiled: Compiled, policy: Policy) -> RuleWords:
    rule = compiled.rule
    return RuleWords(
        rule=compiled.name,
        phase=rule.phase,
        enforce=rule.enforce,
        priority=rule.priority,
        sentence=sentence(compiled),
        otherwise=_otherwise(compiled),
        why=rule.why,
        owner=rule.owner or compiled.document.value.owner,
        reads=tuple(sorted({*compiled.reads, *(channel.channel for channel in compiled.channels)})),
        effects=tuple(effect_of(action) for action in rule.then),
        past=tuple(recalled_words(one) for one in policy.recalled if one.field in compiled.reads),
    )


def sentence(compiled: Compiled) -> str:
    """When a rule acts and what it does, in one sentence."""
    rule = compiled.rule
    shadow = " (in shadow: recorded, not done)" if compiled.shadow else ""
    after = ""
    if any(isinstance(action, Retrying) for action in rule.then):
        after = f"; when that is spent, {actions(rule.after_retries) if rule.after_retries else 'refuse the answer'}"
    held = "" if compiled.hold is None else f"; hold back {_hold(compiled.hold)}"
    return f"{_when(compiled)}: {actions(rule.then)}{after}{held}{shadow}."


def _when(compiled: Compiled) -> str:
    parts = []
    look = sought(compiled)
    if look is not None:
        parts.append(f"When {look}")
    conditions, exceptions = exceptions_of(compiled)
    if conditions is not None:
        parts.append(("where " if parts else "Where ") + words(conditions))
    for name, node in exceptions:
        parts.append(f"unless {words(node)} ({name})")
    return ", ".join(parts) or "Always"


def sought(compiled: Compiled) -> str | None:
    """What a rule looks for in its channels, as a clause; None where it looks at none."""
    rule = compiled.rule
    if rule.match is not None:
        found = (
            detected(str(rule.match.values[0]))
            if rule.match.op == "detector"
            else _or(f"`{text}`" for text in _patterns(compiled, rule.match))
        )
        case = " in any case" if rule.match.ignore_case else ""
        return f"{_or(map(_channel, rule.on))} shows {found}{case}"
    if compiled.expecting is not None:
        judged, last = [_channel(one) for one in compiled.channels], compiled.channels[-1].channel
        verb = "are" if last == "tool_arguments" else "is"
        return f"{_or(judged)} {verb} not {expected(compiled.expecting)}"
    return None


def _patterns(compiled: Compiled, match: Comparison) -> tuple[str, ...]:
    """The texts of a search, as their author wrote them."""
    lists = {one.name: one.items for one in compiled.document.value.lists}
    return tuple(str(value) for value in (lists[match.list] if match.list is not None else match.values))


def exceptions_of(compiled: Compiled) -> tuple[Node | None, tuple[tuple[str, Node], ...]]:
    """A compiled condition as its `when`, None where it has none, and its exceptions by name."""
    rule, node = compiled.rule, compiled.node
    if not rule.unless:
        return (None if rule.when is None else node), ()
    assert isinstance(node, AllOf)
    parts = list(node.parts)
    when = parts.pop(0) if rule.when is not None else None
    named = [
        (exempt.name, part.part) for exempt, part in zip(rule.unless, parts, strict=True) if isinstance(part, Inverse)
    ]
    return when, tuple(named)


# Conditions


def words(node: Node) -> str:
    """A condition in words.

    >>> words(AllOf(()))
    'always'
    """
    match node:
        case AllOf(parts=()):
            return "always"
        case AllOf(parts=parts):
            return " and ".join(map(_nested, parts))
        case AnyOf(parts=parts):
            return " or ".join(map(_nested, parts))
        case Inverse(part=Compared() as leaf):
            return _leaf(leaf, holds=False)
        case Inverse(part=Inverse(part=part)):
            return words(part)
        case Inverse(part=part):
            return f"not ({words(part)})"
        case Compared():
            return _leaf(node, holds=True)
        case _:
            assert_never(node)


def _nested(node: Node) -> str:
    return f"({words(node)})" if isinstance(node, AllOf | AnyOf) and len(node.parts) > 1 else words(node)


def _leaf(leaf: Compared, *, holds: bool) -> str:
    operator = OPERATORS[leaf.test.op]
    if leaf.over == "value":
        return f"{leaf.field} {operator.said(leaf.test) if holds else operator.denied(leaf.test)}"
    if leaf.over == "any":
        return f"{'some' if holds else 'no'} item of {leaf.field} {operator.said(leaf.test)}"
    return f"{'every' if holds else 'not every'} item of {leaf.field} {operator.said(leaf.test)}"


def _channel(channel: Channel) -> str:
    if channel.channel != "tool_arguments":
        return f"the {channel.channel}"
    tool = "any tool" if channel.tool is None else f"`{channel.tool}`"
    return f"the arguments of {tool}" if channel.pointer is None else f"`{channel.pointer}` in the arguments of {tool}"


# The past


def recalled_words(one: Recalled) -> str:
    """What a state measures, or where a machine leads, in one sentence."""
    match one.declared:
        case State() as state:
            labels = [f"`{label}`" for label in state.events]
            what = {
                "count": f"counts {_or(labels)}",
                "sum": f"adds up {state.of} over {_or(labels)}",
                "distinct": f"counts different values of {state.of} over {_or(labels)}",
                "formerly": f"holds if there was {_or(labels)}",
                "sequence": f"holds if there was {', then '.join(labels)}",
                "absent": f"holds if there was no {_or(labels)}",
            }[state.measure]
            same = f" with the same {' and '.join(state.same)}" if state.same else ""
            current = "the current call too" if state.including_current else "the current call left out"
            return f"{one.field} {what}{same}, of the {whose(state)}, {_within(state)}, {current}."
        case Machine() as machine:
            moves = "; ".join(_transition(each) for each in machine.transitions)
            spent = f"; a spent budget leads to `{machine.on_exhausted}`" if machine.on_exhausted is not None else ""
            bound = "".join(
                f" In `{state.name}` only targets that match {_or(f'`{to}`' for to in state.restrict_routes)} serve."
                for state in machine.states
                if state.restrict_routes
            )
            return f"{one.field}, of the {whose(machine)}, begins as `{machine.initial}`: {moves}{spent}.{bound}"


def whose(declared: State | Machine) -> str:
    """Whose past it is."""
    return "declared session" if declared.session == "declared" else declared.scope


def _within(state: State) -> str:
    within = state.within
    bounds = [
        f"the last {count:,} {word}" if count > 1 else f"the last {word.removesuffix('s')}"
        for count, word in (
            (within.steps, "steps"),
            (within.turns, "turns"),
            (within.events, "events"),
            (within.age_s, "seconds"),
        )
        if count is not None
    ]
    return "within " + " and ".join(bounds)


def _transition(one: Transition) -> str:
    times = "" if one.max is None else _times(one.max)
    return f"`{one.on}` leads from `{one.origin}` to `{one.to}`{times}"


# Expectations


def expected(expecting: Expecting) -> str:
    """What an answer must be, in words.

    >>> expected(XmlExpecting(root="report", fenced="refuse"))
    'well-formed XML with the root `report`'
    """
    fence = " (a code fence around it aside)" if expecting.fenced == "accept" else ""
    match expecting:
        case XmlExpecting(root=root):
            return "well-formed XML" + (f" with the root `{root}`" if root is not None else "") + fence
        case JsonExpecting(forms=()):
            return f"JSON{fence}"
        case JsonExpecting(forms=forms):
            return f"JSON{fence} in the form {_or(map(_form, forms))}"
        case _:
            assert_never(expecting)


def _form(form: Form) -> str:
    parts = ["its schema"] if form.schema is not None else []
    parts += [f"{f'`{one.pointer}`' if one.pointer else 'it'} {one.said}" for one in form.where]
    return f"`{form.name}`" + (f" ({' and '.join(parts)})" if parts else "")


# Actions


def actions(some: Iterable[Action]) -> str:
    """Actions in one phrase."""
    told = [action_words(action) for action in some]
    last = ", and " if any(", " in one for one in told) else " and "
    return told[0] if len(told) == 1 else ", ".join(told[:-1]) + last + told[-1]


def action_words(action: Action) -> str:
    """What an action does, in words.

    >>> action_words(Block(code="no_secrets"))
    'refuse with `no_secrets`'
    """
    match action:
        case Allow():
            return "let it pass"
        case Annotate(label=label):
            return f"label the receipt `{label}`"
        case Alert(sink=sink, severity=severity):
            return f"send {'an' if severity == 'info' else 'a'} {severity} alert to `{sink}`"
        case Oblige(check=check):
            return f"demand the check `{check}` of what follows"
        case Transform(preamble=preamble, postscript=postscript):
            places = [word for word, text in (("before", preamble), ("after", postscript)) if text]
            return f"put the operator's text {' and '.join(places)} the messages"
        case InjectReminder(text=text):
            return f"remind the model: “{text.strip()}”"
        case SetArgument(name=name, to=to):
            return f"set the argument `{name}` to `{to if isinstance(to, str) else msgspec.json.encode(to).decode()}`"
        case RestrictRoutes(to=to):
            return f"serve by targets that match {_or(f'`{pattern}`' for pattern in to)} alone"
        case SwitchModel(model=model):
            return f"serve by the model `{model}`"
        case Drop():
            return "leave it out"
        case Rewrite(replacement=replacement):
            return f"put `{replacement}` in its place"
        case Reroute(to=to, max=most):
            return f"end the attempt and try {_or(f'`{pattern}`' for pattern in to)} instead{_times(most)}"
        case Retry(max=most):
            return f"end the attempt and ask again{_times(most)}"
        case RetryWithReminder(text=text, max=most):
            again = f"end the attempt and ask again with the reminder “{text.strip()}”{_times(most)}"
            return again + "".join(f", {rest}" for rest in _reminder_limits(action))
        case RequireApproval(expires_s=expires_s):
            return f"wait for an approval, at most {expires_s:,} s"
        case Block(code=code):
            return f"refuse with `{code}`"
        case _:
            assert_never(action)


def _reminder_limits(action: RetryWithReminder) -> Iterator[str]:
    if action.once_per is not None:
        yield f"the reminder once per {action.once_per}"
    if action.after_turns is not None:
        yield f"the reminder again after {action.after_turns} turns"
    if action.after_release == "continue":
        yield "from what was seen where a part has left"
    if action.keep_partial:
        yield "what was begun kept"


def _times(most: int) -> str:
    return ", once" if most == 1 else f", at most {most} times"


def _hold(hold: Hold) -> str:
    if hold.chars_max is None:
        return "the whole answer until it is judged"
    unit = (hold.boundary or "").replace("_", " ")
    what = {
        "pass": "nothing",
        "exact": "what could still become it",
        "boundary": f"each {unit}",
        "full": "the whole answer",
    }[hold.mode]
    if hold.mode == "pass":
        return what
    cap = "then refuse" if hold.on_cap == "fail_closed" else "then release and say so"
    age = "" if hold.age_ms_max is None else f" for {hold.age_ms_max:,} ms"
    return f"{what}, at most {hold.chars_max:,} characters{age}, {cap}"


def _otherwise(compiled: Compiled) -> str:
    rule: Rule = compiled.rule
    match rule.on_error:
        case "fire":
            return "act all the same"
        case _ if compiled.untold:
            return actions(one.action for one in compiled.untold)
        case _:
            return "do nothing"


def _or(some: Iterable[str]) -> str:
    told = list(some)
    return told[0] if len(told) == 1 else ", ".join(told[:-1]) + f" or {told[-1]}"
