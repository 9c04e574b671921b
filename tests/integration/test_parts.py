"""The parts that integration tests stand on fail clearly and leave nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from parts import children, gateway_process, llama_server, node_client


def test_a_child_that_ends_early_fails_the_wait_with_its_own_words() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such port')"]
    with (
        children.running(command) as child,
        pytest.raises(AssertionError, match=r"ended with 1 before an address; it said:\nno such port"),
    ):
        child.wait_for("an address", lambda: None)


def test_a_child_that_says_nothing_fails_the_wait_when_time_runs_out() -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        children.running(command) as child,
        pytest.raises(AssertionError, match=r"no address within 0\.05 s"),
    ):
        child.wait_for("address", lambda: None, timeout_s=0.05)


def test_a_child_ends_with_its_block_even_when_the_test_fails() -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with pytest.raises(RuntimeError), children.running(command) as child:
        raise RuntimeError
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_the_address_of_an_earlier_gateway_on_the_same_state_does_not_count(tmp_path: Path) -> None:
    (tmp_path / gateway_process.ADDRESS_FILE).write_text('{"url": "http://127.0.0.1:1", "pid": 1}')
    assert gateway_process.address_of(tmp_path, 2) is None
    assert gateway_process.address_of(tmp_path, 1) == gateway_process.Address("http://127.0.0.1:1", 1)


def test_a_half_written_address_is_not_read(tmp_path: Path) -> None:
    (tmp_path / gateway_process.ADDRESS_FILE).write_text('{"url": "http://127')
    assert gateway_process.address_of(tmp_path, 1) is None


def test_the_node_client_reports_what_a_real_server_answers(tmp_path: Path) -> None:
    with llama_server.running(tmp_path, api_key="right") as server:
        report = node_client.run(server.base_url, "right", llama_server.MODEL)
    assert report.whole.usage is not None
    assert report.whole.usage.completion_tokens == 16
    assert len(report.streamed.pieces) == len(report.streamed.arrived_ms) > 5
    assert report.models == [llama_server.MODEL]
    assert report.errors.malformed is not None
    assert report.errors.malformed.class_ == "BadRequestError"
    assert report.errors.wrong_key is not None
    assert report.errors.wrong_key.class_ == "AuthenticationError"
