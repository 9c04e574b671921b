"""Every session in this folder comes out as it is written down.

After a change that was meant: `WARDWRIGHT_TRANSCRIPTS=write python -m pytest tests/transcripts` writes them anew; the
difference is then for a person to read.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from parts import gateway_process, governed_past, transcript
from parts.alerting import alert
from parts.front import CODING, DOCUMENTS, Answered, world
from wardwright.contracts.sink import WebhookSink

SESSIONS: Final = sorted(Path(__file__).parent.glob("*.txt"))
WRITE: Final = os.environ.get("WARDWRIGHT_TRANSCRIPTS") == "write"

REQUEST: Final = '{"messages": [{"role": "user", "content": "How do I reverse a list?"}]}\n'

BROKEN: Final = """\
kind: model
name: Coding
targets:
  - {name: fast, provider: scripted, model: fast, context_windw: 8192}
"""

RULES: Final = """\
kind: policy
name: desk-rules
owner: desk
rules:
  - id: long-answers
    phase: request
    when: {gt: [request.output_tokens, 4096]}
    unless: [{name: batch, any_of: [caller.tags, [batch]]}]
    then: [{block: output_budget}]
    why: Nobody reads so much.
    examples:
      fires: [{request.output_tokens: 5000}]
      silent: [{request.output_tokens: 5000, caller.tags: [batch]}]
  - id: night-shift
    phase: request
    when: {all: [{eq: [caller.agent, owl]}, {in: [caller.agent, [lark, robin]]}]}
    then: [{restrict_routes: local}, {annotate: night}]
    why: Owls work at night.
    on_error: silent
  - id: old-client
    phase: stream
    on: [text]
    match: {regex: 'OldClient\\s*\\('}
    then: [{retry_with_reminder: Use NewClient.}]
    enforce: shadow
    why: It was removed.
    examples:
      fires: [{text: OldClient(x)}]
"""

UNRULY: Final = """\
kind: policy
name: unruly
rules:
  - id: typo
    phase: request
    when: {eq: [caller.tennant, acme]}
    then: [block]
    why: x
  - id: late
    phase: receipt
    when: {eq: [receipt.status, failed]}
    then: [block]
    why: x
  - id: slow
    phase: stream
    on: [text]
    match: {regex: '(?:a+)+$'}
    then: [{rewrite: x}]
    why: x
"""

FAILING: Final = """\
kind: policy
name: failing
rules:
  - id: small
    phase: request
    when: {lt: [request.output_tokens, 16]}
    then: [{annotate: small}]
    why: Short answers are often cut off.
    examples:
      fires: [{request.output_tokens: 8}, {request.output_tokens: 16}]
"""

LONELY: Final = """\
kind: model
name: lonely
targets:
  - {name: far, provider: elsewhere, model: fast, context_window: 8192}
"""


async def _past(folder: Path) -> None:
    """A gateway that served two versions, was called four times, and ended in good order."""
    async with world(folder) as made:
        await made.call("coding", headers={"x-wardwright-agent-id": "builder"})
        await made.call("review")
        made.write("coding.yaml", CODING.replace("version: v1", "version: v2").replace("output: 2", "output: 3"))
        await made.runtime.reload()
        await made.call("coding", stream=True)
        refused: Answered = await made.call("coding-x")
        assert refused.error is not None


async def _asked(folder: Path) -> None:
    """A gateway where a rule wanted an approval and told a sink of it, which was not there."""
    sink = WebhookSink(attempts_max=1, name="sec", secret="env:SECRET", url="http://127.0.0.1:9")
    secret = {"SECRET": "a-secret-of-the-tests"}
    async with world(folder, environment=secret, sinks=(sink,)) as made:
        made.runtime.approvals.ask(
            digest="hmac-sha256:0",
            expires_s=3600,
            message="This spends money.",
            model="coding",
            policy="desk-rules",
            receipt="rcp_0190000000000000000000000001",
            rule="costly",
            tenant="acme",
        )
        made.runtime.alerts.raise_(alert("rcp_0190000000000000000000000001"))
        async with asyncio.timeout(20):
            while not made.runtime.alerts.pulse()[-1].dead_lettered:  # noqa: ASYNC110  # nobody tells when
                await asyncio.sleep(0.01)


DEPLOY: Final = """\
kind: tool
name: deploy
doc: Pull a checkout and restart what runs from it.
effect: irreversible
reversal: T3
parameters:
  - {name: repo_path, type: text, required: true, doc: The absolute path of the checkout.}
steps:
  - {tool: git.status, arguments: {repo_path: "{repo_path}"}, expect: {clean: true}, why: Nothing is mixed.}
  - {tool: service.control, arguments: {unit: app.service, action: restart}}
"""

LOOK: Final = """\
kind: tool
name: look
doc: Read a file and find what kind of thing it is.
effect: read
parameters:
  - {name: path, type: text, required: true}
steps:
  - {tool: file.read, arguments: {path: "{path}"}}
  - {tool: file.search, arguments: {path: "{path}", pattern: "kind: "}}
"""

SENDING: Final = """\
kind: policy
name: sending
rules:
  - id: a-person-looks
    phase: tool.before
    when: {eq: [tool.name, http.send]}
    then: [{require_approval: {message: This leaves the house., expires_s: 3600}}]
    why: What is sent cannot be called back.
  - id: no-keys
    phase: tool.before
    when: {contains: [arguments.path, .pem]}
    then: [block]
    why: Keys are nobody's reading.
"""


REMOTE: Final = """\
kind: provider
name: far
base_url: http://127.0.0.1:9/v1
credential: env:KEY_THAT_NOBODY_SET
---
kind: model
name: distant
targets:
  - {name: far, provider: far, model: m, context_window: 8192}
"""


HOUSES: Final = """\
kind: house
name: masons
tasks:
  tools: [file.search]
---
kind: house
name: annex
tasks:
  tools: [file.search]
"""


PEER: Final = f"""\
#!/bin/sh
PYTHONPATH={Path(__file__).parents[1]} exec {sys.executable} -m parts.mcp_servers "$@"
"""


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`contracts/` and `state/` of that gateway. Look, do not touch: every session gets a copy."""
    folder = tmp_path_factory.mktemp("past")
    asyncio.run(_past(folder))
    return folder


@pytest.fixture(scope="session")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a gateway under a policy."""
    folder = tmp_path_factory.mktemp("governed")
    governed_past.play(folder, capture="bodies")
    return folder


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of that other gateway."""
    folder = tmp_path_factory.mktemp("asked")
    asyncio.run(_asked(folder))
    return folder


@pytest.fixture
def desk(past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a session sits: contract files around it, and a shell without a past."""
    for name in [name for name in os.environ if name.startswith(("WARDWRIGHT_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("WARDWRIGHT_STATE", str(tmp_path / "state"))
    shutil.copytree(past / "contracts", tmp_path / "contracts")
    (tmp_path / "request.json").write_text(REQUEST)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "models.yaml").write_text(BROKEN)
    (tmp_path / "broken" / "lonely.yaml").write_text(LONELY)
    for name, text in {"rules": RULES, "unruly": UNRULY, "failing": FAILING}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "misspelled.yaml").write_text(UNRULY.replace("rewrite", "rewrit"))
    (tmp_path / "broken" / "provider.yaml").write_text(DOCUMENTS["provider.yaml"])
    (tmp_path / "remote").mkdir()
    (tmp_path / "remote" / "far.yaml").write_text(REMOTE)
    (tmp_path / ".houses").mkdir()
    (tmp_path / ".houses" / "houses.yaml").write_text(HOUSES)
    (tmp_path / "peer").write_text(PEER)
    (tmp_path / "peer").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _with_tools(desk: Path) -> None:
    """Contracts of tools, and arguments for one."""
    (desk / "tools").mkdir()
    (desk / "tools" / "deploy.yaml").write_text(DEPLOY)
    (desk / "tools" / "look.yaml").write_text(LOOK)
    (desk / "tools" / "sending.yaml").write_text(SENDING)
    (desk / "bounds").mkdir()
    (desk / "bounds" / "wardwright.yaml").write_text("adapt: {attempts: {low: 1, high: 3, step_max: 1}}\n")
    (desk / "arguments.json").write_text(f'{{"path": "{desk}/contracts", "pattern": "kind: provider"}}')


def _alter(state: Path) -> None:
    """Let one receipt say that its request was too long for every target, as someone with a text editor might."""
    (segment,) = (state / "journal").rglob("calls/*.jsonl")
    honest = segment.read_bytes()
    altered = re.sub(rb'("input_tokens":)\d\d(,"output_tokens":1024)', rb"\g<1>99999\2", honest, count=1)
    assert altered != honest
    segment.write_bytes(altered)


@pytest.fixture
def over(desk: Path, past: Path) -> Iterator[ExitStack]:
    """Ends what a session runs over."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_session_comes_out_as_written(
    path: Path, desk: Path, past: Path, asked: Path, governed: Path, over: ExitStack
) -> None:
    session = transcript.read(path)
    if session.gateway == "governed":
        (desk / "desk.yaml").write_text(governed_past.POLICY)
        (desk / "stricter.yaml").write_text(governed_past.POLICY.replace("4096", "6000").replace("OldC", "C"))
    if session.gateway == "tools":
        _with_tools(desk)
    elif session.gateway != "none":
        left = {"asked": asked, "governed": governed}.get(session.gateway, past)
        shutil.copytree(left / "state", desk / "state")
    if session.gateway == "changed":
        _alter(desk / "state")
    if session.gateway == "running":
        over.enter_context(gateway_process.running(desk / "contracts", desk / "state"))
    played = transcript.played(session, {str(desk): "<desk>", str(past): "<past>"})
    if WRITE:
        path.write_text(played)
    assert played == session.text


def test_there_are_sessions() -> None:
    kinds = {"none", "tools", "stopped", "changed", "asked", "governed", "running"}
    assert {transcript.read(path).gateway for path in SESSIONS} == kinds


def test_every_command_stands_in_some_session() -> None:
    from wardwright.cli.lazy import LazyGroup
    from wardwright.cli.main import root

    typed = " ".join(command for path in SESSIONS for command in transcript.read(path).commands)
    shown_elsewhere = {"serve", "demo", "mcp serve", "receipt tail"}
    assert isinstance(root, LazyGroup)
    commands = {
        f"{noun} {verb}" if isinstance(group, LazyGroup) else noun
        for noun, group in root.table.items()
        for verb in (group.table if isinstance(group, LazyGroup) else (noun,))
    }
    assert {name for name in commands - shown_elsewhere if f"wardwright {name}" not in typed} == set()
