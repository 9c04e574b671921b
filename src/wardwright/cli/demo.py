"""`wardwright demo`: three calls and what remains of them. Two go through a model of which one member is down; in the
third the model begins to write what a rule forbids, and the client never sees it.

Everything is real but the upstreams: a gateway in a process of its own, the official client, receipts in a journal.
The upstreams answer from the examples, so nothing is needed: no key, no GPU, no network. Nothing is left behind.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click
import msgspec

from wardwright.api.journal import Verification, overall
from wardwright.api.receipts import Full
from wardwright.api.versions import Stored
from wardwright.calls.receipt import Receipt
from wardwright.cli import receipt_words
from wardwright.cli.door import Door, open_door
from wardwright.cli.examples import examples
from wardwright.cli.exits import Exit
from wardwright.cli.options import json_option
from wardwright.cli.output import Output
from wardwright.cli.ruling_words import ruled
from wardwright.cli.state import running_in
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.replay import Replay, replay
from wardwright.routing.graph import resolve
from wardwright.routing.outline import outline
from wardwright.runtime.offline import StoredJournal

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam

MODEL: Final = "coding-balanced"
QUESTIONS: Final = ("How do I reverse a list in place?", "What about an empty list, or a list of one?")
RULED: Final = "deprecated-api"
RULED_QUESTION: Final = "How do I fetch the reports?"
FORBIDDEN: Final = "OldClient"
"""What the scripted model of RULED begins to write, and its policy forbids."""
START_S: Final = 30.0
END_S: Final = 10.0
LOOK_S: Final = 0.02
SAID_CHARS_MAX: Final = 2000


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the demonstration showed."""

    answers: tuple[str, ...]
    receipts: tuple[Receipt, ...]
    replays: tuple[Replay, ...]
    verification: Verification


@click.command()
@json_option
def demo(out: Output) -> Exit:
    """See it work: a failing model, a rule that stops a stream, receipts, a replay.

    A gateway starts on a free port over the example contracts, answers the official `openai` client, and is gone
    again. No key, no GPU and no network is needed.
    """
    _require_client()
    signal.signal(signal.SIGTERM, _end)
    show = _Show(out)
    with tempfile.TemporaryDirectory(prefix="wardwright-demo-") as scratch:
        state = Path(scratch)
        with _gateway(state) as url:
            shown = _play(url, state, show)
        journal = StoredJournal(state)
        replays = tuple(replay(receipt, journal.contracts.get) for receipt in shown.receipts)
        verdicts = journal.verify()
    shown = msgspec.structs.replace(
        shown, replays=replays, verification=Verification(verdict=overall(verdicts), chains=verdicts)
    )
    show.end(shown)
    good = shown.verification.verdict == "intact" and all(one.verdict == "reproduced" for one in replays)
    if any(FORBIDDEN in answer for answer in shown.answers):
        return Exit.FAILED
    return Exit.OK if good else Exit.INTEGRITY


def _play(url: str, state: Path, show: _Show) -> Shown:
    """The calls: the first streamed, the second whole, the third streamed under a rule."""
    from openai import DefaultHttpxClient, OpenAI

    with (
        OpenAI(
            base_url=f"{url}/v1", api_key="none-needed", max_retries=0, http_client=DefaultHttpxClient(trust_env=False)
        ) as client,
        open_door(state) as door,
    ):
        show.model(url, door.ask("GET", f"/api/models/{MODEL}/contract", Stored))
        answers: list[str] = []
        receipts: list[Receipt] = []
        for question, ask in zip(QUESTIONS, (_streamed, _whole), strict=True):
            show.question(question, streamed=ask is _streamed)
            talk = [text for pair in zip(QUESTIONS, answers, strict=False) for text in pair]
            text, call = ask(client, MODEL, [*talk, question], show)
            receipts.append(_receipt(door, call))
            answers.append(text)
            show.call(receipts[-1])
        show.rule()
        show.question(RULED_QUESTION, streamed=True)
        text, call = _streamed(client, RULED, [RULED_QUESTION], show)
        receipts.append(_receipt(door, call))
        answers.append(text)
        show.call(receipts[-1])
        show.seen(text)
    return Shown(
        answers=tuple(answers),
        receipts=tuple(receipts),
        replays=(),
        verification=Verification(verdict="incomplete", chains=()),
    )


def _streamed(client: OpenAI, model: str, talk: list[str], show: _Show) -> tuple[str, str]:
    """The answer and the id of the call."""
    pieces: list[str] = []
    call = ""
    for chunk in client.chat.completions.create(model=model, messages=_messages(talk), stream=True):
        call = chunk.id
        for choice in chunk.choices:
            if choice.delta.content:
                pieces.append(choice.delta.content)
                show.text(choice.delta.content)
    return "".join(pieces), call


def _whole(client: OpenAI, model: str, talk: list[str], show: _Show) -> tuple[str, str]:
    answer = client.chat.completions.create(model=model, messages=_messages(talk))
    text = answer.choices[0].message.content or ""
    show.text(text)
    return text, answer.id


def _messages(talk: Iterable[str]) -> list[ChatCompletionMessageParam]:
    """What was said so far: question and answer in turn."""
    return [
        {"role": "assistant", "content": text} if index % 2 else {"role": "user", "content": text}
        for index, text in enumerate(talk)
    ]


def _receipt(door: Door, call: str) -> Receipt:
    full = door.ask("GET", f"/v1/receipts/{call.removeprefix('chatcmpl-')}", Full)
    if full.receipt is None:
        raise WardwrightError("receipt_not_found", f"the call {call} has no receipt")
    return full.receipt


# What is seen


class _Show:
    """What a person sees while it goes on."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def model(self, url: str, stored: Stored) -> None:
        self._line(f"A gateway listens at {url}/v1. It serves {MODEL}:")
        self._line()
        for line in outline(resolve(MODEL, {MODEL: stored.contract})):
            self._line(f"  {line}")
        self._line()
        self._line(click.style("  swift is down in this example: it answers every call with HTTP 503.", dim=True))

    def rule(self) -> None:
        self._line()
        self._line(
            f"{RULED} is under a policy. Its model was trained before version 2 of a library, and begins to call"
        )
        self._line(f"{FORBIDDEN}, which was removed:")

    def seen(self, text: str) -> None:
        held = "held" if FORBIDDEN in text else "never held"
        self._line(f"  client   one clean answer: the stream {held} {FORBIDDEN}")

    def question(self, text: str, *, streamed: bool) -> None:
        self._line()
        how = "streamed" if streamed else "whole"
        self._line(click.style(f"> {text}", fg="cyan", bold=True) + click.style(f"  ({how})", dim=True))
        self._line()

    def text(self, text: str) -> None:
        if not self._out.as_json:
            click.echo(text, nl=False)

    def call(self, receipt: Receipt) -> None:
        self._line()
        self._line(f"  route    {receipt_words.way(receipt)}")
        self._line(f"  receipt  {receipt.receipt}: {receipt_words.bill(receipt)}")
        for tried in receipt_words.waterfall(receipt):
            self._line(click.style(f"           {tried}", dim=True))
        for index, line in enumerate(ruled(receipt)):
            self._line(f"  {'' if index else 'policy':<8} {line}")

    def end(self, shown: Shown) -> None:
        if self._out.as_json:
            self._out.answer(shown, ())
            return
        again = sum(one.verdict == "reproduced" for one in shown.replays)
        records = sum(chain.records for chain in shown.verification.chains)
        self._line()
        self._line(f"replay  {again} of {len(shown.replays)} route decisions came out the same from their receipts")
        self._line(
            f"verify  {shown.verification.verdict}: {records} records in {len(shown.verification.chains)} chains"
        )
        self._line()
        self._line(f"The gateway has ended and its files are gone. Next: wardwright serve {_near(examples())}")

    def _line(self, text: str = "") -> None:
        if not self._out.as_json:
            click.echo(text)


def _near(folder: Path) -> str:
    """A folder as one would type it here."""
    here = Path.cwd()
    return shlex.quote(str(folder.relative_to(here) if folder.is_relative_to(here) else folder))


# The gateway


@contextmanager
def _gateway(state: Path) -> Iterator[str]:
    """A gateway over the examples in a process of its own; its URL. It ends with the block, however that ends."""
    command = [sys.executable, "-m", "wardwright", "serve", str(examples())]
    command += ["--bind", "127.0.0.1:0", "--state", str(state), "--durability", "before_response"]
    log = state / "gateway.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WARDWRIGHT_")}
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=environment)
    try:
        yield _url(process, state, log)
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _url(process: subprocess.Popen[bytes], state: Path, log: Path) -> str:
    """Where the gateway listens, once it does. Raises `server_unreachable` with its own words."""
    give_up_at = time.monotonic() + START_S
    while time.monotonic() < give_up_at and process.poll() is None:
        url = running_in(state)
        if url is not None:
            return url
        time.sleep(LOOK_S)
    said = log.read_text(errors="replace")[-SAID_CHARS_MAX:]
    raise WardwrightError("server_unreachable", f"the gateway did not start:\n{said}")


def _end(number: int, frame: FrameType | None) -> None:
    """Asked to end: leave by way of every `finally`."""
    sys.exit(128 + number)


def _require_client() -> None:
    try:
        import openai  # noqa: F401
    except ImportError:
        raise WardwrightError(
            "extra_missing", "the demonstration needs the official client `openai`", hint="pip install openai"
        ) from None
