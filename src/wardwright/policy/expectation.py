"""What a whole answer must be, ready to judge: JSON by syntax, schema and requirements, or well-formed XML.

    verdict = expecting.judge(text)
    verdict.met, verdict.problems

Rule 1: the stages stand in order. What is no JSON is not asked for its schema, and what its schema refuses is not asked
for its requirements: a model is told of one kind of mistake at a time.
Rule 2: a value is read strictly. A key that stands twice, NaN, half a character or text around the value is a problem
of syntax: two readers would see two values.
Rule 3: judging ends. Texts, nesting, exponents, schemas and what is told are bounded; past a bound an answer is not
met.
Rule 4: a problem repeats no value of the answer (see `policy.answer_schema`), so it may stand in a receipt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import jiter
import msgspec

from wardwright.contracts.policy import Fenced
from wardwright.policy import answer_schema, xml_syntax
from wardwright.policy.answer_schema import Schema, pointer_to
from wardwright.policy.requirements import Json, Required

ANSWER_CHARS_MAX: Final = 262_144
"""Characters of an answer that is judged; a longer one is not met."""

EXPONENT_MAX: Final = 308
"""The largest power of ten of a number, as doubles have it."""

PROBLEMS_MAX: Final = 8
"""Problems that a verdict holds."""

MESSAGE_CHARS_MAX: Final = 240
"""Characters of one problem's message."""

POINTER_CHARS_MAX: Final = 160
"""Characters of one problem's pointer."""

FlawKind: TypeAlias = Literal["schema", "semantic", "syntax"]


class Flaw(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with an answer. Members in alphabetical order."""

    kind: FlawKind
    """What is wrong with it."""
    message: str
    """What follows the value's name in a sentence."""
    pointer: str = ""
    """Where, as a JSON pointer; empty for the whole answer."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one text was judged. Members in alphabetical order."""

    alternative: str | None = None
    """The alternative that it meets; None where it meets none, or none has a name."""
    closest: str | None = None
    """Where several alternatives were tried and none met: the one whose problems these are."""
    met: bool
    """It is as expected."""
    more: int = 0
    """Problems past PROBLEMS_MAX."""
    problems: tuple[Flaw, ...] = ()
    """What is wrong with it."""


class Form(msgspec.Struct, frozen=True):
    """One alternative, ready to be tried."""

    name: str
    schema: Schema | None
    where: tuple[Required, ...]


class JsonExpecting(msgspec.Struct, frozen=True, tag=True):
    """One JSON value, in one of the forms; without any, every value does."""

    forms: tuple[Form, ...]
    fenced: Fenced

    def judge(self, text: str) -> Verdict:
        body = unfenced(text, self.fenced)
        if isinstance(body, Flaw):
            return _unmet([body])
        value = _parsed(body)
        if isinstance(value, _Unread):
            return _unmet([Flaw(kind="syntax", message=value.why)])
        values = 1 + body.count(",") + body.count("{") + body.count("[")
        tried: list[_Tried] = []
        for form in self.forms:
            outcome = _tried(form, value, values, len(body))
            if not outcome.problems:
                return Verdict(met=True, alternative=form.name)
            tried.append(outcome)
        if not tried:
            return Verdict(met=True)
        nearest = min(tried, key=lambda one: one.distance)
        return _unmet(nearest.problems, nearest.form.name if len(tried) > 1 else None)


class XmlExpecting(msgspec.Struct, frozen=True, tag=True):
    """One well-formed XML document."""

    root: str | None
    fenced: Fenced

    def judge(self, text: str) -> Verdict:
        body = unfenced(text, self.fenced)
        if isinstance(body, Flaw):
            return _unmet([body])
        wrong, name = xml_syntax.objection(body)
        if wrong is not None or name is None:
            return _unmet([Flaw(kind="syntax", message=f"is not accepted: {wrong}")])
        other = None if self.root is None else xml_syntax.other_root(name, self.root)
        return (
            Verdict(met=True)
            if other is None
            else _unmet([Flaw(kind="schema", message=f"has a form that is not accepted: {other}")])
        )


Expecting: TypeAlias = JsonExpecting | XmlExpecting


def _unmet(problems: Sequence[Flaw], closest: str | None = None) -> Verdict:
    told = tuple(_bounded(one) for one in problems[:PROBLEMS_MAX])
    return Verdict(met=False, closest=closest, problems=told, more=len(problems) - len(told))


def _bounded(one: Flaw) -> Flaw:
    return Flaw(
        kind=one.kind,
        message=_short(one.message, MESSAGE_CHARS_MAX),
        pointer=_short(one.pointer, POINTER_CHARS_MAX),
    )


def _short(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


# From text to value


_FENCE: Final = "```"
_INFO: Final = re.compile(r"[ \t]*[A-Za-z0-9_+.-]{0,32}[ \t]*\r?")


def unfenced(text: str, fenced: Fenced) -> str | Flaw:
    """The text to be judged, or what keeps it from being."""
    if len(text) > ANSWER_CHARS_MAX:
        message = f"has {len(text):,} characters; one that is judged has at most {ANSWER_CHARS_MAX:,}"
        return Flaw(kind="syntax", message=message)
    body = text.strip(" \t\r\n")
    if not body:
        return Flaw(kind="syntax", message="is empty")
    inside = _inside_fence(body)
    if inside is None:
        return body
    if fenced == "refuse":
        return Flaw(kind="syntax", message="stands in a code fence; it must be the value alone")
    return inside


def _inside_fence(body: str) -> str | None:
    """What a fence around the whole text encloses; None where there is none, or more than one."""
    head, newline, rest = body.partition("\n")
    if not (newline and head.startswith(_FENCE) and rest.endswith(_FENCE)):
        return None
    inside = rest[: -len(_FENCE)]
    opens = _INFO.fullmatch(head[len(_FENCE) :]) is not None
    nested = any(line.lstrip(" ").startswith(_FENCE) for line in inside.split("\n"))
    return inside if opens and not nested else None


class _Unread(msgspec.Struct, frozen=True):
    """A text that is no JSON, and why, as it follows the words `the answer`."""

    why: str


_PLACE: Final = re.compile(r" at (line [0-9]+ column [0-9]+)$")
_FAR: Final = re.compile(r"[eE][-+]?[0-9]{3}")
_PHRASES: Final = (
    ("Detected duplicate key", "has a key twice in one object"),
    ("EOF while parsing", "ends before its JSON value does"),
    ("trailing characters", "has something after its JSON value"),
    ("recursion limit", "nests too deeply"),
    ("Internal error", "holds a number that cannot be read"),
    ("number out of range", "holds a number that is too long"),
)
"""What the parser says, and what a model is told; the rest is told as it is: none of it repeats the text."""


def _parsed(body: str) -> Json | _Unread:
    try:
        data = body.encode()
    except UnicodeEncodeError:
        return _Unread("holds half a character")
    try:
        value: Json = jiter.from_json(data, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError as error:
        said, place = str(error), ""
        if (match := _PLACE.search(said)) is not None:
            said, place = said[: match.start()], f" ({match[1]})"
        told = next((words for begins, words in _PHRASES if said.startswith(begins)), f"is no JSON: {said}")
        return _Unread(told + place)
    if _FAR.search(body) is not None and _holds_far_number(value):
        return _Unread(f"holds a number beyond 10^{EXPONENT_MAX}")
    return value


def _holds_far_number(value: Json) -> bool:
    """Whether a number would fill memory when it is written out."""
    waiting: list[Json] = [value]
    while waiting:
        match waiting.pop():
            case Decimal() as number if abs(number.adjusted()) > EXPONENT_MAX:
                return True
            case dict() as members:
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)
    return False


# From value to problems


class _Tried(msgspec.Struct, frozen=True):
    """One form that was tried on a value."""

    form: Form
    problems: tuple[Flaw, ...]
    distance: tuple[bool, int, bool, int]
    """The least is the closest: its schema admits the value, knows most of its members, takes it for its own, and has
    the fewest problems with it."""


def _tried(form: Form, value: Json, values: int, chars: int) -> _Tried:
    found = () if form.schema is None else answer_schema.problems(form.schema, value, values, chars)
    if found:
        problems = tuple(Flaw(kind="schema", message=one.message, pointer=pointer_to(one.path)) for one in found)
        known = len(form.schema.declares & value.keys()) if form.schema is not None and isinstance(value, dict) else 0
        return _Tried(form, problems, (True, -known, any(one.foreign for one in found), len(found)))
    objections = ((one.pointer, one.objection(value)) for one in form.where)
    wrong = tuple(
        Flaw(kind="semantic", message=said, pointer=pointer) for pointer, said in objections if said is not None
    )
    return _Tried(form, wrong, (False, 0, False, len(wrong)))
