"""The outer wall as words: values, not processes."""

from __future__ import annotations

import pytest

from wardwright.harness.core.hands import Scope
from wardwright.harness.sandbox.bubblewrap import Layout, Within, alone, argv, refuse_unholdable, rules, widest
from wardwright.kernel.errors import WardwrightError

LAYOUT = Layout(
    bubblewrap="/usr/bin/bwrap",
    python="/usr/bin/python3.11",
    launcher="/usr/lib/wardwright/launcher.py",
    folders=("/usr",),
    links=(("/bin", "usr/bin"), ("/lib", "usr/lib")),
    etc=("/etc/passwd",),
    uid=1000,
    gid=1000,
)
WITHIN = Within(read=(("/srv/docs", "/srv/docs"),), write=(("/srv/work", "/data/work"),))

WORDS = """
/usr/bin/bwrap --unshare-all --unshare-user --die-with-parent --new-session --uid 1000 --gid 1000
--cap-drop ALL --cap-add CAP_SYS_ADMIN --cap-add CAP_SYS_RESOURCE --cap-add CAP_SETPCAP
--info-fd 9 --size 536870912 --tmpfs /tmp
--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --ro-bind /etc/passwd /etc/passwd
--bind /data/work /data/work --bind /data/work /srv/work --ro-bind /srv/docs /srv/docs
--proc /proc --perms 0755 --tmpfs /dev --ro-bind /usr/lib/wardwright/launcher.py /dev/wardwright/launcher.py
--dev-bind /dev/null /dev/null --dev-bind /dev/zero /dev/zero --dev-bind /dev/full /dev/full
--dev-bind /dev/random /dev/random --dev-bind /dev/urandom /dev/urandom
--symlink /proc/self/fd/0 /dev/stdin --symlink /proc/self/fd/1 /dev/stdout --symlink /proc/self/fd/2 /dev/stderr
--symlink /proc/self/fd /dev/fd --size 536870912 --perms 1777 --tmpfs /dev/shm
--remount-ro /dev --remount-ro / --chdir /
-- /usr/bin/python3.11 -I -S /dev/wardwright/launcher.py 11
"""


def test_a_scope_becomes_these_words() -> None:
    assert argv(LAYOUT, WITHIN, "/usr/bin/git", info=9, instruction=11) == tuple(WORDS.split())


def test_a_program_outside_of_the_system_is_bound_alone() -> None:
    words = " ".join(argv(LAYOUT, Within(), "/srv/tool", info=9, instruction=11))
    assert "--ro-bind /srv/tool /srv/tool" in words
    assert "/srv " not in words


def test_a_narrower_folder_is_bound_after_a_wider_one() -> None:
    within = Within(read=(("/a", "/a"),), write=(("/a/b/c", "/a/b/c"), ("/d", "/d")))
    words = " ".join(argv(LAYOUT, within, "/usr/bin/git", info=9, instruction=11))
    places = [words.index(part) for part in ("--ro-bind /a /a ", "--bind /a/b/c /a/b/c ")]
    assert places == sorted(places)


def test_what_lies_in_a_folder_with_the_same_rights_is_not_bound_by_itself() -> None:
    pairs = tuple((path, path) for path in ("/a", "/a/b", "/a/b/c"))
    assert widest(Within(write=pairs)).write == (("/a", "/a"),)
    assert widest(Within(read=pairs)).read == (("/a", "/a"),)
    assert widest(Within(read=(("/a/b", "/a/b"), ("/a", "/a")), write=(("/a", "/a"),))).read == ()


def test_a_link_that_is_there_already_is_not_bound_over() -> None:
    within = Within(read=(("/bin/tools", "/srv/tools"), ("/srv/docs/x", "/data/x"), ("/srv/docs", "/srv/docs")))
    words = " ".join(argv(LAYOUT, within, "/usr/bin/git", info=9, instruction=11))
    assert "--ro-bind /srv/tools /srv/tools" in words
    assert "--ro-bind /data/x /data/x" in words
    assert "/bin/tools" not in words
    assert "/srv/docs/x" not in words


@pytest.mark.parametrize("path", ["/", "//", "/proc", "/proc/self", "/dev", "/sys/kernel", "/srv\0"])
def test_a_scope_that_would_be_no_sandbox_is_refused(path: str) -> None:
    for scope in (Scope(read=(path,)), Scope(write=(path,))):
        with pytest.raises(WardwrightError) as refused:
            refuse_unholdable(scope)
        assert refused.value.code == "scope_denied"


def test_both_walls_hold_the_same_folders() -> None:
    held = rules(LAYOUT, WITHIN, "/usr/bin/git")
    assert "/data/work" in held.write
    assert "/srv/docs" in held.run
    assert held.connect == ()


def test_the_inner_wall_alone_keeps_proc_and_the_common_tmp_closed() -> None:
    held = alone(LAYOUT, WITHIN, "/usr/bin/git", "/tmp/mine")
    assert held.write == ("/tmp/mine", "/data/work")
    assert "/proc" not in (*held.read, *held.run, *held.write)
    assert held.bind == ()
