"""A stage for the call machine: one accepted call, a plan over two targets, answers in OpenAI's dialect."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.attempt import Terms
from wardwright.calls.effects import Effect
from wardwright.calls.machine import Accepted, Machine
from wardwright.dialects.answer import Identity
from wardwright.dialects.exchange import Headers
from wardwright.dialects.openai_voice import OpenAIVoice
from wardwright.kernel.usage import Rates
from wardwright.routing.plan import Attempt, Plan, RouteFacts

MS = 1_000_000
"""ns in one millisecond."""

JSON: Headers = [(b"content-type", b"application/json")]
SSE: Headers = [(b"content-type", b"text/event-stream")]

CONTRACT = rc.Contract(closure="sha256:c", digest="sha256:d", name="coding")
FACTS = RouteFacts(input_tokens=12, output_tokens=64)
RATES = Rates(cache_write=0, cached_input=0, input=1_000_000_000, output=2_000_000_000, reasoning=2_000_000_000)


def machine(*, stream: bool = False, simulation: bool = False, include_usage: bool = False) -> Machine:
    return Machine(
        Accepted(
            caller=rc.Caller(),
            identity=Identity("chatcmpl-rcp_1", "coding", 1_700_000_000),
            include_usage=include_usage,
            now_ns=0,
            receipt="rcp_1",
            request=rc.Request(model="coding", stream=stream),
            retry_of=None,
            simulation=simulation,
            started_at=1_700_000_000_000_000,
        )
    )


def planned(targets: int = 2) -> Plan:
    return Plan(
        attempts=tuple(
            Attempt(contract="coding", lineage=("route",), model=f"m{n}", provider=f"p{n}", target=f"t{n}")
            for n in range(targets)
        )
    )


def terms(targets: int = 2, *, drain: bool = False, continues: bool = False) -> tuple[Terms, ...]:
    return tuple(
        Terms(
            continues=continues,
            double=False,
            drain=drain,
            mark=f"coding/t{n}=m{n}",
            rates=RATES,
            selected=rc.Selected(
                context_window=8192, contract="coding", model=f"m{n}", provider=f"p{n}", target=f"t{n}"
            ),
            voice=OpenAIVoice(),
        )
        for n in range(targets)
    )


def decided(machine: Machine, *, targets: int = 2, drain: bool = False, at_ms: int = 1) -> tuple[Effect, ...]:
    return machine.decided(CONTRACT, "cascade", FACTS, planned(targets), terms(targets, drain=drain), at_ms * MS)


def whole(text: str = "hello") -> bytes:
    return json.dumps(
        {
            "id": "up-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m0",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
    ).encode()


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(
        {
            "id": "up-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m0",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
    )


FIRST = chunk({"role": "assistant", "content": "hel"})
SECOND = chunk({"content": "lo"})
LAST = chunk({}, "stop")
DONE = b"data: [DONE]\n\n"
