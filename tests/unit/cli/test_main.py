"""The frame of the command line: what is loaded, what is said, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import msgspec
import pytest

import wardwright
from wardwright.cli.exits import Exit, exit_of
from wardwright.cli.lazy import LazyGroup
from wardwright.cli.main import root, run
from wardwright.cli.options import json_option
from wardwright.cli.output import Output
from wardwright.kernel.errors import CODES, Fault, WardwrightError

HEAVY = ("starlette", "uvicorn", "uvloop", "httpx2", "cryptography", "rich", "ruamel", "wardwright.runtime")


def commands(group: LazyGroup, path: str = "") -> Iterator[tuple[str, str, click.Command]]:
    """Path, line in the table, command; groups left out."""
    context = click.Context(group)
    for name, known in group.table.items():
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(known, LazyGroup):
            yield from commands(known, f"{path}{name} ")
        else:
            assert not isinstance(known, click.Group)
            yield f"{path}{name}", known.help, command


def every() -> list[tuple[str, str, click.Command]]:
    assert isinstance(root, LazyGroup)
    return list(commands(root))


@pytest.mark.parametrize(("path", "line", "command"), every(), ids=[path for path, _, _ in every()])
def test_the_table_says_what_the_command_says(path: str, line: str, command: click.Command) -> None:
    assert command.get_short_help_str(limit=200) == line
    assert command.name == path.split()[-1]


@pytest.mark.parametrize(("path", "line", "command"), every(), ids=[path for path, _, _ in every()])
def test_every_command_speaks_json(path: str, line: str, command: click.Command) -> None:
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_help_loads_no_part_of_the_gateway() -> None:
    code = (
        "import sys; from wardwright.cli.main import run; run(['--help']); run(['model', '--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_without_its_extra_the_protocol_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['mcp'] = None; from wardwright.cli.main import run;"
        "sys.exit(run(['mcp', 'add', 'x', '--', 'true']))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "[extra_missing]" in ended.stderr
    assert "wardwright[mcp]" in ended.stderr


def test_tools_are_listed_and_called_without_loading_the_protocol() -> None:
    code = "import sys, wardwright.cli.mcp_listing, wardwright.runtime.harness; print('mcp' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def test_completion_offers_names_without_loading_what_they_name() -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print([n for n in " + repr(HEAVY) + " if n in sys.modules]));"
        "from wardwright.cli.main import main; main([])"
    )
    asked = {"_WARDWRIGHT_COMPLETE": "bash_complete", "COMP_WORDS": "wardwright model ", "COMP_CWORD": "2"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | asked
    )
    *offered, loaded = ended.stdout.splitlines()
    assert "plain,activate" in offered
    assert loaded == "[]"


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == Exit.OK
    assert capsys.readouterr().out == f"wardwright {wardwright.__version__}\n"


def test_a_defect_is_told_in_both_coats(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @json_option
    def divide(out: Output) -> None:
        raise ZeroDivisionError("division by zero")

    assert run(["--json"], divide) == Exit.FAILED
    said = capsys.readouterr()
    assert msgspec.json.decode(said.out)["error"]["code"] == "internal_error"
    assert "Traceback" in said.err


def test_json_after_two_dashes_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["modle", "--", "--json"]) == Exit.USAGE
    assert capsys.readouterr().out == ""


def test_an_interrupted_command_says_so_by_its_exit_code() -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run([], interrupted) == Exit.INTERRUPTED


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_is_denied_exits_as_denied_and_nothing_fails_with_success(code: str) -> None:
    ended = exit_of(WardwrightError(code, "x"))
    denied = CODES[code].fault is Fault.POLICY or CODES[code].status in (401, 403)
    assert (ended in (Exit.DENIED, Exit.AWAITING_APPROVAL)) == denied
    assert (ended is Exit.AWAITING_APPROVAL) == (code == "approval_required")
    assert ended is not Exit.OK
