"""The shape of a policy, drawn: phases, their rules, what the rules do. As text and as SVG.

The picture is a table with lines: one row a rule, phases to the left, effects to the right. Nothing is measured by a
font: widths are counted in characters, so that the same policy gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from wardwright.policy.arbiter import RANKS
from wardwright.policy.compiler import Compiled, Policy
from wardwright.policy.decision import Proposal

_CHAR: Final = 7.3
_ROW: Final = 34
_PAD: Final = 14
_GAP: Final = 70
_COLOURS: Final = {
    7: "#b3261e",
    6: "#b3261e",
    5: "#8a4b00",
    4: "#8a4b00",
    3: "#8a4b00",
    2: "#1a5fb4",
    1: "#1a5fb4",
    0: "#4a5560",
}
"""By rank: what ends a call, what changes an answer, what changes a request, what only speaks."""


def text(policy: Policy) -> Iterator[str]:
    """One line a phase and a rule."""
    for phase, rules in policy.rules.items():
        if not rules:
            continue
        yield phase
        width = max(len(rule.name) for rule in rules)
        for rule in rules:
            bar = "└" if rule is rules[-1] else "├"
            shadow = "  (shadow)" if rule.shadow else ""
            yield f"  {bar}─ {rule.name:<{width}}  →  {', '.join(_labels(rule))}{shadow}"


def svg(policy: Policy) -> str:
    """A picture that stands alone."""
    rules = [rule for some in policy.rules.values() for rule in some]
    effects = list(dict.fromkeys(label for rule in rules for label in _labels(rule)))
    phases = [phase for phase, some in policy.rules.items() if some]
    widths = [_width(phases), _width([rule.name for rule in rules]), _width(effects)]
    lefts = [_PAD, _PAD + widths[0] + _GAP, _PAD + widths[0] + widths[1] + 2 * _GAP]
    height = 2 * _PAD + _ROW * max(len(rules), len(effects), 1)
    width = lefts[2] + widths[2] + _PAD
    rows = {rule.name: _PAD + _ROW * at for at, rule in enumerate(rules)}
    ends = _spread(effects, height)
    starts = {
        phase: sum(rows[rule.name] for rule in policy.rules[phase]) / len(policy.rules[phase]) for phase in phases
    }
    lines: list[str] = []
    for rule in rules:
        y = rows[rule.name] + _ROW / 2
        lines.append(_line(lefts[0] + widths[0], starts[rule.rule.phase] + _ROW / 2, lefts[1], y, rule.shadow))
        lines += [
            _line(lefts[1] + widths[1], y, lefts[2], ends[label] + _ROW / 2, rule.shadow) for label in _labels(rule)
        ]
    boxes = [_box(lefts[0], starts[phase], widths[0], phase, "#4a5560") for phase in phases]
    boxes += [
        _box(lefts[1], rows[rule.name], widths[1], rule.name, _colour(rule.proposals), rule.rule.why) for rule in rules
    ]
    boxes += [_box(lefts[2], ends[label], widths[2], label, "#4a5560") for label in effects]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="ui-monospace, monospace" font-size="12" role="img">'
    )
    title = f"<title>{escape(', '.join(policy.names))}</title>"
    return "\n".join([head, title, *lines, *boxes, "</svg>", ""])


def _labels(rule: Compiled) -> list[str]:
    """A rule's effects as the picture names them."""
    return list(dict.fromkeys(_label(one) for one in rule.proposals))


def _label(one: Proposal) -> str:
    action = one.action
    for member in ("code", "to", "model", "label", "sink", "check"):
        value = getattr(action, member, None)
        if value:
            return f"{one.effect} {', '.join(value) if isinstance(value, tuple) else value}"
    return one.effect


def _width(words: Sequence[str]) -> float:
    return 2 * _PAD + _CHAR * max((len(word) for word in words), default=0)


def _spread(labels: Sequence[str], height: float) -> dict[str, float]:
    """Where each effect stands, evenly over the height."""
    room = (height - 2 * _PAD) / max(len(labels), 1)
    return {label: _PAD + room * at + (room - _ROW) / 2 for at, label in enumerate(labels)}


def _colour(proposals: Sequence[Proposal]) -> str:
    return _COLOURS[max((RANKS[one.effect] for one in proposals), default=0)]


def _line(x1: float, y1: float, x2: float, y2: float, shadow: bool) -> str:
    middle = (x1 + x2) / 2
    dashes = ' stroke-dasharray="4 4"' if shadow else ""
    path = f"M{x1:.1f} {y1:.1f} C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="#9aa4ae"{dashes}/>'


def _box(x: float, y: float, width: float, word: str, colour: str, title: str = "") -> str:
    told = f"<title>{escape(title)}</title>" if title else ""
    shape = f'<rect x="{x:.1f}" y="{y + 4:.1f}" width="{width:.1f}" height="{_ROW - 8}" rx="6" fill="#ffffff" '
    label = f'<text x="{x + _PAD:.1f}" y="{y + _ROW / 2 + 4:.1f}" fill="{colour}">{escape(word)}</text>'
    return f'<g>{told}{shape}stroke="{colour}"/>{label}</g>'
