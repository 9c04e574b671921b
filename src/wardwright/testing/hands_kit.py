"""The conformance kit of hands, one case a promise.

Run it over your own hands, from any test runner:

    @pytest.mark.parametrize("case", hands_kit.CASES, ids=str)
    def test_my_hands(case, tmp_path):
        case.run(MySubject(tmp_path))

Rule 1: a case speaks to a `Subject`: a small world, and hands over it with the scope that the case asks for.
Rule 2: nothing sleeps. What a case waits for, the subject waits for.
Rule 3: where a case says that something is out of scope, the world outside is looked at too: nothing of it changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from wardwright.harness.core.hands import Answer, Command, Ended, Hands, Request, Scope
from wardwright.kernel.errors import WardwrightError

Behaviour: TypeAlias = Literal["copy", "fail", "flood", "environment", "folder", "endless"]
"""What a program of the subject does.

`copy` writes its input to stdout and ends well; `fail` writes `oops` to stderr and ends with code 3; `flood` writes
FLOOD_BYTES to stdout; `environment` writes `NAME=value` lines; `folder` writes the folder it runs in; `endless` starts
another process and neither of them ever ends.
"""

FLOOD_BYTES: Final = 4 * 1024 * 1024
LARGE_BYTES: Final = 1024 * 1024
"""Of the body that a site answers to `/large`."""
TIMEOUT_S: Final = 0.5
"""For what never ends. Long enough that the program has begun."""
PATIENCE_S: Final = 20.0
"""For what ends."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP server at a private address, such as one on loopback."""

    host: str
    """A name or an address. It leads to private addresses alone."""
    port: int
    """Here answers what `respond` says."""
    closed_port: int
    """Nobody listens here."""

    def url(self, path: str) -> str:
        return f"http://{self.host}:{self.port}{path}"


class Subject(Protocol):
    """Hands under test and the world that they reach."""

    @property
    def inside(self) -> str:
        """An absolute folder, empty at first. Scopes of the cases name it."""
        ...

    @property
    def outside(self) -> str:
        """Another one, beside it: its path begins with that of `inside`, though it does not lie in it."""
        ...

    def hands(self, scope: Scope) -> Hands: ...

    def put(self, path: str, data: bytes) -> None:
        """Make a file. Folders that it needs are made."""
        ...

    def get(self, path: str) -> bytes | None:
        """What a file holds; None where there is none."""
        ...

    def folder(self, path: str) -> None: ...

    def link(self, path: str, to: str) -> None: ...

    def pipe(self, path: str) -> None:
        """Make a named pipe that nobody writes to."""
        ...

    def set_environment(self, name: str, value: str) -> None:
        """Set a variable of the process that the hands belong to."""
        ...

    def argv(self, behaviour: Behaviour) -> tuple[str, ...]:
        """The command that behaves so. Its first word is what a scope names."""
        ...

    async def until_endless_runs(self) -> None:
        """Return once a command that behaves as `endless` has begun."""
        ...

    async def endless_is_gone(self) -> bool:
        """Whether neither of the processes of `endless` runs; patient for a moment, since ending takes one."""
        ...

    async def site(self) -> Site:
        """The server, started where it must be."""
        ...

    async def aclose(self) -> None: ...


def respond(method: str, path: str, body: bytes) -> Answer | None:
    """What the server of a subject answers: a status, headers and a body; None: nothing, ever."""
    match path:
        case "/hello":
            return Answer(status=200, headers=(("content-type", "text/plain"),), body=b"hello", truncated=False)
        case "/large":
            return Answer(status=200, headers=(), body=b"x" * LARGE_BYTES, truncated=False)
        case "/moved":
            return Answer(status=302, headers=(("location", "/hello"),), body=b"", truncated=False)
        case "/echo":
            return Answer(status=200, headers=(), body=method.encode() + b" " + body, truncated=False)
        case "/binary":
            return Answer(status=200, headers=(), body=BINARY, truncated=False)
        case "/silent":
            return None
        case _:
            return Answer(status=404, headers=(), body=b"", truncated=False)


BINARY: Final = bytes(range(256))

Play: TypeAlias = Callable[[Subject], Awaitable[None]]


class Case:
    """One promise."""

    def __init__(self, name: str, play: Play) -> None:
        self.name = name
        self._play = play

    def __str__(self) -> str:
        return self.name

    def run(self, subject: Subject) -> None:
        """Raises AssertionError where the promise is broken."""

        async def played() -> None:
            try:
                async with asyncio.timeout(4 * PATIENCE_S):
                    await self._play(subject)
            finally:
                await subject.aclose()

        asyncio.run(played())


CASES: Final[list[Case]] = []


def _case(play: Play) -> Play:
    CASES.append(Case(getattr(play, "__name__", "").replace("_", " "), play))
    return play


async def _code(doing: Awaitable[object]) -> str | None:
    """The code of the error that something raises; None where it raises none."""
    try:
        await doing
    except WardwrightError as error:
        return error.code
    return None


def _reading(subject: Subject) -> Hands:
    return subject.hands(Scope(read=(subject.inside,)))


def _writing(subject: Subject) -> Hands:
    return subject.hands(Scope(write=(subject.inside,)))


# Reading


@_case
async def a_file_is_read_byte_for_byte(subject: Subject) -> None:
    subject.put(f"{subject.inside}/binary", BINARY)
    content = await _reading(subject).read(f"{subject.inside}/binary", bytes_max=1000)
    assert (content.data, content.size, content.truncated) == (BINARY, 256, False)


@_case
async def a_file_as_long_as_the_bound_is_whole(subject: Subject) -> None:
    subject.put(f"{subject.inside}/binary", BINARY)
    content = await _reading(subject).read(f"{subject.inside}/binary", bytes_max=256)
    assert (content.data, content.truncated) == (BINARY, False)


@_case
async def a_longer_file_is_cut_and_says_so(subject: Subject) -> None:
    subject.put(f"{subject.inside}/long", b"0123456789")
    content = await _reading(subject).read(f"{subject.inside}/long", bytes_max=4)
    assert (content.data, content.size, content.truncated) == (b"0123", 10, True)


@_case
async def a_file_is_read_from_an_offset(subject: Subject) -> None:
    subject.put(f"{subject.inside}/long", b"0123456789")
    hands = _reading(subject)
    middle = await hands.read(f"{subject.inside}/long", offset=3, bytes_max=4)
    assert (middle.data, middle.size, middle.truncated) == (b"3456", 10, True)
    end = await hands.read(f"{subject.inside}/long", offset=8, bytes_max=4)
    assert (end.data, end.truncated) == (b"89", False)
    past = await hands.read(f"{subject.inside}/long", offset=99, bytes_max=4)
    assert (past.data, past.size, past.truncated) == (b"", 10, False)


@_case
async def an_empty_file_is_whole(subject: Subject) -> None:
    subject.put(f"{subject.inside}/empty", b"")
    content = await _reading(subject).read(f"{subject.inside}/empty", bytes_max=10)
    assert (content.data, content.size, content.truncated) == (b"", 0, False)


@_case
async def a_scope_may_name_one_file_alone(subject: Subject) -> None:
    subject.put(f"{subject.inside}/named", b"yes")
    subject.put(f"{subject.inside}/named-not", b"no")
    hands = subject.hands(Scope(read=(f"{subject.inside}/named",)))
    assert (await hands.read(f"{subject.inside}/named", bytes_max=10)).data == b"yes"
    assert await _code(hands.read(f"{subject.inside}/named-not", bytes_max=10)) == "scope_denied"


@_case
async def a_file_that_does_not_exist_is_a_failure(subject: Subject) -> None:
    assert await _code(_reading(subject).read(f"{subject.inside}/none", bytes_max=10)) == "tool_failed"


@_case
async def a_folder_is_not_read_as_a_file(subject: Subject) -> None:
    subject.folder(f"{subject.inside}/folder")
    assert await _code(_reading(subject).read(f"{subject.inside}/folder", bytes_max=10)) == "tool_failed"


@_case
async def a_pipe_is_refused_and_not_waited_for(subject: Subject) -> None:
    subject.pipe(f"{subject.inside}/pipe")
    assert await _code(_reading(subject).read(f"{subject.inside}/pipe", bytes_max=10)) == "tool_failed"


@_case
async def what_may_be_written_may_be_read(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"data")
    assert (await _writing(subject).read(f"{subject.inside}/file", bytes_max=10)).data == b"data"


@_case
async def nothing_is_within_an_empty_scope(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"data")
    hands = subject.hands(Scope())
    path = f"{subject.inside}/file"
    assert await _code(hands.read(path, bytes_max=10)) == "scope_denied"
    assert await _code(hands.list(subject.inside, items_max=10)) == "scope_denied"
    assert await _code(hands.write(path, b"", "replace")) == "scope_denied"
    assert await _code(hands.run(_command(subject, "copy"))) == "scope_denied"
    assert await _code(hands.resolve("localhost")) == "scope_denied"
    assert await _code(hands.connect("localhost", 1, timeout_s=PATIENCE_S)) == "scope_denied"
    assert await _code(hands.exchange(_get("http://localhost:1/"))) == "scope_denied"
    assert subject.get(path) == b"data"


@_case
async def a_path_outside_is_denied_whether_it_exists_or_not(subject: Subject) -> None:
    subject.put(f"{subject.outside}/secret", b"secret")
    hands = _reading(subject)
    assert await _code(hands.read(f"{subject.outside}/secret", bytes_max=10)) == "scope_denied"
    assert await _code(hands.read(f"{subject.outside}/none", bytes_max=10)) == "scope_denied"
    assert await _code(hands.list(subject.outside, items_max=10)) == "scope_denied"
    assert await _code(hands.list("/", items_max=10)) == "scope_denied"


@_case
async def dots_do_not_lead_out(subject: Subject) -> None:
    subject.put(f"{subject.outside}/secret", b"secret")
    subject.folder(f"{subject.inside}/folder")
    name = subject.outside.rsplit("/", 1)[1]
    hands = subject.hands(Scope(read=(subject.inside,), write=(subject.inside,)))
    for path in (f"{subject.inside}/../{name}/secret", f"{subject.inside}/folder/../../{name}/secret"):
        assert await _code(hands.read(path, bytes_max=10)) == "scope_denied"
        assert await _code(hands.write(path, b"!", "replace")) == "scope_denied"
    assert await _code(hands.list(f"{subject.inside}/../{name}", items_max=10)) == "scope_denied"
    assert subject.get(f"{subject.outside}/secret") == b"secret"


@_case
async def a_relative_path_is_denied(subject: Subject) -> None:
    hands = _reading(subject)
    for path in ("", "file", "./file", "../file"):
        assert await _code(hands.read(path, bytes_max=10)) == "scope_denied"


@_case
async def a_path_with_a_zero_byte_is_an_error_like_any_other(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"data")
    hands = subject.hands(Scope(read=(subject.inside,), write=(subject.inside,)))
    for doing in (
        hands.read(f"{subject.inside}/file\0", bytes_max=10),
        hands.list(f"{subject.inside}\0", items_max=10),
        hands.write(f"{subject.inside}/file\0", b"!", "replace"),
    ):
        assert await _code(doing) in ("scope_denied", "tool_failed")
    assert subject.get(f"{subject.inside}/file") == b"data"


@_case
async def a_link_that_stays_inside_is_followed(subject: Subject) -> None:
    subject.put(f"{subject.inside}/folder/file", b"data")
    subject.link(f"{subject.inside}/link", "folder/file")
    assert (await _reading(subject).read(f"{subject.inside}/link", bytes_max=10)).data == b"data"


@_case
async def a_link_that_leads_out_is_denied(subject: Subject) -> None:
    subject.put(f"{subject.outside}/secret", b"secret")
    subject.link(f"{subject.inside}/file", f"{subject.outside}/secret")
    subject.link(f"{subject.inside}/folder", subject.outside)
    name = subject.outside.rsplit("/", 1)[1]
    subject.link(f"{subject.inside}/relative", f"../{name}/secret")
    hands = _reading(subject)
    for path in ("file", "relative", "folder/secret"):
        assert await _code(hands.read(f"{subject.inside}/{path}", bytes_max=10)) == "scope_denied"
    assert await _code(hands.list(f"{subject.inside}/folder", items_max=10)) == "scope_denied"


@_case
async def links_in_a_ring_are_a_failure(subject: Subject) -> None:
    subject.link(f"{subject.inside}/one", f"{subject.inside}/two")
    subject.link(f"{subject.inside}/two", f"{subject.inside}/one")
    code = await _code(_reading(subject).read(f"{subject.inside}/one", bytes_max=10))
    assert code in ("tool_failed", "scope_denied")


@_case
async def a_folder_lists_what_it_holds_by_name(subject: Subject) -> None:
    subject.put(f"{subject.inside}/b", b"123")
    subject.put(f"{subject.inside}/a/below", b"1")
    subject.link(f"{subject.inside}/d", "b")
    subject.pipe(f"{subject.inside}/c")
    listing = await _reading(subject).list(subject.inside, items_max=10)
    assert [(item.name, item.kind) for item in listing.items] == [
        ("a", "folder"), ("b", "file"), ("c", "other"), ("d", "link"),
    ]  # fmt: skip
    assert listing.items[1].size == 3
    assert not listing.truncated


@_case
async def a_long_folder_is_cut_and_says_so(subject: Subject) -> None:
    for number in range(5):
        subject.put(f"{subject.inside}/{number}", b"")
    listing = await _reading(subject).list(subject.inside, items_max=3)
    assert len(listing.items) == 3
    assert listing.truncated
    whole = await _reading(subject).list(subject.inside, items_max=5)
    assert [item.name for item in whole.items] == ["0", "1", "2", "3", "4"]
    assert not whole.truncated


@_case
async def what_is_no_folder_is_not_listed(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"")
    hands = _reading(subject)
    assert await _code(hands.list(f"{subject.inside}/file", items_max=10)) == "tool_failed"
    assert await _code(hands.list(f"{subject.inside}/none", items_max=10)) == "tool_failed"


# Writing


@_case
async def create_makes_a_file(subject: Subject) -> None:
    assert await _writing(subject).write(f"{subject.inside}/new", BINARY, "create") == 256
    assert subject.get(f"{subject.inside}/new") == BINARY


@_case
async def create_refuses_what_exists(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"old")
    assert await _code(_writing(subject).write(f"{subject.inside}/file", b"new", "create")) == "tool_failed"
    assert subject.get(f"{subject.inside}/file") == b"old"


@_case
async def replace_writes_a_file_whole_and_leaves_nothing_beside_it(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"a long old text")
    hands = _writing(subject)
    assert await hands.write(f"{subject.inside}/file", b"new", "replace") == 3
    assert subject.get(f"{subject.inside}/file") == b"new"
    assert [item.name for item in (await hands.list(subject.inside, items_max=10)).items] == ["file"]


@_case
async def a_reader_never_sees_a_half_replaced_file(subject: Subject) -> None:
    old, new = b"a" * 300_000, b"b" * 300_000
    subject.put(f"{subject.inside}/file", old)
    hands = _writing(subject)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(hands.write(f"{subject.inside}/file", new, "replace"))
        while not writing.done():
            assert subject.get(f"{subject.inside}/file") in (old, new)
            await asyncio.sleep(0)
    assert subject.get(f"{subject.inside}/file") == new


@_case
async def replace_and_append_make_what_does_not_exist(subject: Subject) -> None:
    hands = _writing(subject)
    await hands.write(f"{subject.inside}/one", b"1", "replace")
    await hands.write(f"{subject.inside}/two", b"2", "append")
    assert (subject.get(f"{subject.inside}/one"), subject.get(f"{subject.inside}/two")) == (b"1", b"2")


@_case
async def append_adds_at_the_end(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"one ")
    assert await _writing(subject).write(f"{subject.inside}/file", b"two", "append") == 3
    assert subject.get(f"{subject.inside}/file") == b"one two"


@_case
async def folders_are_not_made(subject: Subject) -> None:
    code = await _code(_writing(subject).write(f"{subject.inside}/none/file", b"", "create"))
    assert code == "tool_failed"
    assert subject.get(f"{subject.inside}/none/file") is None


@_case
async def a_folder_is_not_written_over(subject: Subject) -> None:
    subject.put(f"{subject.inside}/folder/file", b"data")
    hands = _writing(subject)
    assert await _code(hands.write(f"{subject.inside}/folder", b"!", "replace")) == "tool_failed"
    assert await _code(hands.write(f"{subject.inside}/folder", b"!", "append")) == "tool_failed"
    assert subject.get(f"{subject.inside}/folder/file") == b"data"


@_case
async def what_may_be_read_may_not_be_written(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"data")
    hands = _reading(subject)
    assert await _code(hands.write(f"{subject.inside}/file", b"!", "replace")) == "scope_denied"
    assert await _code(hands.write(f"{subject.inside}/file", b"!", "append")) == "scope_denied"
    assert await _code(hands.write(f"{subject.inside}/new", b"!", "create")) == "scope_denied"
    assert subject.get(f"{subject.inside}/file") == b"data"
    assert subject.get(f"{subject.inside}/new") is None


@_case
async def nothing_is_written_through_a_link_that_leads_out(subject: Subject) -> None:
    subject.put(f"{subject.outside}/secret", b"secret")
    subject.link(f"{subject.inside}/file", f"{subject.outside}/secret")
    subject.link(f"{subject.inside}/dangling", f"{subject.outside}/new")
    subject.link(f"{subject.inside}/folder", subject.outside)
    hands = _writing(subject)
    assert await _code(hands.write(f"{subject.inside}/file", b"!", "replace")) == "scope_denied"
    assert await _code(hands.write(f"{subject.inside}/file", b"!", "append")) == "scope_denied"
    assert await _code(hands.write(f"{subject.inside}/dangling", b"!", "append")) == "scope_denied"
    assert await _code(hands.write(f"{subject.inside}/folder/new", b"!", "create")) == "scope_denied"
    assert subject.get(f"{subject.outside}/secret") == b"secret"
    assert subject.get(f"{subject.outside}/new") is None


# Programs


def _command(subject: Subject, behaviour: Behaviour, *, stdin: bytes = b"", output_bytes_max: int = 100_000) -> Command:
    return Command(
        argv=subject.argv(behaviour),
        cwd=subject.inside,
        stdin=stdin,
        output_bytes_max=output_bytes_max,
        timeout_s=PATIENCE_S,
    )


def _running(subject: Subject, behaviour: Behaviour, *environment: str) -> Hands:
    program = subject.argv(behaviour)[0]
    return subject.hands(Scope(read=(subject.inside,), programs=(program,), environment=environment))


async def _run(subject: Subject, command: Command, behaviour: Behaviour) -> Ended:
    return await _running(subject, behaviour).run(command)


@_case
async def a_program_reads_its_input_and_writes_its_output(subject: Subject) -> None:
    ended = await _run(subject, _command(subject, "copy", stdin=BINARY), "copy")
    assert (ended.code, ended.stdout, ended.stderr, ended.truncated) == (0, BINARY, b"", False)


@_case
async def a_program_that_fails_is_an_answer_and_no_error(subject: Subject) -> None:
    ended = await _run(subject, _command(subject, "fail"), "fail")
    assert (ended.code, ended.stdout, ended.stderr.strip()) == (3, b"", b"oops")


@_case
async def output_is_cut_at_its_bound_and_says_so(subject: Subject) -> None:
    ended = await _run(subject, _command(subject, "flood", output_bytes_max=1000), "flood")
    assert len(ended.stdout) == 1000
    assert ended.truncated


@_case
async def output_as_long_as_its_bound_is_whole(subject: Subject) -> None:
    command = _command(subject, "copy", stdin=BINARY, output_bytes_max=256)
    ended = await _run(subject, command, "copy")
    assert (ended.stdout, ended.truncated) == (BINARY, False)


@_case
async def input_that_is_not_read_does_not_hold_a_program_up(subject: Subject) -> None:
    ended = await _run(subject, _command(subject, "fail", stdin=b"x" * FLOOD_BYTES), "fail")
    assert ended.code == 3


@_case
async def a_program_that_is_not_named_is_denied(subject: Subject) -> None:
    hands = subject.hands(Scope(read=(subject.inside,), programs=("some-other-program",)))
    assert await _code(hands.run(_command(subject, "copy"))) == "scope_denied"


@_case
async def a_name_does_not_allow_a_file_of_that_name(subject: Subject) -> None:
    subject.put(f"{subject.inside}/tool", b"#!/bin/sh\n")
    hands = subject.hands(Scope(read=(subject.inside,), programs=("tool",)))
    command = Command(argv=(f"{subject.inside}/tool",), cwd=subject.inside, output_bytes_max=10, timeout_s=PATIENCE_S)
    assert await _code(hands.run(command)) == "scope_denied"


@_case
async def a_program_that_is_not_there_is_a_failure(subject: Subject) -> None:
    name = "no-such-program-of-the-kit"
    hands = subject.hands(Scope(read=(subject.inside,), programs=(name,)))
    command = Command(argv=(name,), cwd=subject.inside, output_bytes_max=10, timeout_s=PATIENCE_S)
    assert await _code(hands.run(command)) == "tool_failed"


@_case
async def a_command_of_no_words_is_denied(subject: Subject) -> None:
    command = Command(argv=(), cwd=subject.inside, output_bytes_max=10, timeout_s=PATIENCE_S)
    assert await _code(_running(subject, "copy").run(command)) == "scope_denied"


@_case
async def a_program_runs_in_the_folder_that_it_was_given(subject: Subject) -> None:
    subject.folder(f"{subject.inside}/folder")
    command = msgspec.structs.replace(_command(subject, "folder"), cwd=f"{subject.inside}/folder")
    ended = await _run(subject, command, "folder")
    assert ended.stdout.strip() == f"{subject.inside}/folder".encode()


@_case
async def a_program_does_not_run_in_a_folder_outside(subject: Subject) -> None:
    command = msgspec.structs.replace(_command(subject, "copy"), cwd=subject.outside)
    assert await _code(_running(subject, "copy").run(command)) == "scope_denied"


@_case
async def a_program_to_which_its_folder_means_nothing_runs_in_the_root(subject: Subject) -> None:
    command = msgspec.structs.replace(_command(subject, "folder"), cwd="/")
    hands = subject.hands(Scope(programs=(subject.argv("folder")[0],)))
    assert (await hands.run(command)).stdout.strip() == b"/"


@_case
async def a_program_sees_the_variables_that_the_scope_names_and_those_of_its_command(subject: Subject) -> None:
    subject.set_environment("KIT_SEEN", "seen")
    subject.set_environment("KIT_HIDDEN", "hidden")
    command = msgspec.structs.replace(_command(subject, "environment"), environment=(("KIT_GIVEN", "given"),))
    ended = await _running(subject, "environment", "KIT_SEEN", "KIT_NOT_SET").run(command)
    lines = ended.stdout.decode().splitlines()
    assert "KIT_SEEN=seen" in lines
    assert "KIT_GIVEN=given" in lines
    assert not any(line.startswith(("KIT_HIDDEN", "KIT_NOT_SET")) for line in lines)


@_case
async def a_program_past_its_time_is_ended_with_all_that_it_started(subject: Subject) -> None:
    command = msgspec.structs.replace(_command(subject, "endless"), timeout_s=TIMEOUT_S)
    assert await _code(_running(subject, "endless").run(command)) == "tool_timeout"
    assert await subject.endless_is_gone()


@_case
async def a_program_whose_run_is_cancelled_is_ended_with_all_that_it_started(subject: Subject) -> None:
    async with asyncio.TaskGroup() as group:
        run = group.create_task(_running(subject, "endless").run(_command(subject, "endless")))
        await subject.until_endless_runs()
        run.cancel()
    assert run.cancelled()
    assert await subject.endless_is_gone()


@_case
async def programs_run_side_by_side(subject: Subject) -> None:
    hands = _running(subject, "copy")
    async with asyncio.TaskGroup() as group:
        runs = [
            group.create_task(hands.run(_command(subject, "copy", stdin=str(number).encode()))) for number in range(8)
        ]
    assert [run.result().stdout for run in runs] == [str(number).encode() for number in range(8)]


# Hosts


def _get(url: str, *, method: str = "GET", body: bytes = b"", timeout_s: float = PATIENCE_S) -> Request:
    return Request(method=method, url=url, body=body, body_bytes_max=2 * LARGE_BYTES, timeout_s=timeout_s)


async def _reaching(subject: Subject) -> tuple[Site, Hands]:
    site = await subject.site()
    return site, subject.hands(Scope(hosts=(f"{site.host}:{site.port}", f"{site.host}:{site.closed_port}")))


@_case
async def a_host_answers(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    answer = await hands.exchange(_get(site.url("/hello")))
    assert (answer.status, answer.body, answer.truncated) == (200, b"hello", False)
    types = [value for name, value in answer.headers if name.lower() == "content-type"]
    assert types == ["text/plain"]


@_case
async def a_body_arrives_byte_for_byte_both_ways(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    assert (await hands.exchange(_get(site.url("/binary")))).body == BINARY
    echoed = await hands.exchange(_get(site.url("/echo"), method="POST", body=BINARY))
    assert echoed.body == b"POST " + BINARY


@_case
async def an_answer_is_cut_at_its_bound_and_says_so(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    request = msgspec.structs.replace(_get(site.url("/large")), body_bytes_max=1000)
    cut = await hands.exchange(request)
    assert (cut.body, cut.truncated) == (b"x" * 1000, True)
    whole = await hands.exchange(msgspec.structs.replace(request, body_bytes_max=LARGE_BYTES))
    assert (len(whole.body), whole.truncated) == (LARGE_BYTES, False)


@_case
async def a_redirect_is_an_answer(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    answer = await hands.exchange(_get(site.url("/moved")))
    assert answer.status == 302
    assert ("location", "/hello") in [(name.lower(), value) for name, value in answer.headers]


@_case
async def an_error_of_the_server_is_an_answer(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    assert (await hands.exchange(_get(site.url("/none")))).status == 404


@_case
async def a_server_that_says_nothing_runs_out_of_time(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    assert await _code(hands.exchange(_get(site.url("/silent"), timeout_s=TIMEOUT_S))) == "tool_timeout"


@_case
async def a_host_or_port_that_is_not_named_is_denied(subject: Subject) -> None:
    site = await subject.site()
    other = subject.hands(Scope(hosts=("example.com:*", f"{site.host}:{site.closed_port}")))
    assert await _code(other.exchange(_get(site.url("/hello")))) == "scope_denied"
    assert await _code(other.connect(site.host, site.port, timeout_s=PATIENCE_S)) == "scope_denied"
    any_port = subject.hands(Scope(hosts=(f"{site.host}:*",)))
    assert (await any_port.exchange(_get(site.url("/hello")))).status == 200


@_case
async def a_private_address_is_denied_where_the_scope_asks_for_public_ones(subject: Subject) -> None:
    site = await subject.site()
    hands = subject.hands(Scope(public_hosts=(f"{site.host}:*",)))
    assert await _code(hands.exchange(_get(site.url("/hello")))) == "scope_denied"
    assert await _code(hands.connect(site.host, site.port, timeout_s=PATIENCE_S)) == "scope_denied"


@_case
async def private_addresses_are_denied_in_every_spelling(subject: Subject) -> None:
    site = await subject.site()
    spelled = ("[::ffff:127.0.0.1]", "[::1]", "127.0.0.1", "169.254.169.254", "10.0.0.1", "[fe80::1]", "0.0.0.0")
    hands = subject.hands(Scope(public_hosts=tuple(f"{host}:*" for host in spelled)))
    for host in spelled:
        assert await _code(hands.exchange(_get(f"http://{host}:{site.port}/hello"))) == "scope_denied", host


@_case
async def other_schemes_are_denied(subject: Subject) -> None:
    subject.put(f"{subject.inside}/file", b"data")
    site = await subject.site()
    hands = subject.hands(Scope(read=(subject.inside,), hosts=(f"{site.host}:*", "localhost:*")))
    for url in (f"file://{subject.inside}/file", f"ftp://{site.host}:{site.port}/hello", "/hello", ""):
        assert await _code(hands.exchange(_get(url))) == "scope_denied", url


@_case
async def a_port_that_answers_tells_the_address(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    address = await hands.connect(site.host, site.port, timeout_s=PATIENCE_S)
    assert address in await hands.resolve(site.host)


@_case
async def a_port_where_nobody_listens_is_a_failure(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    assert await _code(hands.connect(site.host, site.closed_port, timeout_s=PATIENCE_S)) == "tool_failed"
    closed = f"http://{site.host}:{site.closed_port}/"
    assert await _code(hands.exchange(_get(closed))) == "tool_failed"


@_case
async def a_host_that_is_not_named_is_not_looked_up(subject: Subject) -> None:
    site, hands = await _reaching(subject)
    assert await hands.resolve(site.host)
    assert await _code(hands.resolve("example.com")) == "scope_denied"
