"""The shape of a policy, drawn: phases in the order of a call, their rules, what each looks at, holds and does.

As text and as SVG, from the same rows. Every effect stands in the row of its rule, so no line crosses another. Nothing
is measured by a font: widths are counted in characters, so that the same policy gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never
from xml.sax.saxutils import escape

import msgspec

from wardwright.contracts.budget import Declared
from wardwright.contracts.policy import Channel, Machine, Retrying, State
from wardwright.policy.arbiter import RANKS
from wardwright.policy.budget_words import at_most
from wardwright.policy.compiled import Compiled, Policy
from wardwright.policy.decision import Proposal
from wardwright.policy.expectation import JsonExpecting
from wardwright.policy.explain import whose
from wardwright.policy.strata import Recalled

BUDGETS: Final = "budgets"
PAST: Final = "past"
"""The lanes above the phases."""
FIELDS_MAX: Final = 3
"""Fields of a rule that are named; the rest is counted."""


class Effect(msgspec.Struct, frozen=True):
    """One thing that a rule does."""

    label: str
    rank: int
    """Its place in the lattice."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, or one budget."""

    after: tuple[Effect, ...] = ()
    """When its retries are spent."""
    effects: tuple[Effect, ...]
    holds: str = ""
    looks_at: str
    name: str
    shadow: bool = False
    why: str


class Lane(msgspec.Struct, frozen=True):
    """One phase."""

    name: str
    doc: str
    rows: tuple[Row, ...]


def lanes(policy: Policy) -> tuple[Lane, ...]:
    """What is drawn: phases without a rule are left out."""
    found = [
        Lane(phase, policy.phases[phase].doc, tuple(map(_row, rules))) for phase, rules in policy.rules.items() if rules
    ]
    if policy.recalled:
        found.insert(0, Lane(PAST, "What rules remember of earlier calls.", tuple(map(_recalled, policy.recalled))))
    if policy.budgets:
        rows = tuple(map(_budget, policy.budgets))
        found.insert(0, Lane(BUDGETS, "What may be used, reserved before each call.", rows))
    return tuple(found)


def _budget(one: Declared) -> Row:
    match one.budget.on_exceeded:
        case "block":
            effect = Effect("block budget_exceeded", RANKS["block"])
        case "fact":
            effect = Effect("a fact for rules", RANKS["allow"])
        case _:
            assert_never(one.budget.on_exceeded)
    return Row(effects=(effect,), looks_at=at_most(one.budget), name=one.full_name, why=one.budget.why)


def _recalled(one: Recalled) -> Row:
    declared = one.declared
    match declared:
        case State():
            looks_at = f"{declared.measure} of {', '.join(declared.events)} in the {whose(declared)}"
            effects = [Effect("a fact for rules", RANKS["allow"])]
        case Machine():
            looks_at = f"state of the {whose(declared)}, at first {declared.initial}"
            effects = [
                Effect(f"{move.origin} → {move.to}{'' if move.max is None else f' ×{move.max}'}", RANKS["allow"])
                for move in declared.transitions
            ]
            effects += [
                Effect(f"in {state.name}: restrict_routes {', '.join(state.restrict_routes)}", RANKS["restrict_routes"])
                for state in declared.states
                if state.restrict_routes
            ]
        case _:
            assert_never(declared)
    name = f"{one.policy}/{one.field}"
    return Row(effects=tuple(effects), looks_at=looks_at, name=name, why=f"as {one.policy} declares it")


def _row(rule: Compiled) -> Row:
    return Row(
        after=_effects(rule.after),
        effects=_effects(rule.proposals),
        holds=_holds(rule),
        looks_at=", ".join(_looks_at(rule)) or "every call",
        name=rule.name,
        shadow=rule.shadow,
        why=rule.rule.why,
    )


def _looks_at(rule: Compiled) -> Iterator[str]:
    verb = "" if rule.expecting is None else f" as {'JSON' if isinstance(rule.expecting, JsonExpecting) else 'XML'}"
    for channel in rule.channels:
        yield f"{_channel(channel)}{verb}"
    fields = sorted(rule.reads)
    yield from fields[:FIELDS_MAX]
    if len(fields) > FIELDS_MAX:
        yield f"{len(fields) - FIELDS_MAX} more"


def _channel(channel: Channel) -> str:
    if channel.channel != "tool_arguments":
        return channel.channel
    return f"{channel.tool or 'any tool'}({channel.pointer or '…'})"


def _holds(rule: Compiled) -> str:
    hold = rule.hold
    if hold is None:
        return ""
    unit = (hold.boundary or "unit").replace("_", " ")
    return {"pass": "", "exact": "what could match", "boundary": f"each {unit}", "full": "the answer"}[hold.mode]


def _effects(proposals: Iterable[Proposal]) -> tuple[Effect, ...]:
    return tuple(dict.fromkeys(Effect(_label(one), RANKS[one.effect]) for one in proposals))


def _label(one: Proposal) -> str:
    action = one.action
    times = f" ×{action.max}" if isinstance(action, Retrying) else ""
    for member in ("code", "to", "model", "label", "sink", "check"):
        value = getattr(action, member, None)
        if value:
            return f"{one.effect} {', '.join(value) if isinstance(value, tuple) else value}{times}"
    return f"{one.effect}{times}"


# As text


def text(policy: Policy) -> Iterator[str]:
    """One line a phase and a rule."""
    for lane in lanes(policy):
        yield lane.name
        names = max(len(row.name) for row in lane.rows)
        looks = max(len(row.looks_at) for row in lane.rows)
        for row in lane.rows:
            bar = "└" if row is lane.rows[-1] else "├"
            does = ", ".join(effect.label for effect in row.effects)
            if row.after:
                does += f", then {', '.join(effect.label for effect in row.after)}"
            holds = f"  (holds {row.holds})" if row.holds else ""
            shadow = "  (shadow)" if row.shadow else ""
            yield f"  {bar}─ {row.name:<{names}}  {row.looks_at:<{looks}}  →  {does}{holds}{shadow}"


# As a picture

_CHAR: Final = 7.3
_LINE: Final = 28
"""From one line of effects to the next."""
_PILL: Final = 20
_PAD: Final = 14
_GAP: Final = 26
_HEAD: Final = 40
"""The head of a lane."""
_EFFECTS_CHARS_MAX: Final = 64
"""Of a line of effects; more go on below."""
_INK: Final = "#1f2933"
_FAINT: Final = "#5b6670"
_COLOURS: Final[dict[int, tuple[str, str]]] = {
    7: ("#b3261e", "#fdecea"),
    6: ("#b3261e", "#fdecea"),
    5: ("#8a4b00", "#fff3e0"),
    4: ("#8a4b00", "#fff3e0"),
    3: ("#8a4b00", "#fff3e0"),
    2: ("#1a5fb4", "#e8f1fc"),
    1: ("#1a5fb4", "#e8f1fc"),
    0: ("#4a5560", "#eef1f4"),
}
"""Ink and ground by rank: what ends a call, what changes an answer, what changes a request, what only speaks."""


def svg(policy: Policy) -> str:
    """A picture that stands alone."""
    drawn = lanes(policy)
    rows = [row for lane in drawn for row in lane.rows]
    names, looks = _width(row.name for row in rows), _width(_seen(row) for row in rows)
    lefts = (_PAD + 18, _PAD + 18 + names + _GAP, _PAD + 18 + names + looks + 2 * _GAP)
    effects = max((_line_width(line) for row in rows for line in _lines(row)), default=0)
    heads = max((2 * _PAD + _CHAR * (len(lane.name) + len(lane.doc) + 3) for lane in drawn), default=0)
    width = max(lefts[2] + effects + _PAD, heads + _PAD)
    shapes: list[str] = []
    y = float(_PAD)
    for lane in drawn:
        shapes.append(_lane_head(lane, y, width))
        top, y = y, y + _HEAD
        for row in lane.rows:
            shapes.append(_drawn(row, y, lefts))
            y += _LINE * len(_lines(row))
        shapes.append(_stem(top + _HEAD - 8, y - _LINE * len(_lines(lane.rows[-1])) + _LINE / 2))
        y += _PAD
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {y:.0f}" width="{width:.0f}" '
        f'height="{y:.0f}" font-family="ui-monospace, monospace" font-size="12" role="img">'
    )
    title = f"<title>{escape(', '.join(policy.names))}</title>"
    ground = f'<rect width="{width:.0f}" height="{y:.0f}" fill="#ffffff"/>'
    return "\n".join([head, title, ground, *shapes, "</svg>", ""])


def _lane_head(lane: Lane, y: float, width: float) -> str:
    band = f'<rect x="{_PAD}" y="{y:.1f}" width="{width - 2 * _PAD:.1f}" height="26" rx="4" fill="#eef1f4"/>'
    name = _text(2 * _PAD, y + 17, lane.name, _INK, bold=True)
    return "".join((band, name, _text(2 * _PAD + _CHAR * (len(lane.name) + 2), y + 17, lane.doc, _FAINT)))


def _drawn(row: Row, y: float, lefts: tuple[float, float, float]) -> str:
    """One rule: its name, what it looks at, an arrow, what it does."""
    middle = y + _LINE / 2
    colour = _COLOURS[max((one.rank for one in row.effects), default=0)][0]
    dashes = ' stroke-dasharray="4 3"' if row.shadow else ""
    parts = [
        f"<title>{escape(row.why)}</title>",
        f'<path d="M{_PAD + 6} {middle:.1f}H{lefts[0] - 2:.1f}" stroke="#c3cad1"/>',
        _text(lefts[0], middle + 4, row.name, colour, bold=True),
        _text(lefts[1], middle + 4, _seen(row), _FAINT),
        f'<path d="M{lefts[2] - 20:.1f} {middle:.1f}h12m-4 -4l4 4l-4 4" fill="none" stroke="{colour}"{dashes}/>',
    ]
    for number, line in enumerate(_lines(row)):
        x = lefts[2]
        for effect in line:
            if effect is _THEN:
                parts.append(_text(x, middle + 4 + number * _LINE, effect.label, _FAINT))
            else:
                parts.append(_pill(x, middle + number * _LINE, effect, dashes))
            x += _pill_width(effect)
    return f"<g>{''.join(parts)}</g>"


_THEN: Final = Effect("then", 0)
"""Stands between what a rule does and what follows when its retries are spent."""


def _seen(row: Row) -> str:
    shadow = " · shadow" if row.shadow else ""
    return f"{row.looks_at}{f' · holds {row.holds}' if row.holds else ''}{shadow}"


def _lines(row: Row) -> tuple[tuple[Effect, ...], ...]:
    """The effects of a row, as many on a line as there is room for."""
    lines: list[list[Effect]] = [[]]
    room = _EFFECTS_CHARS_MAX
    for effect in (*row.effects, *((_THEN, *row.after) if row.after else ())):
        if lines[-1] and room < len(effect.label):
            lines.append([])
            room = _EFFECTS_CHARS_MAX
        lines[-1].append(effect)
        room -= len(effect.label) + 3
    return tuple(map(tuple, lines))


def _pill(x: float, middle: float, effect: Effect, dashes: str) -> str:
    ink, ground = _COLOURS[effect.rank]
    shape = (
        f'<rect x="{x:.1f}" y="{middle - _PILL / 2:.1f}" width="{_pill_width(effect) - 8:.1f}" height="{_PILL}" '
        f'rx="10" fill="{ground}" stroke="{ink}"{dashes}/>'
    )
    return shape + _text(x + 8, middle + 4, effect.label, ink)


def _pill_width(effect: Effect) -> float:
    """With the gap behind it."""
    return _CHAR * len(effect.label) + (8 if effect is _THEN else 24)


def _line_width(line: Sequence[Effect]) -> float:
    return sum(map(_pill_width, line))


def _stem(top: float, bottom: float) -> str:
    return f'<path d="M{_PAD + 6} {top:.1f}V{bottom:.1f}" stroke="#c3cad1"/>'


def _text(x: float, y: float, words: str, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{weight}>{escape(words)}</text>'


def _width(words: Iterable[str]) -> float:
    return _CHAR * max(map(len, words), default=0)
