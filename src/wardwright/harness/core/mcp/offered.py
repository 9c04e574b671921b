"""A tool of ours as MCP clients are offered it: its name, its schemas, and hints about what it does.

Rule 1: hints follow from the contract: what the operator declared is what the client is told.
Rule 2: a result's schema is told where every result has it. A tool that another one may stand in for has none.
"""

from __future__ import annotations

import msgspec

from wardwright.harness.core.shelf import Served
from wardwright.harness.core.tool import JsonSchema, spelled
from wardwright.routing.tokens import CHAT_TOKENS, estimate_chat


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may tell its user before the call."""

    read_only: bool
    destructive: bool
    """What it does may be lost for good: it is irreversible, or a person must put it back."""
    idempotent: bool
    open_world: bool
    """It reaches beyond this machine."""


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a list of tools."""

    name: str
    title: str
    description: str
    input_schema: JsonSchema
    output_schema: JsonSchema | None
    hints: Hints


def offered(served: Served) -> Offered:
    """What stands for a tool in a list."""
    contract = served.contract
    return Offered(
        name=spelled(served.name),
        title=served.name,
        description=served.doc,
        input_schema=served.arguments_schema,
        output_schema=served.result_schema if contract.degrade is None else None,
        hints=hints_of(served),
    )


def hints_of(served: Served) -> Hints:
    """The hints that a contract allows."""
    contract = served.contract
    reads = contract.effect == "read"
    return Hints(
        read_only=reads,
        destructive=not reads and (contract.effect == "irreversible" or contract.reversal in ("T3", "T4")),
        idempotent=reads,
        open_world=contract.effect in ("write-remote", "irreversible") or bool(contract.scope.hosts),
    )


def prompt_tokens(tools: tuple[Offered, ...]) -> int:
    """About how many tokens these definitions take of every prompt, as the gateway estimates a request's tools.

    >>> prompt_tokens(())
    0
    """
    if not tools:
        return 0
    told = [{"name": one.name, "description": one.description, "parameters": one.input_schema} for one in tools]
    return estimate_chat(b"", msgspec.json.encode(told), 0, 0).tokens - CHAT_TOKENS
