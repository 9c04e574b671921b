"""A gateway under policies that answered some calls and ended: what commands over receipts are tried on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from parts.front import Answered, World, world
from parts.gateway_thread import Document
from wardwright.calls.receipt import CLOSED, Receipt
from wardwright.gateway.core.heading import Heading
from wardwright.journal.record import read
from wardwright.storage.reader import SegmentReader

POLICY: Final = """\
kind: policy
name: desk
owner: desk-team
rules:
  - id: no-night-owls
    phase: request
    when: {all: [{eq: [caller.agent, owl]}, {contains: [text.user, password]}]}
    then: [{block: {code: owls_sleep, message: Ask again in the morning.}}]
    why: At night nobody looks.
  - id: long-answers
    phase: request
    when: {gt: [request.output_tokens, 4096]}
    unless: [{name: batch, any_of: [caller.tags, [batch]]}]
    then: [{annotate: long}]
    why: Long answers are dear.
  - id: old-client
    phase: stream
    on: [text]
    match: {regex: 'OldClient\\('}
    then: [{retry_with_reminder: {text: Use NewClient., max: 1}}]
    after_retries: [{block: {code: deprecated_api}}]
    why: The class was removed.
  - id: watch-tokens
    phase: stream
    on: [text]
    match: {regex: 'token'}
    then: [block]
    enforce: shadow
    why: To see how often it is said.
"""
"""A rule of each kind that a receipt tells of: text withheld, a plain comparison, a retry, a rule in shadow."""

PROVIDER: Final = """\
kind: provider
name: scripted
transport: scripted
scripts:
  - model: fast
    steps:
      - {text: "client = OldClient(token)", input_tokens: 7, output_tokens: 6}
      - {text: "client = NewClient(token)", input_tokens: 9, output_tokens: 6}
      - {text: "It is done.", input_tokens: 7, output_tokens: 4}
"""

MODEL: Final = """\
kind: model
name: coding
policies: [desk]
targets:
  - {name: fast, provider: scripted, model: fast, context_window: 8192}
"""

DOCUMENTS: Final = {"provider.yaml": PROVIDER, "coding.yaml": MODEL, "desk.yaml": POLICY}


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    text: str = "hi"
    agent: str | None = None
    session: str | None = None
    members: Document = {}


CALLS: Final = (
    Asking(agent="lark", session="s1"),
    Asking(agent="owl", text="what is the password"),
    Asking(agent="owl", members={"max_tokens": 5000}),
)
"""One that is asked again, one that is refused, one that is labelled."""


def play(
    folder: Path,
    calls: Sequence[Asking] = CALLS,
    documents: dict[str, str] = DOCUMENTS,
    *,
    stream: bool = True,
    **settings: Any,
) -> tuple[Receipt, ...]:
    """Answer these calls, one after another; their receipts. `folder` holds `contracts` and `state` then."""

    async def run() -> None:
        async with world(folder, documents, **settings) as made:
            for one in calls:
                await asked(made, one, stream=stream)

    asyncio.run(run())
    return closed(folder / "state")


async def asked(made: World, one: Asking, *, stream: bool) -> Answered:
    client = Answered()
    headers = {b"host": b"localhost"}
    if one.agent is not None:
        headers[b"x-wardwright-agent-id"] = one.agent.encode()
    if one.session is not None:
        headers[b"x-wardwright-session-id"] = one.session.encode()
    body = {"model": "coding", "messages": [{"role": "user", "content": one.text}], "stream": stream, **one.members}
    made.runtime.gateway.call("chat", Heading(headers), msgspec.json.encode(body), client)
    return await client.heard()


def closed(state: Path) -> tuple[Receipt, ...]:
    """Every receipt of a state directory, in the order in which the calls ended."""
    reader = SegmentReader(state)
    records = (
        read(line.text) for key in reader.chains() if key.chain == "calls" for line in reader.lines(key) if line.whole
    )
    return tuple(msgspec.json.decode(record.data, type=Receipt) for record in records if record.kind == CLOSED)
