"""Tools of other servers as functions of ours: their names, their contracts, their arguments as types.

Rule 1: nobody knows what such a tool does. It counts as irreversible, unless its server says that it only reads and the
operator trusts what the server says; a contract that implements it says otherwise, lighter too.
Rule 2: what the server touches is not held to a scope: it runs outside of our walls. The scope names whom we ask.
Rule 3: arguments are judged by the pinned schema before anything happens, where that schema can be judged in bounded
work; where it cannot, members and their types are, and the rest is the server's to refuse.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Protocol, TypeAlias

import jsonschema_rs
import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.mcp.definitions import Definition
from wardwright.harness.core.mcp.entries import Address, Entry, Program
from wardwright.harness.core.scope import host_of
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.answer_schema import JUDGED_WORK_MAX, Schema, SchemaRefused, admit

ARGUMENTS_MAX: Final = 256
MESSAGE_CHARS_MAX: Final = 300

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPES: Final[Mapping[str, Any]] = {
    "array": tuple[Any, ...],
    "boolean": bool,
    "integer": int,
    "null": None,
    "number": float,
    "object": dict[str, Any],
    "string": str,
}


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer that is not plain text."""

    kind: str
    """`image`, `audio`, `resource` or `resource_link`."""
    mime_type: str | None
    data: str | None
    """The text, or the bytes in base64; None where there is only an address, or it was cut."""
    uri: str | None


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What another server's tool gave."""

    text: str
    structured: Any
    """The answer's `structuredContent`; null where there is none, or it was cut."""
    attachments: tuple[Attachment, ...]
    truncated: bool


class Peers(Protocol):
    """Whoever reaches the servers."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], context: Context) -> Returned:
        """Raises `tool_failed`, `tool_server_changed`."""
        ...


Run: TypeAlias = Callable[[msgspec.Struct, Context], Awaitable[Returned]]


def functions(
    server: str, entry: Entry, definitions: Iterable[Definition], *, trusted: bool, peers: Peers
) -> tuple[AnyTool, ...]:
    """The tools of one server. `trusted`: what it says of their effects holds. Raises `contract_duplicate` where two
    would have one name."""
    made: dict[str, AnyTool] = {}
    for definition in definitions:
        one = _function(server, entry, definition, trusted=trusted, peers=peers)
        if one.name in made:
            message = f"two tools of the server `{server}` would be named `{one.name}`"
            raise WardwrightError("contract_duplicate", message)
        made[one.name] = one
    return tuple(made.values())


def _function(server: str, entry: Entry, definition: Definition, *, trusted: bool, peers: Peers) -> AnyTool:
    reads = trusted and definition.hint("readOnlyHint")
    name = name_of(server, definition.name)
    contract = ToolContract(
        name=name,
        doc=definition.description or definition.title or f"`{definition.name}` of the server `{server}`.",
        effect="read" if reads else "irreversible",
        implements=name,
        reversal="T0" if reads else "T4",
        scope=scope_of(entry),
    )

    async def run(arguments: msgspec.Struct, context: Context) -> Returned:
        return await peers.call(server, definition.name, _plain(arguments), context)

    return Tool(
        arguments=arguments_type(definition),
        assumed=not reads,
        contract=contract,
        foreign=definition.input_schema,
        result=Returned,
        run=run,
    )


def name_of(server: str, tool: str) -> str:
    """The name under which a tool is served: other characters than those of names become `_`.

    >>> name_of("github", "searchIssues"), name_of("x", "a/b")
    ('github.search_issues', 'x.a_b')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool)
    return f"{server}.{re.sub(r'[^a-z0-9._-]', '_', parted.lower())}"


def scope_of(entry: Entry) -> ToolScope:
    """Whom a call asks: rules read it."""
    match entry:
        case Program():
            return ToolScope(programs=(entry.command,))
        case Address():
            return ToolScope(hosts=(host_of(entry.url),))


# Arguments


def arguments_type(definition: Definition) -> type[msgspec.Struct]:
    """The arguments of a tool as a type: its members, and its whole schema where that can be judged here."""
    declared = definition.input_schema.get("properties", {})
    properties: Mapping[str, Any] = declared if isinstance(declared, dict) else {}
    if len(properties) > ARGUMENTS_MAX:
        message = f"`{definition.name}` has more than {ARGUMENTS_MAX} arguments"
        raise WardwrightError("contract_invalid", message)
    listed = definition.input_schema.get("required", [])
    required = frozenset(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else frozenset()
    renamed: dict[str, str] = {}
    needed: list[tuple[str, Any]] = []
    rest: list[tuple[str, Any, Any]] = []
    for index, (name, schema) in enumerate(properties.items()):
        attribute = name if _is_attribute(name) else f"argument__{index}"
        renamed[attribute] = name
        kind = _told(_kind(schema), schema)
        if name in required:
            needed.append((attribute, kind))
        else:
            rest.append((attribute, kind | msgspec.UnsetType if kind is not Any else Any, msgspec.UNSET))
    judge = _judge(definition)
    return msgspec.defstruct(
        "Arguments",
        [*needed, *rest],
        forbid_unknown_fields=True,
        frozen=True,
        kw_only=True,
        namespace={} if judge is None else {"__post_init__": judge},
        rename=renamed,
    )


def _is_attribute(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not keyword.iskeyword(name)


def _kind(schema: object) -> Any:
    said = schema.get("type") if isinstance(schema, dict) else None
    names = [one for one in (said if isinstance(said, list) else [said]) if isinstance(one, str)]
    if not names or any(one not in _TYPES for one in names):
        return Any
    if len(names) == 1:
        return _TYPES[names[0]]
    return _TYPES[names[0]] | None if names[1:] == ["null"] else Any


def _told(kind: Any, schema: object) -> Any:
    doc = schema.get("description") if isinstance(schema, dict) else None
    return Annotated[kind, msgspec.Meta(description=doc)] if isinstance(doc, str) and doc and kind is not Any else kind


def _judge(definition: Definition) -> Callable[[msgspec.Struct], None] | None:
    """What raises `tool_arguments` for arguments that the schema refuses; None where it cannot be judged here."""
    tree = {key: value for key, value in definition.input_schema.items() if key != "$schema"}
    try:
        schema = admit(msgspec.json.encode(tree).decode())
    except SchemaRefused:
        return None

    def judge(arguments: msgspec.Struct) -> None:
        _require(arguments, schema)

    return judge


def _require(arguments: msgspec.Struct, schema: Schema) -> None:
    encoded = msgspec.json.encode(arguments)
    if len(encoded) * schema.parts > 8 * JUDGED_WORK_MAX:
        raise WardwrightError("tool_arguments", "the arguments are too large for the schema of this tool")
    try:
        schema.validator.validate(msgspec.json.decode(encoded))
    except jsonschema_rs.ValidationError as refused:
        path = ".".join(str(part) for part in refused.instance_path)
        where = f"the argument `{path}` is refused" if path else "the arguments are refused"
        raise WardwrightError("tool_arguments", f"{where}: {refused.message[:MESSAGE_CHARS_MAX]}") from refused


def _plain(arguments: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(arguments))
    return plain
