"""The systemd units, as systemd itself judges them: no service manager runs, the files are read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from parts import children
from parts.notify_socket import listening
from wardwright.cli.main import run
from wardwright.runtime.units import SERVICES, STATE, unit, units

PROGRAM: Final = "/usr/bin/true"
"""That an executable is there is part of the verdict."""
EXPOSURE_MAX: Final = 3.0

_EXPOSURE: Final = re.compile(r"exposure level for \S+: (\d+\.\d+)")


def analyze(*words: str, runtime: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "SYSTEMD_COLORS": "0"}
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, env=env, timeout=60, check=False)


@pytest.mark.parametrize("user", [False, True])
def test_systemd_finds_nothing_wrong_with_a_unit(tmp_path: Path, user: bool) -> None:
    for one in units(user=user, program=PROGRAM):
        path = tmp_path / one.name
        path.write_text(one.text)
        verdict = analyze("verify", *(["--user"] if user else []), str(path), runtime=tmp_path)
        assert (verdict.returncode, verdict.stderr) == (0, ""), one.name


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_exposed_no_more_than_is_meant(tmp_path: Path, service: str) -> None:
    one = next(one for one in units(program=PROGRAM) if one.name == f"wardwright-{service}.service")
    (tmp_path / one.name).write_text(one.text)
    verdict = analyze("security", "--offline=true", "--no-pager", str(tmp_path / one.name), runtime=tmp_path)
    found = _EXPOSURE.search(verdict.stdout)
    assert found is not None, verdict.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_commands_of_the_units_are_understood(tmp_path: Path) -> None:
    """Each is started as its unit says, over folders of the test, until it says that it is ready."""
    (tmp_path / "etc" / STATE).mkdir(parents=True)
    for service in SERVICES:
        line = re.search(r"^ExecStart=(.*)$", unit(service).text, re.MULTILINE)
        assert line is not None
        _, *words = line[1].replace("%E", str(tmp_path / "etc")).replace("%i", "ezra").split()
        with listening(tmp_path) as manager:
            env = {name: value for name, value in os.environ.items() if not name.startswith("WARDWRIGHT_")}
            env |= {"NOTIFY_SOCKET": manager.address, "WARDWRIGHT_STATE": str(tmp_path / "state")}
            env["WARDWRIGHT_BIND"] = "127.0.0.1:0"
            more = ["--bind", "127.0.0.1:0"] if service == "health" else []
            with children.running([sys.executable, "-m", "wardwright", *words, *more], env=env) as child:
                assert manager.until("READY")
                child.process.terminate()
                assert child.process.wait(30) == 0, child.said()
        (tmp_path / "notify").unlink()


def test_units_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    assert run(["units", "--write", str(tmp_path / "units"), "--program", PROGRAM]) == 0
    written = {path.name: path.read_text() for path in (tmp_path / "units").iterdir()}
    assert written == {one.name: one.text for one in units(program=PROGRAM)}


def test_a_program_that_a_unit_could_not_hold_is_refused(tmp_path: Path) -> None:
    assert run(["units", "--program", "bin/wardwright"]) == 64
    assert run(["units", "--program", "/a b/wardwright"]) == 64
