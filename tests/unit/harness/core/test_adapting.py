"""What calls say of the thresholds of their tool."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wardwright.calls.receipt import Caller
from wardwright.contracts.provider import Breaker
from wardwright.contracts.tool import Retry, ToolContract
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.adapting import Adapted, Rehearsed, changed, proposals
from wardwright.harness.core.hands import Scope
from wardwright.harness.workshop import observation_of
from wardwright.limits.adaptation import Bounds
from wardwright.limits.patterns import Patterns

SECOND_US = 1_000_000
NOW_US = 10_000 * SECOND_US
CONTRACT = ToolContract(
    name="file.read", effect="read", reversal="T0", timeout_s=30, retry=Retry(attempts_max=3), breaker=Breaker()
)
BOUNDS: dict[Adapted, Bounds] = {
    "attempts": Bounds(low=1, high=5, step_max=1),
    "failure_ppm": Bounds(low=50_000, high=900_000, step_max=500_000),
    "timeout_s": Bounds(low=2, high=60, step_max=40),
}


def calls(
    count: int,
    *,
    status: tr.Status = "completed",
    took_s: int = 1,
    errors: Sequence[str | None] = (None,),
    first: int = 0,
) -> list[tr.ToolReceipt]:
    return [
        tr.ToolReceipt(
            attempts=tuple(tr.Try(error=error, took_us=took_s * SECOND_US) for error in errors),
            caller=Caller(),
            order=number + 1,
            receipt=f"rct_{number:04}",
            scope=Scope(),
            started_at=number * SECOND_US,
            status=status,
            timings=tr.Timings(ran_us=took_s * SECOND_US, total_us=took_s * SECOND_US),
            tool=tr.ToolRef(digest="", name="file.read"),
        )
        for number in range(first, first + count)
    ]


def proposed(
    receipts: list[tr.ToolReceipt], *only: Adapted, contract: ToolContract = CONTRACT
) -> tuple[Rehearsed, ...]:
    patterns = Patterns()
    for one in receipts:
        seen = observation_of(one, "w")
        assert seen is not None
        patterns.learn(seen)
    bounds = {name: BOUNDS[name] for name in only}
    return proposals(contract, receipts, patterns, bounds, tenant="local", now_us=NOW_US)


def test_a_timeout_follows_what_successes_need_within_its_bounds() -> None:
    (one,) = proposed(calls(400), "timeout_s")
    assert (one.proposal.was, one.proposal.to, one.otherwise, one.calls) == (30, 2, 0, 400)
    assert changed(CONTRACT, [one]).timeout_s == 2


def test_a_rehearsal_counts_the_successes_that_a_shorter_timeout_would_have_cut() -> None:
    (one,) = proposed([*calls(1999), *calls(1, took_s=25, first=1999)], "timeout_s")
    assert one.proposal.to < 25
    assert (one.otherwise, one.unknown) == (1, 0)


def test_a_longer_timeout_saves_nobody_knows_how_many() -> None:
    receipts = [*calls(350, took_s=4), *calls(50, status="timed_out", took_s=5, first=350)]
    (one,) = proposed(
        receipts, "timeout_s", contract=ToolContract(name="file.read", effect="read", reversal="T0", timeout_s=5)
    )
    assert one.proposal.to > 5
    assert (one.otherwise, one.unknown) == (0, 50)


def test_repeating_what_hardly_ever_succeeds_is_given_up() -> None:
    failed = "tool_failed"
    (one,) = proposed(calls(30, status="failed", errors=(failed, failed, failed)), "attempts")
    assert (one.proposal.was, one.proposal.to) == (3, 2)  # one step
    assert changed(CONTRACT, [one]).retry == Retry(attempts_max=2)


def test_a_rehearsal_counts_the_successes_of_attempts_that_would_be_gone() -> None:
    failed = "tool_failed"
    late = calls(1, errors=(failed, failed, None), first=40)
    (one,) = proposed([*calls(40, status="failed", errors=(failed, failed, failed)), *late], "attempts")
    assert (one.proposal.to, one.otherwise) == (2, 1)


def test_what_is_irreversible_is_never_tried_again() -> None:
    contract = ToolContract(name="file.read", effect="irreversible", reversal="T4")
    failed = "tool_failed"
    assert proposed(calls(30, status="failed", errors=(failed, None)), "attempts", contract=contract) == ()


def test_a_breaker_is_rehearsed_over_the_calls_as_they_came() -> None:
    receipts: list[tr.ToolReceipt] = []
    for block in range(20):  # one failure in four, evenly
        receipts += calls(3, first=4 * block, took_s=0)
        receipts += calls(1, status="failed", errors=("tool_failed",), first=4 * block + 3, took_s=0)
    (one,) = proposed(
        receipts,
        "failure_ppm",
        contract=ToolContract(name="file.read", effect="read", reversal="T0", breaker=Breaker(failure_ppm=200_000)),
    )
    assert one.proposal.to > 250_000
    assert one.otherwise > 0  # those that the old limit turns away


@pytest.mark.parametrize("receipts", [[], calls(3)])
def test_too_few_calls_say_nothing(receipts: list[tr.ToolReceipt]) -> None:
    assert proposed(receipts, "attempts", "failure_ppm", "timeout_s") == ()


def test_what_nobody_declared_is_left_alone() -> None:
    assert proposed(calls(400)) == ()
