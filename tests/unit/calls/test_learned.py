"""What receipts of model calls teach."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.calls import learned
from wardwright.calls.receipt import (
    CLOSED,
    STOPPED,
    Caller,
    Client,
    Contract,
    Receipt,
    Request,
    Sourced,
    Timings,
    Tried,
)
from wardwright.journal.entry import Record
from wardwright.journal.life import OPENED, TOOL_CLOSED
from wardwright.limits.patterns import Patterns


def tried(**members: object) -> Tried:
    known = {"contract": "coding", "model": "small", "provider": "p", "started_us": 100_000, "target": "t"}
    return Tried(**{**known, "cost_nano_usd": 2_000_000, "took_us": 400_000, **members})  # type: ignore[arg-type]


def record(kind: str = CLOSED, *attempts: Tried, **members: object) -> Record:
    receipt = Receipt(
        **{  # type: ignore[arg-type]  # the tests say what each is
            "attempts": attempts or (tried(),),
            "caller": Caller(tenant=Sourced("trusted_auth", "acme"), house=Sourced("trusted_auth", "ezra")),
            "client": Client(),
            "contract": Contract(closure="c", digest="d", name="coding"),
            "receipt": "rcp_1",
            "request": Request(),
            "started_at": 1_000_000,
            "status": "completed",
            "timings": Timings(total_us=500_000),
            **members,
        }
    )
    return Record(
        actor="gateway", at=0, chain="calls", data=msgspec.Raw(msgspec.json.encode(receipt)), id="i", kind=kind, lam=1,
        node="n", prev="p", refs=(), run=None, seq=7, v=1, writer="n/gateway-0",
    )  # fmt: skip


def test_an_attempt_is_a_try_with_its_price_its_time_and_whom_it_reached() -> None:
    (seen,) = learned.observations_of(record())
    assert seen.key == ("acme", "model coding", "chat", "ezra", "t", "small")
    assert (seen.outcome, seen.cost_nano_usd, seen.latency_us) == ("succeeded", 2_000_000, 400_000)
    assert (seen.at_us, seen.order, seen.writer) == (1_500_000, 7 * learned.ATTEMPTS_MAX, "n/gateway-0")


def test_a_target_that_failed_is_told_though_another_answered() -> None:
    first, second = learned.observations_of(
        record(CLOSED, tried(target="a", failure="server_error"), tried(target="b"))
    )
    assert [(one.key[4], one.outcome) for one in (first, second)] == [("a", "failed"), ("b", "succeeded")]
    assert first.order < second.order


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (None, "succeeded"),
        ("server_error", "failed"),
        ("first_byte_timeout", "cut"),
        ("rejected", None),
        ("context_length", None),
        ("pool_full", None),
        (STOPPED, None),
    ],
)
def test_only_what_a_target_answers_for_is_learned(failure: str | None, outcome: str | None) -> None:
    seen = learned.observations_of(record(CLOSED, tried(failure=failure)))
    assert [one.outcome for one in seen] == ([] if outcome is None else [outcome])


@pytest.mark.parametrize("members", [{"contract": None}, {"simulation": True}, {"attempts": ()}])
def test_a_call_that_reached_nobody_teaches_nothing(members: dict[str, object]) -> None:
    assert learned.observations_of(record(**members)) == ()  # type: ignore[arg-type]  # members of a receipt


@pytest.mark.parametrize("kind", [OPENED, TOOL_CLOSED])
def test_other_records_teach_nothing_of_models(kind: str) -> None:
    assert learned.observations_of(record(kind)) == ()


def test_costs_are_foretold_from_calls_that_had_one() -> None:
    patterns = Patterns()
    (seen,) = learned.observations_of(record())
    for order in range(1, 10):
        assert patterns.learn(msgspec.structs.replace(seen, order=order))
    assert patterns.predict(seen.key, 2_000_000).cost_nano_usd == pytest.approx(2_000_000, rel=0.01)


def test_an_attempt_whose_price_nobody_named_says_nothing_of_costs() -> None:
    (seen,) = learned.observations_of(record(CLOSED, tried(cost_nano_usd=0)))
    assert seen.cost_nano_usd is None
