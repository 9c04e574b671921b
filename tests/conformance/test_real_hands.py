"""The kit of hands over the real ones, with each set of walls that this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts.real_hands import RealSubject, machine
from wardwright.harness.sandbox.posture import Posture, Walls
from wardwright.testing import hands_kit


@pytest.fixture(scope="module")
def posture() -> Posture:
    return machine()


@pytest.mark.parametrize("walls", ["none", "landlock", "both"])
@pytest.mark.parametrize("case", hands_kit.CASES, ids=str)
def test_real_hands_keep_the_promise(
    case: hands_kit.Case, walls: Walls, posture: Posture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.run(RealSubject(tmp_path, posture, walls, monkeypatch.setenv))
