"""`wardwright task add|list|show|drop`: what shall be done, and how it stands. `cli.task_running` does it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import click
import msgspec

from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted, instant, instant_of
from wardwright.cli.options import config_option, json_option, state_option
from wardwright.cli.output import Output
from wardwright.harness.core.houses import BUILT_IN
from wardwright.harness.core.tasks import ATTEMPTS_MAX, PREFIX, PRIORITY_MAX, ModeName, Routed, Task, route
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import LUCK_BITS, mint
from wardwright.runtime import library
from wardwright.runtime.clock import SystemClock, SystemLuck
from wardwright.runtime.task_store import TaskState, TaskStore, TaskView, all_views, find, houses_with_tasks

_CALL_HINT = "write a call as `file.read path=/etc/hostname`, or name it with `--tool` and `--arg`"


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was added."""

    task: Task
    routed: Routed


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    data: tuple[TaskView, ...]


class DroppedTasks(msgspec.Struct, frozen=True, kw_only=True):
    ids: tuple[str, ...]


@click.command()
@click.argument("text", required=False)
@click.option("--tool", help="The tool that is called, in place of TEXT.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument of `--tool`.")
@click.option("--house", help="Whose task it is.  [default: the house that takes it by label or tool]")
@click.option("--label", "labels", multiple=True, help="A label, by which houses take tasks.")
@click.option(
    "--priority",
    type=click.IntRange(0, PRIORITY_MAX),
    default=0,
    show_default=True,
    help="In line as if it had been added so many minutes earlier.",
)
@click.option("--after", metavar="TASK", help="Begin it once that task has ended well.")
@click.option("--due", metavar="INSTANT", help="Not before, such as 2026-01-31T12:00:00Z.")
@click.option("--mode", type=click.Choice(get_args(ModeName)), default="simple", show_default=True)
@click.option("--run", help="The run that its calls belong to.  [default: one of its own]")
@click.option("--plan", help="The plan that it follows.")
@click.option("--evidence", multiple=True, metavar="RECEIPT", help="A receipt that its calls rest on.")
@click.option(
    "--attempts",
    type=click.IntRange(1, ATTEMPTS_MAX),
    default=3,
    show_default=True,
    help="How often it is begun before it is given up.",
)
@click.option(
    "--wait-ms",
    type=click.IntRange(1, 86_400_000),
    default=1_000,
    show_default=True,
    help="Before the second attempt; doubled before each further one.",
)
@click.option("--repeats", is_flag=True, help="Make calls with an effect again when they failed, too.")
@config_option
@state_option
@json_option
def add(
    text: str | None,
    tool: str | None,
    arguments: tuple[str, ...],
    house: str | None,
    labels: tuple[str, ...],
    priority: int,
    after: str | None,
    due: str | None,
    mode: ModeName,
    run: str | None,
    plan: str | None,
    evidence: tuple[str, ...],
    attempts: int,
    wait_ms: int,
    repeats: bool,
    paths: tuple[Path, ...],
    state: Path,
    out: Output,
) -> None:
    """Have tools called by a runner, now or later.

    TEXT is a call as `TOOL NAME=VALUE ...`, one a line, made in order; `-` reads it from standard input. Values are
    JSON where they can be read as such, else text.
    """
    if (text is None) == (tool is None):
        raise WardwrightError("usage", "say what to call: TEXT, or `--tool`", hint=_CALL_HINT)
    if arguments and tool is None:
        raise WardwrightError("usage", "`--arg` goes with `--tool`")
    calls: list[tuple[str, Sequence[str]]]
    calls = [(tool, arguments)] if tool is not None else list(_calls_in(_read(text or "")))
    now_us = SystemClock().now_us()
    houses = {one.name: one for one in BUILT_IN}
    if paths:
        houses |= {name: one.value for name, one in library.read(paths).houses.items()}
    routed = route(house, labels, [name for name, _ in calls], houses)
    if after is not None:
        find(state, after)
    given = {
        "added_at": now_us,
        "after": after,
        "attempts_max": attempts,
        "calls": [{"tool": name, "arguments": dict(map(_argument, words))} for name, words in calls],
        "due_at": 0 if due is None else instant_of(due, now_us),
        "evidence": evidence,
        "house": routed.house,
        "id": mint(PREFIX, now_us, SystemLuck().bits(LUCK_BITS)),
        "labels": labels,
        "mode": mode,
        "plan": plan,
        "priority": priority,
        "repeats": repeats,
        "run": run,
        "wait_ms": wait_ms,
    }
    try:
        task = msgspec.convert(given, Task)
    except msgspec.ValidationError as error:
        raise WardwrightError("usage", f"this is no task: {error}", hint=_CALL_HINT) from error
    TaskStore(state, task.house).add(task)
    out.answer(Added(task=task, routed=routed), lambda: _told(task, routed))


@click.command("list")
@click.option("--house", help="Only those of this house.")
@click.option("--is", "state_name", type=click.Choice(get_args(TaskState)), help="Only those that stand so.")
@state_option
@json_option
def list_(house: str | None, state_name: str | None, state: Path, out: Output) -> None:
    """List tasks in the order in which they were added."""
    views = all_views(state, houses_with_tasks(state) if house is None else (house,))
    found = sorted((one for one in views if state_name in (None, one.state)), key=lambda one: one.id)
    if not found and not out.as_json:
        out.note("no task is like that" if house or state_name else "there is no task yet")
        return
    out.table(
        Tasks(data=tuple(found)), ("TASK", "STATE", "HOUSE", "ADDED", "ATTEMPTS", "TOOLS", "NOTE"), map(_row, found)
    )


@click.command()
@click.argument("task", metavar="TASK")
@state_option
@json_option
def show(task: str, state: Path, out: Output) -> Exit:
    """Show one task; the exit code says how it stands.

    Exit 0 when it is done, 1 when it is dead or dropped, 2 while it is not settled.
    """
    view = find(state, task)
    out.answer(view, lambda: _shown(view))
    if view.state == "done":
        return Exit.OK
    return Exit.FAILED if view.state in ("dead", "dropped") else Exit.PENDING


@click.command()
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@state_option
@json_option
def drop(tasks: tuple[str, ...], state: Path, out: Output) -> None:
    """Have tasks not begun any more, and forget dead ones. What runs now goes on to its end."""
    found = [find(state, id_) for id_ in dict.fromkeys(tasks)]
    over = next((one for one in found if one.state == "done"), None)
    if over is not None:
        raise WardwrightError("task_not_found", f"{over.id} is done: nothing is left to drop")
    for one in found:
        TaskStore(state, one.house).drop(one.id)
    ids = tuple(one.id for one in found)
    out.answer(DroppedTasks(ids=ids), [f"{counted(len(ids), 'task')} dropped"])


def _read(text: str) -> str:
    return sys.stdin.read() if text == "-" else text


def _calls_in(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise WardwrightError("usage", f"a call cannot be read: {error}", hint=_CALL_HINT) from error
        if words:
            yield words[0], words[1:]


def _argument(word: str) -> tuple[str, object]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise WardwrightError("usage", f"`{word}` is no argument", hint=_CALL_HINT)
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _told(task: Task, routed: Routed) -> Iterator[str]:
    why = {"name": "as it says", "labels": "by its labels", "tools": "by its tools", "default": "by default"}[routed.by]
    also = f"; so would {', '.join(routed.also)}" if routed.also else ""
    yield f"{task.id} goes to {task.house}, {why}{also}"


def _row(view: TaskView) -> tuple[str, ...]:
    return (
        view.id,
        view.state,
        view.house,
        instant(view.added_at),
        str(view.attempts),
        view.tools or "-",
        view.note or "-",
    )


def _shown(view: TaskView) -> Iterator[str]:
    yield f"{view.id}: {view.state}"
    yield f"  house     {view.house}"
    yield f"  added     {instant(view.added_at)}"
    if view.due_at is not None:
        yield f"  due       {instant(view.due_at)}"
    yield f"  attempts  {view.attempts}"
    if view.task is not None:
        for call in view.task.calls:
            words = (f"{name}={_plain(value)}" for name, value in call.arguments.items())
            yield f"  call      {' '.join((call.tool, *words))}"
    elif view.tools:
        yield f"  calls     {view.tools}"
    if view.note:
        yield f"  note      {view.note}"


def _plain(value: object) -> str:
    return shlex.quote(value if isinstance(value, str) else msgspec.json.encode(value).decode())
