"""What operators see: health, metrics, providers, storage, the process, the journal."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from parts.front import ADMIN, CODING, PROVIDER, World, in_world
from wardwright.journal.status import JournalStatus, Pulse
from wardwright.journal.verify import Verdict
from wardwright.runtime.settings import Retention

SECRETIVE = """
kind: provider
name: remote
base_url: https://api.example.com/v1
credential: env:REMOTE_KEY
---
kind: model
name: far
targets: [{name: far, provider: remote, model: big, context_window: 8192}]
"""


class FailingJournal:
    """A journal whose disk is full."""

    def pulse(self) -> Pulse:
        return Pulse(failure="the disk is full", refused=3, waiting=9)

    def status(self) -> JournalStatus:
        raise OSError("the disk is full")

    def verify(self) -> tuple[Verdict, ...]:
        raise OSError("the disk is full")


async def samples(world: World, **options: object) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await world.get("/metrics", **options)).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_calls_show_in_the_metrics(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.call("coding")
        await world.call("review")
        await world.call("codign")
        seen = await samples(world)
        assert seen["wardwright_calls_total", (("model", "coding"), ("status", "completed"))] == 1
        assert seen["wardwright_calls_total", (("model", ""), ("status", "refused"))] == 1
        outcomes = {
            dict(labels)["target"]: dict(labels)["outcome"]
            for name, labels in seen
            if name == "wardwright_attempts_total" and dict(labels)["model"] == "review"
        }
        assert outcomes["fast"] == "ok"
        assert outcomes["broken"] != "ok"
        assert seen["wardwright_tokens_total", (("direction", "input"), ("model", "coding"))] == 7
        assert seen["wardwright_cost_usd_total", (("model", "coding"),)] == 0.000011
        assert seen["wardwright_call_duration_seconds_bucket", (("le", "+Inf"), ("model", "coding"))] == 1
        assert seen["wardwright_call_duration_seconds_count", (("model", "coding"),)] == 1
        assert seen["wardwright_models", ()] == 2
        assert seen["wardwright_journal_writable", ()] == 1
        assert seen["wardwright_calls_live", ()] == 0

    in_world(tmp_path, play)


def test_buckets_rise_and_end_at_the_count(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for _ in range(3):
            await world.call()
        seen = await samples(world)
        name = "wardwright_call_overhead_seconds_bucket"
        buckets = [value for (found, labels), value in seen.items() if found == name]
        assert buckets == sorted(buckets)
        assert buckets[-1] == 3

    in_world(tmp_path, play)


def test_every_metric_has_our_prefix_and_no_label_from_a_request(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.call("made-up-by-the-caller", headers={"x-wardwright-agent-id": "made-up-by-the-caller"})
        text = (await world.get("/metrics")).text
        assert "made-up" not in text
        names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert [name for name in names if not name.startswith("wardwright_")] == []
        assert "wardwright_process_resident_memory_bytes" in names

    in_world(tmp_path, play)


def test_who_asks_for_openmetrics_gets_it(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert response.headers["content-type"].startswith("application/openmetrics-text")
        assert response.text.endswith("# EOF\n")

    in_world(tmp_path, play)


def test_a_journal_that_cannot_be_written_shows(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        app = world.altered(journal=FailingJournal())
        seen = await samples(world, app=app)
        assert seen["wardwright_journal_writable", ()] == 0
        assert seen["wardwright_journal_entries_refused_total", ()] == 3
        shown = (await world.get("/admin/runtime", app=app, headers=ADMIN)).json()
        assert shown["journal"] == {"failure": "the disk is full", "refused": 3, "waiting": 9}

    in_world(tmp_path, play)


def test_a_gateway_is_ready_when_it_serves_a_model_and_does_not_drain(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert (await world.get("/readyz")).json() == {"status": "ready", "models": 2}
        draining = await world.get("/readyz", app=world.altered(draining=True))
        assert (draining.status_code, draining.json()["code"]) == (503, "not_ready")
        assert "draining" in draining.json()["detail"]

    in_world(tmp_path, play)


def test_a_gateway_without_models_lives_and_is_not_ready(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        assert (await world.get("/healthz")).json()["status"] == "ok"
        response = await world.get("/readyz")
        assert response.status_code == 503
        assert "no model" in response.json()["detail"]

    in_world(tmp_path, play, documents={})


def test_providers_show_how_they_do_and_not_with_what_credential(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        response = await world.get("/admin/providers", headers=ADMIN)
        provider = response.json()["data"][0]
        assert (provider["id"], provider["credential_source"]) == ("remote", "env")
        assert (provider["base_url"], provider["health"]) == ("https://api.example.com/v1", "unknown")
        assert [endpoint["model"] for endpoint in provider["endpoints"]] == ["big"]
        for secret in ("REMOTE_KEY", "sk-remote-credential"):
            assert secret not in response.text

    in_world(tmp_path, play, documents={"all.yaml": SECRETIVE}, environment={"REMOTE_KEY": "sk-remote-credential"})


def test_a_target_that_fails_degrades_its_provider(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        for _ in range(8):
            await world.call("review")
        provider = (await world.get("/admin/providers", headers=ADMIN)).json()["data"][0]
        states = {endpoint["model"]: endpoint["state"] for endpoint in provider["endpoints"]}
        assert (provider["health"], states) == ("degraded", {"broken": "open", "fast": "closed"})
        seen = await samples(world)
        assert seen["wardwright_endpoint_resting", (("model", "broken"), ("provider", "scripted"))] == 1

    in_world(tmp_path, play)


def test_storage_counts_what_lies_on_disk(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.call()
        shown = (await world.get("/admin/storage", headers=ADMIN)).json()
        chains = {chain["chain"]["chain"]: chain for chain in shown["journal"]["chains"]}
        assert set(chains) == {"calls", "control"}
        files = list((tmp_path / "state" / "journal").rglob("calls/*.jsonl"))
        assert (chains["calls"]["segments"], chains["calls"]["bytes"]) == (
            1,
            sum(file.stat().st_size for file in files),
        )
        assert chains["calls"]["seq"] == 1
        assert shown["journal"]["index"] == {"behind": False, "failure": None}
        assert (shown["durability"], shown["retention"]["calls_days"]) == ("before_response", 30)
        again = (await world.get("/api/journal", headers=ADMIN)).json()
        for one in (again, shown["journal"]):
            assert one.pop("pulse")["failure"] is None  # what waits changes from instant to instant
        assert again == shown["journal"]

    in_world(tmp_path, play, retention=Retention(calls_days=30))


def test_verifying_says_incomplete_while_the_writer_runs_and_broken_where_a_record_was_changed(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.call()
        await world.call()
        running = (await world.post("/api/journal/verify", headers=ADMIN)).json()
        assert running["verdict"] == "incomplete"
        assert {chain["verdict"] for chain in running["chains"]} == {"incomplete"}
        segment = next((tmp_path / "state" / "journal").rglob("calls/*.jsonl"))
        segment.write_bytes(segment.read_bytes().replace(b'"messages":1', b'"messages":2', 1))
        changed = (await world.post("/api/journal/verify", headers=ADMIN)).json()
        assert changed["verdict"] == "broken"
        assert any(chain["verdict"] == "broken" and chain["place"]["line"] == 1 for chain in changed["chains"])

    in_world(tmp_path, play)


def test_full_records_hold_what_summaries_hide(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        records = (await world.get("/admin/synthetic-models", headers=ADMIN)).json()["data"]
        coding = records[0]
        assert coding["contract"]["transforms"]["preamble"] == "Keep to the house rules."
        assert coding["contract"]["targets"][0]["provider"] == "scripted"
        assert coding["closure"].startswith("sha256:")

    in_world(tmp_path, play, documents={"coding.yaml": CODING, "provider.yaml": PROVIDER})


def test_the_process_shows_what_it_did(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.call("review")
        world.runtime.gateway.meters.turned_away("missing_api_key")
        shown = (await world.get("/admin/runtime", headers=ADMIN)).json()
        assert (shown["build"], shown["calls_live"], shown["draining"]) == (world.runtime.build, 0, False)
        review = shown["models"][0]
        assert (review["model"], review["calls"]) == ("review", {"completed": 1})
        assert {(one["target"], one["count"]) for one in review["attempts"]} == {("broken", 1), ("fast", 1)}
        assert shown["turned_away"] == {"missing_api_key": 1}
        assert shown["reload"]["errors"] == []

    in_world(tmp_path, play)
