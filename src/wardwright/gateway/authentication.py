"""Whose key a request carries, and where none is needed whether it comes from this machine."""

from __future__ import annotations

from typing import Final

from wardwright.gateway.core.callers import Headers, bearer_of
from wardwright.gateway.core.keys import TOKEN_PREFIX, Key, KeyRing
from wardwright.gateway.posture import Posture
from wardwright.kernel.errors import WardwrightError

_OWN_TOKEN: Final = TOKEN_PREFIX.encode()


def authenticate(headers: Headers, *, keys: KeyRing, now_us: int, posture: Posture) -> Key | None:
    """The serving key of a request, or None for keyless access where that is allowed.

    Raises `missing_api_key`, `invalid_api_key`, `host_not_allowed`, `origin_not_allowed`.
    """
    token = token_of(headers, posture)
    return None if token is None else keys.find(token, now_us)


def token_of(headers: Headers, posture: Posture) -> bytes | None:
    """The token that must be that of a key of ours, or None for keyless access where that is allowed. Raises the same,
    but for `invalid_api_key`."""
    bearer = bearer_of(headers)
    if posture.keys == "required":
        if bearer is None:
            raise WardwrightError(
                "missing_api_key",
                "this gateway wants an API key",
                hint="send `Authorization: Bearer <key>`; `wardwright key create` makes one",
            )
        return bearer.token
    # SDKs insist on sending some key: what does not look like one of ours is no claim to be one.
    if bearer is not None and bearer.token.startswith(_OWN_TOKEN):
        return bearer.token
    _require_near(headers, posture)
    return None


def _require_near(headers: Headers, posture: Posture) -> None:
    """Keyless access is for programs on this machine: not for web pages, nor through a name that was rebound."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if name not in posture.hosts:
        raise WardwrightError(
            "host_not_allowed",
            "keyless access answers only to the host names it was told",
            hint="use a key, or add the name to `hosts`",
        )
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1") not in posture.origins:
        raise WardwrightError(
            "origin_not_allowed",
            "keyless access refuses calls from web pages",
            hint="use a key, or add the origin to `origins`",
        )
