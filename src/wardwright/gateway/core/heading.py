"""The head of a request, as the gateway reads it.

A client that stays connected sends the same head with nearly every request. Whoever reads heads keeps their `Heading`,
so that what was worked out of one is not worked out again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.dialects.voice import HOPS
from wardwright.gateway.core.callers import CLAIM_HEADERS, Headers
from wardwright.routing.conversation import CLIENT_SESSION_HEADERS, SESSION_HEADER

APPROVAL: Final = b"x-wardwright-approval-id"
"""Names the approval that a call uses up."""

RETRIES: Final = b"x-stainless-retry-count"
"""How often an SDK has tried before."""

ONWARD: Final = (b"anthropic-beta", b"idempotency-key", b"openai-beta", b"traceparent", b"tracestate")
"""Headers of the client that travel on to the provider; all others end here."""

_READ: Final = frozenset({APPROVAL, HOPS, RETRIES, SESSION_HEADER, *CLAIM_HEADERS, *CLIENT_SESSION_HEADERS, *ONWARD})


class Heading(msgspec.Struct, eq=False):
    """Headers of a request, and what they come down to."""

    headers: Headers
    is_plain: bool = False
    """No member but the credential means anything for a call. Known once it is made."""
    token_hash: bytes | None = None
    """SHA-256 of the serving key that it carries, once somebody looked."""

    def __post_init__(self) -> None:
        self.is_plain = _READ.isdisjoint(self.headers)
