"""Scorecards over calls of tools and models."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.calls import receipt as rc
from wardwright.calls.receipt import Caller, Client, Receipt, Request, Sourced, Timings
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.scorecard import GROUPS_MAX, OTHERS, Made, Outcome, Scorecard, Scoring
from wardwright.journal.entry import Record
from wardwright.journal.life import Lost
from wardwright.limits.prediction import Prediction
from wardwright.limits.scoring import wilson_ppm

MINUTE_US = 60_000_000
CALLER = Caller(house=Sourced("trusted_auth", "ezra"), agent=Sourced("trusted_auth", "builder"))


def foretold(success_ppm: int, *, abstained: bool = False) -> Prediction:
    return Prediction(
        abstained=abstained,
        cost_nano_usd=None,
        evidence_milli=9000,
        high_ppm=1_000_000,
        latency=None,
        level="subject",
        low_ppm=0,
        success_ppm=success_ppm,
    )


def tool(status: tr.Status, **members: object) -> tr.ToolReceipt:
    given = {
        "attempts": (tr.Try(),),
        "caller": CALLER,
        "house": "ezra",
        "receipt": "rct_1",
        "started_at": MINUTE_US,
        "status": status,
        "timings": tr.Timings(total_us=5_000),
        "tool": tr.ToolRef(digest="", name="file.read"),
        **members,
    }
    return tr.ToolReceipt(**given)  # type: ignore[arg-type]


def model(status: rc.Status, **members: object) -> Receipt:
    given = {
        "caller": CALLER,
        "client": Client(),
        "contract": rc.Contract(closure="", digest="", name="coding"),
        "cost_nano_usd": 700,
        "receipt": "rcp_1",
        "request": Request(),
        "started_at": MINUTE_US,
        "status": status,
        "timings": Timings(total_us=9_000),
        **members,
    }
    return Receipt(**given)  # type: ignore[arg-type]


def record(kind: str, data: msgspec.Struct) -> Record:
    return Record(
        actor="harness",
        at=MINUTE_US,
        chain="calls",
        data=msgspec.Raw(msgspec.json.encode(data)),
        id="",
        kind=kind,
        lam=1,
        node="",
        prev="",
        refs=(),
        run=None,
        seq=1,
        v=1,
        writer="w",
    )


def card(*records: Record, since_us: int = 0, until_us: int = 10 * MINUTE_US) -> Scorecard:
    scoring = Scoring(since_us, until_us)
    for one in records:
        scoring.step(one)
    return scoring.card()


def closed(status: tr.Status, **members: object) -> Record:
    return record(tr.CLOSED, tool(status, **members))


def test_a_rate_is_over_what_was_tried_and_the_rest_is_counted_beside_it() -> None:
    (line,) = card(
        closed("completed"),
        closed("completed", cached_from="rct_0"),
        closed("failed", attempts=(tr.Try(error="tool_failed"), tr.Try(error="tool_failed"))),
        closed("timed_out"),
        closed("denied"),
        closed("awaiting_approval"),
        closed("refused"),
    ).tools
    assert (line.calls, line.succeeded, line.failed, line.denied, line.waiting, line.cached, line.other) == (
        7, 1, 2, 1, 1, 1, 1,
    )  # fmt: skip
    assert (line.success_ppm, (line.low_ppm, line.high_ppm), line.retries) == (333_333, wilson_ppm(1, 3), 1)


def test_tools_and_models_meet_in_their_house_and_agent() -> None:
    made = card(closed("completed"), record(rc.CLOSED, model("completed")), record(rc.CLOSED, model("failed")))
    assert [(line.name, line.calls) for line in made.tools] == [("file.read", 1)]
    assert [(line.name, line.calls, line.cost_nano_usd) for line in made.models] == [("coding", 2, 1_400)]
    assert [(line.name, line.calls) for line in made.houses] == [("ezra", 3)]
    assert [(line.name, line.succeeded, line.failed) for line in made.agents] == [("builder", 2, 1)]


def test_a_call_that_was_only_planned_is_none() -> None:
    assert card(record(rc.CLOSED, model("simulated", simulation=True))).all.calls == 0


def test_latencies_are_of_successes_and_never_told_too_short() -> None:
    slow = closed("failed", timings=tr.Timings(total_us=10**9))
    (line,) = card(closed("completed"), slow).tools
    assert line.p50_us == line.p99_us
    assert line.p99_us is not None
    assert 5_000 <= line.p99_us <= 5_000 * 9 / 8


def test_a_span_ends_before_its_end() -> None:
    ended = MINUTE_US + 5_000
    assert card(closed("completed"), since_us=ended, until_us=ended + 1).all.calls == 1
    assert card(closed("completed"), since_us=0, until_us=ended).all.calls == 0
    assert card(closed("completed"), since_us=ended + 1).all.calls == 0


def test_predictions_are_scored_where_the_call_was_tried() -> None:
    report = card(
        closed("completed", prediction=foretold(900_000)),
        closed("failed", prediction=foretold(100_000)),
        closed("completed", prediction=foretold(500_000, abstained=True)),
        closed("denied", prediction=foretold(900_000)),
        closed("completed"),
    ).all.predictions
    assert (report.count, report.brier_ppm, report.abstained_ppm) == (2, 10_000, 333_333)


def test_a_call_that_was_lost_is_known_by_what_was_opened() -> None:
    opened = tr.Opened(
        caller=CALLER,
        effect="write-local",
        receipt="rct_1",
        scope=Scope(),
        started_at=MINUTE_US,
        tool=tr.ToolRef(digest="", name="file.write"),
    )
    (line,) = card(record(tr.OPENED, opened), record(tr.LOST, Lost(opened="x", receipt="rct_1"))).tools
    assert (line.name, line.other, line.success_ppm) == ("file.write", 1, None)


@pytest.mark.parametrize("outcome", ["succeeded", "denied"])
def test_names_are_bounded(outcome: Outcome) -> None:
    scoring = Scoring(0, 1)
    for number in range(GROUPS_MAX + 5):
        scoring.add(
            Made(
                agent=f"a{number}",
                at_us=0,
                attempts=1,
                cost_nano_usd=0,
                house="",
                kind="tool",
                latency_us=1,
                name="t",
                outcome=outcome,
                tenant="local",
            )
        )
    agents = scoring.card().agents
    assert (len(agents), agents[0].name, agents[0].calls) == (GROUPS_MAX + 1, OTHERS, 5)
