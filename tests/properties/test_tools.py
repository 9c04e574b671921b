"""Tools: what git writes is read back as it was, and no caller breaks the decoder or widens a scope."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator
from typing import Literal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wardwright.contracts.decode import decode
from wardwright.contracts.difference import diff
from wardwright.contracts.digest import canonical, digest, restored
from wardwright.contracts.template import Hole, Malformed, filled, pieces
from wardwright.contracts.tool import (
    ArgumentName,
    Cache,
    Effect,
    Parameter,
    Retry,
    Reversal,
    Step,
    ToolContract,
    ToolScope,
    Value,
)
from wardwright.harness.core.payload import fitting, fitting_items, told, untold, whole_chars
from wardwright.harness.core.scope import scope_of
from wardwright.harness.core.tool import AnyTool, decoded
from wardwright.harness.tools.built_in import BUILT_IN
from wardwright.harness.tools.git import porcelain
from wardwright.harness.tools.git.porcelain import ChangeKind, Commit, FileChange, FileState, StatusParts, Unreadable
from wardwright.harness.tools.system import kernel_files
from wardwright.harness.tools.system.machine import disk_usage
from wardwright.harness.tools.system.service import journal, properties
from wardwright.kernel.errors import WardwrightError

# Names as git allows them: anything but NUL. Awkward ones come often.
names = st.text(
    st.sampled_from("ab/ .-\n\t\"'\\:é→#?!1") | st.characters(codec="utf-8", exclude_characters="\0"),
    min_size=1,
    max_size=12,
)
digests = st.text("0123456789abcdef", min_size=40, max_size=40)
letters: st.SearchStrategy[tuple[str, ChangeKind]] = st.sampled_from(
    [(".", "none"), ("M", "modified"), ("A", "added"), ("D", "deleted"), ("T", "type")]
)


# git status


@st.composite
def states(draw: st.DrawFn) -> tuple[str, FileState]:
    """One entry as git writes it, and what it means."""
    path, one, other = draw(names), draw(letters), draw(letters)
    modes, oid = "100644 100644 100644", "7" * 40
    match draw(st.sampled_from(["1", "2", "u"])):
        case "1":
            text = f"1 {one[0]}{other[0]} N... {modes} {oid} {oid} {path}\0"
            return text, FileState(path=path, staged=one[1], unstaged=other[1])
        case "2":
            original = draw(names)
            text = f"2 R{other[0]} N... {modes} {oid} {oid} R{draw(st.integers(0, 100))} {path}\0{original}\0"
            return text, FileState(path=path, staged="renamed", unstaged=other[1], original=original)
        case _:
            text = f"u UU N... {modes} 100644 {oid} {oid} {oid} {path}\0"
            return text, FileState(path=path, staged="unmerged", unstaged="unmerged", conflict=True)


@st.composite
def statuses(draw: st.DrawFn) -> tuple[str, StatusParts]:
    commit, branch = draw(st.none() | digests), draw(st.none() | st.sampled_from(["main", "topic/é"]))
    upstream = draw(st.none() | st.just("origin/main"))
    ahead, behind = (draw(st.integers(0, 99)), draw(st.integers(0, 99))) if upstream else (None, None)
    text = f"# branch.oid {commit or '(initial)'}\0# branch.head {branch or '(detached)'}\0"
    if upstream:
        text += f"# branch.upstream {upstream}\0# branch.ab +{ahead} -{behind}\0"
    changed, untracked = draw(st.lists(states(), max_size=4)), draw(st.lists(names, max_size=3))
    text += "".join(entry for entry, _ in changed) + "".join(f"? {path}\0" for path in untracked)
    parts = StatusParts(
        commit=commit,
        branch=branch,
        upstream=upstream,
        ahead=ahead,
        behind=behind,
        changed=tuple(state for _, state in changed),
        untracked=tuple(untracked),
    )
    return text, parts


@given(written=statuses())
def test_a_status_is_read_as_it_was_written(written: tuple[str, StatusParts]) -> None:
    text, parts = written
    assert porcelain.status(text.encode()) == parts


@given(written=statuses(), at=st.integers(0, 2000))
def test_a_status_that_was_cut_is_the_beginning_of_the_whole(written: tuple[str, StatusParts], at: int) -> None:
    text, parts = written
    read = porcelain.status(text.encode()[:at], cut=True)
    assert read.changed == parts.changed[: len(read.changed)]
    assert read.untracked == parts.untracked[: len(read.untracked)]


# git log


messages = st.text(st.sampled_from("ab \n\té") | st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(
    commits=st.lists(
        st.tuples(digests, st.lists(digests, max_size=2), names, names, st.integers(-(2**33), 2**33), messages),
        max_size=4,
    ),
    at=st.integers(0, 2000),
)
def test_a_log_is_read_as_it_was_written(commits: list[tuple[str, list[str], str, str, int, str]], at: int) -> None:
    data = "".join(
        f"{commit}\0{' '.join(parents)}\0{author}\0{email}\0{at_s}\0{message}\0"
        for commit, parents, author, email, at_s, message in commits
    ).encode()
    read = porcelain.log(data)
    assert [(one.commit, list(one.parents), one.author, one.email, one.at_s) for one in read] == [
        one[:5] for one in commits
    ]
    for one, (*_, message) in zip(read, commits, strict=True):
        assert one.subject == message.strip("\n").partition("\n")[0]
        assert one.body in message
    assert porcelain.log(data[:at], cut=True) == read[: len(porcelain.log(data[:at], cut=True))]


# git diff


@given(
    files=st.lists(
        st.tuples(names, st.none() | names, st.sampled_from("MADT"), st.none() | st.integers(0, 10**6)),
        max_size=4,
        unique_by=lambda one: one[0],
    )
)
def test_a_difference_is_read_as_it_was_written(
    files: list[tuple[str, str | None, Literal["M", "A", "D", "T"], int | None]],
) -> None:
    kinds: dict[str, ChangeKind] = {"M": "modified", "A": "added", "D": "deleted", "T": "type"}
    raw = counted = ""
    wanted = []
    for path, original, letter, lines in files:
        count = "-" if lines is None else lines
        if original is None:
            raw += f":100644 100644 7898192 7898192 {letter}\0{path}\0"
            counted += f"{count}\t{count}\t{path}\0"
        else:
            raw += f":100644 100644 7898192 7898192 R100\0{original}\0{path}\0"
            counted += f"{count}\t{count}\t\0{original}\0{path}\0"
        kind: ChangeKind = "renamed" if original is not None else kinds[letter]
        wanted.append(FileChange(path=path, kind=kind, original=original, added=lines, removed=lines))
    assert porcelain.changes((raw + counted).encode()) == tuple(wanted)


# What is not as it should be


@contextlib.contextmanager
def only(code: str) -> Iterator[None]:
    """Whatever is raised is our error, with this code."""
    try:
        yield
    except WardwrightError as error:
        if error.code != code:
            raise


noise = st.binary(max_size=60) | st.text(st.sampled_from('#12u?! \0\t\n:MR()0=-+{}"[],'), max_size=60).map(str.encode)


@given(data=noise, cut=st.booleans())
def test_no_output_of_git_breaks_its_readers(data: bytes, cut: bool) -> None:
    for read in (porcelain.status, porcelain.log, porcelain.changes):
        try:
            read(data, cut=cut)
        except Unreadable:
            continue
    try:
        porcelain.branches(data)
    except Unreadable:
        return


@given(data=noise)
def test_nothing_that_linux_tells_breaks_its_readers(data: bytes) -> None:
    kernel_files.owner(data)
    kernel_files.memory(data)
    kernel_files.load(data)
    kernel_files.uptime_s(data)
    kernel_files.processors(data)
    kernel_files.system_name(data)
    properties(data)
    journal(data)
    with contextlib.suppress(kernel_files.Unreadable):
        kernel_files.process(data)
    with only("tool_failed"):
        disk_usage("/", data)


# Arguments


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def arguments_of(tool: AnyTool) -> st.SearchStrategy[dict[str, object]]:
    """Objects whose members are often called as the tool's arguments are."""
    called = st.sampled_from([field.name for field in msgspec.structs.fields(tool.arguments)] or ["x"])
    likely = st.sampled_from(["/srv/a", "https://a.example/", "main", 3, True, "create", ["a"], {"a": "b"}])
    return st.dictionaries(called | st.text(max_size=5), json_values | likely, max_size=6)


@pytest.mark.parametrize("tool", BUILT_IN, ids=lambda tool: tool.name)
@given(data=st.data())
def test_no_arguments_break_the_decoder_or_the_scope(tool: AnyTool, data: st.DataObject) -> None:
    values = data.draw(arguments_of(tool))
    made, scope = None, None
    with only("tool_arguments"):
        made = decoded(tool.arguments, values)
        scope = scope_of(tool.contract, made)
    if made is None or scope is None:
        return
    assert decoded(tool.arguments, msgspec.json.encode(made)) == made
    for path in (*scope.read, *scope.write):
        assert posixpath.isabs(path)
        assert ".." not in path.split("/")
    assert scope.hosts == ()
    assert not any("*" in host.rpartition(":")[0] for host in scope.public_hosts)
    assert scope.programs == tool.contract.scope.programs


@given(data=st.binary(max_size=40) | json_values.map(lambda value: repr(value).encode("utf-8", "surrogatepass")))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    for tool in BUILT_IN:
        with only("tool_arguments"):
            decoded(tool.arguments, data)


# Templates


parts = st.lists(st.sampled_from(["a", "{", "}", "/", "{{", " "]) | st.sampled_from(["x", "y_1"]).map(Hole), max_size=6)


@given(made=parts)
def test_a_template_is_read_as_it_was_written(made: list[str | Hole]) -> None:
    text = "".join(
        f"{{{one.name}}}" if isinstance(one, Hole) else one.replace("{", "{{").replace("}", "}}") for one in made
    )
    values = {"x": "{y_1}", "y_1": "}"}
    wanted = "".join(values[one.name] if isinstance(one, Hole) else one for one in made)
    assert filled(text, values) == wanted


@given(text=st.text("{}ab_1. ", max_size=12))
def test_a_template_is_whole_or_malformed(text: str) -> None:
    try:
        found = pieces(text)
    except Malformed:
        return
    again = "".join(
        f"{{{one.name}}}" if isinstance(one, Hole) else one.replace("{", "{{").replace("}", "}}") for one in found
    )
    assert pieces(again) == found


# Payloads


@given(data=st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode()), most=st.integers(0, 200))
def test_bytes_are_told_and_given_back_and_fit(data: bytes, most: int) -> None:
    assert untold(told(data), "x") == data
    part = fitting(data, most)
    assert data.startswith(part)
    assert len(msgspec.json.encode(told(part).text)) <= max(most, 2)
    assert told(part).encoding == told(data).encoding or not part or b"\0" in data or told(data).encoding == "base64"


@given(text=st.text(max_size=20), at=st.integers(0, 80))
def test_a_cut_text_loses_no_whole_character(text: str, at: int) -> None:
    cut = text.encode("utf-8", "surrogatepass")[:at] if text.isascii() else text.encode(errors="ignore")[:at]
    kept = whole_chars(cut)
    assert text.encode(errors="ignore").startswith(kept)
    assert len(cut) - len(kept) < 4
    kept.decode()


@given(items=st.lists(st.text(max_size=10), max_size=10), most=st.integers(0, 100))
def test_items_fit_and_no_more_are_left_out_than_must_be(items: list[str], most: int) -> None:
    kept = fitting_items(items, most)
    assert list(kept) == items[: len(kept)]
    assert not kept or len(msgspec.json.encode(kept)) <= most
    assume(len(kept) < len(items))
    assert len(msgspec.json.encode(items[: len(kept) + 1])) + 1 > most


# Contracts


argument_names: st.SearchStrategy[ArgumentName] = st.sampled_from(["a", "b_1", "path", "x"])
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="{}"), max_size=8
)
given_values: st.SearchStrategy[Value] = st.one_of(
    texts, st.integers(-100, 100), st.booleans(), st.lists(texts, max_size=2).map(tuple)
)
effects: st.SearchStrategy[Effect] = st.sampled_from(["write-local", "write-remote"])
reversals: st.SearchStrategy[Reversal] = st.sampled_from(["T0", "T1", "T2", "T3", "T4"])
entries = st.lists(st.sampled_from(["/a", "/b/{path}", "{path}"]), max_size=2, unique=True).map(
    lambda one: tuple(sorted(one))
)


@st.composite
def functions(draw: st.DrawFn) -> ToolContract:
    read = draw(st.booleans())
    cache = draw(st.none() | st.builds(Cache, ttl_s=st.integers(1, 99))) if read else None
    return ToolContract(
        name="some.tool",
        effect="read" if read else draw(effects),
        reversal="T0" if read else draw(reversals),
        doc=draw(texts),
        implements="file.read",
        timeout_s=draw(st.integers(1, 600)),
        retry=Retry(attempts_max=draw(st.none() | st.integers(1, 10)), wait_ms=draw(st.integers(0, 900))),
        cache=cache,
        inputs=("path",) if cache and draw(st.booleans()) else (),
        scope=ToolScope(read=draw(entries), write=draw(entries), hosts=draw(st.sampled_from([(), ("a.example:*",)]))),
        degrade=draw(st.none() | st.just("other")),
    )


@st.composite
def of_steps(draw: st.DrawFn) -> ToolContract:
    known = draw(st.lists(argument_names, max_size=3, unique=True))
    parameters = tuple(Parameter(name=name, type="text", required=True, doc=draw(texts)) for name in known)
    used: tuple[tuple[str, Value], ...] = tuple((name, f"<{{{name}}}>") for name in sorted(known))
    more: dict[str, Value] = draw(st.dictionaries(st.sampled_from(["c", "d"]), given_values, max_size=2))
    expect: dict[str, Value] = draw(st.dictionaries(argument_names, given_values, max_size=2))
    first = Step(tool="git.log", arguments=used, expect=tuple(sorted(expect.items())), why=draw(texts))
    second = Step(tool="git.log", arguments=tuple(sorted(more.items())))
    return ToolContract(
        name="whole",
        effect=draw(effects),
        reversal=draw(reversals),
        doc="So.",
        steps=(first, second),
        parameters=parameters,
    )


@given(one=functions() | of_steps(), other=functions() | of_steps())
def test_a_contract_survives_its_canonical_form_and_differs_exactly_where_its_digest_does(
    one: ToolContract, other: ToolContract
) -> None:
    (document,) = decode(canonical(one), "x.json")
    assert document.value == one == restored(canonical(one))
    assert bool(diff(one, other)) == (digest(one) != digest(other))


def test_a_commit_is_a_value() -> None:
    one = porcelain.log(b"a\0\0b\0c\x001\0d\0")[0]
    assert one == Commit(commit="a", parents=(), author="b", email="c", at_s=1, subject="d", body="")
