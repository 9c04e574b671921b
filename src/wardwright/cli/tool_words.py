"""Tools and houses as text: what arguments are, what a call may touch, what is owed for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import inspect

from wardwright.cli.figures import counted, duration, share
from wardwright.cli.output import columns
from wardwright.contracts.house import CHECKS, HouseContract
from wardwright.contracts.shapes import unwrapped
from wardwright.contracts.tool import Effect, Reversal, ToolContract
from wardwright.harness.core.shelf import Served
from wardwright.harness.core.tool import attribute_docs
from wardwright.limits.prediction import PPM, Prediction

REVERSALS: Final[dict[Reversal, str]] = {
    "T0": "nothing to take back",
    "T1": "`wardwright tool undo` puts back what was kept of the files",
    "T2": "by another call",
    "T3": "by a person, or in part",
    "T4": "not at all",
}

VALUE_LINES_MAX: Final = 2000
"""Lines of one value that are shown."""

_INERT: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""Control characters, told instead of sent: what a tool read is not to move anyone's cursor."""


# One tool


def tool(served: Served, houses: Iterable[HouseContract]) -> Iterator[str]:
    """Everything about one tool that somebody needs who is about to call it."""
    contract = served.contract
    yield served.doc or served.name
    yield ""
    yield f"effect    {contract.effect}"
    yield f"reversal  {contract.reversal}: {REVERSALS[contract.reversal]}"
    yield from _indented("touches", _touches(contract))
    yield f"time      {contract.timeout_s} s over {counted(contract.attempts_max, 'attempt')}"
    breaker = contract.breaker
    yield (
        f"breaker   rests {breaker.open_s} s after {share(breaker.failure_ppm)} failures of {breaker.calls_min} calls "
        f"or more within {breaker.window_s} s"
    )
    yield f"cache     {'none' if contract.cache is None else f'{contract.cache.ttl_s} s'}"
    if contract.degrade is not None:
        yield f"degrade   `{contract.degrade}` is called where this one fails"
    yield f"version   {served.digest.removeprefix('sha256:')[:12]}"
    yield from _steps(contract)
    yield ""
    yield "arguments"
    yield from _members(served.arguments) or ("  none",)
    if served.function is not None:
        yield ""
        yield "result"
        yield from _members(served.function.result)
    owed = [line for house in houses for line in _owed(house, contract.effect)]
    yield ""
    yield "owed by houses"
    yield from (f"  {line}" for line in columns(owed)) if owed else ("  nothing",)


def _touches(contract: ToolContract) -> list[str]:
    scope = contract.scope
    named = {
        "reads": scope.read,
        "writes": scope.write,
        "reaches": scope.hosts,
        "runs": scope.programs,
        "passes on": scope.environment,
    }
    told = [f"{word} {', '.join(entries)}" for word, entries in named.items() if entries]
    return told or ["what its steps touch" if contract.steps else "nothing but this machine's own figures"]


def _steps(contract: ToolContract) -> Iterator[str]:
    if not contract.steps:
        return
    yield ""
    yield "steps"
    for number, step in enumerate(contract.steps, start=1):
        yield f"  {number}. {step.tool}" + (f": {step.why}" if step.why else "")


def _members(cls: type[msgspec.Struct]) -> list[str]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    docs = attribute_docs(cls)
    return (
        [
            f"  {line}"
            for line in columns([(field.name, words(field.type) + _default(field)) for field in info.fields])
            for line in _with_doc(line, docs.get(line.split(" ", 1)[0], ""))
        ]
        if info.fields
        else []
    )


def _with_doc(line: str, doc: str) -> Iterator[str]:
    yield line
    if doc:
        yield f"    {doc}"


def _default(field: inspect.Field) -> str:
    if field.required:
        return ""
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return "; may be left out" if value is None else f"; {json.dumps(value, ensure_ascii=False)} where it is left out"


def words(type_: inspect.Type) -> str:
    """A type as people say it."""
    inner, _ = unwrapped(type_)
    match inner:
        case inspect.StrType():
            return "text"
        case inspect.IntType(ge=low, le=high) if low is not None and high is not None:
            return f"whole number, {low:,} to {high:,}"
        case inspect.IntType():
            return "whole number"
        case inspect.FloatType():
            return "number"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return " | ".join(str(value) for value in values)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"list of {words(item)}"
        case inspect.TupleType(item_types=items):
            return f"[{', '.join(map(words, items))}]"
        case inspect.DictType(value_type=value):
            return f"names to {words(value)}"
        case inspect.StructType(fields=fields):
            return "{" + ", ".join(field.name for field in fields) + "}"
        case inspect.UnionType(types=types):
            return " or ".join(words(one) for one in types if not isinstance(one, inspect.NoneType))
        case _:
            return "any value"


# Houses


def house(contract: HouseContract) -> Iterator[str]:
    """One house: what it stands for, may do and owes."""
    if contract.doc:
        yield contract.doc
        yield ""
    yield f"powers    {', '.join(contract.powers) or 'none'}"
    yield f"policies  {', '.join(contract.policies) or 'none of its own'}"
    yield ""
    if not contract.obligations:
        yield "owes nothing"
        return
    yield "owes"
    for one in contract.obligations:
        yield f"  {one.check}, for {', '.join(one.effects)}"
        yield f"    {CHECKS[one.check]}"
        yield f"    because {one.why}"


def _owed(contract: HouseContract, effect: Effect) -> Iterator[tuple[str, str, str]]:
    for one in contract.obligations:
        if effect in one.effects:
            yield contract.name, one.check, one.why


# What a call gave


def foretold(prediction: Prediction) -> str:
    """A prediction in one line.

    >>> foretold(Prediction(abstained=False, cost_nano_usd=None, evidence_milli=12000, high_ppm=997000, latency=None,
    ...     level="house", low_ppm=800000, success_ppm=930000))
    '93 % (80 to 100 %), from 12.0 calls of this house'
    """
    told = f"{percent(prediction.success_ppm)} ({prediction.low_ppm * 100 / PPM:.0f} to {percent(prediction.high_ppm)})"
    if prediction.abstained:
        return f"{told}, which says little: too few calls were made to tell"
    return f"{told}, from {prediction.evidence_milli / 1000:.1f} calls of this {LEVEL_WORDS[prediction.level]}"


LEVEL_WORDS: Final = {
    "tenant": "tenant",
    "subject": "tool",
    "shape": "form",
    "house": "house",
    "target": "target",
    "model": "model",
}


def percent(ppm: int) -> str:
    """
    >>> percent(1_000_000), percent(333_333)
    ('100 %', '33 %')
    """
    return f"{ppm * 100 / PPM:.0f} %"


def estimated_time(prediction: Prediction) -> str:
    """How long success takes, in a few words; empty where no time is known."""
    latency = prediction.latency
    if latency is None or latency.p50_us is None:
        return ""
    ninety = "" if latency.p90_us is None else f", nine of ten within {duration(latency.p90_us)}"
    return f"half within {duration(latency.p50_us)}{ninety}"


def value(given: object) -> list[str]:
    """A result for people: names and values, with nothing in it that a terminal would obey."""
    found: list[str] = []
    for line in _value(given):
        if len(found) == VALUE_LINES_MAX:
            return [*found, f"… (`--json` has the rest: more than {VALUE_LINES_MAX:,} lines)"]
        found.append(line)
    return found


def _value(given: object) -> Iterator[str]:
    match given:
        case dict():
            width = max((len(str(name)) for name in given), default=0)
            for name, inner in given.items():
                if (flat := _flat(inner)) is not None:
                    yield f"{str(name).translate(_INERT):<{width}}  {flat}"
                else:
                    yield str(name).translate(_INERT)
                    yield from (f"  {line}" for line in _value(inner))
        case list():
            for inner in given:
                flat = _flat(inner)
                lines = [flat] if flat is not None else list(_value(inner))
                yield from (f"{'- ' if not place else '  '}{line}" for place, line in enumerate(lines))
        case str():
            yield from given.translate(_INERT).rstrip("\n").split("\n")
        case _:
            yield _flat(given) or ""


def _flat(given: object) -> str | None:
    """A value that fits behind its name; None where it needs lines of its own."""
    match given:
        case None:
            return "-"
        case True | False:
            return "yes" if given else "no"
        case str() if "\n" not in given:
            return given.translate(_INERT) or "(empty)"
        case int() | float():
            return str(given)
        case list() | dict() if not given:
            return "none"
        case list() if all(isinstance(one, str | int) and "\n" not in str(one) for one in given) and len(given) <= 8:
            return ", ".join(str(one).translate(_INERT) for one in given)
        case _:
            return None


def _indented(word: str, lines: Iterable[str]) -> Iterator[str]:
    for place, line in enumerate(lines):
        yield f"{word if not place else '':<9} {line}"
