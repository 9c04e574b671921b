"""What the types of `contracts.tool` cannot say about one tool.

Rule 1: a tool is a function or steps, never both: whoever reads `steps` has read all that it does.
Rule 2: a template names what is declared; a hole that nothing would fill is refused at load.
Rule 3: nothing that acts is repeated or answered from memory without the author saying so, and what cannot be taken
back is not repeated at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeGuard, cast

import msgspec

from wardwright.contracts import template
from wardwright.contracts.provider import Breaker
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.shapes import WRONG, At, Read, Reader, Rules
from wardwright.contracts.template import Malformed
from wardwright.contracts.tool import (
    FORMAT,
    PARAMETERS_MAX,
    STEPS_MAX,
    Cache,
    Parameter,
    Retry,
    Step,
    ToolContract,
    ToolScope,
    Value,
)
from wardwright.contracts.tree import Items, Scalar, Table, Tree
from wardwright.contracts.wording import found, shown, shown_key

ARGUMENTS_MAX: Final = 64
"""Arguments of one step."""

_ARGUMENT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PORT: Final = re.compile(r"(\*|[0-9]{1,5}|\{[a-z][a-z0-9_]*\})")

_IS: Final[dict[str, Callable[[Value], bool]]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, tuple),
}


def _tool(reader: Reader, value: msgspec.Struct, at: At) -> None:
    tool = cast(ToolContract, value)
    if tool.format != FORMAT:
        hint = f"this build reads format {FORMAT}; leave `format` out"
        reader.breaks(at.member("format"), f"format {tool.format} of tools is unknown", hint)
    if tool.effect == "read" and tool.reversal != "T0":
        message = f"`reversal: {tool.reversal}` means nothing to a tool that only reads"
        reader.breaks(at.member("reversal"), message, "remove it")
    if tool.effect == "irreversible" and tool.reversal not in ("T3", "T4"):
        message = f"what is irreversible is not taken back as `{tool.reversal}` says"
        reader.breaks(at.member("reversal"), message, "write `reversal: T4`, or another effect")
    if tool.steps:
        _of_steps(reader, tool, at)
    else:
        _of_a_function(reader, tool, at)
    _repeated(reader, tool, at)
    if tool.degrade == tool.name:
        reader.breaks(at.member("degrade"), "a tool that failed is not its own way out", "name another one")


def _of_a_function(reader: Reader, tool: ToolContract, at: At) -> None:
    if tool.implements is None:
        hint = "add `implements: git.status`, or another built-in tool; or `steps: [ … ]`"
        reader.breaks(at, "a tool needs `implements` or `steps`", hint)
    elif not tool.implements.strip():
        reader.breaks(at.member("implements"), "`implements` is empty")
    if tool.parameters:
        message = "`parameters` means nothing beside `implements`: a function knows its own"
        reader.breaks(at.member("parameters"), message, "remove it")


def _of_steps(reader: Reader, tool: ToolContract, at: At) -> None:
    if tool.implements is not None:
        reader.breaks(at.member("implements"), "a tool is a function or steps, not both", "remove one of them")
    if tool.scope != ToolScope():
        message = "`scope` means nothing beside `steps`: each step has the scope of its own tool"
        reader.breaks(at.member("scope"), message, "remove it")
    if tool.cache is not None and tool.effect == "read":
        message = "`cache` means nothing beside `steps`: the answer of each step is given again as its own tool says"
        reader.breaks(at.member("cache"), message, "remove it")
    if not tool.doc.strip():
        reader.breaks(at, "a tool of steps needs `doc`", "say in a sentence what it is for")
    for word, count, most in (
        ("steps", len(tool.steps), STEPS_MAX),
        ("parameters", len(tool.parameters), PARAMETERS_MAX),
    ):
        if count > most:
            reader.breaks(at.member(word), f"a tool has at most {most} {word}; this has {count}")
    known = {parameter.name: parameter for parameter in tool.parameters}
    used: set[str] = set()
    for index, step in enumerate(tool.steps):
        inside = at.member("steps").item(index)
        if step.tool == tool.name:
            reader.breaks(inside.member("tool"), f"`{tool.name}` is a step of itself")
        for name, given in step.arguments:
            used |= set(_used(reader, given, known, inside.member("arguments").member(name)))
    for index, parameter in enumerate(tool.parameters):
        if parameter.name not in used:
            message = f"no step uses the parameter `{parameter.name}`"
            reader.breaks(at.member("parameters").item(index), message, f"write `{{{parameter.name}}}`, or remove it")
    for name in tool.inputs:
        if name not in known:
            message = f"this tool has no parameter `{name}`"
            reader.breaks(at.member("inputs"), message, did_you_mean(name, known))


def _used(reader: Reader, given: Value, known: dict[str, Parameter], at: At) -> Iterator[str]:
    """The parameters of an argument's templates, the unknown ones refused."""
    alone = template.only_hole(given) if isinstance(given, str) else None
    for text in _texts(given):
        for name in template.holes(text):
            parameter = known.get(name)
            if parameter is None:
                hint = did_you_mean(name, known) or f"declare it: `parameters: [{{name: {name}, type: text}}]`"
                reader.breaks(at, f"this tool has no parameter `{name}`", hint)
                continue
            if alone is None and parameter.type == "texts":
                message = f"`{{{name}}}` is a list of texts, which cannot stand within a text"
                reader.breaks(at, message, f'let the argument be "{{{name}}}" and nothing else')
            elif alone is None and not parameter.required and parameter.default is None:
                message = f"`{{{name}}}` may be left out, so it cannot stand within a text"
                reader.breaks(at, message, f"let `{name}` be `required`, or give it a `default`")
            yield name


def _repeated(reader: Reader, tool: ToolContract, at: At) -> None:
    if tool.cache is not None and tool.effect != "read":
        message = f"an answer of a tool with `effect: {tool.effect}` is not given again: it would not have acted"
        reader.breaks(at.member("cache"), message, "remove `cache`")
    if tool.inputs and tool.cache is None:
        reader.breaks(at.member("inputs"), "`inputs` means nothing without `cache`", "add `cache: {ttl_s: 60}`")
    if tool.effect == "irreversible" and (tool.retry.attempts_max or 1) > 1:
        message = "what cannot be taken back is not tried twice: the first attempt may have done it"
        reader.breaks(at.member("retry").member("attempts_max"), message, "remove it")


def _reversal(values: dict[str, Read]) -> Read:
    """What a tool that only reads needs not say. Nothing is told to be missing where the effect itself is wrong."""
    effect = values["effect"]
    if effect is WRONG:
        return WRONG
    return "T0" if effect == "read" else None


def _parameter(reader: Reader, value: msgspec.Struct, at: At) -> None:
    parameter = cast(Parameter, value)
    if not _ARGUMENT.fullmatch(parameter.name):
        message = f"{shown(parameter.name)} is not the name of a parameter"
        reader.breaks(at.member("name"), message, "it has lower case letters, digits and `_`, and begins with a letter")
    if parameter.default is None:
        return
    if parameter.required:
        message = f"`{parameter.name}` is required, so its `default` would never be used"
        reader.breaks(at.member("default"), message, "remove one of them")
    if not _IS[parameter.type](parameter.default):
        reader.breaks(at.member("default"), f"the `default` of `{parameter.name}` is not `type: {parameter.type}`")


def _step(reader: Reader, value: msgspec.Struct, at: At) -> None:
    step = cast(Step, value)
    for member in ("arguments", "expect"):
        if len(getattr(step, member)) > ARGUMENTS_MAX:
            reader.breaks(at.member(member), f"`{member}` may have {ARGUMENTS_MAX} members")


def _scope(reader: Reader, value: msgspec.Struct, at: At) -> None:
    """Words of a set stand sorted, so the place of one that is wrong is that of its list; the message shows it."""
    scope = cast(ToolScope, value)
    for member in ("read", "write"):
        for path in getattr(scope, member):
            _path(reader, path, at.member(member))
    for host in scope.hosts:
        _host(reader, host, at.member("hosts"))
    for program in scope.programs:
        if not _is_program(program):
            message = f"{shown(program)} is not a program: a name on PATH, or an absolute path"
            reader.breaks(at.member("programs"), message)
    for variable in scope.environment:
        if not _VARIABLE.fullmatch(variable):
            reader.breaks(at.member("environment"), f"{shown(variable)} is not the name of a variable")


def _path(reader: Reader, path: str, at: At) -> None:
    if not _well_formed(reader, path, at):
        return
    if not path.startswith(("/", "{")) or ".." in path.split("/") or "\0" in path:
        reader.breaks(
            at, f"{shown(path)} is not an absolute path without `..`", "write it from `/`, or from a `{name}`"
        )


def _host(reader: Reader, host: str, at: At) -> None:
    if not _well_formed(reader, host, at) or template.only_hole(host) is not None:
        return
    name, colon, port = host.rpartition(":")
    if not colon or not name or "*" in name.removeprefix("*.") or "/" in host or not _PORT.fullmatch(port):
        hint = "write `example.com:443`, `*.example.com:*`, or one `{name}` of an argument that is an address"
        reader.breaks(at, f"{shown(host)} is not a host and its port", hint)


def _is_program(text: str) -> bool:
    plain = bool(text) and text.isprintable() and not set("{} ") & set(text)
    return plain and (text.startswith("/") or "/" not in text)


def _well_formed(reader: Reader, text: str, at: At) -> bool:
    try:
        template.pieces(text)
    except Malformed as problem:
        reader.breaks(at, f"{shown(text)}: {problem}", "write `{{` and `}}` for the braces themselves")
        return False
    return True


# Members with a spelling of their own


def _arguments(reader: Reader, tree: Tree, at: At) -> Read:
    """A mapping from names to values, or canonical pairs. Names stand sorted."""
    return _values(reader, tree, at, templates=True)


def _expect(reader: Reader, tree: Tree, at: At) -> Read:
    return _values(reader, tree, at, templates=False)


def _values(reader: Reader, tree: Tree, at: At, *, templates: bool) -> Read:
    pairs = _pairs(tree)
    if pairs is None:
        return reader.invalid(tree, at, f"`{at.word}` maps names to values; here stands {found(tree)}")
    values: dict[str, Value] = {}
    right = True
    for name_tree, value_tree in pairs:
        name = str(name_tree.value)
        inside = at.member(shown_key(name))
        reader.note(value_tree, inside)
        value = value_of(value_tree)
        if not _ARGUMENT.fullmatch(name):
            reader.invalid(name_tree, inside, f"{shown(name)} is not the name of an argument")
        elif name in values:
            reader.invalid(name_tree, inside, f"`{name}` stands twice", "remove one of them")
        elif value is None:
            message = (
                f"`{name}` is text, a whole number, `true`, `false` or a list of texts; here stands {found(value_tree)}"
            )
            reader.invalid(value_tree, inside, message)
        elif templates and not all(_well_formed(reader, text, inside) for text in _texts(value)):
            right = False
        else:
            values[name] = value
            continue
        right = False
    return tuple(sorted(values.items())) if right else WRONG


def _default(reader: Reader, tree: Tree, at: At) -> Read:
    value = value_of(tree)
    if value is None:
        message = f"`{at.word}` is text, a whole number, `true`, `false` or a list of texts; here stands {found(tree)}"
        return reader.invalid(tree, at, message)
    return value


def value_of(tree: Tree) -> Value | None:
    """A value as arguments take it; None for anything else."""
    match tree:
        case Scalar(value=bool() | int() | str() as value, form="text" | "integer" | "boolean"):
            return value
        case Items(items=items):
            texts = tuple(item.value for item in items if isinstance(item, Scalar) and item.form == "text")
            return texts if len(texts) == len(items) and _all_text(texts) else None
        case _:
            return None


def _all_text(values: tuple[object, ...]) -> TypeGuard[tuple[str, ...]]:
    return all(isinstance(value, str) for value in values)


def _texts(value: Value) -> tuple[str, ...]:
    match value:
        case str():
            return (value,)
        case tuple():
            return value
        case _:
            return ()


def _pairs(tree: Tree) -> list[tuple[Scalar, Tree]] | None:
    match tree:
        case Table():
            return [(Scalar(entry.key, "text", entry.key_at), entry.value) for entry in tree.entries]
        case Items():
            pairs: list[tuple[Scalar, Tree]] = []
            for item in tree.items:
                match item:
                    case Items(items=(Scalar(form="text") as name, value)):
                        pairs.append((name, value))
                    case _:
                        return None
            return pairs
        case Scalar():
            return None


RULES: Final = Rules(
    nouns={
        ToolContract: "a tool",
        Parameter: "a parameter",
        Step: "a step",
        Retry: "`retry`",
        Breaker: "`breaker`",
        Cache: "`cache`",
        ToolScope: "`scope`",
    },
    readers={},
    unions={},
    checks={ToolContract: _tool, Parameter: _parameter, Step: _step, ToolScope: _scope},
    members={
        (Parameter, "default"): _default,
        (Step, "arguments"): _arguments,
        (Step, "expect"): _expect,
    },
    missing={(ToolContract, "reversal"): _reversal},
    distinct={(ToolContract, "parameters"): ("parameter", "name")},
    sets=frozenset(
        {
            (ToolContract, "inputs"),
            *((ToolScope, member) for member in ("read", "write", "hosts", "programs", "environment")),
        }
    ),
)
