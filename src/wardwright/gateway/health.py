"""How the targets are doing: a breaker each, shared by every contract that names the same model at a provider.

Planning asks who rests; an attempt asks for admission right before it starts, since a probe admits one call alone;
its end is told here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wardwright.contracts import provider
from wardwright.dialects.exchange import Failure, FailureClass
from wardwright.limits.breaker import Breaker, Health, Rest

RATE_LIMIT_REST_S: Final = 1.0
"""How long a target rests after a 429 without Retry-After."""

_NOT_TO_BLAME: Final[frozenset[FailureClass]] = frozenset({"rejected", "context_length", "rate_limited", "not_served"})
"""Failures of a target that answers: they say nothing against its health."""

_NEVER_SENT: Final[frozenset[FailureClass]] = frozenset({"pool_full", "resting"})
"""Failures on our side of the wire."""

Endpoint = tuple[str, str]
"""A provider's name and its name for the model."""


class HealthBoard:
    """The breakers of all targets. Instants are monotonic seconds."""

    def __init__(self) -> None:
        self._breakers: dict[Endpoint, Breaker] = {}
        self._suspects: dict[Endpoint, Breaker] = {}
        """Those that rested when last looked at: almost always empty, so that planning asks no one."""

    def keep(self, endpoints: Iterable[tuple[Endpoint, provider.Breaker]]) -> None:
        """Watch exactly these from now on; what is known of those that stay is kept."""
        self._breakers = {
            endpoint: self._breakers.get(endpoint) or Breaker(settings) for endpoint, settings in endpoints
        }
        self._suspects = {
            endpoint: breaker for endpoint, breaker in self._suspects.items() if endpoint in self._breakers
        }

    def resting(self, now: float) -> dict[Endpoint, Rest]:
        """Who takes no call now, and why."""
        if not self._suspects:
            return {}
        found: dict[Endpoint, Rest] = {}
        for endpoint, breaker in list(self._suspects.items()):
            rest = breaker.resting(now)
            if rest is not None:
                found[endpoint] = rest
            elif breaker.health(now).state == "closed":
                del self._suspects[endpoint]
        return found

    def admits(self, endpoint: Endpoint, now: float) -> bool:
        breaker = self._breakers.get(endpoint)
        return breaker is None or breaker.admits(now)

    def settle(self, endpoint: Endpoint, failure: Failure | None, *, began: float, ok: bool, now: float) -> None:
        """The end of an attempt that began at `began`: answered, failed, or neither (abandoned)."""
        breaker = self._breakers.get(endpoint)
        if breaker is None or (failure is not None and failure.kind in _NEVER_SENT):
            return
        if failure is None:
            if ok:
                breaker.record(True, now, began)
            else:
                breaker.abandoned(began)
            return
        if failure.kind == "rate_limited" or failure.retry_after_s is not None:
            wait = RATE_LIMIT_REST_S if failure.retry_after_s is None else failure.retry_after_s
            breaker.rest_until(now + wait, now)
        else:
            breaker.record(failure.kind in _NOT_TO_BLAME, now, began)
        if breaker.resting(now) is not None:
            self._suspects[endpoint] = breaker

    def all(self, now: float) -> dict[Endpoint, Health]:
        return {endpoint: breaker.health(now) for endpoint, breaker in self._breakers.items()}
