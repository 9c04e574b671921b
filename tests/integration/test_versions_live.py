"""What serves, and how it changes while calls run: activation, drafts, canaries, rollback, reload, restart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from parts import installation, upstream
from parts import openai_answers as answers
from parts.installation import Installation, Json, Served, model, provider, target
from parts.upstream import Upstream

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        for name in ("one", "two", "three"):
            server.on(name, answers.whole(name))
        yield server


@pytest.fixture
def here(far: Upstream, tmp_path: Path) -> Installation:
    """For tests that start and end gateways of their own."""
    return installation.at(tmp_path, provider("far", far.base_url), version("m", "1"))


@pytest.fixture(scope="module")
def shared(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return installation.at(tmp_path_factory.mktemp("versions"), provider("far", far.base_url))


@pytest.fixture(scope="module")
def near(shared: Installation) -> Iterator[Served]:
    """One gateway for tests that change a model of their own alone."""
    with shared.serving() as served:
        yield served


def version(name: str, label: str, **members: object) -> Json:
    """A version of a model, which answers `one`, `two` or `three`."""
    word = {"1": "one", "2": "two", "3": "three"}[label]
    return model(name, target(word, "far"), route=word, version=label, **members)


def said(client: openai.OpenAI, name: str = "m", session: str = "s") -> str | None:
    answer = client.chat.completions.create(
        model=name, messages=HELLO, extra_headers={"x-wardwright-session-id": session}
    )
    return answer.choices[0].message.content


def serve(served: Served, shared: Installation, *documents: Json) -> None:
    """Write documents and have them read."""
    shared.write(*documents)
    served.admin("POST", "/api/reload")


def test_a_changed_file_serves_by_itself_and_at_once_on_sighup(near: Served, shared: Installation) -> None:
    client = near.client()

    def wait_until_it_says(word: str) -> None:
        near.process.child.wait_for(f"answer `{word}`", lambda: said(client, "changed") == word or None)

    serve(near, shared, version("changed", "1"))
    assert said(client, "changed") == "one"
    shared.write(version("changed", "2"))
    wait_until_it_says("two")
    shared.write(version("changed", "3"))
    near.process.send(signal.SIGHUP)
    wait_until_it_says("three")
    assert {row["version"] for row in near.receipts(least=3, model="changed")} == {"1", "2", "3"}
    versions = near.admin("GET", "/api/models/changed/versions")
    assert [one["status"] for one in versions["data"]] == ["retired", "retired", "active"]


def test_a_call_under_way_keeps_the_version_that_it_started_with(
    far: Upstream, near: Served, shared: Installation
) -> None:
    far.on("slow", answers.words("still the first one", gap_s=0.15))
    client = near.client()
    serve(near, shared, model("kept", target("slow", "far"), version="1"))
    stream = client.chat.completions.create(model="kept", messages=HELLO, stream=True)
    chunks = [next(stream)]
    serve(near, shared, version("kept", "2"))
    assert said(client, "kept") == "two"
    chunks += list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "still the first one "
    receipt = near.receipt(chunks[0].id)
    assert receipt.contract is not None
    assert receipt.contract.version == "1"


def test_a_call_under_way_outlives_the_provider_that_it_runs_on(
    far: Upstream, near: Served, shared: Installation
) -> None:
    far.on("slow", answers.words("to the very last", gap_s=0.15))
    slow = model("outlives", target("slow", "moved"))
    serve(near, shared, provider("moved", far.base_url), slow)
    stream = near.client().chat.completions.create(model="outlives", messages=HELLO, stream=True)
    chunks = [next(stream)]
    serve(near, shared, provider("moved", "http://127.0.0.1:9/v1"))
    with pytest.raises(openai.InternalServerError):
        near.client().chat.completions.create(model="outlives", messages=HELLO)
    chunks += list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "to the very last "


AWAY = b'{"name": "t", "provider": "nobody", "model": "x", "context_window": "8K"}'
NEAR = AWAY.replace(b"nobody", b"far")


@pytest.mark.parametrize(
    "broken",
    [
        b'{"kind": "model", "name": "m", "targets": [',
        b'{"kind": "model", "name": "m", "route": "t", "targets": [%b], "rout": 1}' % NEAR,
        b'{"kind": "model", "name": "m", "route": "t", "targets": [%b]}' % AWAY,
        b'{"kind": "model", "name": "m", "route": {"cascade": ["t", {"alias": "m"}]}, "targets": [%b]}' % NEAR,
    ],
    ids=["cut-off", "unknown-key", "unknown-provider", "cycle"],
)
def test_an_invalid_file_is_refused_aloud_and_the_last_good_one_serves(
    near: Served, shared: Installation, broken: bytes
) -> None:
    serve(near, shared, version("m", "1"))
    client = near.client()
    before = near.process.child.said().count("refused: ")
    shared.file(version("m", "2")).write_bytes(broken)
    try:
        told = near.admin("POST", "/api/reload")
        assert told["errors"]
        assert said(client) == "one"
        assert near.process.child.said().count("refused: ") > before
        assert near.admin("GET", "/admin/runtime")["reload"]["errors"] == told["errors"]
        assert near.http.get("/readyz").is_success
    finally:
        serve(near, shared, version("m", "1"))


def test_a_provider_whose_file_is_refused_runs_on_as_it_was(near: Served, shared: Installation, far: Upstream) -> None:
    serve(near, shared, provider("steady", far.base_url), model("on-steady", target("one", "steady")))
    client = near.client()
    assert said(client, "on-steady") == "one"
    shared.file(provider("steady", "")).write_bytes(b'{"kind": "provider", "name": "steady", "base_ur')
    try:
        assert near.admin("POST", "/api/reload")["errors"]
        assert said(client, "on-steady") == "one"
    finally:
        serve(near, shared, provider("steady", far.base_url))


def test_a_provider_whose_credential_cannot_be_read_keeps_only_its_own_models_out(
    near: Served, shared: Installation, far: Upstream
) -> None:
    locked = provider("locked", far.base_url, credential="env:NO_SUCH_KEY")
    try:
        shared.write(locked, model("on-locked", target("one", "locked")), version("beside", "1"))
        errors = near.admin("POST", "/api/reload")["errors"]
        client = near.client()
        assert said(client, "beside") == "one"
        with pytest.raises(openai.NotFoundError):
            said(client, "on-locked")
        assert [error["code"] for error in errors] == ["credential_unreadable", "contract_reference"]
        assert "`locked`" in errors[0]["detail"]
        assert "`on-locked`" in errors[1]["detail"]
    finally:
        serve(near, shared, provider("locked", far.base_url))
    assert said(near.client(), "on-locked") == "one"


def test_a_restart_over_an_invalid_provider_serves_what_served_before(here: Installation, far: Upstream) -> None:
    with here.serving() as served:
        assert said(served.client()) == "one"
    here.file(provider("far", far.base_url)).write_bytes(b"{")
    with here.serving() as served:
        assert said(served.client()) == "one"
    here.write(provider("far", far.base_url, credential="env:NO_SUCH_KEY"))
    with here.serving() as served:
        assert "`far` cannot run" in served.process.child.said()
        assert said(served.client()) == "one"
        here.write(provider("far", far.base_url))
        served.admin("POST", "/api/reload")
        assert said(served.client()) == "one"


def test_a_provider_that_never_ran_and_whose_file_is_then_refused_is_told_and_nothing_else_suffers(
    near: Served, shared: Installation, far: Upstream
) -> None:
    odd = provider("odd", far.base_url, credential="env:NO_SUCH_KEY")
    try:
        serve(near, shared, odd, version("calm", "1"))
        shared.file(odd).write_bytes(b"{")
        assert len(near.admin("POST", "/api/reload")["errors"]) == 1
        assert said(near.client(), "calm") == "one"
    finally:
        shared.file(odd).unlink()
        serve(near, shared)


def test_a_restart_over_an_invalid_file_serves_what_served_before(here: Installation) -> None:
    with here.serving() as served:
        assert said(served.client()) == "one"
    here.file(version("m", "1")).write_bytes(b"{")
    with here.serving() as served:
        assert said(served.client()) == "one"
        assert "refused: " in served.process.child.said()


def test_a_manual_contract_waits_as_a_draft_until_it_is_activated(here: Installation) -> None:
    with here.serving() as served:
        client = served.client()
        here.write(version("m", "2", activate="manual"))
        served.admin("POST", "/api/reload")
        assert said(client) == "one"
        statuses = {one["label"]: one["status"] for one in served.admin("GET", "/api/models/m/versions")["data"]}
        assert statuses == {"1": "active", "2": "draft"}
        served.admin("POST", "/api/models/m/activate", {"version": "2"})
        assert said(client) == "two"
    with here.serving() as served:
        assert said(served.client()) == "two"


def test_a_rollback_survives_a_restart_though_the_file_is_unchanged_until_the_file_changes(
    here: Installation,
) -> None:
    with here.serving() as served:
        client = served.client()
        here.write(version("m", "2"))
        served.admin("POST", "/api/reload")
        assert said(client) == "two"
        served.admin("POST", "/api/models/m/rollback", {})
        assert said(client) == "one"
        served.admin("POST", "/api/reload")
        assert said(client) == "one"
    with here.serving() as served:
        client = served.client()
        assert said(client) == "one"
        here.write(version("m", "3"))
        served.admin("POST", "/api/reload")
        assert said(client) == "three"


def test_a_canary_serves_its_share_of_conversations_and_each_stays_on_its_side(here: Installation) -> None:
    sessions = [f"session-{number}" for number in range(40)]
    with here.serving() as served:
        client = served.client()
        here.write(version("m", "2", activate="manual"))
        served.admin("POST", "/api/reload")
        served.admin("POST", "/api/models/m/canary", {"version": "2", "rule": {"share_ppm": 300_000}})
        first = {session: said(client, session=session) for session in sessions}
        assert {session: said(client, session=session) for session in sessions} == first
        assert 4 <= sum(word == "two" for word in first.values()) <= 22
        rows = served.receipts(canary="true", limit=200)
        assert {row["session"] for row in rows} == {session for session, word in first.items() if word == "two"}
    with here.serving() as served:
        client = served.client()
        assert {session: said(client, session=session) for session in sessions} == first, (
            "the canary survives a restart"
        )
        served.admin("DELETE", "/api/models/m/canary")
        assert {said(client, session=session) for session in sessions} == {"one"}


def test_a_canary_serves_those_whom_its_condition_names(near: Served, shared: Installation) -> None:
    serve(near, shared, version("early", "1"))
    serve(near, shared, version("early", "2", activate="manual"))
    rule = {"when": {"tags": ["early"]}}
    near.admin("POST", "/api/models/early/canary", {"version": "2", "rule": rule})
    client = near.client()
    tagged = client.chat.completions.create(model="early", messages=HELLO, extra_body={"metadata": {"tags": ["early"]}})
    assert tagged.choices[0].message.content == "two"
    assert said(client, "early") == "one"
    near.admin("POST", "/api/models/early/activate", {"version": "2"})
    assert said(client, "early") == "two", "an activation ends the canary"


def test_a_name_whose_file_is_gone_is_served_no_longer(near: Served, shared: Installation) -> None:
    client = near.client()
    serve(near, shared, version("gone", "1"))
    assert said(client, "gone") == "one"
    shared.file(version("gone", "1")).unlink()
    serve(near, shared)
    with pytest.raises(openai.NotFoundError):
        said(client, "gone")
    serve(near, shared, version("gone", "1"))
    assert said(client, "gone") == "one"


def test_versions_change_under_load_without_a_call_lost(near: Served, shared: Installation) -> None:
    wrong: list[str] = []
    stop = threading.Event()

    def caller(client: openai.OpenAI) -> None:
        while not stop.is_set():
            try:
                word = said(client, "loaded")
            except openai.APIError as error:
                wrong.append(repr(error))
            else:
                if word not in ("one", "two"):
                    wrong.append(str(word))

    serve(near, shared, version("loaded", "1"))
    callers = [threading.Thread(target=caller, args=(near.client(),)) for _ in range(3)]
    for thread in callers:
        thread.start()
    for label in "21" * 4:
        serve(near, shared, version("loaded", label))
    stop.set()
    for thread in callers:
        thread.join()
    assert wrong == []
    rows = near.receipts(model="loaded", limit=500)
    assert {row["status"] for row in rows} == {"completed"}
    assert {row["version"] for row in rows} == {"1", "2"}
