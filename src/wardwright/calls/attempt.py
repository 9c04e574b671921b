"""One attempt under way: what its upstream said so far, and what the receipt will say of it."""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.governed_answer import GovernedAnswer
from wardwright.dialects.answer import Tally
from wardwright.dialects.exchange import Headers
from wardwright.dialects.voice import Reader, Voice
from wardwright.kernel.usage import Rates, Usage, cost_nano_usd
from wardwright.policy.decision import NOTHING, Decision
from wardwright.routing import plan as routing
from wardwright.streams.governor import Governor

ERROR_BODY_BYTES_MAX: Final = 65_536
"""What is read of an upstream's error answer."""

UPSTREAM_NAME_CHARS_MAX: Final = 256
"""What a receipt keeps of a name that an upstream made up."""

CHARS_PER_TOKEN: Final = 4
"""For output that the upstream did not account for."""

NO_USAGE: Final = Usage()

SILENCE: Final = Tally()
"""What an upstream said that said nothing. Nobody adds to it."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed about one target while its contract version serves."""

    continues: bool
    """Its provider goes on with an answer that was begun."""
    double: bool
    drain: bool
    """Read on to the end when the client leaves."""
    mark: str
    """`<contract>/<target>=<model>`: marks what a model seals for itself, so that no other is handed it."""
    rates: Rates | None
    selected: rc.Selected
    """What a receipt says of the target where it answered as the first of its plan."""
    voice: Voice


class AttemptUnderWay(msgspec.Struct, eq=False):
    """Made when the attempt starts; `ended` turns it into what the receipt keeps."""

    planned: routing.Attempt
    terms: Terms
    began_ns: int
    answer: GovernedAnswer | None = None
    """What judges the answer, where rules read it; else `reader` passes it on."""
    answered_ns: int | None = None
    before: Decision = NOTHING
    """What rules of the stream phase said before it began."""
    changed: tuple[str, ...] = ()
    """What was altered in its request."""
    error_body: bytes = b""
    governor: Governor | None = None
    headers: Headers = []
    http_status: int | None = None
    reader: Reader | None = None
    streamed: Decision | None = None
    """What rules of the stream phase decided, once it is over."""

    def tally(self) -> Tally:
        """What the upstream sent, which is paid for."""
        if self.reader is not None:
            return self.reader.tally
        return SILENCE if self.answer is None else self.answer.tally

    def told(self) -> Tally:
        """What of it was for the client."""
        if self.reader is not None:
            return self.reader.tally
        return SILENCE if self.answer is None else self.answer.told

    def take_error(self, data: bytes) -> None:
        """A piece of an answer outside 2xx."""
        if len(self.error_body) < ERROR_BODY_BYTES_MAX:
            self.error_body += data[: ERROR_BODY_BYTES_MAX - len(self.error_body)]

    def ended(
        self,
        now_ns: int,
        *,
        accepted_ns: int,
        input_tokens: int,
        failure: str | None,
        http_status: int | None,
        message: str | None,
        retry_after_s: int | None,
    ) -> rc.Tried:
        """What the receipt says of it. `input_tokens` is the estimate, where the upstream does not account."""
        planned, terms, tally, began = self.planned, self.terms, self.tally(), self.began_ns
        usage, source = _usage_of(tally, input_tokens)
        return rc.Tried(
            answered_us=None if self.answered_ns is None else (self.answered_ns - began) // 1000,
            changed=self.changed,
            contract=planned.contract,
            cost_nano_usd=0 if terms.rates is None else cost_nano_usd(usage, terms.rates),
            double=terms.double,
            failure=failure,
            fingerprint=_short(tally.system_fingerprint),
            finish=_reasons(tally),
            http_status=self.http_status if http_status is None else http_status,
            message=message,
            model=planned.model,
            provider=planned.provider,
            retry_after_s=retry_after_s,
            started_us=(began - accepted_ns) // 1000,
            target=planned.target,
            took_us=(now_ns - began) // 1000,
            upstream_id=_short(tally.upstream_id),
            upstream_model=_short(tally.upstream_model),
            usage=usage,
            usage_source=source,
        )


def _usage_of(tally: Tally, input_tokens: int) -> tuple[Usage, rc.UsageSource]:
    if tally.usage is not None and tally.usage.is_plausible:
        return tally.usage, "reported"
    if tally.events == 0:
        return NO_USAGE, "none"
    output = -(-(tally.text_chars + tally.argument_chars + tally.refusal_chars) // CHARS_PER_TOKEN)
    reasoning = -(-tally.reasoning_chars // CHARS_PER_TOKEN)
    return Usage(input=input_tokens, output=output, reasoning=reasoning), "estimated"


def _reasons(tally: Tally) -> tuple[str, ...]:
    """Finish reasons by choice."""
    finish = tally.finish
    return tuple(finish.values()) if len(finish) == 1 else tuple(finish[choice] for choice in sorted(finish))


def _short(name: str | None) -> str | None:
    return name if name is None or len(name) <= UPSTREAM_NAME_CHARS_MAX else name[:UPSTREAM_NAME_CHARS_MAX]
