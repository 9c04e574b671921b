"""Alerts between real processes and a real receiver that is slow, fails, then recovers; and what a kill leaves."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parts import children
from parts.children import Child
from parts.webhook_receiver import Receiver, Reply, receiving

TESTS = Path(__file__).parent.parent
COUNT = 25


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@contextmanager
def gateway(state: Path, receiver: Receiver, count: int, prefix: str = "rcp") -> Iterator[Child]:
    """A gateway whose alerts are on disk."""
    command = [sys.executable, "-m", "parts.alert_child", str(state), receiver.url, str(count), prefix]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    with children.running(command, env={**os.environ, "PYTHONPATH": path}) as child:
        assert child.first_line() == "durable", child.said()
        yield child


def end(child: Child) -> None:
    """Let it end in good order."""
    child.stdin().close()
    assert child.process.wait(children.END_TIMEOUT_S * 3) == 0, child.said()


def told(receiver: Receiver) -> Counter[str]:
    """How often the receiver took the alert of each call."""
    return Counter(posted.document["alert"]["receipt"] for posted in receiver.taken)


def every(count: int, prefix: str = "rcp") -> set[str]:
    return {f"{prefix}_{number}" for number in range(count)}


def test_ending_the_gateway_delivers_what_is_due(tmp_path: Path, receiver: Receiver) -> None:
    with gateway(tmp_path, receiver, COUNT) as child:
        end(child)
    assert told(receiver) == dict.fromkeys(every(COUNT), 1)
    assert all(posted.genuine for posted in receiver.posted)


def test_a_kill_while_the_receiver_is_slow_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    receiver.default = Reply(wait_s=20)
    with gateway(tmp_path, receiver, COUNT) as child:
        receiver.wait_until_busy(4)
        child.process.kill()
        child.process.wait()
    receiver.default = Reply()
    receiver.let_go.set()
    with gateway(tmp_path, receiver, 1, "later") as child:
        end(child)
    assert set(told(receiver)) == every(COUNT) | every(1, "later")
    twice = [receipt for receipt, count in told(receiver).items() if count > 1]
    assert len(twice) <= 4, "only what was under way may come again"
    assert len({posted.id for posted in receiver.taken}) == COUNT + 1, "under the id it had before"


def test_a_receiver_that_fails_and_recovers_is_told_everything_once(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies.extend([Reply(status=503), Reply(hang_up=True), Reply(status=500), Reply(status=429)])
    with gateway(tmp_path, receiver, COUNT) as child:
        receiver.wait_for(COUNT + 4)
        end(child)
    assert told(receiver) == dict.fromkeys(every(COUNT), 1)
    assert len(receiver.posted) == COUNT + 4


def test_what_a_receiver_that_is_down_did_not_get_is_delivered_after_the_next_start(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.default = Reply(status=503)
    with gateway(tmp_path, receiver, COUNT) as child:
        receiver.wait_for(1)
        end(child)
        assert "wait for the next start" in child.said()
    assert told(receiver) == {}
    receiver.default = Reply()
    with gateway(tmp_path, receiver, 0) as child:
        receiver.wait_for(COUNT + 1)
        child.wait_for("all alerts", lambda: set(told(receiver)) == every(COUNT) or None)
        end(child)
    assert told(receiver) == dict.fromkeys(every(COUNT), 1)
