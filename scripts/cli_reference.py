"""The reference page of the command line, written from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from wardwright.cli.exits import Exit
from wardwright.cli.lazy import LazyGroup
from wardwright.cli.main import root

WIDTH: Final = 100

_HEAD: Final = """\
# The command line

`wardwright`, in short `ww`: nouns, then verbs. Every command takes `--help`.

- Data goes to stdout, talk to stderr. With `--json` stdout holds one JSON document, also when the command fails:
  `{"error": {"code", "message", "hint", "at"}}`, with a `code` of [errors.md](errors.md). `receipt tail` and `journal
  export` write one document a line.
- The state directory is `--state`, else `$WARDWRIGHT_STATE`, else `$XDG_STATE_HOME/wardwright`, else
  `~/.local/state/wardwright`.
- A command asks the gateway that runs over the state directory, or the one at `--url` (`$WARDWRIGHT_URL`). Where none
  runs it answers from the state directory itself; one that changes something takes the writer's lock meanwhile. The
  credential is `$WARDWRIGHT_ADMIN_TOKEN`, else the `admin-token` in the state directory, for its owner alone to read.
- `NO_COLOR` is respected, and no meaning rests on colour.
- Completion: `eval "$(_WARDWRIGHT_COMPLETE=bash_source wardwright)"`, likewise `zsh_source` and `fish_source`; for `ww`
  it is `_WW_COMPLETE`.

## Exit codes

| Code | Means |
|---|---|
"""

_MEANS: Final[dict[Exit, str]] = {
    Exit.OK: "ok",
    Exit.FAILED: "failed",
    Exit.PENDING: "changes are pending, or it cannot be told",
    Exit.DENIED: "denied",
    Exit.AWAITING_APPROVAL: "awaiting approval",
    Exit.INTEGRITY: "evidence does not verify",
    Exit.USAGE: "the command line cannot be understood",
    Exit.INTERRUPTED: "interrupted",
}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    parts += [f"| {int(code)} | {_MEANS[code]} |\n" for code in Exit]
    with click.Context(root, info_name="wardwright", **root.context_settings) as context:
        for path, command in _commands(root, context):
            parts.append(f"\n## {path}\n\n```text\n{_help(path, command)}\n```\n")
    return "".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command with what is typed to call it, groups left out."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = f"{context.command_path} {name}"
        if isinstance(command, LazyGroup):
            with click.Context(command, info_name=name, parent=context) as inner:
                yield from _commands(command, inner)
        else:
            yield path, command


def _help(path: str, command: click.Command) -> str:
    """The help text, at a width that does not depend on any terminal."""
    context = click.Context(
        command, info_name=path, terminal_width=WIDTH, help_option_names=root.context_settings["help_option_names"]
    )
    return command.get_help(context)
