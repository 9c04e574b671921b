"""Serving keys over HTTP: made, listed, revoked. A token is shown once, in the answer that makes it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wardwright.api.operation import Ask
from wardwright.gateway.core import callers
from wardwright.gateway.core.keys import SCOPES_DEFAULT, Key, Scope
from wardwright.kernel.errors import Place, WardwrightError

PATTERNS_MAX: Final = 64

Word: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=callers.CLAIM_CHARS_MAX)]
Words: TypeAlias = Annotated[tuple[Word, ...], msgspec.Meta(max_length=PATTERNS_MAX)]


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of a key to be made."""

    label: Annotated[str, msgspec.Meta(max_length=callers.CLAIM_CHARS_MAX)] = ""
    """For people."""
    tenant: Word = "local"
    """Whose calls its holder makes."""
    models: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=PATTERNS_MAX)] = ("*",)
    """Globs over contract names."""
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)] = SCOPES_DEFAULT
    """What its holder may do."""
    targets: Words = ()
    """A constraint on every route, as `restrict` in a contract."""
    expires_at: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """µs since the epoch; null: never."""
    agent: Word | None = None
    """Calls with this key are this agent's, whatever they claim; so for the members below."""
    application: Word | None = None
    """The application."""
    house: Word | None = None
    """The rules and people its agent works for."""
    user: Word | None = None
    """The person its agent works for."""


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """One key, without anything that would let one use it."""

    id: str
    """`key_…`: what receipts name."""
    label: str
    """For people."""
    status: Literal["active", "expired", "revoked"]
    """Whether it opens anything."""
    tenant: str
    """Whose calls its holder makes."""
    models: tuple[str, ...]
    """Globs over contract names."""
    scopes: tuple[Scope, ...]
    """What its holder may do."""
    targets: tuple[str, ...]
    """A constraint on every route; empty: none."""
    created_at: int
    """µs since the epoch."""
    expires_at: int | None
    """µs since the epoch; null: never."""
    revoked_at: int | None
    """µs since the epoch."""
    agent: str | None
    """Calls with this key are this agent's, whatever they claim; so for the members below."""
    application: str | None
    """The application."""
    house: str | None
    """The rules and people its agent works for."""
    user: str | None
    """The person its agent works for."""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Every key that was ever made, oldest first."""

    data: tuple[KeyView, ...]
    """Revoked and expired ones too."""


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new key."""

    key: KeyView
    """Its terms."""
    token: str
    """What callers send. It is not kept, and shown only here."""


async def list_keys(ask: Ask[None]) -> Keys:
    now_us = ask.front.gateway.clock.now_us()
    return Keys(data=tuple(_view(key, revoked_at, now_us) for key, revoked_at in ask.front.gateway.keys.all()))


async def create_key(ask: Ask[KeyTerms]) -> KeyMade:
    terms = ask.body
    now_us = ask.front.gateway.clock.now_us()
    if terms.expires_at is not None and terms.expires_at <= now_us:
        raise WardwrightError("invalid_request", "the key would have expired already", place=Place(path="expires_at"))
    for member in ("label", "tenant", "agent", "application", "house", "user"):
        text = getattr(terms, member)
        if text is not None and not text.isprintable():
            raise WardwrightError(
                "invalid_request", f"`{member}` holds characters that do not print", place=Place(path=member)
            )
    made, token = await ask.front.control.create_key(
        Key(
            agent=terms.agent,
            application=terms.application,
            created_at=now_us,
            expires_at=terms.expires_at,
            hash="",
            house=terms.house,
            id="",
            label=terms.label,
            models=terms.models,
            scopes=tuple(sorted(set(terms.scopes))),
            targets=terms.targets,
            tenant=terms.tenant,
            user=terms.user,
        ),
        by="admin",
    )
    return KeyMade(key=_view(made, None, now_us), token=token)


async def revoke_key(ask: Ask[None]) -> None:
    await ask.front.control.revoke_key(ask.path["id"], by="admin")


def _view(key: Key, revoked_at: int | None, now_us: int) -> KeyView:
    status: Literal["active", "expired", "revoked"] = "active"
    if revoked_at is not None:
        status = "revoked"
    elif key.expires_at is not None and key.expires_at <= now_us:
        status = "expired"
    return KeyView(
        id=key.id,
        label=key.label,
        status=status,
        tenant=key.tenant,
        models=key.models,
        scopes=key.scopes,
        targets=key.targets,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=revoked_at,
        agent=key.agent,
        application=key.application,
        house=key.house,
        user=key.user,
    )
