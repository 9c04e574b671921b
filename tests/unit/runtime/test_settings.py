"""The settings of one installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.sink import DEFAULT, JsonlSink, WebhookSink
from wardwright.contracts.sink_rules import SINKS_MAX
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.settings import Adapt, AdaptBounds, Settings, load


def test_capture_is_off_until_someone_switches_it_on(tmp_path: Path) -> None:
    assert load(None, {}).capture == "off"
    (tmp_path / "wardwright.yaml").write_text("capture: off\n")
    assert load(tmp_path, {}) == Settings()
    (tmp_path / "wardwright.yaml").write_text("capture: bodies\ncapture_bytes_max: 1000\n")
    assert load(tmp_path, {}) == Settings(capture="bodies", capture_bytes_max=1000)


def test_bounds_of_thresholds_are_declared_and_lie_the_right_way_round(tmp_path: Path) -> None:
    assert Settings().adapt == Adapt()
    (tmp_path / "wardwright.yaml").write_text("adapt: {timeout_s: {low: 5, high: 60, step_max: 10}}\n")
    assert load(tmp_path, {}).adapt == Adapt(timeout_s=AdaptBounds(low=5, high=60, step_max=10))
    (tmp_path / "wardwright.yaml").write_text("adapt: {timeout_s: {low: 70, high: 60, step_max: 10}}\n")
    with pytest.raises(ContractErrors, match="lies above"):
        load(tmp_path, {})


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


def test_the_default_sink_is_there_until_the_file_says_otherwise(tmp_path: Path) -> None:
    assert Settings().every_sink == (DEFAULT,)
    (tmp_path / "wardwright.yaml").write_text("sinks: {default: {kind: jsonl, path: elsewhere.jsonl}}\n")
    assert load(tmp_path, {}).every_sink == (JsonlSink(name="default", path="elsewhere.jsonl"),)


def test_sinks_are_named_once_and_the_names_that_rules_may_use_are_told(tmp_path: Path) -> None:
    (tmp_path / "wardwright.yaml").write_text(
        "sinks:\n"
        "  sec: {kind: webhook, url: 'https://hooks.example/a', secret: env:S, on_full: fail_closed}\n"
        "  ops: {kind: jsonl, path: ops.jsonl}\n"
    )
    settings = load(tmp_path, {"WARDWRIGHT_KEYS": "required"})
    assert settings.sinks == (
        JsonlSink(name="ops", path="ops.jsonl"),
        WebhookSink(name="sec", on_full="fail_closed", secret="env:S", url="https://hooks.example/a"),
    )
    assert settings.sink_names == {"default", "ops", "sec"}


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_sinks_read_the_same_in_every_syntax(tmp_path: Path, suffix: str) -> None:
    written = {
        "toml": '[sinks.ops]\nkind = "jsonl"\npath = "ops.jsonl"\n',
        "json": '{"sinks": {"ops": {"kind": "jsonl", "path": "ops.jsonl"}}}',
    }
    (tmp_path / f"wardwright.{suffix}").write_text(written[suffix])
    assert load(tmp_path, {}).sinks == (JsonlSink(name="ops", path="ops.jsonl"),)


@pytest.mark.parametrize(
    ("sinks", "code", "column", "path", "hint"),
    [
        ("[1]", "contract_invalid", 8, "sinks", None),
        ("{a: 1}", "contract_invalid", 12, "sinks.a", None),
        ("{a: {path: x}}", "contract_invalid", 12, "sinks.a", "add `kind: jsonl`"),
        ("{a: {kind: jsonll, path: x}}", "contract_invalid", 19, "sinks.a.kind", "did you mean `jsonl`?"),
        ("{a: {kind: jsonl}}", "contract_invalid", 12, "sinks.a", "add `path: …`"),
        ("{a: {kind: jsonl, path: x/}}", "contract_invalid", 32, "sinks.a.path", None),
        ("{a: {kind: jsonl, path: x, waiting_mx: 1}}", "contract_unknown_key", 35, "sinks.a.waiting_mx",
         "did you mean `waiting_max`?"),
        ("{a: {kind: jsonl, path: x, waiting_max: 0}}", "contract_invalid", 48, "sinks.a.waiting_max", None),
        ("{a: {kind: jsonl, path: x, secret: env:S}}", "contract_unknown_key", 35, "sinks.a.secret", "known here: "),
        ("{a: {kind: jsonl, path: x, on_full: block}}", "contract_invalid", 44, "sinks.a.on_full", None),
        ("{a: {kind: jsonl, path: x, name: b}}", "contract_invalid", 41, "sinks.a.name", "remove `name`"),
        ("{A b: {kind: jsonl, path: x}}", "contract_invalid", 9, "sinks.A b.name", "a name has lower case"),
        ("{a: {kind: webhook, url: 'http://h/x', secret: hunter2}}", "contract_secret", 55, "sinks.a.secret",
         "write `env:NAME`"),
        ("{a: {kind: webhook, url: 'ftp://h/x', secret: env:S}}", "contract_invalid", 33, "sinks.a.url", None),
        ("{a: {kind: webhook, url: 'http://u:p@h/x', secret: env:S}}", "contract_secret", 33, "sinks.a.url",
         "remove `user:password@`"),
        ("{a: {kind: webhook, url: 'http://h/x', secret: env:S, tls_ca_file: ca.pem}}", "contract_invalid", 75,
         "sinks.a.tls_ca_file", "remove it"),
    ],
)  # fmt: skip
def test_a_sink_that_cannot_be_is_refused_with_its_place(
    tmp_path: Path, sinks: str, code: str, column: int, path: str, hint: str | None
) -> None:
    (tmp_path / "wardwright.yaml").write_text(f"sinks: {sinks}\n")
    with pytest.raises(ContractErrors) as refused:
        load(tmp_path, {})
    (error,) = refused.value.errors
    assert error.place is not None
    assert (error.code, error.place.line, error.place.column, error.place.path) == (code, 1, column, path)
    assert hint is None or (error.hint or "").startswith(hint)
    assert "hunter2" not in error.message


def test_more_sinks_than_anybody_needs_are_refused(tmp_path: Path) -> None:
    sinks = ", ".join(f"s{number}: {{kind: jsonl, path: x}}" for number in range(SINKS_MAX + 1))
    (tmp_path / "wardwright.yaml").write_text(f"sinks: {{{sinks}}}\n")
    with pytest.raises(ContractErrors, match="it may have 64"):
        load(tmp_path, {})
