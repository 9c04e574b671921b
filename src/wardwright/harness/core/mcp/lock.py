"""`mcp.lock.json`: what each server offered when a person looked, and what they accepted and why.

Rule 1: nothing is called that is not in here as the server says it now.
Rule 2: the file holds definitions whole, so that tools can be listed, judged and searched without starting anything,
and so that a change can be shown. Each has its digest beside it: a definition that somebody edited is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from wardwright.harness.core.mcp.definitions import Definition, Definitions
from wardwright.kernel import canonical
from wardwright.kernel.errors import Place, WardwrightError

FORMAT: Final = 1


class Accepted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that a person let pass."""

    finding: str
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


class PinnedTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool."""

    digest: str
    definition: Definition


class Pin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One server."""

    entry: str
    """The digest of its entry in `mcp.json`: another program or address is another server."""
    tools: tuple[PinnedTool, ...]
    """In the server's order."""
    trust_annotations: bool = False
    """A tool that its server calls read-only is taken as one."""
    accepted: tuple[Accepted, ...] = ()

    @property
    def definitions(self) -> Definitions:
        return tuple(one.definition for one in self.tools)


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    format: int = FORMAT
    servers: Mapping[str, Pin] = {}

    def with_server(self, name: str, pin: Pin) -> Lock:
        return msgspec.structs.replace(self, servers={**self.servers, name: pin})

    def without(self, name: str) -> Lock:
        left = {key: value for key, value in self.servers.items() if key != name}
        return msgspec.structs.replace(self, servers=left)


def pin_of(entry: str, definitions: Definitions, *, trust_annotations: bool, accepted: tuple[Accepted, ...]) -> Pin:
    """A server as it is now."""
    tools = tuple(PinnedTool(digest=one.digest, definition=one) for one in definitions)
    return Pin(accepted=accepted, entry=entry, tools=tools, trust_annotations=trust_annotations)


def encode(lock: Lock) -> bytes:
    """The file, one way to write it."""
    return msgspec.json.format(canonical.encode(lock), indent=2) + b"\n"


def decode(data: bytes, file: str) -> Lock:
    """Raises `contract_invalid`, with the place."""
    try:
        lock = msgspec.json.decode(data, type=Lock)
    except msgspec.MsgspecError as cause:
        raise _refusal(file, f"the lock file cannot be read: {cause}") from cause
    if lock.format != FORMAT:
        raise _refusal(file, f"the lock file has format {lock.format}; this program reads {FORMAT}")
    for name, pin in lock.servers.items():
        for tool in pin.tools:
            if tool.digest != tool.definition.digest:
                raise _refusal(file, f"the definition of `{name}.{tool.definition.name}` is not that of its digest")
    return lock


def _refusal(file: str, message: str) -> WardwrightError:
    hint = "`wardwright mcp verify --pin` pins what the servers say now"
    return WardwrightError("contract_invalid", message, place=Place(file=file), hint=hint)
