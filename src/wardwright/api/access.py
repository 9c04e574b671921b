"""Who may ask what.

Rule 1: the admin credential opens everything here; it comes as `Authorization: Bearer …` or in its own header.
Rule 2: there is no other way to be the admin: neither a serving key, nor loopback, nor a missing credential.
Rule 3: a credential that is sent and wrong is refused; nobody falls back to being less.
"""

from __future__ import annotations

import hmac
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.api.front import Front
from wardwright.gateway.core.callers import Headers, bearer_of
from wardwright.gateway.core.heading import Heading
from wardwright.gateway.core.keys import Key, Scope, hash_of
from wardwright.kernel.errors import WardwrightError

ADMIN_HEADER: Final = b"x-wardwright-admin-token"

Access: TypeAlias = Literal["open", "serving", "observer", "admin"]
"""`open`: anyone. `serving`: whoever may call models. `observer`: keyless callers where there are such, and the admin.
`admin`: the admin."""


class Anyone(msgspec.Struct, frozen=True):
    """Nobody asked who."""


class Keyless(msgspec.Struct, frozen=True):
    """A program on this machine: tenant `local`."""


class Keyed(msgspec.Struct, frozen=True):
    """The holder of a serving key."""

    key: Key

    def require(self, *scopes: Scope) -> None:
        """Raises `scope_missing` unless the key has one of these."""
        if not set(scopes) & set(self.key.scopes):
            needed = " or ".join(f"`{scope}`" for scope in scopes)
            raise WardwrightError("scope_missing", f"the key lacks the scope {needed}")


class Admin(msgspec.Struct, frozen=True):
    """The holder of the admin credential."""


Caller: TypeAlias = Anyone | Keyless | Keyed | Admin

ANYONE: Final = Anyone()
KEYLESS: Final = Keyless()
ADMIN: Final = Admin()


def caller_of(front: Front, access: Access, headers: Headers) -> Caller:
    """Who asks. Raises what `Gateway.authenticate` raises, and `admin_required`."""
    match access:
        case "open":
            return ANYONE
        case "serving":
            return ADMIN if _is_admin(front, headers) else _serving(front, headers)
        case "observer":
            if _is_admin(front, headers):
                return ADMIN
            if front.gateway.posture.keys == "optional":
                front.gateway.authenticate(Heading(headers))
                return KEYLESS
            raise _admin_required()
        case "admin":
            if _is_admin(front, headers):
                return ADMIN
            raise _admin_required()
        case _:
            assert_never(access)


def key_of(caller: Caller) -> Key | None:
    return caller.key if isinstance(caller, Keyed) else None


def _serving(front: Front, headers: Headers) -> Caller:
    key = front.gateway.authenticate(Heading(headers))
    return KEYLESS if key is None else Keyed(key)


def _is_admin(front: Front, headers: Headers) -> bool:
    """Raises `admin_required` for a wrong token in the header that is the admin's alone."""
    token = headers.get(ADMIN_HEADER)
    if token is not None:
        if _matches(front, token.strip()):
            return True
        raise _admin_required()
    try:
        bearer = bearer_of(headers)
    except WardwrightError:
        return False  # no bearer: whoever reads it as a serving key says so
    return bearer is not None and _matches(front, bearer.token)


def _matches(front: Front, token: bytes) -> bool:
    expected = front.admin_token_hash
    return expected is not None and hmac.compare_digest(hash_of(token), expected)


def _admin_required() -> WardwrightError:
    return WardwrightError(
        "admin_required",
        "this path takes the admin credential",
        hint="send `Authorization: Bearer <admin token>` or `X-Wardwright-Admin-Token`",
    )
