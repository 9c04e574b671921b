"""The command line, the cores, and the processes that a run starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.loads import FULL, LOADS, QUICK, STANDARD, requests_in
from benchmarks.processes import Process, free_port, runs, tree_of
from benchmarks.run import cores_of, options_from


@pytest.mark.parametrize(
    ("available", "cores"),
    [([0], ((0,), (0,))), ([0, 1], ((0,), (1,))), ([7, 2, 5, 3], ((2,), (3, 5)))],
)
def test_the_gateway_has_a_core_of_its_own_where_there_are_two(
    available: list[int], cores: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    assert cores_of(available) == cores


def test_a_quick_run_does_not_replace_the_published_page() -> None:
    assert options_from(["--quick"]).docs != options_from([]).docs
    assert options_from([]).docs.name == "docs"


def test_the_command_on_the_page_is_the_one_that_was_given() -> None:
    options = options_from(["--peers", "--full", "--date", "2026-01-02"])
    assert options.command == "python -m benchmarks --peers --full --date 2026-01-02"
    assert (options.scale, options.with_peers, options.date) == (FULL, True, "2026-01-02")


def test_loads_can_be_chosen_and_keep_their_order() -> None:
    assert [load.name for load in options_from(["--loads", "sse-50", "json-1k"]).loads] == ["json-1k", "sse-50"]


def test_an_unknown_load_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options_from(["--loads", "nothing"])
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("scale", [QUICK, STANDARD, FULL])
def test_every_caller_of_a_load_asks_at_least_once(scale: object) -> None:
    chosen = next(one for one in (QUICK, STANDARD, FULL) if one is scale)
    assert all(requests_in(load, chosen) >= load.concurrency for load in LOADS)


@contextmanager
def program(text: str, directory: Path) -> Iterator[Process]:
    process = Process(
        [sys.executable, "-u", "-c", text], directory=directory, cores=os.sched_getaffinity(0), environment={"A": "b"}
    )
    try:
        yield process
    finally:
        process.stop()


def test_cpu_time_counts_threads_that_have_ended_and_children(tmp_path: Path) -> None:
    text = """
import subprocess, sys, threading, time
def work(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until: pass
thread = threading.Thread(target=work, args=(0.03,)); thread.start(); thread.join()
child = subprocess.Popen([sys.executable, "-uc", "print('up', flush=True); input()"], stdin=-1, stdout=-1)
child.stdout.readline()
print("ready", flush=True)
time.sleep(60)
"""
    with program(text, tmp_path) as process:
        assert process.read_line() == "ready"
        assert len(tree_of(process.pid)) == 2
        assert process.cpu_ns() > 30_000_000
        assert process.memory().rss_kib >= process.memory().pss_kib > 1_000


def test_a_stopped_process_has_ended_with_all_that_it_started(tmp_path: Path) -> None:
    text = "import subprocess, time; subprocess.Popen(['sleep', '60']); print('ready', flush=True); time.sleep(60)"
    with program(text, tmp_path) as process:
        assert process.read_line() == "ready"
        family = tree_of(process.pid)
        assert process.ended() is None
    assert process.ended() is not None
    assert len(family) == 2
    assert not [pid for pid in family if runs(pid)]


def test_a_free_port_is_a_port_of_loopback() -> None:
    assert 1_024 <= free_port() <= 65_535
