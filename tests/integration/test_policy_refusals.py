"""Policies that cannot be kept are refused when they load, with the place, the reason and what to write instead; what
served before goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from parts import installation
from parts.contracts import model, scripted
from parts.gateway_thread import Document, GatewayThread, running
from parts.governed_client import policy, rule, streamed
from parts.installation import Installation, Served

BLOCK: Document = {"block": {}}
GOOD = policy(rule("OldClient", BLOCK))
ENDLESS: Document = {"retry_with_reminder": {"text": "again", "max": 11}}


UNKEPT: dict[str, tuple[list[Document], str, str]] = {
    "a loop within a loop": (
        [rule("(a+)+$", BLOCK)],
        "a loop can read the same text in several ways, and trying them all may take for ever",
        "let one thing repeat",
    ),
    "alternatives that overlap in a loop": (
        [rule("(a|aa)+b", BLOCK)],
        "a loop can read the same text in several ways",
        "keep alternatives apart",
    ),
    "a look ahead": ([rule("(?=a)b", BLOCK)], "look-around", "match the text around it too"),
    "a back-reference": ([rule(r"(a|b)\1", BLOCK)], "back-reference", "spell the alternatives"),
    "the empty text": ([rule("a*", BLOCK)], "it matches the empty text", "ask for one character at least"),
    "no pattern at all": ([rule("OldClient(", BLOCK)], "", ""),
    "a rewrite that holds nothing": (
        [rule("ab", "drop", hold={"mode": "pass"})],
        "`pass` holds nothing, so nothing can be changed",
        "use `exact`",
    ),
    "more retries than a call has": (
        [rule("ab", ENDLESS)],
        "asks for 11 retries; a call has 10 at most",
        "use 1 to 10",
    ),
    "a reminder that sets off its own rule": (
        [rule("OldClient", {"retry_with_reminder": {"text": "OldClient is gone."}})],
        "the reminder of `house-rules/r` is itself what `house-rules/r` looks for",
        "",
    ),
    "a reminder that sets off another rule": (
        [rule("ab", {"retry_with_reminder": {"text": "Write xyz."}}), rule("xyz", BLOCK, id_="other")],
        "the reminder of `house-rules/r` is itself what `house-rules/other` looks for",
        "",
    ),
    "a replacement that is blocked": (
        [rule("ab", {"rewrite": {"replacement": "xyz"}}), rule("xyz", BLOCK, id_="other")],
        "the replacement of `house-rules/r` is itself what `house-rules/other` looks for",
        "",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unkept")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[GatewayThread]:
    with running(folder, [scripted("s", {"text": "fine"}), model("m", "s")]) as gateway:
        yield gateway


@pytest.mark.parametrize(("rules", "reason", "fix"), UNKEPT.values(), ids=list(UNKEPT))
def test_what_cannot_be_kept_is_refused_with_its_place_the_reason_and_a_fix(
    folder: Path, gateway: GatewayThread, rules: list[Document], reason: str, fix: str
) -> None:
    """A model that names the policy does not serve without it; others do."""
    contracts = folder / "contracts"
    (contracts / "policy-house-rules.json").write_text(json.dumps(policy(*rules)))
    (contracts / "model-guarded.json").write_text(json.dumps(model("guarded", "s", policies=["house-rules"])))
    state = gateway.run(gateway.runtime.reload())
    (error, *_) = (one for one in state.errors if one.place and (one.place.file or "").endswith("house-rules.json"))
    assert error.code in ("policy_pattern", "policy_unenforceable", "policy_ambiguous"), error.code
    assert reason in error.message
    assert fix in (error.hint or "")
    assert error.place is not None
    assert (error.place.path or "").startswith("rules[0]")
    assert error.place.line is not None
    assert streamed(gateway, "guarded").code == "model_not_found"
    assert streamed(gateway, "m").text == "fine"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return installation.at(
        tmp_path_factory.mktemp("refusals"),
        scripted("s", {"text": "write OldClient here"}),
        model("m", "s", policies=["house-rules"]),
        GOOD,
    )


@pytest.mark.parametrize(
    "broken",
    [
        json.dumps(policy(rule("(a+)+$", BLOCK))),
        json.dumps(policy(rule("ab", "drop", hold={"mode": "pass"}))),
        json.dumps(GOOD | {"rulez": []}),
        '{"kind": "policy", "name": "house-rules", "rul',
    ],
    ids=["pattern", "unenforceable", "unknown member", "cut off"],
)
def test_a_policy_file_that_turns_invalid_is_refused_aloud_and_the_last_good_one_serves(
    here: Installation, broken: str
) -> None:
    with here.serving() as served:
        hold_blocked(served)
        assert served.http.get("/healthz").json()["reload"] == "ok"
        here.file(GOOD).write_text(broken)
        try:
            errors = served.admin("POST", "/api/reload")["errors"]
            assert errors
            assert all("policy-house-rules.json" in one["place"]["file"] for one in errors), "nothing else is wrong"
            assert served.admin("GET", "/admin/runtime")["reload"]["errors"] == errors
            assert served.http.get("/healthz").json()["reload"] == "refused"
            assert "refused: " in served.process.child.said()
            told = subprocess.run(
                [sys.executable, "-m", "wardwright", "policy", "check", str(here.folder)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (told.returncode, "error: " in told.stderr) == (1, True)
            hold_blocked(served)
        finally:
            here.write(GOOD)
        assert served.admin("POST", "/api/reload")["errors"] == []
        hold_blocked(served)
    with here.serving() as again:
        hold_blocked(again)


def test_the_last_good_policy_serves_after_a_restart_over_a_broken_file(here: Installation) -> None:
    with here.serving() as served:
        hold_blocked(served)
    here.file(GOOD).write_text("{")
    try:
        with here.serving() as again:
            hold_blocked(again)
    finally:
        here.write(GOOD)


def hold_blocked(served: Served) -> None:
    """The rule is kept."""
    with pytest.raises(openai.PermissionDeniedError) as caught:
        served.client().chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    assert caught.value.body["rule"] == "house-rules/r"  # type: ignore[index]


def test_a_model_that_names_a_missing_policy_does_not_serve(tmp_path: Path) -> None:
    documents = [scripted("s", {"text": "fine"}), model("m", "s"), model("careless", "s")]
    with running(tmp_path, documents) as gateway:
        absent = model("guarded", "s", policies=["no-such-policy"])
        (tmp_path / "contracts" / "model-guarded.json").write_text(json.dumps(absent))
        state = gateway.run(gateway.runtime.reload())
        assert [(one.code, "no-such-policy" in one.message) for one in state.errors] == [("contract_reference", True)]
        seen = streamed(gateway, "guarded")
        assert (seen.status, seen.code) == (404, "model_not_found")
        assert streamed(gateway, "m").text == "fine"
        assert "guarded" not in [one["id"] for one in gateway.ask("/v1/models")[2]["data"]]
