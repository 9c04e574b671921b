"""How authors write what a whole answer must be: the `expect` of a rule.

    expect: json                                  # or xml: well formed, whatever it says
    expect: {xml: {root: report}}
    expect:
      json:
        fenced: accept
        schema: {type: object, required: [confidence]}
        where: [{pointer: /confidence, gte: 0.7, why: An unsure verdict goes to a person.}]
    expect: {json: {any_of: [{name: v1, schema: …, where: …}, {name: v2, schema: …}]}}

A lone `schema` with its `where` is one alternative. What stands in `where` is a pointer and one operator, `any_of` or
`all_of` over the items of a list, or `not` around one of these; `exists` takes `true` or `false`. A schema is a mapping
and is kept as canonical JSON text. The canonical form of each is read too.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias, cast

import msgspec

from wardwright.contracts import json_syntax
from wardwright.contracts.policy import (
    ALTERNATIVES_MAX,
    OPERATORS,
    REQUIREMENTS_MAX,
    Alternative,
    Comparison,
    JsonExpectation,
    Requirement,
    XmlExpectation,
)
from wardwright.contracts.policy_syntax import QUANTIFIERS, operation
from wardwright.contracts.refusal import ContractErrors, did_you_mean
from wardwright.contracts.shapes import WRONG, At, Read, Reader, type_of
from wardwright.contracts.tree import Entry, Items, Scalar, Table, Tree
from wardwright.contracts.wording import either, found, shown_key

EXPECTATION_TAG: Final = "syntax"

SCHEMA_CHARS_MAX: Final = 65_536
"""Characters of one schema as canonical JSON."""

SCHEMA_DEPTH_MAX: Final = 32
"""Levels of one schema."""

NUMBER_DIGITS_MAX: Final = 17
"""Digits of a number in a schema, and the largest power of ten."""

POINTER_CHARS_MAX: Final = 512

_SYNTAXES: Final[dict[str, type[JsonExpectation | XmlExpectation]]] = {"json": JsonExpectation, "xml": XmlExpectation}
_BARE: Final = "well_formed"
"""What may stand after `json` or `xml` in place of members."""
_LONE: Final = ("schema", "where")
_WORDS: Final = (*OPERATORS, *QUANTIFIERS, "not")

JsonValue: TypeAlias = str | int | bool | Decimal | list["JsonValue"] | dict[str, "JsonValue"] | None

_canonical: Final = msgspec.json.Encoder(order="sorted", decimal_format="number")


def expectation(reader: Reader, tree: Tree, at: At) -> Read:
    """What an answer must be, in the author's spelling or the canonical one."""
    reader.note(tree, at)
    match tree:
        case Scalar(form="text", value=str() as word) if word in _SYNTAXES:
            return _SYNTAXES[word]()
        case Table() if (cls := _tagged(tree)) is not None:
            return reader.members(cls, tree.without(EXPECTATION_TAG), at)
        case Table(entries=(Entry(key=word) as entry,)) if word in _SYNTAXES:
            return _members(reader, entry, at.under(word))
        case Table():
            odd = next((one for one in tree.entries if one.key not in _SYNTAXES), None)
            if odd is not None:
                place = reader.place(odd.key_at, at.member(shown_key(odd.key)))
                message = f"`{at.word}` has no member `{shown_key(odd.key)}`"
                return reader.refuse("contract_unknown_key", message, place, did_you_mean(odd.key, _SYNTAXES))
    hint = "write `json`, `xml`, or `json: {schema: …}`"
    return reader.invalid(tree, at, f"`{at.word}` is {either(list(_SYNTAXES))}; here stands {found(tree)}", hint)


def _tagged(tree: Table) -> type[JsonExpectation | XmlExpectation] | None:
    """The type that a canonical mapping names."""
    tag = tree.get(EXPECTATION_TAG)
    return _SYNTAXES.get(str(tag.value.value)) if tag is not None and isinstance(tag.value, Scalar) else None


def _members(reader: Reader, entry: Entry, at: At) -> Read:
    """What stands after `json` or `xml`."""
    cls, tree = _SYNTAXES[entry.key], entry.value
    if isinstance(tree, Scalar) and tree.value == _BARE:
        return cls()
    if cls is XmlExpectation or not isinstance(tree, Table):
        return reader.members(cls, tree, at)
    known = ("any_of", "fenced", *_LONE)
    for one in (one for one in tree.entries if one.key not in known):
        place = reader.place(one.key_at, at.member(shown_key(one.key)))
        message = f"`{entry.key}` has no member `{shown_key(one.key)}`"
        return reader.refuse("contract_unknown_key", message, place, did_you_mean(one.key, known))
    lone = tuple(one for one in tree.entries if one.key in _LONE)
    if not lone:
        return reader.members(cls, tree, at)
    if tree.get("any_of") is not None:
        message = f"`{lone[0].key}` stands beside `any_of`"
        return reader.invalid(lone[0].value, at.member(lone[0].key), message, "put it into one of the alternatives")
    inside = At(at.member("any_of").item(0).typed, at.written)
    only = reader.members(Alternative, Table(lone, tree.at), inside)
    rest = reader.members(cls, Table(tuple(one for one in tree.entries if one.key not in _LONE), tree.at), at)
    if WRONG in (only, rest):
        return WRONG
    made = msgspec.structs.replace(cast(JsonExpectation, rest), any_of=(cast(Alternative, only),))
    judge_json(reader, made, at)
    return made


# Requirements


def requirement(reader: Reader, tree: Tree, at: At) -> Read:
    """A pointer, one operator, and why."""
    reader.note(tree, at)
    if not isinstance(tree, Table) or tree.get("test") is not None:
        return reader.members(Requirement, tree, at)
    words = [entry for entry in tree.entries if entry.key not in ("pointer", "why")]
    pointer, why = tree.get("pointer"), tree.get("why")
    if pointer is None:
        return reader.invalid(tree, at, "a requirement needs the `pointer` to what it compares", "add `pointer: /…`")
    if len(words) != 1:
        message = f"a requirement has one operator beside its pointer; here are {len(words)}"
        hint = "write each as an item of its own" if words else "add one, such as `gte: 0.7`"
        return reader.invalid(tree, at, message, hint)
    path = reader.value(type_of(Requirement, "pointer"), pointer.value, at.member("pointer"))
    said: Read = ""
    if why is not None:
        said = reader.value(type_of(Requirement, "why"), why.value, at.member("why"))
    made = _test(reader, words[0], At(at.member("test").typed, at.written))
    if WRONG in (path, said, made):
        return WRONG
    whole = msgspec.structs.replace(cast(Requirement, made), pointer=cast(str, path), why=cast(str, said))
    judge_requirement(reader, whole, at)
    return whole


def _test(reader: Reader, entry: Entry, at: At) -> Read:
    """The operator of a requirement, as one without pointer and reason."""
    inside = at.under(shown_key(entry.key))
    match entry.key, entry.value:
        case "not", Table(entries=(inner,)) if inner.key != "not":
            made = _test(reader, inner, inside)
            return made if made is WRONG else _turned(cast(Requirement, made))
        case "not", value:
            message = f"`not` stands around one operator; here stands {found(value)}"
            return reader.invalid(value, inside, message, "write `not: {contains: …}`")
        case "exists", Scalar(form="boolean", value=bool() as wanted):
            return Requirement(pointer="", test=Comparison(op="exists"), negated=not wanted)
        case "exists", value:
            return reader.invalid(value, inside, f"`exists` is `true` or `false`; here stands {found(value)}")
        case word, value if word in QUANTIFIERS:
            return _quantified(reader, word, value, inside)
        case word, _ if word not in OPERATORS:
            place = reader.place(entry.key_at, inside)
            message = f"`{shown_key(word)}` is no operator"
            return reader.refuse("contract_unknown_key", message, place, did_you_mean(word, _WORDS))
    test = operation(reader, entry, at)
    return test if test is WRONG else Requirement(pointer="", test=cast(Comparison, test))


def _quantified(reader: Reader, word: str, tree: Tree, at: At) -> Read:
    match tree:
        case Table(entries=(entry,)):
            test = operation(reader, entry, at)
        case Items() | Scalar(form="text"):
            test = operation(reader, Entry("in", tree.at, tree), At(at.typed, at.written))
        case _:
            hint = f"write `{word}: [a, b]`, or `{word}: {{prefix: a}}`"
            return reader.invalid(tree, at, f"`{word}` takes what the items are compared with", hint)
    if test is WRONG:
        return WRONG
    over = QUANTIFIERS[word]
    return Requirement(pointer="", test=cast(Comparison, test), over=over)  # type: ignore[arg-type]


def _turned(made: Requirement) -> Requirement:
    return msgspec.structs.replace(made, negated=not made.negated)


# Schemas


def schema(reader: Reader, tree: Tree, at: At) -> Read:
    """A schema as canonical JSON text, from a mapping or from such text."""
    reader.note(tree, at)
    match tree:
        case Scalar(form="text", value=str() as text):
            try:
                whole = json_syntax.read(text, "", SCHEMA_DEPTH_MAX)
            except ContractErrors as refused:
                message = f"`{at.word}` is a mapping; here stands text that is no JSON: {refused.errors[0].message}"
                return reader.invalid(tree, at, message)
            places = _Schema(reader, tree)
        case _:
            whole, places = tree, _Schema(reader, None)
    if not isinstance(whole, Table):
        return reader.invalid(tree, at, f"`{at.word}` is a mapping; here stands {found(whole)}")
    value = places.plain(whole, at, 1)
    if value is WRONG:
        return WRONG
    text = _canonical.encode(value).decode()
    if len(text) > SCHEMA_CHARS_MAX:
        message = f"the schema has {len(text):,} characters as JSON; it may have {SCHEMA_CHARS_MAX:,}"
        return reader.invalid(tree, at, message)
    return text


class _Schema:
    """Turns a schema's tree into plain values."""

    def __init__(self, reader: Reader, text: Tree | None) -> None:
        self._reader = reader
        self._text = text
        """Where the schema came from, if that was a text: places within it are no places of the document."""

    def plain(self, tree: Tree, at: At, depth: int) -> JsonValue | object:
        if self._text is None:
            self._reader.note(tree, at)
        if depth > SCHEMA_DEPTH_MAX:
            return self._refuse(tree, at, f"the schema nests deeper than {SCHEMA_DEPTH_MAX} levels")
        match tree:
            case Table(entries=entries):
                members = {one.key: self.plain(one.value, at.member(shown_key(one.key)), depth + 1) for one in entries}
                return WRONG if WRONG in members.values() else members
            case Items(items=items):
                values = [self.plain(item, at.item(index), depth + 1) for index, item in enumerate(items)]
                return WRONG if WRONG in values else values
            case Scalar(form="decimal", value=value):
                return self._number(str(value), tree, at)
            case Scalar(form="instant"):
                return self._refuse(tree, at, f"JSON has no dates; here stands {found(tree)}", "put quotes around it")
            case Scalar(value=value):
                return value

    def _number(self, text: str, tree: Tree, at: At) -> JsonValue | object:
        try:
            number = Decimal(text)
        except InvalidOperation:
            return self._refuse(tree, at, f"{found(tree)} is no number of JSON")
        bounded = number.is_finite() and len(number.as_tuple().digits) <= NUMBER_DIGITS_MAX
        if not bounded or abs(number.adjusted()) > NUMBER_DIGITS_MAX:
            message = f"a number in a schema has at most {NUMBER_DIGITS_MAX} digits; here stands {found(tree)}"
            return self._refuse(tree, at, message)
        whole = number == number.to_integral_value()
        return int(number) if whole else number.normalize()

    def _refuse(self, tree: Tree, at: At, message: str, hint: str | None = None) -> Read:
        return self._reader.invalid(self._text or tree, at, message, hint)


# What types cannot say


def judge_json(reader: Reader, value: msgspec.Struct, at: At) -> None:
    made = cast(JsonExpectation, value)
    if len(made.any_of) > ALTERNATIVES_MAX:
        message = f"`any_of` has {len(made.any_of)} alternatives; it may have {ALTERNATIVES_MAX}"
        reader.breaks(at.member("any_of"), message)
    for index, one in enumerate(made.any_of):
        inside = at.member("any_of").item(index)
        if len(one.where) > REQUIREMENTS_MAX:
            message = f"`where` has {len(one.where)} requirements; it may have {REQUIREMENTS_MAX}"
            reader.breaks(inside.member("where"), message)
        if one.schema is None and not one.where and len(made.any_of) > 1:
            message = f"the alternative `{one.name}` accepts every JSON value, and so no other is ever needed"
            reader.breaks(inside, message, "give it a `schema` or a `where`")


def judge_requirement(reader: Reader, value: msgspec.Struct, at: At) -> None:
    made = cast(Requirement, value)
    pointer, bad = made.pointer, made.pointer.replace("~0", "").replace("~1", "")
    if (pointer and not pointer.startswith("/")) or "~" in bad or len(pointer) > POINTER_CHARS_MAX:
        shown = shown_key(pointer)
        hint = f"write `/{shown}`" if not pointer.startswith("/") else "write `~` as `~0` and `/` in a key as `~1`"
        reader.breaks(at.member("pointer"), f"`{shown}` is no JSON pointer", hint)


def judge_xml(reader: Reader, value: msgspec.Struct, at: At) -> None:
    root = cast(XmlExpectation, value).root
    if root is not None and (not root or any(char in root for char in " \t\n<>&/\"'=")):
        reader.breaks(at.member("root"), f"`{shown_key(root)}` is no name of an element")
