"""Whatever happens to a call in whatever order, it ends once, is recorded once, and never makes up an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parts import call_stage as stage
from parts.call_stage import DONE, FIRST, JSON, LAST, MS, SECOND, SSE
from wardwright.calls.effects import Answer, Break, Close, Effect, Finish, Open, Refuse, Release, Start
from wardwright.calls.machine import Machine
from wardwright.dialects.exchange import Failure
from wardwright.kernel.canonical import require
from wardwright.kernel.errors import WardwrightError

STEPS = st.sampled_from(
    [
        "json", "sse", "error", "first", "second", "last", "done", "whole", "garbage", "error_event", "end", "reset",
        "rejected", "tick", "left", "abandon",
    ]
)  # fmt: skip

BODIES = {
    "first": FIRST,
    "second": SECOND,
    "last": LAST,
    "done": DONE,
    "whole": stage.whole(),
    "garbage": b"\xff\x00{",
    "error_event": b'data: {"error":{"message":"no"}}\n\n',
}


def feed(call: Machine, step: str, now_ns: int) -> tuple[Effect, ...]:
    match step:
        case "json":
            return call.head(200, JSON, now_ns)
        case "sse":
            return call.head(200, SSE, now_ns)
        case "error":
            return call.head(503, JSON, now_ns)
        case "end":
            return call.end(now_ns)
        case "reset":
            return call.failed(Failure(kind="reset", message="gone"), now_ns)
        case "rejected":
            return call.failed(Failure(kind="rejected", message="no"), now_ns)
        case "tick":
            return call.tick(now_ns)
        case "left":
            return call.client_left(now_ns)
        case "abandon":
            return call.abandon(WardwrightError("journal_unavailable", "full"), now_ns)
        case _:
            return call.event(BODIES[step], now_ns)


@given(
    steps=st.lists(STEPS, max_size=24),
    stream=st.booleans(),
    targets=st.integers(1, 3),
    drain=st.booleans(),
)
def test_every_call_ends_in_one_receipt_and_nothing_is_released_outside_its_bounds(
    steps: list[str], stream: bool, targets: int, drain: bool
) -> None:
    call = stage.machine(stream=stream)
    effects = list(stage.decided(call, targets=targets, drain=drain))
    headed = False
    for number, step in enumerate([*steps, "tick"]):
        # A transport sends one head, then bodies; the receiver is promised no other order.
        if step in ("json", "sse", "error"):
            if headed:
                continue
            headed = True
        elif not headed and (step in BODIES or step == "end"):
            continue
        more = feed(call, step, (number + 2) * MS)
        if any(isinstance(effect, Start) for effect in more):
            headed = False
        effects.extend(more)

    closes = [place for place, effect in enumerate(effects) if isinstance(effect, Close)]
    assert len(closes) == 1
    assert call.closed
    after = effects[closes[0] + 1 :]
    assert all(isinstance(effect, Answer | Release | Finish | Refuse | Break) for effect in after)
    releases = [place for place, effect in enumerate(effects) if isinstance(effect, Release)]
    if releases:
        opened = [place for place, effect in enumerate(effects) if isinstance(effect, Open)]
        assert opened
        assert opened[0] < releases[0]
        # No other target once a byte has left.
        assert not any(isinstance(effect, Start) for effect in effects[releases[0] :])
    close = effects[closes[0]]
    assert isinstance(close, Close)
    receipt = close.receipt
    require(receipt)
    released = b"".join(effect.data for effect in effects if isinstance(effect, Release))
    assert (DONE in released) == (receipt.status == "completed" and stream)
    if receipt.status == "completed":
        finished = receipt.attempts[-1].finish
        assert finished
    assert len(receipt.attempts) <= targets
    starts = sum(isinstance(effect, Start) for effect in effects)
    assert starts >= len(receipt.attempts)
