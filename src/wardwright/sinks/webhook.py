"""A sink that posts letters to an address, signed (see `sinks.signature`).

Rule 1: httpx2's transport is used, not its client: no redirect is followed, no cookie kept, no variable of the
environment obeyed, no answer decoded.
Rule 2: of the answer only status and Retry-After are read. Its body may hold anything, so it is neither read nor told.
Rule 3: 2xx is delivered. 408, 425, 429, 5xx and whatever kept an answer from coming are worth another attempt. All else
would be answered the same again, redirects among them, and is refused.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx2

from wardwright.contracts.sink import WebhookSink
from wardwright.journal.sinks import Delivered, Later, Letter, Outcome, Refused
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.kernel.units import SECOND_US
from wardwright.sinks.signature import key_of, signed

RETRY_STATUSES: Final = frozenset({408, 425, 429})
RETRY_AFTER_DIGITS_MAX: Final = 6


class Webhook:
    """Implements `journal.sinks.Sink`."""

    def __init__(self, settings: WebhookSink, secret: bytes, clock: Clock, *, agent: str) -> None:
        """`secret` is what the reference in the settings led to; `agent` the name we give ourselves.

        Raises `settings_invalid` for a secret that is too short.
        """
        self._agent = agent
        self._clock = clock
        self._http: httpx2.AsyncHTTPTransport | None = None
        self._settings = settings
        try:
            self._key = key_of(secret)
        except ValueError as error:
            raise WardwrightError(
                "settings_invalid",
                f"sink `{settings.name}`: {error}",
                hint="make one with `openssl rand -base64 32`",
            ) from error

    async def open(self) -> None:
        settings = self._settings
        try:
            context = ssl.create_default_context(cafile=settings.tls_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise WardwrightError(
                "settings_invalid",
                f"sink `{settings.name}`: `tls_ca_file` cannot be read as a PEM bundle",
                place=Place(file=settings.tls_ca_file),
            ) from error
        self._http = httpx2.AsyncHTTPTransport(
            verify=context,
            trust_env=False,
            limits=httpx2.Limits(max_connections=settings.parallel_max, max_keepalive_connections=0),
        )

    async def deliver(self, letter: Letter) -> Outcome:
        if self._http is None:
            return Later(why="the sink is closed")
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                response = await self._http.handle_async_request(self._request(letter))
                await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            return Later(why=f"no answer within {self._settings.timeout_s} s")
        except httpx2.TransportError as error:
            return Later(why=_trouble(error))
        status = response.status_code
        if 200 <= status < 300:
            return Delivered(note=f"HTTP {status}")
        if status in RETRY_STATUSES or status >= 500:
            return Later(after_s=_seconds(response.headers.get("retry-after")), why=f"HTTP {status}")
        return Refused(why=f"HTTP {status}")

    async def aclose(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def _request(self, letter: Letter) -> httpx2.Request:
        url = httpx2.URL(self._settings.url)
        headers = [
            (b"host", url.netloc),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(letter.body)),
            (b"user-agent", self._agent.encode()),
            *signed(self._key, letter.id, self._clock.now_us() // SECOND_US, letter.body),
        ]
        bound = self._settings.timeout_s
        return httpx2.Request(
            "POST",
            url,
            headers=headers,
            content=letter.body,
            extensions={"timeout": {"connect": bound, "read": bound, "write": bound, "pool": bound}},
        )


def _trouble(error: httpx2.TransportError) -> str:
    """What kept an answer from coming, without addresses."""
    match error:
        case httpx2.ConnectError():
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, ssl.SSLCertVerificationError):
                    return "its certificate does not verify"
                cause = cause.__cause__ or cause.__context__
            return "it cannot be reached"
        case _:
            return "the connection broke"


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; dates are not worth a second clock.

    >>> _seconds("120"), _seconds("Fri, 31 Dec 1999 23:59:59 GMT")
    (120.0, None)
    """
    if text is None or not text.isdigit() or len(text) > RETRY_AFTER_DIGITS_MAX:
        return None
    return float(text)
