"""What is left for whoever takes it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.kernel.errors import WardwrightError
from wardwright.storage import spool
from wardwright.storage.lock import Holder, Lock, held
from wardwright.storage.spool import Spool


def test_what_is_left_is_there_whole_until_it_is_removed(tmp_path: Path) -> None:
    here = Spool(tmp_path / "tasks" / "ezra")
    assert (here.names(), here.read("b")) == ((), None)
    assert here.leave("b", b"2")
    assert here.leave("a", b"1")
    assert not here.leave("a", b"another"), "a name is used once"
    assert (here.names(), here.read("a")) == (("a", "b"), b"1")
    here.remove("a")
    here.remove("a")
    assert here.names() == ("b",)


def test_a_draft_is_not_taken_for_something_that_was_left(tmp_path: Path) -> None:
    (tmp_path / ".a.7.draft").write_bytes(b"half")
    assert Spool(tmp_path).names() == ()


def test_a_full_spool_takes_nothing_more(tmp_path: Path) -> None:
    for number in range(spool.FILES_MAX):
        (tmp_path / str(number)).touch()
    with pytest.raises(WardwrightError) as refused:
        Spool(tmp_path).leave("one-more", b"")
    assert refused.value.code == "tasks_full"


def test_whether_a_lock_is_held_can_be_seen_without_taking_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert not held(lock.path)
    lock.take(Holder(pid=1))
    assert held(lock.path)
    lock.drop()
    assert not held(lock.path)
