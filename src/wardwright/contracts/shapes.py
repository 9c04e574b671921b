"""Located trees -> values of our struct types, every mistake collected.

Rule 1: the types say what a document may hold: members, which of them are needed, bounds (`msgspec.Meta`). What they
cannot say stands in `Rules`: `contracts.route_syntax` for nodes, `contracts.model_rules` and `contracts.provider_rules`
for the rest.
Rule 2: one wrong member does not hide the next: reading goes on with WRONG in its place.
Rule 3: messages say what is wanted before what was found, and never repeat what looks like a credential.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

import msgspec
from msgspec import inspect

from wardwright.contracts import secrets
from wardwright.contracts.decimals import DIGITS_MAX, PLACES_MAX, normalise
from wardwright.contracts.refusal import REASONS_MAX, did_you_mean
from wardwright.contracts.tree import Entry, Items, Scalar, Spot, Table, Tree
from wardwright.contracts.wording import either, found, shown, shown_key
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.errors import Place, WardwrightError

ITEMS_MAX: Final = 4096
"""Members of one list."""

TEXT_CHARS_MAX: Final = 65_536
"""Characters of one text."""


class Wrong:
    """Stands for a value that was refused."""


WRONG: Final = Wrong()

Read: TypeAlias = object
"""A value, or WRONG."""

_WINDOW: Final = re.compile(r"([0-9]{1,9})\s*([KM])")
_SCALE: Final = {"K": 1024, "M": 1024 * 1024}


class At(msgspec.Struct, frozen=True):
    """Which member: its path in the typed value, and as the author wrote it. They differ inside routes alone."""

    typed: str
    written: str

    def member(self, name: str) -> At:
        return At(_dotted(self.typed, name), _dotted(self.written, name))

    def item(self, index: int) -> At:
        return At(f"{self.typed}[{index}]", f"{self.written}[{index}]")

    @property
    def word(self) -> str:
        """The member as messages call it; its whole path stands in the place."""
        return self.written[self.written.rfind(".") + 1 :]

    def under(self, key: str) -> At:
        """The same value, one key deeper in the document."""
        return At(self.typed, _dotted(self.written, key))


ROOT: Final = At("", "")


class Rules(msgspec.Struct, frozen=True):
    """What types cannot say about one kind of document."""

    nouns: dict[type, str]
    """What a struct is called in messages, with its article."""
    readers: dict[type, Callable[[Reader, Tree, At], Read]]
    """Structs with a spelling of their own."""
    checks: dict[type, Callable[[Reader, msgspec.Struct, At], None]]
    """What must hold between the members of a struct; called when each of them is right."""
    unions: dict[str, Callable[[Reader, Tree, At], Read]]
    """Unions of structs by the field that tags them."""
    members: dict[tuple[type, str], Callable[[Reader, Tree, At], Read]]
    """Members with a spelling of their own."""
    missing: dict[tuple[type, str], Callable[[dict[str, Read]], Read]]
    """What a needed member is when it is left out, given the others; None where it is needed all the same."""
    distinct: dict[tuple[type, str], tuple[str, str]]
    """Lists whose members differ in one attribute: what a member is called, and the attribute."""
    sets: frozenset[tuple[type, str]]
    """Lists whose order means nothing: kept sorted, each word once."""


class Reader:
    """Reads one document. `errors` and `places` grow as it goes."""

    def __init__(self, file: str, rules: Rules) -> None:
        self._file = file
        self._rules = rules
        self.errors: list[WardwrightError] = []
        self.places: dict[str, Place] = {}
        """By typed path."""

    # What was found wrong

    def refuse(self, code: str, message: str, place: Place, hint: str | None = None) -> Wrong:
        if len(self.errors) < REASONS_MAX:
            self.errors.append(WardwrightError(code, message, place=place, hint=hint))
        return WRONG

    def invalid(self, tree: Tree, at: At, message: str, hint: str | None = None) -> Wrong:
        return self.refuse("contract_invalid", message, self.place(tree.at, at), hint)

    def breaks(self, at: At, message: str, hint: str | None = None) -> None:
        """A rule between members is broken; the place is that of the member at the typed path."""
        self.refuse("contract_invalid", message, self.place_of(at), hint)

    def place(self, spot: Spot, at: At) -> Place:
        return Place(file=self._file, line=spot.line, column=spot.column, path=at.written or None)

    def place_of(self, at: At) -> Place:
        """The place of a typed path, or of what holds it where the member is left out."""
        path = at.typed
        while path not in self.places and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, Place(file=self._file))

    # Values

    def struct(self, cls: type[msgspec.Struct], tree: Tree, at: At) -> Read:
        """A struct from a table, through its own reader where the rules have one."""
        self.note(tree, at)
        if reader := self._rules.readers.get(cls):
            return reader(self, tree, at)
        return self.members(cls, tree, at)

    def members(self, cls: type[msgspec.Struct], tree: Tree, at: At, bare: str | None = None) -> Read:
        """A struct member by member. `bare` is the one member whose key the author may leave out, and did."""
        noun = self._rules.nouns.get(cls, f"`{at.word}`")
        if not isinstance(tree, Table):
            return self.invalid(tree, at, f"{noun} is a mapping of its members; here stands {found(tree)}")
        fields = fields_of(cls)
        count = len(self.errors)
        meant = {self._unknown(entry, noun, at, fields) for entry in tree.entries if entry.key not in fields}
        values: dict[str, Read] = {}
        for name, field in fields.items():
            given = tree.get(name)
            if given is not None and not (_is_null(given.value) and _optional(field)):
                inside = At(at.member(name).typed, at.written) if name == bare else at.member(name)
                values[name] = self._member(cls, field, given.value, inside)
        for name, field in fields.items():
            if name in values or not field.required:
                continue
            fill = self._rules.missing.get((cls, name))
            value = fill(values) if fill else None
            if value is not None:
                values[name] = value
            elif f"did you mean `{name}`?" in meant:
                values[name] = WRONG
            else:
                values[name] = self.invalid(tree, at, f"{noun} needs `{name}`", _wants(name, field.type))
        if len(self.errors) > count or any(value is WRONG for value in values.values()):
            return WRONG
        made = cls(**values)
        if check := self._rules.checks.get(cls):
            check(self, made, at)
        return made if len(self.errors) == count else WRONG

    def _unknown(self, entry: Entry, noun: str, at: At, known: dict[str, inspect.Field]) -> str | None:
        """Refuse a key; return the hint, so that the member it stands for is not called missing too."""
        place = self.place(entry.key_at, at.member(shown_key(entry.key)))
        message = f"{noun} has no member `{shown_key(entry.key)}`"
        hint = did_you_mean(entry.key, list(known))
        self.refuse("contract_unknown_key", message, place, hint)
        return hint

    def _member(self, cls: type[msgspec.Struct], field: inspect.Field, tree: Tree, at: At) -> Read:
        if reader := self._rules.members.get((cls, field.name)):
            self.note(tree, at)
            return reader(self, tree, at)
        value = self.value(field.type, tree, at)
        if not isinstance(value, tuple):
            return value
        if (cls, field.name) in self._rules.sets:
            return self._as_set(value, at)
        if differ := self._rules.distinct.get((cls, field.name)):
            return self._as_distinct(value, *differ, at)
        return value

    def value(self, type_: inspect.Type, tree: Tree, at: At) -> Read:
        """A value of any type that our structs use."""
        self.note(tree, at)
        inner, word = unwrapped(type_)
        match inner:
            case inspect.StrType():
                return self._decimal(tree, at) if word == "decimal" else self._text(inner, word, tree, at)
            case inspect.IntType():
                return self._integer(inner, word, tree, at)
            case inspect.BoolType():
                if isinstance(tree, Scalar) and tree.form == "boolean":
                    return tree.value
                return self.invalid(tree, at, f"`{at.word}` is `true` or `false`; here stands {found(tree)}")
            case inspect.LiteralType():
                return self._choice(inner, tree, at)
            case inspect.VarTupleType():
                return self._list(inner.item_type, tree, at)
            case inspect.StructType():
                return self.struct(inner.cls, tree, at)
            case inspect.UnionType():
                if (only := _only(inner)) is not None:
                    return self.value(only, tree, at)
                tags = {option.tag_field for option in inner.types if isinstance(option, inspect.StructType)}
                return self._rules.unions[str(tags.pop())](self, tree, at)
            case _:
                raise AssertionError(f"no reader for {inner!r}")

    def note(self, tree: Tree, at: At) -> None:
        """Remember where a typed path stands; the outermost spelling of a value wins."""
        self.places.setdefault(at.typed, self.place(tree.at, at))

    def _text(self, type_: inspect.StrType, word: str | None, tree: Tree, at: At) -> Read:
        if not (isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.form == "text"):
            hint = "put quotes around it" if isinstance(tree, Scalar) and tree.form != "null" else None
            return self.invalid(tree, at, f"`{at.word}` is text; here stands {found(tree)}", hint)
        text = tree.value
        if len(text) > TEXT_CHARS_MAX:
            return self.invalid(tree, at, f"`{at.word}` has {len(text):,} characters; it may have {TEXT_CHARS_MAX:,}")
        if word == "name":
            assert type_.pattern is not None
            assert type_.max_length is not None
            if not re.fullmatch(type_.pattern, text) or text.endswith("\n"):
                return self.invalid(tree, at, f"{shown(text)} is not a name", _name_hint(text))
            if len(text) > type_.max_length:
                return self.invalid(tree, at, f"a name has at most {type_.max_length} characters; this has {len(text)}")
        return text

    def _decimal(self, tree: Tree, at: At) -> Read:
        if isinstance(tree, Scalar) and tree.form in ("text", "integer", "decimal"):
            text = normalise(str(tree.value))
            if text is not None:
                return text
        message = f"`{at.word}` is a number from 0, such as 0.25; here stands {found(tree)}"
        return self.invalid(tree, at, message, f"at most {DIGITS_MAX} digits before the point, {PLACES_MAX} after it")

    def _integer(self, type_: inspect.IntType, word: str | None, tree: Tree, at: At) -> Read:
        wanted = _integer_wanted(type_, word)
        if word == "tokens" and isinstance(tree, Scalar) and isinstance(tree.value, str):
            match = _WINDOW.fullmatch(tree.value)
            number = int(match[1]) * _SCALE[match[2]] if match else None
        elif isinstance(tree, Scalar) and tree.form == "integer":
            number = int(tree.value or 0)
        else:
            number = None
        if number is None or number > INTEGER_MAX:
            return self.invalid(tree, at, f"`{at.word}` is {wanted}; here stands {found(tree)}")
        if (type_.ge is not None and number < type_.ge) or (type_.le is not None and number > type_.le):
            return self.invalid(tree, at, f"`{at.word}` is {wanted}; here stands {found(tree)}")
        return number

    def _choice(self, type_: inspect.LiteralType, tree: Tree, at: At) -> Read:
        options = [str(value) for value in type_.values]
        if isinstance(tree, Scalar) and tree.form == "text" and tree.value in options:
            return tree.value
        wanted = either(options)
        hint = did_you_mean(str(tree.value), options) if isinstance(tree, Scalar) and tree.form == "text" else None
        if hint is not None and not hint.startswith("did"):
            hint = None
        return self.invalid(tree, at, f"`{at.word}` is {wanted}; here stands {found(tree)}", hint)

    def _list(self, item: inspect.Type, tree: Tree, at: At) -> Read:
        if not isinstance(tree, Items):
            hint = "put it in brackets: [ … ]" if isinstance(tree, Scalar) and tree.form == "text" else None
            return self.invalid(tree, at, f"`{at.word}` is a list; here stands {found(tree)}", hint)
        if len(tree.items) > ITEMS_MAX:
            return self.invalid(tree, at, f"`{at.word}` has {len(tree.items):,} members; it may have {ITEMS_MAX:,}")
        values = tuple(self.value(item, each, at.item(index)) for index, each in enumerate(tree.items))
        return WRONG if any(value is WRONG for value in values) else values

    def _as_distinct(self, values: tuple[object, ...], noun: str, attribute: str, at: At) -> Read:
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            key = str(getattr(value, attribute))
            if key in first:
                line = self.place_of(at.item(first[key]).member(attribute)).line
                message = f"two {noun}s have the {attribute} `{key}`: the first is on line {line}"
                self.breaks(at.item(index).member(attribute), message, "rename one of them, or remove it")
                return WRONG
            first[key] = index
        return values

    def _as_set(self, words: tuple[object, ...], at: At) -> Read:
        texts = [str(word) for word in words]
        for index, text in enumerate(texts):
            if not text or text.strip() != text:
                self.breaks(at.item(index), f"a word of `{at.word}` is empty or has blanks around it")
                return WRONG
            if text in texts[:index]:
                self.breaks(at.item(index), f"{shown(text)} stands twice in `{at.word}`", "remove one of them")
                return WRONG
        return tuple(sorted(texts))


# What the types say


@cache
def fields_of(cls: type[msgspec.Struct]) -> dict[str, inspect.Field]:
    """The members a struct may have, by name."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return {field.name: field for field in info.fields}


def type_of(cls: type[msgspec.Struct], name: str) -> inspect.Type:
    return fields_of(cls)[name].type


def unwrapped(type_: inspect.Type) -> tuple[inspect.Type, str | None]:
    word = None
    while isinstance(type_, inspect.Metadata):
        word = (type_.extra or {}).get("word", word)
        type_ = type_.type
    return type_, word


def _only(union: inspect.UnionType) -> inspect.Type | None:
    """The one type of `X | None`."""
    options = [option for option in union.types if not isinstance(option, inspect.NoneType)]
    return options[0] if len(options) == 1 else None


def _optional(field: inspect.Field) -> bool:
    inner, _ = unwrapped(field.type)
    return isinstance(inner, inspect.UnionType) and any(isinstance(option, inspect.NoneType) for option in inner.types)


def _is_null(tree: Tree) -> bool:
    return isinstance(tree, Scalar) and tree.value is None


def _wants(name: str, type_: inspect.Type) -> str:
    """How a member that is missing would look."""
    inner, word = unwrapped(type_)
    match inner:
        case inspect.IntType():
            return f"add `{name}: {'128K' if word == 'tokens' else '1'}`"
        case inspect.StrType() if word == "decimal":
            return f"add `{name}: 0.25`"
        case inspect.LiteralType():
            return f"add `{name}: …`: {either([str(value) for value in inner.values])}"
        case inspect.VarTupleType():
            return f"add `{name}: [ … ]`"
        case _:
            return f"add `{name}: …`"


def _integer_wanted(type_: inspect.IntType, word: str | None) -> str:
    bounds = ""
    if type_.ge is not None:
        bounds = f" from {type_.ge:,}" + (f" to {type_.le:,}" if type_.le is not None else "")
    if word == "tokens":
        return f"a whole number of tokens{bounds}, such as 131072 or `128K`"
    return f"a whole number{bounds}"


def _name_hint(text: str) -> str:
    if "/" in text:
        return "a name holds no `/`: the prefix `wardwright/` is added when it is served"
    better = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
    rule = "a name has lower case letters, digits, `.`, `_` and `-`, and begins with a letter or digit"
    return f"{rule}: `{better}`" if better and secrets.looks_like(text) is None else rule


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
