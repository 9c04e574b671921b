"""The sink kit over every sink and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.webhook_receiver import SECRET, Receiver, Reply, receiving
from wardwright.contracts.sink import JsonlSink, WebhookSink
from wardwright.journal.sinks import Later
from wardwright.runtime.clock import SystemClock
from wardwright.sinks.jsonl import JsonlFile
from wardwright.sinks.webhook import Webhook
from wardwright.testing import sink_kit
from wardwright.testing.sinks import MemorySink


class File:
    """A file of lines as the kit sees it."""

    def __init__(self, folder: Path) -> None:
        self.sink = JsonlFile(JsonlSink(name="kit", path="told/alerts.jsonl"), folder)

    def received(self) -> list[bytes]:
        return self.sink.path.read_bytes().splitlines()

    def break_receiver(self) -> None:
        self.sink.path.mkdir()  # what is no file cannot be appended to, whoever asks

    def mend_receiver(self) -> None:
        self.sink.path.rmdir()


class Posts:
    """A webhook as the kit sees it."""

    def __init__(self, receiver: Receiver) -> None:
        settings = WebhookSink(name="kit", secret="env:KIT", url=receiver.url)
        self.sink = Webhook(settings, SECRET.encode(), SystemClock(), agent="wardwright/kit")
        self._receiver = receiver

    def received(self) -> list[bytes]:
        assert all(one.genuine for one in self._receiver.posted)
        return [one.body for one in self._receiver.taken]

    def break_receiver(self) -> None:
        self._receiver.default = Reply(status=503)

    def mend_receiver(self) -> None:
        self._receiver.default = Reply()


class Memory:
    """The fake as the kit sees it."""

    def __init__(self) -> None:
        self.sink = MemorySink()

    def received(self) -> list[bytes]:
        return [letter.body for letter in self.sink.delivered]

    def break_receiver(self) -> None:
        self.sink.next.append(Later(why="broken"))

    def mend_receiver(self) -> None:
        self.sink.next.clear()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.mark.parametrize("case", sink_kit.CASES, ids=str)
def test_a_file_keeps_the_promises(case: sink_kit.Case, tmp_path: Path) -> None:
    case.run(lambda: File(tmp_path))


@pytest.mark.parametrize("case", sink_kit.CASES, ids=str)
def test_a_webhook_keeps_the_promises(case: sink_kit.Case, receiver: Receiver) -> None:
    case.run(lambda: Posts(receiver))


@pytest.mark.parametrize("case", sink_kit.CASES, ids=str)
def test_the_fake_keeps_the_promises(case: sink_kit.Case) -> None:
    case.run(Memory)
