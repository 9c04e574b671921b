"""Tasks through real processes: added beside a runner, killed in the middle, never done twice at the same time."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from parts import raw_upstream, task_desk
from parts.notify_socket import listening
from parts.raw_upstream import RawUpstream, Turn
from parts.task_desk import add, one, runner, states, until
from wardwright.cli.main import run


def contracts(folder: Path, upstream: RawUpstream, **more: Any) -> Path:
    """Two tools that reach the upstream: `ask` reads, `tell` has an effect."""
    folder.mkdir(exist_ok=True)
    scope = {"hosts": [f"127.0.0.1:{upstream.port}"]}
    for name, function, effect, reversal in (
        ("ask", "http.fetch", "read", "T0"),
        ("tell", "http.send", "write-remote", "T4"),
    ):
        document: dict[str, Any] = {
            "kind": "tool",
            "name": name,
            "implements": function,
            "effect": effect,
            "reversal": reversal,
        }
        document |= {"scope": scope, "timeout_s": 20, "retry": {"attempts_max": 1}} | more
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def ok(turn: Turn) -> None:
    turn.send(raw_upstream.whole(b"{}"))


def hangs(turn: Turn) -> None:
    turn.wait_until_left(20)


def words(upstream: RawUpstream, tool: str = "ask") -> str:
    return f"{tool} url={upstream.base_url}"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_runner_takes_in_what_is_added_beside_it(tmp_path: Path, state: Path) -> None:
    with raw_upstream.running(ok) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        with listening(tmp_path) as manager:
            env = {"NOTIFY_SOCKET": manager.address}
            with runner(state, "--config", config, "--house", "timmy", env=env) as child:
                manager.until("READY")
                first = add(state, words(upstream))
                second = add(state, words(upstream, "tell"), "--after", first)
                elsewhere = add(state, words(upstream), "--house", "ezra")
                done = until(child, state, second, "done")
                assert done["note"].startswith("rct_")
                assert states(state) == {first: "done", second: "done", elsewhere: "added"}
                child.process.terminate()
                manager.until("STOPPING")
                assert child.process.wait(30) == 0
        assert len(upstream.turns) == 2


def test_a_read_that_a_kill_cut_short_is_made_again(tmp_path: Path, state: Path) -> None:
    with raw_upstream.running(hangs) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        task = add(state, words(upstream))
        with runner(state, "--config", config) as child:
            upstream.wait_for_turn(1)
            assert one(state, task)["state"] == "running"
            child.process.kill()
            child.process.wait()
        assert one(state, task)["state"] == "waiting"
        upstream.play = ok
        with runner(state, "--config", config, "--once") as child:
            assert child.process.wait(60) == 0, child.said()
        found = one(state, task)
        assert (found["state"], found["attempts"], len(upstream.turns)) == ("done", 2, 2)


def test_an_effect_that_a_kill_cut_short_is_not_repeated_and_its_receipt_is_named(tmp_path: Path, state: Path) -> None:
    with raw_upstream.running(hangs) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        task = add(state, words(upstream, "tell"))
        follower = add(state, words(upstream), "--after", task)
        with runner(state, "--config", config) as child:
            upstream.wait_for_turn(1)
            child.process.kill()
            child.process.wait()
        with runner(state, "--config", config, "--once") as child:
            assert child.process.wait(60) == 1, child.said()
        assert len(upstream.turns) == 1
        dead = one(state, task)
        assert dead["state"] == "dead"
        lost = dead["note"].rpartition(" ")[2]
        assert lost.startswith("rct_")
        journal = "".join(path.read_text() for path in (state / "journal").rglob("calls/*.jsonl"))
        assert '"kind":"tool.lost"' in journal
        assert lost in journal
        assert task in one(state, follower)["note"]


def test_two_runners_never_share_a_house(tmp_path: Path, state: Path) -> None:
    with raw_upstream.running(hangs) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        add(state, words(upstream))
        with runner(state, "--config", config, "--house", "timmy") as child:
            upstream.wait_for_turn(1)
            with runner(state, "--config", config, "--house", "timmy") as other:
                assert other.process.wait(60) == 1
                assert "[tasks_held]" in other.said()
            with runner(state, "--config", config, "--house", "ezra", "--once") as neighbour:
                assert neighbour.process.wait(60) == 0, neighbour.said()
            assert len(upstream.turns) == 1
            child.process.kill()
            child.process.wait()


def test_what_fails_is_tried_again_and_given_up_at_last(tmp_path: Path, state: Path) -> None:
    def resets(turn: Turn) -> None:
        turn.reset()

    with raw_upstream.running(resets) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        task = add(state, words(upstream), "--attempts", "3", "--wait-ms", "1")
        told = add(state, words(upstream, "tell"), "--wait-ms", "1")
        with runner(state, "--config", config) as child:
            found = until(child, state, task, "dead")
            until(child, state, told, "dead")
        assert found["attempts"] == 3
        assert "[tool_failed]" in found["note"]
        assert len(upstream.turns) == 4, "three reads, and one call with an effect"


def test_tasks_run_side_by_side_and_a_dropped_one_is_not_begun(tmp_path: Path, state: Path) -> None:
    with raw_upstream.running(hangs) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        ids = [add(state, words(upstream)) for _ in range(2)]
        spare = add(state, words(upstream), "--due", "2099-01-01")
        assert task_desk.ask(state, "drop", spare)[0] == 0
        with runner(state, "--config", config, "--parallel", "2") as child:
            upstream.wait_for_turn(2)
            assert states(state) == {ids[0]: "running", ids[1]: "running", spare: "dropped"}
            child.process.kill()
            child.process.wait()


def test_a_runner_reads_the_contracts_again_and_ends_in_good_order(tmp_path: Path, state: Path) -> None:
    with raw_upstream.running(ok) as upstream, listening(tmp_path) as manager:
        config = contracts(tmp_path / "contracts", upstream)
        env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "300000"}
        with runner(state, "--config", str(config), env=env) as child:
            manager.until("READY")
            (config / "tell.json").rename(config / "told.json")
            document = (config / "told.json").read_text().replace('"tell"', '"told"')
            (config / "told.json").write_text(document)
            child.process.send_signal(signal.SIGHUP)
            manager.until("RELOADING")
            manager.until("READY")
            task = add(state, words(upstream, "told"))
            until(child, state, task, "done")
            assert manager.until("WATCHDOG")
            child.process.terminate()
            assert child.process.wait(30) == 0, child.said()


def test_a_task_waits_for_a_person_and_counts_no_attempt_meanwhile(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = {
        "kind": "policy",
        "name": "careful",
        "rules": [
            {
                "id": "ask-first",
                "phase": "tool.before",
                "when": {"eq": ["tool.name", "tell"]},
                "then": [{"require_approval": {"message": "It leaves the house.", "expires_s": 3600}}],
                "why": "A person looks at what leaves.",
            }
        ],
    }
    with raw_upstream.running(ok) as upstream:
        config = contracts(tmp_path / "contracts", upstream)
        (config / "careful.json").write_text(json.dumps(policy))
        task = add(state, words(upstream, "tell"), "--attempts", "1")
        with runner(state, "--config", str(config)) as child:

            def asked() -> str | None:
                capsys.readouterr()
                assert run(["approval", "list", "--status", "pending", "--json", "--state", str(state)]) == 0
                return next((one["id"] for one in json.loads(capsys.readouterr().out)["data"]), None)

            (state / "journal").mkdir(parents=True, exist_ok=True)
            child.wait_for("a state directory", lambda: (state / "node.json").exists() or None)
            approval = child.wait_for("an approval to give", asked)
            assert upstream.turns == []
            assert run(["approval", "approve", approval, "--state", str(state)]) == 0
            done = until(child, state, task, "done")
        assert done["attempts"] == 1
        assert len(upstream.turns) == 1


def test_however_often_runners_are_killed_nothing_is_lost_and_no_effect_is_made_twice(
    tmp_path: Path, state: Path
) -> None:
    cut = (3, 8, 13)
    with raw_upstream.running(lambda turn: hangs(turn) if turn.nth in cut else ok(turn)) as upstream:
        config = str(contracts(tmp_path / "contracts", upstream))
        ids: dict[str, str] = {}
        for number in range(10):
            tool = "tell" if number % 2 else "ask"
            calls = f"{tool} url={upstream.base_url}/{tool}-{number}\nask url={upstream.base_url}/then-{number}"
            ids[add(state, calls, "--attempts", "9")] = f"{tool}-{number}"
        for nth in cut:
            with runner(state, "--config", config, "--parallel", "2") as child:
                upstream.wait_for_turn(nth)
                child.process.kill()
                child.process.wait()
        with runner(state, "--config", config, "--once") as child:
            child.process.wait(60)
        made = [turn.head.split()[1].decode().rpartition("/")[2] for turn in upstream.turns]
        assert not [name for name in made if name.startswith("tell") and made.count(name) > 1]
        for id_, name in ids.items():
            found = one(state, id_)
            if found["state"] == "done":
                assert {name, name.replace("tell", "then").replace("ask", "then")} <= set(made)
            else:
                assert (found["state"], name[:4]) == ("dead", "tell"), "reads are made again until they are done"
                assert "nobody knows what became of rct_" in found["note"]
