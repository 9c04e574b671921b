"""The tables of the policy guide, each from the table that the program itself reads."""

from __future__ import annotations

from typing import Final, assert_never

import msgspec

from wardwright.calls.phases import PHASES
from wardwright.calls.tool_phases import TOOL_PHASES
from wardwright.contracts import policy as c
from wardwright.contracts.budget import FACTS, PREFIX
from wardwright.kernel.docs import sentence_of
from wardwright.policy.arbiter import RANKS
from wardwright.policy.check import FINDINGS
from wardwright.policy.detectors import DETECTORS
from wardwright.policy.operators import OPERATORS, Comparing

_ACTIONS: Final[tuple[type[msgspec.Struct], ...]] = c.Action.__args__

_EVERY: Final = (*PHASES, *TOOL_PHASES)

_TYPES: Final = ("text", "texts", "integer", "decimal", "boolean")


def fields() -> str:
    """What rules may read in each phase."""
    parts: list[str] = []
    told: set[str] = set()
    for phase in _EVERY:
        first = phase in (PHASES[0], TOOL_PHASES[0])
        if first:
            told.clear()
        own = [field for field in phase.fields if field.name not in told]
        told.update(field.name for field in own)
        parts.append(f"### `{phase.name}`\n\n{phase.doc}{_channels(phase.channels)}\n")
        if not own:
            continue
        parts.append(f"\n| {'Field' if first else 'Field beside those above'} | Type | Means |\n|---|---|---|\n")
        parts += [f"| `{field.name}` | {field.type} | {field.doc} |\n" for field in own]
        missing = sorted(name for name in told if phase.field(name) is None)
        if missing:
            parts.append(f"\nNot here: {', '.join(f'`{name}`' for name in missing)}.\n")
        parts.append("\n")
    parts.append("### Budgets\n\nIn `request`, `route` and `receipt`, for each budget that a policy declares:\n")
    parts.append("\n| Field | Means |\n|---|---|\n")
    parts += [f"| `{PREFIX}NAME.{fact}` | {means}. |\n" for fact, means in FACTS.items()]
    return "\n" + "".join(parts)


def _channels(channels: tuple[str, ...]) -> str:
    if not channels:
        return ""
    return f" `match` looks at {', '.join(f'`{one}`' for one in channels)}."


def operators() -> str:
    """Every operator, what it compares, how it is said."""
    head = "\n| Operator | Stands before | Compares | Said |\n|---|---|---|---|\n"
    rows = [
        f"| `{name}` | {_OPERANDS[operands]} | {', '.join(one for one in _TYPES if one in OPERATORS[name].types)} "
        f"| {_said(name)} |\n"
        for name, operands in c.OPERATORS.items()
    ]
    return head + "".join(rows)


_OPERANDS: Final[dict[c.Operands, str]] = {
    "one": "one value",
    "many": "a list, or `$list`",
    "texts": "one text, several, or `$list`",
    "number": "a number",
    "range": "two numbers, both included",
    "none": "nothing",
    "name": f"a detector: {', '.join(f'`{name}`' for name in sorted(DETECTORS))}",
}


def _said(name: c.OperatorName) -> str:
    operands = c.OPERATORS[name]
    match operands:
        case "one":
            test = Comparing(op=name, type="text", values=("a",))
        case "many" | "texts":
            test = Comparing(op=name, type="text", values=("a", "b"))
        case "number":
            test = Comparing(op=name, type="integer", values=(3,))
        case "range":
            test = Comparing(op=name, type="integer", values=(3, 5))
        case "none":
            test = Comparing(op=name, type="text")
        case "name":
            test = Comparing(op=name, type="text", values=("secrets",))
        case _:
            assert_never(operands)
    return f"{OPERATORS[name].said(test)} · {OPERATORS[name].denied(test)}"


def actions() -> str:
    """Every action, strongest first, and where it may stand."""
    by_rank = sorted(_ACTIONS, key=lambda action: -RANKS[_word(action)])
    head = f"\n| Action | {' | '.join(phase.name for phase in _EVERY)} | Does |\n|---|{'---|' * len(_EVERY)}---|\n"
    rows = []
    for action in by_rank:
        marks = " | ".join("✓" if _word(action) in phase.actions else "" for phase in _EVERY)
        rows.append(f"| `{_word(action)}` | {marks} | {sentence_of(action)} |\n")
    return head + "".join(rows)


def _word(action: type[msgspec.Struct]) -> c.ActionName:
    return action.__struct_config__.tag  # type: ignore[return-value]


def findings() -> str:
    """What `policy check` says beside errors."""
    return "\n| Code | Says |\n|---|---|\n" + "".join(f"| {code} | {says} |\n" for code, says in FINDINGS.items())
