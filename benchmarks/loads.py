"""The loads, by name: what is asked, by how many at once, how often."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from benchmarks.behaviour import Behaviour, behaviour_of

LoadName: TypeAlias = Literal[
    "json-1k", "sse-50", "sse-1000", "json-200k", "slow-100", "slow-1000", "latency-8", "latency-64"
]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One closed loop: `concurrency` callers, each asking again as soon as it is answered."""

    name: LoadName
    title: str
    """For people, in a table."""
    model: str
    """What the upstream does: see `behaviour`."""
    prompt_bytes: int = 1_000
    """About the size of the request's body."""
    concurrency: int
    requests: int
    """In one window of a standard run."""
    resizable: bool = True
    """Whether a quick run may ask less often; where every caller asks once, fewer requests would be another load."""

    stagger_s: float = 0
    """How far apart the first and the last caller begin."""

    @property
    def meant(self) -> Behaviour:
        return behaviour_of(self.model)


LOADS: Final[tuple[Load, ...]] = (
    Load(name="json-1k", title="small call", model="json", concurrency=16, requests=10_000),
    Load(name="sse-50", title="stream of 50 events, burst", model="sse-50", concurrency=16, requests=3_000),
    Load(name="sse-1000", title="stream of 1,000 events, burst", model="sse-1000", concurrency=16, requests=320),
    Load(name="json-200k", title="200 KB prompt", model="json", prompt_bytes=200_000, concurrency=8, requests=800),
    Load(
        name="slow-100",
        title="100 slow streams (20 events, one each 50 ms)",
        model="slow-20x50ms",
        concurrency=100,
        requests=200,
        stagger_s=0.05,
        resizable=False,
    ),
    Load(
        name="slow-1000",
        title="1,000 slow streams (8 events, one each 250 ms)",
        model="slow-8x250ms",
        concurrency=1_000,
        requests=1_000,
        stagger_s=0.25,
        resizable=False,
    ),
    Load(
        name="latency-8",
        title="20 ms upstream, 8 callers",
        model="delay-20ms",
        concurrency=8,
        requests=800,
        stagger_s=0.02,
    ),
    Load(
        name="latency-64",
        title="20 ms upstream, 64 callers",
        model="delay-20ms",
        concurrency=64,
        requests=5_120,
        stagger_s=0.02,
    ),
)

MODELS: Final[tuple[str, ...]] = (*sorted({load.model for load in LOADS}), "hold")
"""Every model that a gateway under test must route to the upstream."""


GROWTH_CALLS: Final = (20_000, 200_000)
"""Between which calls resident memory is asked to hold still."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run takes."""

    name: Literal["quick", "standard", "full"]
    rounds: int
    size: float
    """A factor on the requests of a window."""
    window_max_s: float
    """No further request starts after this."""
    patience_s: float
    """Requests still running this much later void the window: it did not finish."""
    open_streams: int = 1_000
    """For memory per open stream."""
    growth_calls: tuple[int, int]
    """After how many calls the resident memory is read, and read again."""
    starts: int
    """How many times a start is timed."""
    journal_bytes: int = 0
    """How large the journal of the timed start is; 0 leaves that start out."""


QUICK: Final = Scale(
    name="quick", rounds=3, size=0.25, window_max_s=3, patience_s=15, growth_calls=(2_000, 10_000), starts=3
)
STANDARD: Final = Scale(
    name="standard", rounds=5, size=1, window_max_s=6, patience_s=60, growth_calls=GROWTH_CALLS, starts=5
)
FULL: Final = Scale(
    name="full",
    rounds=9,
    size=1,
    window_max_s=10,
    patience_s=90,
    growth_calls=GROWTH_CALLS,
    starts=5,
    journal_bytes=1_000_000_000,
)


def requests_in(load: Load, scale: Scale) -> int:
    """How many requests one window of this load asks at this scale."""
    return max(load.concurrency, int(load.requests * scale.size)) if load.resizable else load.requests
