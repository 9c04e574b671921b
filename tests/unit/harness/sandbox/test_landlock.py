"""What a ruleset comes down to on kernels of different ages."""

from __future__ import annotations

import pytest

from wardwright.harness.sandbox.landlock import READ, WRITE, Net, Plan, Right, Rules, Scoped, plan

RULES = Rules(read=("/etc/passwd",), run=("/usr",), write=("/srv",), devices=("/dev/null",), connect=(443,), bind=None)


def _allowed(plan: Plan) -> dict[str, Right]:
    return {path: Right(rights) for path, rights in plan.paths}


@pytest.mark.parametrize(
    ("abi", "rights", "size", "missing"),
    [
        (1, 13, 8, ("truncate", "tcp", "devices", "scoping")),
        (2, 14, 8, ("truncate", "tcp", "devices", "scoping")),
        (3, 15, 8, ("tcp", "devices", "scoping")),
        (4, 15, 16, ("devices", "scoping")),
        (5, 16, 16, ("scoping",)),
        (6, 16, 24, ()),
        (7, 16, 24, ()),
    ],
)
def test_a_kernel_is_asked_for_what_it_knows_and_what_is_missing_is_said(
    abi: int, rights: int, size: int, missing: tuple[str, ...]
) -> None:
    made = plan(RULES, abi)
    assert (made.fs, made.size, made.missing) == ((1 << rights) - 1, size, missing)


def test_no_right_is_granted_that_is_not_handled() -> None:
    for abi in range(1, 8):
        made = plan(RULES, abi)
        assert all(rights & ~made.fs == 0 for _, rights in made.paths)
        assert all(rights & ~made.net == 0 for _, rights in made.ports)


def test_what_is_read_is_neither_run_nor_written() -> None:
    allowed = _allowed(plan(RULES, 7))
    assert allowed["/etc/passwd"] == READ
    assert Right.EXECUTE in allowed["/usr"]
    assert Right.WRITE_FILE not in allowed["/usr"]


def test_what_is_written_makes_no_devices() -> None:
    allowed = _allowed(plan(RULES, 7))["/srv"]
    assert allowed == WRITE
    assert not allowed & (Right.MAKE_CHAR | Right.MAKE_BLOCK)


def test_a_device_is_used_and_makes_nothing() -> None:
    allowed = _allowed(plan(RULES, 7))["/dev/null"]
    assert allowed == Right.READ_FILE | Right.WRITE_FILE | Right.IOCTL_DEV


def test_ports_that_are_not_held_are_not_handled() -> None:
    made = plan(RULES, 4)
    assert made.net == Net.CONNECT_TCP
    assert made.ports == ((443, int(Net.CONNECT_TCP)),)
    assert plan(Rules(connect=None, bind=None), 7).net == 0
    assert plan(Rules(), 7).net == Net.CONNECT_TCP | Net.BIND_TCP


def test_sockets_without_a_file_and_signals_stay_within() -> None:
    assert plan(Rules(), 6).scoped == Scoped.ABSTRACT_UNIX_SOCKET | Scoped.SIGNAL
    assert plan(Rules(), 5).scoped == 0
