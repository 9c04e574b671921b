"""The real parts, one of each a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parts import llama_server
from parts.llama_server import LlamaServer


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A real llama.cpp server."""
    with llama_server.running(tmp_path_factory.mktemp("llama")) as server:
        yield server
