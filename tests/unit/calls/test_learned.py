"""What receipts of model calls teach."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.calls import learned
from wardwright.calls.receipt import CLOSED, Caller, Client, Contract, Receipt, Request, Selected, Sourced, Timings
from wardwright.journal.entry import Record
from wardwright.journal.life import OPENED, TOOL_CLOSED
from wardwright.limits.patterns import Patterns


def record(kind: str = CLOSED, **members: object) -> Record:
    receipt = Receipt(
        **{  # type: ignore[arg-type]  # the tests say what each is
            "caller": Caller(tenant=Sourced("trusted_auth", "acme"), house=Sourced("trusted_auth", "ezra")),
            "client": Client(),
            "contract": Contract(closure="c", digest="d", name="coding"),
            "cost_nano_usd": 2_000_000,
            "receipt": "rcp_1",
            "request": Request(),
            "selected": Selected(context_window=1, contract="coding", model="small", provider="p", target="p/small"),
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


def test_a_completed_call_is_a_try_with_its_price_its_time_and_whom_it_reached() -> None:
    seen = learned.observation_of(record())
    assert seen is not None
    assert seen.key == ("acme", "model coding", "chat", "ezra", "p/small", "small")
    assert (seen.outcome, seen.cost_nano_usd, seen.latency_us) == ("succeeded", 2_000_000, 500_000)
    assert (seen.at_us, seen.order, seen.writer) == (1_500_000, 7, "n/gateway-0")


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ({"status": "failed"}, "failed"),
        ({"status": "refused"}, None),
        ({"status": "client_left"}, None),
        ({"contract": None}, None),
        ({"simulation": True}, None),
    ],
)
def test_only_what_a_model_answers_for_is_learned(members: dict[str, object], outcome: str | None) -> None:
    seen = learned.observation_of(record(**members))  # type: ignore[arg-type]  # members of a receipt
    assert (None if seen is None else seen.outcome) == outcome


@pytest.mark.parametrize("kind", [OPENED, TOOL_CLOSED])
def test_other_records_teach_nothing_of_models(kind: str) -> None:
    assert learned.observation_of(record(kind)) is None


def test_costs_are_foretold_from_calls_that_had_one() -> None:
    patterns = Patterns()
    seen = learned.observation_of(record())
    assert seen is not None
    for order in range(1, 10):
        assert patterns.learn(msgspec.structs.replace(seen, order=order))
    assert patterns.predict(seen.key, 2_000_000).cost_nano_usd == pytest.approx(2_000_000, rel=0.01)


def test_a_call_whose_price_nobody_named_says_nothing_of_costs() -> None:
    seen = learned.observation_of(record(cost_nano_usd=0))
    assert seen is not None
    assert seen.cost_nano_usd is None
