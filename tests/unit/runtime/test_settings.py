"""The settings of one installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.settings import Settings, load


def test_capture_is_off_until_someone_switches_it_on(tmp_path: Path) -> None:
    assert load(None, {}).capture == "off"
    (tmp_path / "wardwright.yaml").write_text("capture: off\n")
    assert load(tmp_path, {}) == Settings()
    (tmp_path / "wardwright.yaml").write_text("capture: bodies\ncapture_bytes_max: 1000\n")
    assert load(tmp_path, {}) == Settings(capture="bodies", capture_bytes_max=1000)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "wardwright.yaml").write_text("capture: bodies\n")
    assert load(tmp_path, {"WARDWRIGHT_CAPTURE": "off"}).capture == "off"


def test_a_word_that_nobody_knows_switches_nothing_on(tmp_path: Path) -> None:
    with pytest.raises(WardwrightError) as refused:
        load(None, {"WARDWRIGHT_CAPTURE": "everything"})
    assert refused.value.code == "settings_invalid"
    (tmp_path / "wardwright.yaml").write_text("capture: true\n")
    with pytest.raises(ContractErrors) as located:
        load(tmp_path, {})
    assert [(error.place.line, error.place.path) for error in located.value.errors if error.place] == [(1, "capture")]
