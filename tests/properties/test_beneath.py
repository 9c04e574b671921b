"""Whatever links lie in a folder and however a path is spelled: a file within is read, and nothing else is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

from hypothesis import event, given
from hypothesis import strategies as st

from wardwright.harness.core.hands import Scope, WriteHow
from wardwright.harness.sandbox import files
from wardwright.harness.sandbox.beneath import Folders
from wardwright.kernel.errors import WardwrightError

SECRET: Final = b"secret"

folders = st.sampled_from(["a", "b", "a/b", "link", "link", "ring", ".", "..", "", "inside", "outside"])
ends = st.sampled_from(["file", "file", "link", "secret", "ring", ""])
spelled = st.builds(lambda front, end: "/".join([*front, end]), st.lists(folders, max_size=4), ends)
targets = st.one_of(
    st.sampled_from(["a", "b", "a/b", "file", ".", "..", "../file", "../a", "TOP/inside/a", "TOP/inside/file"]),
    st.sampled_from(["TOP/outside", "TOP/outside/file", "../outside", "../../outside/file", "TOP", "/proc/self/root"]),
    spelled,
)
links = st.dictionaries(st.sampled_from(["link", "ring", "a/link", "a/b/link", "a/ring", "b"]), targets, max_size=5)


def _made(top: Path, made: dict[str, str]) -> None:
    (top / "inside" / "a" / "b").mkdir(parents=True)
    (top / "outside").mkdir()
    for path in ("inside/file", "inside/a/file", "inside/a/b/file"):
        (top / path).write_text(path)
    for path in ("outside/secret", "outside/file", "secret", "file"):
        (top / path).write_bytes(SECRET)
    for path, target in made.items():
        at = top / "inside" / path
        if target and not os.path.lexists(at):
            at.symlink_to(target.replace("TOP", str(top)))


def _outside(top: Path) -> dict[str, bytes]:
    """All that must not change: what lies beside the folder, by name and content."""
    files = (path for folder in (top, top / "outside") for path in folder.iterdir() if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def _meant(path: str, inside: str) -> str | None:
    """The file within that a path means, by an oracle that may look twice; None where it means none."""
    plain, real = os.path.normpath(path), os.path.realpath(path)
    lies_within = all(one == inside or one.startswith(f"{inside}/") for one in (plain, real))
    # a path is walked: what it passes through must be there, which `realpath` alone does not ask
    return real if lies_within and os.path.isfile(real) and os.path.exists(path) else None


@given(links, spelled)
def test_a_path_reads_what_it_means_within_and_nothing_outside(made: dict[str, str], rest: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(os.path.realpath(folder))
        _made(top, made)
        inside = str(top / "inside")
        path = f"{inside}/{rest}"
        meant = _meant(path, inside)
        event("within" if meant else "none of ours")
        found = _told(lambda: files.read(Folders(Scope(read=(inside,))), path, offset=0, bytes_max=100).data)
        if meant is None:
            assert found in ("scope_denied", "tool_failed")
        else:
            assert found == Path(meant).read_bytes() != SECRET


@given(links, spelled, st.sampled_from(get_args(WriteHow)))
def test_no_path_writes_outside(made: dict[str, str], rest: str, how: WriteHow) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(os.path.realpath(folder))
        _made(top, made)
        before = _outside(top)
        inside = str(top / "inside")
        found = _told(lambda: files.write(Folders(Scope(write=(inside,))), f"{inside}/{rest}", b"new", how))
        event(str(found))
        assert found in (3, "scope_denied", "tool_failed")
        assert _outside(top) == before


def _told(doing: Callable[[], object]) -> object:
    """What comes of it, or the code of its error."""
    try:
        return doing()
    except WardwrightError as error:
        return error.code
