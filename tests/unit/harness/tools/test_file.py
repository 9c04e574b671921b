"""The tools of files."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
import pytest

from wardwright.contracts.tool import ToolScope
from wardwright.harness.core.payload import Payload
from wardwright.harness.tools import file
from wardwright.harness.tools.file import LINE_CHARS_MAX, READ, SEARCH, WRITE, digest
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.hands import World
from wardwright.testing.tool_calls import call


def holding(**files: bytes) -> World:
    """A world with files in `/srv`; `__` in a name is a folder's slash, `_` a dot."""
    world = World()
    world.folder("/srv")
    for name, data in files.items():
        world.write("/srv/" + name.replace("__", "/").replace("_", "."), data)
    return world


def failing(calling: Callable[[], object]) -> WardwrightError:
    with pytest.raises(WardwrightError) as caught:
        calling()
    return caught.value


# file.read


def test_a_text_is_read_with_its_digest() -> None:
    read = call(READ, holding(a_txt="Grüße\n".encode()), path="/srv/a.txt")
    assert read.content == Payload(encoding="utf-8", text="Grüße\n")
    assert (read.kind, read.size, read.truncated, read.next_offset) == ("text", 8, False, None)
    assert read.digest == digest("Grüße\n".encode())


def test_a_file_is_read_in_parts_that_cut_no_character() -> None:
    text = "äöü" * 5
    world = holding(a=text.encode())
    first = call(READ, world, path="/srv/a", bytes_max=5)
    assert (first.content.text, first.next_offset, first.digest) == ("äö", 4, None)
    second = call(READ, world, path="/srv/a", offset=4, bytes_max=5)
    assert (second.content.text, second.next_offset) == ("üä", 8)
    last = call(READ, world, path="/srv/a", offset=8, bytes_max=500)
    assert (first.content.text + second.content.text + last.content.text, last.next_offset) == (text, None)


def test_a_negative_offset_counts_from_the_end() -> None:
    read = call(READ, holding(a=b"0123456789"), path="/srv/a", offset=-3)
    assert (read.offset, read.content.text, read.truncated) == (7, "789", False)
    assert call(READ, holding(a=b"01"), path="/srv/a", offset=-30).content.text == "01"


@pytest.mark.parametrize("data", [b"\x7fELF\0\0", b"\xff\xfe", b"caf\xe9 au lait"])
def test_a_binary_file_is_told_to_be_one_and_given_only_if_asked_for(data: bytes) -> None:
    read = call(READ, holding(a=data), path="/srv/a")
    assert (read.kind, read.content, read.size, read.digest) == ("binary", None, len(data), digest(data))
    asked = call(READ, holding(a=data), path="/srv/a", binary=True)
    assert asked.content == Payload(encoding="base64", text=base64.b64encode(data).decode())


def test_a_result_has_room_for_what_is_read() -> None:
    tool = READ.under(msgspec.structs.replace(READ.contract, output_bytes_max=65_536))
    read = call(tool, holding(a=b"\x01" * 60_000), path="/srv/a")
    assert read.truncated


# file.write


def test_a_file_is_made_but_never_over_another() -> None:
    world = holding()
    written = call(WRITE, world, path="/srv/a", content="héllo")
    assert (written.bytes, written.digest) == (6, digest("héllo".encode()))
    assert world.files["/srv/a"] == "héllo".encode()
    assert failing(lambda: call(WRITE, world, path="/srv/a", content="")).code == "tool_failed"


def test_bytes_are_written_from_base64() -> None:
    world = holding()
    call(WRITE, world, path="/srv/a", content="AP8=", encoding="base64")
    assert world.files["/srv/a"] == b"\0\xff"
    error = failing(lambda: call(WRITE, world, path="/srv/b", content="A?=", encoding="base64"))
    assert (error.code, error.place and error.place.path) == ("tool_arguments", "content")


def test_what_changed_since_is_not_written_over() -> None:
    world = holding(a=b"old")
    expected = call(READ, world, path="/srv/a").digest
    written = call(WRITE, world, path="/srv/a", content="new", how="replace", expected_digest=expected)
    assert world.files["/srv/a"] == b"new"
    error = failing(lambda: call(WRITE, world, path="/srv/a", content="newer", how="replace", expected_digest=expected))
    assert (error.code, error.hint) == ("tool_failed", "read it again; somebody has written to it since")
    assert world.files["/srv/a"] == b"new"
    added = call(WRITE, world, path="/srv/a", content="er", how="append", expected_digest=written.digest)
    assert added.digest == digest(b"newer")


def test_a_file_to_be_made_has_no_digest() -> None:
    error = failing(lambda: call(WRITE, holding(), path="/srv/a", content="", expected_digest=digest(b"")))
    assert error.code == "tool_arguments"


def test_an_appended_file_is_not_read_for_its_digest() -> None:
    world = holding(a=b"one ")
    assert call(WRITE, world, path="/srv/a", content="two", how="append").digest is None
    assert world.files["/srv/a"] == b"one two"


# file.search


def test_lines_are_found_by_path_and_number() -> None:
    world = holding(b_txt=b"x\nneedle and needle\n", a__c_txt=b"a needle\r\n", d_txt=b"nothing\n")
    found = call(SEARCH, world, path="/srv", pattern="needle")
    assert [(one.path, one.line, one.column, one.text) for one in found.matches] == [
        ("/srv/b.txt", 2, 1, "needle and needle"),
        ("/srv/a/c.txt", 1, 3, "a needle"),
    ]
    assert (found.files_searched, found.truncated) == (3, False)


def test_one_file_is_searched_alone() -> None:
    found = call(SEARCH, holding(a=b"x", b=b"x"), path="/srv/a", pattern="x")
    assert [one.path for one in found.matches] == ["/srv/a"]


def test_a_pattern_is_a_pattern_unless_it_is_said_to_be_a_text() -> None:
    world = holding(a=b"1.5\n125\nA.B\n")
    assert [one.line for one in call(SEARCH, world, path="/srv", pattern=r"^\d.5$").matches] == [1, 2]
    assert [one.line for one in call(SEARCH, world, path="/srv", pattern="1.5", literal=True).matches] == [1]
    assert [one.line for one in call(SEARCH, world, path="/srv", pattern="a.b", ignore_case=True).matches] == [3]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(", r"(a)\1", "a*"])
def test_a_pattern_that_could_stall_or_says_nothing_is_refused(pattern: str) -> None:
    error = failing(lambda: call(SEARCH, holding(a=b"a"), path="/srv", pattern=pattern))
    assert (error.code, error.place and error.place.path) == ("tool_arguments", "pattern")
    assert error.hint


def test_files_are_chosen_by_name_or_path() -> None:
    world = holding(a_py=b"x", b_txt=b"x", c__d_py=b"x")
    assert [one.path for one in call(SEARCH, world, path="/srv", pattern="x", names=["*.py"]).matches] == [
        "/srv/a.py",
        "/srv/c/d.py",
    ]
    assert [one.path for one in call(SEARCH, world, path="/srv", pattern="x", names=["c/*"]).matches] == ["/srv/c/d.py"]


def test_hidden_and_binary_files_and_links_are_left_alone() -> None:
    world = holding(_git__config=b"x", a=b"x\0x", b=b"x")
    world.write("/etc/secret", b"x")
    world.link("/srv/out", "/etc")
    found = call(SEARCH, world, path="/srv", pattern="x")
    assert [one.path for one in found.matches] == ["/srv/b"]
    assert found.files_binary == 1
    hidden = call(SEARCH, world, path="/srv", pattern="x", hidden=True)
    assert [one.path for one in hidden.matches] == ["/srv/b", "/srv/.git/config"]


def test_what_is_cut_is_said() -> None:
    world = holding(**{f"f{number}": b"x\nx\n" for number in range(5)})
    few = call(SEARCH, world, path="/srv", pattern="x", matches_max=3)
    assert (len(few.matches), few.truncated, few.cut) == (3, True, ("matches",))
    files = call(SEARCH, world, path="/srv", pattern="x", files_max=2)
    assert (files.files_searched, files.cut) == (2, ("files",))
    exact = call(SEARCH, world, path="/srv", pattern="x", matches_max=10)
    assert (len(exact.matches), exact.truncated) == (10, False)


def test_a_long_line_is_shortened_around_the_match() -> None:
    (match,) = call(SEARCH, holding(a=b"-" * 5000 + b"needle" + b"-" * 5000), path="/srv", pattern="needle").matches
    assert match.column == 5001
    assert "needle" in match.text
    assert len(match.text) <= LINE_CHARS_MAX + 2


def test_a_line_too_long_to_search_is_said() -> None:
    found = call(SEARCH, holding(a=b"-" * 30_000 + b"needle"), path="/srv", pattern="needle")
    assert (found.matches, found.cut) == ((), ("lines",))


def test_a_search_that_fills_the_result_stops() -> None:
    tool = SEARCH.under(msgspec.structs.replace(SEARCH.contract, output_bytes_max=65_536))
    found = call(tool, holding(a=b"\x01x" * 100 + b"\n" + (b"\x01x" * 100 + b"\n") * 500), path="/srv", pattern="x")
    assert found.cut == ("matches",)


def test_what_cannot_be_read_is_left_out_and_said() -> None:
    world = holding(a=b"x", b=b"x", theirs__c=b"x")
    world.locked.update(("/srv/a", "/srv/theirs"))
    found = call(SEARCH, world, path="/srv", pattern="x")
    assert [one.path for one in found.matches] == ["/srv/b"]
    assert found.cut == ("unreadable",)
    assert failing(lambda: call(SEARCH, world, path="/srv/a", pattern="x")).code == "tool_failed"
    assert failing(lambda: call(SEARCH, world, path="/srv/none/", pattern="x")).code == "tool_failed"


def test_a_folder_deeper_than_the_bound_is_said() -> None:
    world = World()
    world.write("/srv" + "/d" * (file.DEPTH_MAX + 2) + "/a", b"x")
    assert call(SEARCH, world, path="/srv", pattern="x").cut == ("depth",)


# Scopes


@pytest.mark.parametrize("path", ["srv/a", "/srv/../etc/passwd", "/srv/a\0", ""])
def test_a_path_that_is_not_absolute_is_refused(path: str) -> None:
    assert failing(lambda: call(READ, holding(a=b""), path=path)).code == "tool_arguments"


def test_a_contract_may_narrow_what_a_call_reaches() -> None:
    scope = ToolScope(read=("/srv/open",))
    world = holding(open__a=b"yes", closed__a=b"no")
    assert call(READ, world, scope=scope, path="/srv/open/a").content.text == "yes"
    assert failing(lambda: call(READ, world, scope=scope, path="/srv/closed/a")).code == "scope_denied"
    assert failing(lambda: call(WRITE, world, scope=scope, path="/srv/open/b", content="")).code == "scope_denied"
