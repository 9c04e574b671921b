"""How long rules take: one request of 1.3 KB against the hundred rules of `rules-100.yaml`, and one rule of four parts.

`python -m benchmarks.rules` prints both beside their bars. Only the decision is timed: facts are made once a call.
"""

from __future__ import annotations

import gc
import sys
import timeit
from pathlib import Path
from typing import Final, NamedTuple

from wardwright.calls.phases import PHASES, REQUEST
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.policy.compiled import Policy
from wardwright.policy.evaluate import decide
from wardwright.policy.loading import load
from wardwright.policy.phases import Fact, Facts, checked

RULES: Final = Path(__file__).parent / "rules-100.yaml"

ONE_RULE: Final = """
kind: policy
name: one
rules:
  - id: four-parts
    phase: request
    when:
      all:
        - {in: [caller.tenant, [acme, globex]]}
        - {gte: [request.output_tokens, 1024]}
        - {not: {any_of: [caller.tags, [batch]]}}
        - {contains: [text.last_user, off-by-one]}
    then: [{annotate: seen}]
    why: It holds for the request, so that all four parts are weighed and a decision is made.
"""

SYSTEM: Final = (
    "You are a careful programmer. Answer briefly, show code where it helps, and say what you did not check."
)
USER: Final = """\
Why does the second assertion fail? I suspect an off-by-one error around 2026-03-29, the day the clocks change.

```python
def billing_days(start: date, end: date, *, zone: str = "Europe/Zurich") -> int:
    first = datetime.combine(start, time(0, 0), ZoneInfo(zone))
    last = datetime.combine(end, time(0, 0), ZoneInfo(zone))
    return (last.astimezone(UTC) - first.astimezone(UTC)).days + 1

def test_a_month_has_all_its_days() -> None:
    assert billing_days(date(2026, 1, 1), date(2026, 1, 31)) == 31
    assert billing_days(date(2026, 3, 1), date(2026, 3, 31)) == 31   # 30 here
```

The traceback, from build 48121 on runner-07:

    E   assert 30 == 31
    E    +  where 30 = billing_days(datetime.date(2026, 3, 1), datetime.date(2026, 3, 31))
    tests/billing/test_days.py:14: AssertionError

It passes with zone="UTC", with "America/New_York" it fails for 2026-03-08 to 2026-03-31 too. Invoices 20931 to 20977
have been sent with the wrong amount already, each too small by 1/31 of 49.00 CHF. Please show the smallest change that
makes the function right, and one more test that would have found it; I would rather not subtract dates as strings.
"""

VALUES: Final[dict[str, Fact]] = {
    "caller.agent": "builder",
    "caller.application": "editor",
    "caller.house": "north",
    "caller.session": "s-20931",
    "caller.tags": ("pinned", "team-billing"),
    "caller.tenant": "acme",
    "caller.user": "u-7",
    "conversation.in_tool_loop": False,
    "conversation.step": 3,
    "conversation.turn": 1,
    "metadata.data_class": "public",
    "metadata.region": "eu",
    "request.bytes": 1620,
    "request.capabilities": ("tools",),
    "request.choices": 1,
    "request.hops": 0,
    "request.input_tokens": 410,
    "request.messages": 4,
    "request.model": "coding-balanced",
    "request.output_tokens": 2048,
    "request.retries": 0,
    "request.stream": True,
    "text.all": f"{SYSTEM}\n{USER}",
    "text.assistant": "",
    "text.last_user": USER,
    "text.system": SYSTEM,
    "text.tool": "",
    "text.user": USER,
    "tools.count": 3,
    "tools.names": ("read_file", "edit_file", "run_tests"),
}


class Timed(NamedTuple):
    """One figure and its bar, in µs."""

    what: str
    took_us: float
    bar_us: float


def measured(rounds: int = 9) -> tuple[Timed, ...]:
    """The best of some rounds of each, without the collector."""
    hundred, one = loaded(RULES.read_bytes()), loaded(ONE_RULE.encode())
    gc.disable()
    try:
        return (
            Timed(f"{len(hundred.of('request'))} request rules", _best(hundred, rounds), 60.0),
            Timed("one rule of four parts", _best(one, rounds), 2.0),
        )
    finally:
        gc.enable()


def loaded(data: bytes) -> Policy:
    documents: list[Located[PolicyContract]] = []
    for document in decode(data, RULES.name):
        assert isinstance(document.value, PolicyContract)
        documents.append(Located(document.value, document.file, document.places))
    return load(documents, PHASES)


def facts(policy: Policy) -> Facts:
    """What the rules read of the request."""
    return checked(
        REQUEST, {name: VALUES[name] for name in policy.reads["request"] & VALUES.keys()}, policy.reads["request"]
    )


def _best(policy: Policy, rounds: int) -> float:
    here = facts(policy)
    number = 1000
    return min(timeit.repeat(lambda: decide(policy, "request", here), number=number, repeat=rounds)) / number * 1e6


def main() -> int:
    timed = measured()
    for one in timed:
        print(f"{one.what:<24} {one.took_us:6.2f} µs   (bar {one.bar_us:g} µs)")
    return 1 if any(one.took_us > one.bar_us for one in timed) else 0


if __name__ == "__main__":
    sys.exit(main())
