"""The page about the sandbox says what the corpus of escapes shows, and the bounds that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from parts.escapes import table
from wardwright.harness.sandbox.bubblewrap import DEVICES, TMP_BYTES_MAX
from wardwright.harness.sandbox.programs import GRACE_S, Limits
from wardwright.harness.sandbox.snapshot import KEPT_BYTES_MAX

PAGE = (Path(__file__).parent.parent.parent / "docs" / "sandbox.md").read_text()


def test_the_table_is_the_corpus() -> None:
    found = re.search(r"<!-- the table of tests/parts/escapes.py -->\n(.*)\n<!-- end -->", PAGE, flags=re.DOTALL)
    assert found is not None
    assert found[1].strip() == table()


def test_the_bounds_are_those_of_the_code() -> None:
    limits = Limits()
    assert f"behind bubblewrap | {limits.processes_max}, by" in PAGE
    assert f"as addresses | {limits.memory_bytes_max >> 30} GiB" in PAGE
    assert f"processor time of a process | {limits.cpu_s_max:,} s" in PAGE
    assert f"| a file | {limits.file_bytes_max >> 30} GiB" in PAGE
    assert f"open files of a process | {limits.files_max:,}" in PAGE
    assert f"({TMP_BYTES_MAX >> 20} MiB each), five devices" in PAGE
    assert len(DEVICES) == 5
    assert f"up to {KEPT_BYTES_MAX >> 20} MiB are kept" in PAGE
    assert GRACE_S == 1.0
