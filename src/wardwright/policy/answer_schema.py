"""The JSON Schemas of rules: admitted once, and what they find wrong told in our words.

Rule 1: a closed part of JSON Schema 2020-12. A keyword that means nothing is refused, since a schema with a slip in it
accepts everything; a reference leads to `#/$defs/…` of the same schema, so nothing is ever fetched.
Rule 2: judging takes bounded work. Patterns are matched by a linear engine, a schema never leads back to itself, and
written out it has at most SUBSCHEMAS_MAX parts: twenty definitions that each name the next one twice would otherwise
be a million. An answer that is too large for its schema is not judged, and so not admitted.
Rule 3: a problem never repeats a value of the answer. It names what the schema wants, and keys within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import jsonschema_rs
import msgspec
from jsonschema_rs import ValidationErrorKind as Kind

from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.secrets import looks_like

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

SUBSCHEMAS_MAX: Final = 1024
"""Parts of a schema once every reference is written out."""

OPTIONS_PER_PART: Final = 16
"""Options of an `enum`, or names of a `required`, that count as one part."""

PATTERN_BYTES_MAX: Final = 1 << 18
"""Memory of one compiled pattern, and twice that for its states."""

JUDGED_WORK_MAX: Final = 20_000_000
"""The answer's values, and an eighth of its characters, times parts of the schema: what is more is not judged."""

TOLD_WORK_MAX: Final = 50_000
"""Values of the answer times parts of the schema up to which each problem is looked for; past it one is told."""

NAME_CHARS_MAX: Final = 40
"""Characters of a key of the answer that a message repeats."""

OPTIONS_MAX: Final = 12
"""Options of an `enum` that a message lists."""

Path: TypeAlias = tuple[str | int, ...]

_Holds: TypeAlias = Literal["schema", "list", "mapping", "data"]

KEYWORDS: Final[dict[str, _Holds]] = {
    **dict.fromkeys(
        (
            "additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames",
            "unevaluatedItems", "unevaluatedProperties",
        ),
        "schema",
    ),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "list"),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs"), "mapping"),
    **dict.fromkeys(
        (
            "$schema", "$ref", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly",
            "writeOnly", "type", "enum", "const", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum",
            "exclusiveMaximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems",
            "minContains", "maxContains", "minProperties", "maxProperties", "required", "dependentRequired",
        ),
        "data",
    ),
}  # fmt: skip
"""Every keyword that a schema may use, and what it holds."""

_DEFS: Final = re.compile(r"#/\$defs/([^/~%]+)")
_TYPES: Final[Mapping[str, str]] = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "text",
}


class SchemaRefused(Exception):
    """A schema that may not be used: where in it, the reason and, for its author, `fix`."""

    def __init__(self, path: Path, reason: str, fix: str | None = None, code: str = "contract_invalid") -> None:
        self.path = path
        self.reason = reason
        self.fix = fix
        self.code = code
        super().__init__(reason)


class Schema(msgspec.Struct, frozen=True):
    """An admitted schema."""

    parts: int
    """Its subschemas once every reference is written out."""
    declares: frozenset[str]
    """The members that it names at the root of a value."""
    validator: jsonschema_rs.Validator


def admit(text: str) -> Schema:
    """The schema of a canonical JSON text. Raises SchemaRefused."""
    tree: dict[str, object] = msgspec.json.decode(text)
    if tree.get("$schema", DIALECT) != DIALECT:
        raise SchemaRefused(("$schema",), "schemas are read as JSON Schema 2020-12 alone", "remove `$schema`")
    parts = _Parts(tree).count()
    try:
        validator = jsonschema_rs.Draft202012Validator(
            text,
            validate_formats=True,
            ignore_unknown_formats=False,
            pattern_options=jsonschema_rs.RegexOptions(
                size_limit=PATTERN_BYTES_MAX, dfa_size_limit=2 * PATTERN_BYTES_MAX
            ),
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise _refused(error, tree) from error
    except ValueError as error:
        raise SchemaRefused((), f"the schema cannot be used: {str(error)[:200]}") from error
    properties = tree.get("properties")
    return Schema(parts, frozenset(properties if isinstance(properties, dict) else ()), validator)


class _Parts:
    """Counts the subschemas that judging one value may visit."""

    def __init__(self, root: dict[str, object]) -> None:
        self._root = root
        defs = root.get("$defs", {})
        self._defs: Mapping[str, object] = defs if isinstance(defs, dict) else {}
        self._counted: dict[str, int] = {}
        self._within: list[str] = []

    def count(self) -> int:
        for name, inside in self._defs.items():
            self._definition(name, inside, ("$defs", name))
        return self._bounded(self._schema(self._root, ()), ())

    def _definition(self, name: str, inside: object, path: Path) -> int:
        if name in self._within:
            hint = "write its levels out as far as answers go"
            raise SchemaRefused(path, f"the definition `{name}` leads back to itself", hint)
        if name not in self._counted:
            self._within.append(name)
            self._counted[name] = self._bounded(self._schema(inside, ("$defs", name)), path)
            self._within.pop()
        return self._counted[name]

    def _bounded(self, parts: int, path: Path) -> int:
        if parts > SUBSCHEMAS_MAX:
            message = f"the schema has more than {SUBSCHEMAS_MAX:,} parts once its references are written out"
            raise SchemaRefused(path, message, "let its definitions name each other less often")
        return parts

    def _schema(self, schema: object, path: Path) -> int:
        if isinstance(schema, bool):
            return 1
        if not isinstance(schema, dict):
            raise SchemaRefused(path, "a schema is a mapping, `true` or `false`")
        total = 1
        for keyword, value in schema.items():
            total += self._keyword(keyword, value, path)
        return total

    def _keyword(self, keyword: str, value: object, path: Path) -> int:
        inside = (*path, keyword)
        if keyword == "$ref":
            return self._reference(value, inside)
        if keyword == "$defs" and path:
            raise SchemaRefused(inside, "`$defs` stands at the root of a schema alone")
        match KEYWORDS.get(keyword), value:
            case None, _:
                raise _unknown(keyword, inside)
            case "data", list():
                return len(value) // OPTIONS_PER_PART
            case "data", _:
                return 0
            case "schema", _:
                return self._schema(value, inside)
            case "list", list():
                return sum(self._schema(one, (*inside, index)) for index, one in enumerate(value))
            case "mapping", dict() if keyword == "$defs":
                return 0
            case "mapping", dict():
                return sum(self._schema(one, (*inside, name)) for name, one in value.items())
            case _, _:
                wanted = "a list of schemas" if KEYWORDS[keyword] == "list" else "a mapping of schemas"
                raise SchemaRefused(inside, f"`{keyword}` is {wanted}")

    def _reference(self, value: object, path: Path) -> int:
        match = _DEFS.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            message = "a reference leads to a definition of the same schema: nothing is fetched"
            raise SchemaRefused(path, message, "write `$ref: '#/$defs/NAME'` and put the schema under `$defs`")
        name = match[1]
        if name not in self._defs:
            raise SchemaRefused(path, f"this schema has no definition `{name}`", did_you_mean(name, list(self._defs)))
        return self._definition(name, self._defs[name], path)


def _unknown(keyword: str, path: Path) -> SchemaRefused:
    if keyword == "definitions":
        return SchemaRefused(path, "definitions stand under `$defs`", "rename it, and the references to it")
    if keyword in ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"):
        return SchemaRefused(path, f"`{keyword}` is not read here: a schema stands alone", "use `$defs` and `$ref`")
    hint = did_you_mean(keyword, list(KEYWORDS))
    return SchemaRefused(path, f"`{keyword[:NAME_CHARS_MAX]}` is no keyword of a schema", hint, "contract_unknown_key")


def _refused(error: jsonschema_rs.ValidationError, tree: object) -> SchemaRefused:
    """What the validator has against a schema."""
    path = tuple(error.instance_path)
    match error.kind, path:
        case Kind.Format(), (*_, "pattern") | (*_, "patternProperties", str()):
            reason = "this is no pattern that can be matched in linear time"
            fix = "look-around and back-references are not read, and counts multiply"
            return SchemaRefused(path, reason, fix, "policy_pattern")
        case Kind.Custom(), (*_, "format"):
            return SchemaRefused(path, "there is no such format", "leave it out, or write a `pattern`")
    value: Any = tree
    for step in path:
        value = value[step]
    keyword = next((step for step in reversed(path) if isinstance(step, str)), "schema")
    nothing = value is None or (isinstance(value, list) and None in value)
    hint = "put quotes around `null`: without them it is nothing" if keyword == "type" and nothing else None
    return SchemaRefused(path, f"`{keyword}` cannot be that in a schema", hint)


# What is wrong with a value


class Found(msgspec.Struct, frozen=True):
    """One thing that a schema has against a value."""

    path: Path
    message: str
    foreign: bool = False
    """The value seems meant for another schema: its type or a fixed member differs."""


def problems(schema: Schema, value: object, values: int, chars: int) -> tuple[Found, ...]:
    """All that a schema has against a value; nothing where it admits it.

    `values` is at least the number of values in it, `chars` that of its characters. Past TOLD_WORK_MAX what is wrong is
    told in one problem without a place.
    """
    if (values + chars // 8) * schema.parts > JUDGED_WORK_MAX:
        return (Found((), "is too large to be judged by its schema"),)
    if schema.validator.is_valid(value):
        return ()
    if values * schema.parts > TOLD_WORK_MAX:
        return (Found((), "is not what the schema admits, and too large to say where"),)
    return tuple(_found(error) for error in schema.validator.iter_errors(value))


def _found(error: jsonschema_rs.ValidationError) -> Found:
    path = tuple(error.instance_path)
    fixed = isinstance(error.kind, Kind.Constant | Kind.Enum) or (not path and isinstance(error.kind, Kind.Type))
    return Found(path, _message(error), fixed)


def _message(error: jsonschema_rs.ValidationError) -> str:
    match error.kind:
        case Kind.Type(types=types):
            return f"must be {_or([_TYPES.get(one, one) for one in types])}, not {kind_of(error.instance)}"
        case Kind.Required(property=name):
            return f"needs the member {key(name)}"
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            return f"may not have the member {_or([key(str(name)) for name in names])}"
        case Kind.Enum(options=options):
            return f"must be one of {_or([_json(one) for one in options])}"
        case Kind.Constant(expected_value=wanted):
            return f"must be {_json(wanted)}"
        case Kind.Minimum(limit=limit):
            return f"must be at least {limit}"
        case Kind.Maximum(limit=limit):
            return f"must be at most {limit}"
        case Kind.ExclusiveMinimum(limit=limit):
            return f"must be more than {limit}"
        case Kind.ExclusiveMaximum(limit=limit):
            return f"must be less than {limit}"
        case Kind.MultipleOf(multiple_of=step):
            return f"must be a multiple of {step}"
        case Kind.MinLength(limit=limit):
            return f"must have at least {limit} characters"
        case Kind.MaxLength(limit=limit):
            return f"must have at most {limit} characters, and has {len(str(error.instance)):,}"
        case Kind.MinItems(limit=limit):
            return f"must have at least {limit} items"
        case Kind.MaxItems(limit=limit) | Kind.AdditionalItems(limit=limit):
            return f"must have at most {limit} items"
        case Kind.MinProperties(limit=limit):
            return f"must have at least {limit} members"
        case Kind.MaxProperties(limit=limit):
            return f"must have at most {limit} members"
        case Kind.Pattern(pattern=pattern):
            return f"must match the pattern `{pattern}`"
        case Kind.Format(format=name):
            return f"must have the format `{name}`"
        case Kind.UniqueItems():
            return "must not have the same item twice"
        case Kind.Contains():
            return "does not have the items that it must contain"
        case Kind.PropertyNames():
            return "has a member whose name is not allowed"
        case Kind.UnevaluatedItems():
            return "has more items than it may have"
        case Kind.FalseSchema():
            return "may not be here"
        case Kind.AnyOf(context=forms) | Kind.OneOfNotValid(context=forms):
            return f"has none of the {len(forms)} forms allowed here; {_nearest(forms, len(error.instance_path))}"
        case Kind.OneOfMultipleValid():
            return "has several of the forms of which it must have one"
        case Kind.Not():
            return "has a form that is not allowed here"
        case other:
            return f"breaks `{other.name}`"


def _nearest(forms: Sequence[Sequence[jsonschema_rs.ValidationError]], depth: int) -> str:
    """What the form that fits best has against the value, which stands at that depth."""
    best = min(forms, key=lambda errors: (any(_found(one).foreign for one in errors), len(errors)))
    first = _found(best[0])
    inside = pointer_to(first.path[depth:])
    return f"the nearest: {f'`{inside}`' if inside else 'it'} {first.message}"


# In words


def kind_of(value: object) -> str:
    """What a JSON value is, in words.

    >>> kind_of([]), kind_of(True), kind_of("x")
    ('a list', 'true or false', 'text')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a number"


def key(name: str) -> str:
    """A key as messages repeat it: bounded, printable, and not at all where it looks like a credential."""
    short = name if len(name) <= NAME_CHARS_MAX else name[: NAME_CHARS_MAX - 1] + "…"
    return "`…`" if looks_like(name) or not short.isprintable() else f"`{short}`"


def pointer_to(path: Sequence[str | int]) -> str:
    """The JSON pointer to a place, its keys within bounds.

    >>> pointer_to(("a/b", 0))
    '/a~1b/0'
    """
    steps = (str(step) if isinstance(step, int) else key(step)[1:-1] for step in path)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _json(value: object) -> str:
    return f"`{_encoder.encode(value).decode()}`"


_encoder: Final = msgspec.json.Encoder(decimal_format="number")


def _or(some: Sequence[str]) -> str:
    told = list(some)
    if len(told) > OPTIONS_MAX:
        told = [*told[:OPTIONS_MAX], f"{len(told) - OPTIONS_MAX} more"]
    return told[0] if len(told) == 1 else ", ".join(told[:-1]) + f" or {told[-1]}"


def steps(pointer: str) -> Iterator[str]:
    """The steps of a JSON pointer, unescaped."""
    for step in pointer.split("/")[1:]:
        yield step.replace("~1", "/").replace("~0", "~")
