"""Serving keys: who may call, as which tenant, for which models.

A key is shown once, when it is made; what stays is its SHA-256. Keys are facts of the control chain, so they survive
a restart, cannot be edited in place and are never forgotten: a revoked key remains as a revoked one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.kernel.errors import WardwrightError

CREATED: Final = "key.created"
REVOKED: Final = "key.revoked"

TOKEN_PREFIX: Final = "wwk_"
TOKEN_LUCK_BITS: Final = 256

Scope: TypeAlias = Literal["call", "receipts:own", "receipts:tenant", "simulate"]
"""What a key may do. `receipts:own` reads the receipts of its own calls, `receipts:tenant` all of its tenant's."""

SCOPES_DEFAULT: Final[tuple[Scope, ...]] = ("call", "receipts:own", "simulate")


EVERY_MODEL: Final = ("*",)


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `data` of `key.created`."""

    agent: str | None = None
    """Calls with this key are this agent's, whatever they claim."""
    application: str | None = None
    created_at: int
    """µs since the epoch."""
    expires_at: int | None = None
    hash: str
    """Hex SHA-256 of the token."""
    house: str | None = None
    id: str
    """`key_…`"""
    label: str = ""
    models: tuple[str, ...] = EVERY_MODEL
    """Globs over contract names."""
    scopes: tuple[Scope, ...] = SCOPES_DEFAULT
    targets: tuple[str, ...] = ()
    """A constraint on every route, as `restrict` in a contract; unset: none."""
    tenant: str = "local"
    user: str | None = None

    def allows_model(self, name: str) -> bool:
        return self.models == EVERY_MODEL or any(fnmatchcase(name, pattern) for pattern in self.models)


class Revocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `data` of `key.revoked`."""

    id: str


def token_of(luck: int, prefix: str = TOKEN_PREFIX) -> str:
    """The text of a credential made from TOKEN_LUCK_BITS random bits."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz"
    digits = []
    for _ in range(44):
        luck, digit = divmod(luck, len(alphabet))
        digits.append(alphabet[digit])
    return prefix + "".join(digits)


def hash_of(token: bytes) -> str:
    return digest_of(token).hex()


def digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


class KeyRing:
    """Every key that was ever made, found by what a caller sends.

    Looking up a digest leaks nothing about a token: who can choose digests' prefixes can break SHA-256.
    """

    def __init__(self) -> None:
        self._by_hash: dict[bytes, Key] = {}
        self._by_id: dict[str, Key] = {}
        self._revoked: dict[str, int] = {}

    def __len__(self) -> int:
        """Keys that are not revoked."""
        return len(self._by_id) - len(self._revoked)

    def add(self, key: Key) -> None:
        self._by_id[key.id] = key
        self._by_hash[bytes.fromhex(key.hash)] = key

    def revoke(self, id_: str, at: int) -> None:
        """Raises `key_not_found`. Revoking a revoked key changes nothing."""
        if id_ not in self._by_id:
            raise WardwrightError("key_not_found", f"no serving key `{id_}`", hint="`wardwright key list` shows them")
        self._revoked.setdefault(id_, at)

    def find(self, token: bytes, now_us: int) -> Key:
        """The key behind a token, or `invalid_api_key`; the same words for unknown, expired and revoked."""
        return self.known(digest_of(token), now_us)

    def known(self, token_hash: bytes, now_us: int) -> Key:
        """The same by the digest of the token."""
        key = self._by_hash.get(token_hash)
        if key is None or key.id in self._revoked or (key.expires_at is not None and key.expires_at <= now_us):
            raise WardwrightError("invalid_api_key", "the API key is not valid here")
        return key

    def all(self) -> Iterable[tuple[Key, int | None]]:
        """Keys in the order they were made, each with the instant of its revocation."""
        return ((key, self._revoked.get(key.id)) for key in self._by_id.values())
