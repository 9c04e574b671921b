"""`wardwright mcp list`: every tool, where it comes from, and what its definition costs in each prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from wardwright.cli.mcp_servers import FOLDER
from wardwright.cli.options import json_option, paths_argument
from wardwright.cli.output import Output, columns
from wardwright.contracts.refusal import ContractErrors
from wardwright.harness.core.mcp.lazy import LAZY
from wardwright.harness.core.mcp.offered import offered, prompt_tokens


class ListedTool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool."""

    name: str
    effect: str
    reversal: str
    source: str
    """`built-in`, the name of an MCP server, or `contract`."""
    tokens: int
    """Of every prompt, estimated."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: tuple[ListedTool, ...]
    eager_tokens: int
    """Of every prompt, where all are listed."""
    lazy_tokens: int
    """The same with `--lazy`."""


@click.command("list")
@paths_argument
@json_option
def list_(paths: tuple[Path, ...], out: Output) -> None:
    """List the tools that would be served, with their estimated tokens.

    PATHs as for `serve`; none: the built-in tools and the MCP servers of the current folder. Nothing is started.
    """
    from wardwright.harness.core.shelf import shelf
    from wardwright.runtime.servers import declared_in
    from wardwright.runtime.tool_runtime import shop_of
    from wardwright.runtime.tools import available, installed

    folders = tuple(path for path in paths if path.is_dir()) if paths else (FOLDER,)
    if paths:
        shop = shop_of(paths)
        served, errors = shop.shelf, shop.errors
    else:
        functions, errors = available(folders)
        served = shelf(functions, {})
    if errors:
        raise ContractErrors(list(errors))
    ours = frozenset(installed()[0].names)
    servers = {name for folder in folders for name in declared_in(folder).entries}

    def source(name: str) -> str:
        family = name.partition(".")[0]
        return "built-in" if name in ours else family if family in servers else "contract"

    tools = tuple(served.get(name) for name in served.names)
    listed = Listed(
        data=tuple(
            ListedTool(
                name=one.name,
                effect=one.contract.effect,
                reversal=one.contract.reversal,
                source=source(one.name),
                tokens=prompt_tokens((offered(one),)),
            )
            for one in tools
        ),
        eager_tokens=prompt_tokens(tuple(map(offered, tools))),
        lazy_tokens=prompt_tokens(LAZY),
    )
    out.answer(listed, lambda: _lines(listed))


def _lines(listed: Listed) -> Iterator[str]:
    rows = [(one.name, one.effect, one.reversal, one.source, f"{one.tokens:,}") for one in listed.data]
    yield from columns([("TOOL", "EFFECT", "REVERSAL", "SOURCE", "TOKENS"), *rows])
    yield ""
    yield f"in every prompt: about {listed.eager_tokens:,} tokens, with `serve --lazy` about {listed.lazy_tokens:,}"
