"""What a tool is: a function with typed arguments and a typed result, and the contract it runs under.

Rule 1: arguments are decoded strictly. What is unknown, missing or of another type is told by its name, before anything
happens; nothing is converted on the quiet.
Rule 2: a function reaches the world through its hands alone, and is given no more time or room than its contract says.
Rule 3: a contract may narrow what a function is said to do, never lighten its effect (`harness.core.judged`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from wardwright.contracts.attribute_docs import docs_in, sentence
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.hands import Hands
from wardwright.kernel.errors import Place, WardwrightError

ENTRY_POINTS: Final = "wardwright.tools"
"""The group of entry points under which extensions bring tools: each is a `Tool`, or an iterable of them. Whoever puts
the program together loads them and hands them to `Tools`."""

ARGUMENT_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of the arguments of one call, as JSON."""

JsonSchema: TypeAlias = dict[str, Any]
"""JSON Schema is an open vocabulary; only this file writes it here."""

A = TypeVar("A", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What one run is given beside its arguments."""

    hands: Hands
    timeout_s: float
    """What is left of the call's time. Whoever runs the function ends it then; programs and hosts are told too."""
    output_bytes_max: int
    """Of the result, as JSON: a function cuts what it returns and says so."""
    run: str
    """The run that the call belongs to; the call's own receipt, where its caller names none. Who asks a model on the
    way tells the gateway (`X-Wardwright-Run-Id`), and the two are told together."""


class Tool(msgspec.Struct, Generic[A, R], frozen=True, kw_only=True):
    """A function and the contract it runs under."""

    contract: ToolContract
    arguments: type[A]
    """A frozen struct that forbids unknown members."""
    result: type[R]
    run: Callable[[A, Context], Awaitable[R]]
    assumed: bool = False
    """Its effect is taken for the gravest since nobody knows it: a contract says what it is, lighter too."""
    foreign: JsonSchema | None = None
    """The schema of its arguments where somebody else wrote it; None: that of the type."""

    @property
    def name(self) -> str:
        return self.contract.name

    @property
    def doc(self) -> str:
        """For whoever calls it."""
        return self.contract.doc or sentence(self.run.__doc__)

    def under(self, contract: ToolContract) -> Tool[A, R]:
        """The same function under another contract, and its name."""
        return msgspec.structs.replace(self, contract=contract)


AnyTool: TypeAlias = Tool[Any, Any]


class Tools:
    """Tools by their names. A name stands for one tool, however it is spelled."""

    def __init__(self, tools: Iterable[AnyTool]) -> None:
        """Raises `contract_duplicate`."""
        self._tools: dict[str, AnyTool] = {}
        self._spelled: dict[str, str] = {}
        for tool in tools:
            first = self._spelled.setdefault(spelled(tool.name), tool.name)
            if tool.name in self._tools:
                raise WardwrightError("contract_duplicate", f"two tools are named `{tool.name}`")
            if first != tool.name:
                raise WardwrightError("contract_duplicate", f"`{tool.name}` and `{first}` would be one name")
            self._tools[tool.name] = tool

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    @property
    def names(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self._tools))

    def get(self, name: str) -> AnyTool:
        """The tool of a name such as `git.status`, or `git_status` where dots cannot be written. Raises
        `tool_not_found`."""
        found = self._tools.get(name) or self._tools.get(self._spelled.get(name, ""))
        if found is None:
            raise WardwrightError("tool_not_found", f"no tool is named `{name}`", hint=did_you_mean(name, self._tools))
        return found


def spelled(name: str) -> str:
    """A tool's name where only letters, digits and `_` may stand, as in Python and in what models call.

    >>> spelled("git.status")
    'git_status'
    """
    return re.sub(r"[.-]", "_", name)


# Arguments


def decoded(cls: type[A], given: bytes | Mapping[str, object]) -> A:
    """Arguments from JSON, or from keyword values. Raises `tool_arguments`, told by the first that is wrong."""
    values = _values(given)
    known = {field.encode_name: field for field in msgspec.structs.fields(cls)}
    for name in values:
        if name not in known:
            raise _refusal(f"there is no argument `{_short(name)}`", _short(name), did_you_mean(name, known))
    for name, field in known.items():
        if field.required and name not in values:
            raise _refusal(f"the argument `{name}` is missing", name, _wanted(cls, name))
    try:
        return msgspec.convert(values, cls, strict=True)
    except msgspec.ValidationError as cause:
        what, _, path = str(cause).partition(" - at `$.")
        path = path.removesuffix("`")
        name = re.split(r"[.\[]", path, maxsplit=1)[0]
        if "matching regex" in what or not name:
            what = "it is not as it must be"
        message = f"the argument `{path or '…'}` is refused: {what[0].lower()}{what[1:]}"
        raise _refusal(message, path, _wanted(cls, name)) from cause


def _values(given: bytes | Mapping[str, object]) -> dict[str, object]:
    try:
        data = given if isinstance(given, bytes) else msgspec.json.encode(dict(given))
        if len(data) > ARGUMENT_BYTES_MAX:
            raise _refusal(f"the arguments have {len(data):,} bytes; they may have {ARGUMENT_BYTES_MAX:,}")
        values = msgspec.json.decode(data or b"{}")
        msgspec.json.encode(values)  # a lone surrogate is not a character, and no path or program would take it
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as cause:
        raise _refusal("the arguments are not JSON that can be read") from cause
    if not isinstance(values, dict):
        raise _refusal("the arguments are a JSON object: names and values")
    return values


def _refusal(message: str, path: str | None = None, hint: str | None = None) -> WardwrightError:
    return WardwrightError("tool_arguments", message, place=Place(path=path) if path else None, hint=hint)


def _wanted(cls: type[msgspec.Struct], name: str) -> str | None:
    """What an argument is, in the words of its type."""
    doc = schema(cls)["properties"].get(name, {}).get("description")
    return f"`{name}`: {doc}" if doc else None


def _short(text: str) -> str:
    return text if len(text) <= 60 and text.isprintable() else f"{ascii(text[:59])[1:-1]}…"


# Schemas


def schema(cls: type[msgspec.Struct]) -> JsonSchema:
    """The JSON Schema of a struct, each member told by its docstring."""
    _, components = msgspec.json.schema_components((cls,), ref_template="#/$defs/{name}")
    for name, made in components.items():
        made.pop("title", None)
        docs = _docs_by_name(cls).get(name, {})
        for member, property_ in made.get("properties", {}).items():
            if member in docs:
                made["properties"][member] = {"description": docs[member], **property_}
    root = components.pop(cls.__name__)
    return {**root, "$defs": dict(sorted(components.items()))} if components else root


def attribute_docs(cls: type[msgspec.Struct]) -> Mapping[str, str]:
    """The docstrings of a struct's members."""
    return _docs_by_name(cls).get(cls.__name__, {})


@cache
def _docs_by_name(cls: type[msgspec.Struct]) -> dict[str, dict[str, str]]:
    """Of the struct and of all others of its module; empty where its source is not at hand."""
    try:
        module = inspect.getmodule(cls)
        return docs_in(inspect.getsource(module)) if module is not None else {}
    except OSError:
        return {}
