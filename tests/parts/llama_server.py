"""A real llama.cpp server on a tiny random model: streaming, tools, embeddings, real errors, ready in half a second."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from parts import children, tiny_gguf

MODEL = "tiny"
"""The name under which it serves."""


@dataclass(frozen=True)
class LlamaServer:
    """Where a running server answers."""

    base_url: str
    """Ends in `/v1`, as OpenAI clients want it."""
    pid: int


@contextmanager
def running(directory: Path, *, slots: int = 4, api_key: str | None = None) -> Iterator[LlamaServer]:
    """Serve a fresh tiny model from a process of its own; `slots` requests run at once, others wait."""
    model_file = tiny_gguf.write(directory / "tiny.gguf")
    tests_dir = Path(__file__).parent.parent
    command = [sys.executable, "-m", "parts.llama_child", str(model_file), str(slots)]
    if api_key is not None:
        command.append(api_key)
    with children.running(command, env={**os.environ, "PYTHONPATH": str(tests_dir)}) as child:
        address = child.first_line()
        if not address:
            raise AssertionError(f"the llama.cpp server did not start; it said:\n{child.said()}")
        yield LlamaServer(base_url=f"{address}/v1", pid=child.pid)
