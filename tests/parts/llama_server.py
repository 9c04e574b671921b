"""A real llama.cpp server on a tiny random model: streaming, tools, embeddings, real errors, ready in half a second."""

from __future__ import annotations

import os
import re
import sys
import urllib.request
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

    def running_requests(self) -> int:
        """How many requests it is answering now, by its own metrics; without an API key alone."""
        url = self.base_url.removesuffix("/v1") + "/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            text = response.read().decode()
        found = re.search(r"^llamacpp:requests_processing (\d+)", text, flags=re.MULTILINE)
        assert found is not None
        return int(found[1])


@contextmanager
def running(
    directory: Path,
    *,
    slots: int = 4,
    context_tokens: int = tiny_gguf.CONTEXT_TOKENS,
    api_key: str | None = None,
) -> Iterator[LlamaServer]:
    """Serve a fresh tiny model from a process of its own.

    `slots` requests run at once, others wait. Answers come at some 4,000 tokens a second, slower as they grow: a test
    that needs an answer to be still under way asks for many tokens, within a context that holds them.
    """
    model_file = tiny_gguf.write(directory / "tiny.gguf", context_tokens=context_tokens)
    tests_dir = Path(__file__).parent.parent
    command = [sys.executable, "-m", "parts.llama_child", str(model_file), str(slots), str(context_tokens)]
    if api_key is not None:
        command.append(api_key)
    with children.running(command, env={**os.environ, "PYTHONPATH": str(tests_dir)}) as child:
        address = child.first_line()
        if not address:
            raise AssertionError(f"the llama.cpp server did not start; it said:\n{child.said()}")
        yield LlamaServer(base_url=f"{address}/v1", pid=child.pid)
