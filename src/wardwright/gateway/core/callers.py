"""Who calls: claims about a caller, gathered from the strongest source that makes each.

Trusted authentication (what the serving key says) → `X-Wardwright-*` headers → the body's `metadata` → metadata of a
gateway in front → an anonymous name derived from the key. The tenant comes from the credential alone; everything
else subdivides inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from wardwright.calls.receipt import Caller, Sourced
from wardwright.gateway.core.keys import Key
from wardwright.kernel.errors import Place, WardwrightError

CLAIM_CHARS_MAX: Final = 256
TAGS_MAX: Final = 32
TAG_CHARS_MAX: Final = 64

Headers = Mapping[bytes, bytes]
"""Request headers by lower-case name."""

_LOCAL: Final = Caller()

_HEADERS: Final = {
    "agent": b"x-wardwright-agent-id",
    "application": b"x-wardwright-application-id",
    "client_request": b"x-client-request-id",
    "house": b"x-wardwright-house",
    "run": b"x-wardwright-run-id",
    "session": b"x-wardwright-session-id",
    "user": b"x-wardwright-user-id",
}
CLAIM_HEADERS: Final = frozenset(_HEADERS.values())
"""Headers in which a caller says who it is."""

_METADATA: Final = {
    "agent": ("consuming_agent_id", "agent_id"),
    "application": ("application_id",),
    "client_request": ("client_request_id",),
    "house": ("house",),
    "run": ("run_id",),
    "session": ("session_id",),
    "user": ("consuming_user_id", "user_id"),
}

# What gateways in front put into the metadata they forward (LiteLLM's `user_api_key_*`), most specific first.
_GATEWAY: Final = {
    "agent": ("user_api_key_alias", "user_api_key_hash"),
    "application": ("user_api_key_team_alias", "user_api_key_team_id", "user_api_key_org_id"),
    "client_request": ("litellm_call_id",),
    "house": (),
    "run": ("trace_id",),
    "session": ("litellm_session_id", "litellm_trace_id"),
    "user": ("user_api_key_end_user_id", "user_api_key_user_id", "user_api_key_user_email"),
}
_GATEWAY_MEMBERS: Final = ("litellm_metadata", "requester_metadata")


def identify(headers: Headers, metadata: Mapping[str, Any] | None, key: Key | None) -> Caller:
    """The caller of one request. Raises `invalid_header` or `invalid_request` for a claim that is not plain text."""
    if not metadata and CLAIM_HEADERS.isdisjoint(headers):
        return unclaimed(key)
    base = unclaimed(key)
    return Caller(
        agent=_claim("agent", headers, metadata, key) or base.agent,
        application=_claim("application", headers, metadata, key),
        client_request=_claim("client_request", headers, metadata, key),
        house=_claim("house", headers, metadata, key),
        key=base.key,
        run=_claim("run", headers, metadata, key),
        session=_claim("session", headers, metadata, key),
        tags=() if metadata is None else _tags(metadata),
        tenant=base.tenant,
        user=_claim("user", headers, metadata, key),
    )


def unclaimed(key: Key | None) -> Caller:
    """Who calls when nobody claims anything: the same value every time, made once a key."""
    if key is None:
        return _LOCAL
    caller = _unclaimed.get(key.id)
    if caller is None:
        caller = Caller(
            agent=_trusted(key.agent) or Sourced("derived_anonymous", f"anonymous-{key.hash[:12]}"),
            application=_trusted(key.application),
            house=_trusted(key.house),
            key=key.id,
            tenant=Sourced("trusted_auth", key.tenant),
            user=_trusted(key.user),
        )
        if len(_unclaimed) >= _UNCLAIMED_MAX:
            _unclaimed.clear()
        _unclaimed[key.id] = caller
    return caller


_unclaimed: Final[dict[str, Caller]] = {}
_UNCLAIMED_MAX: Final = 4096


def _trusted(value: str | None) -> Sourced | None:
    return None if value is None else Sourced("trusted_auth", value)


def _claim(claim: str, headers: Headers, metadata: Mapping[str, Any] | None, key: Key | None) -> Sourced | None:
    if key is not None:
        trusted: str | None = getattr(key, claim, None)
        if trusted is not None:
            return Sourced("trusted_auth", trusted)
    raw = headers.get(_HEADERS[claim])
    if raw is not None and raw.strip():
        return Sourced("header", _plain_header(_HEADERS[claim], raw))
    if not metadata:
        return None
    said = _first(metadata, _METADATA[claim])
    if said is not None:
        return Sourced("body_metadata", said)
    said = _first(metadata, _GATEWAY[claim])
    if said is not None:
        return Sourced("gateway_metadata", said)
    for member in _GATEWAY_MEMBERS:
        nested = metadata.get(member)
        if isinstance(nested, dict):
            said = _first(nested, (*_METADATA[claim], *_GATEWAY[claim]))
            if said is not None:
                return Sourced("gateway_metadata", said)
    return None


def _first(metadata: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = metadata.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise WardwrightError(
                "invalid_request", f"`metadata.{name}` must be text", place=Place(path=f"metadata.{name}")
            )
        text = str(value)
        if len(text) > CLAIM_CHARS_MAX or not text.isprintable():
            raise WardwrightError(
                "invalid_request",
                f"`metadata.{name}` must be at most {CLAIM_CHARS_MAX} printable characters",
                place=Place(path=f"metadata.{name}"),
            )
        return text
    return None


def _plain_header(name: bytes, raw: bytes) -> str:
    text = raw.strip().decode("utf-8", "replace")
    if len(text) > CLAIM_CHARS_MAX or not text.isprintable() or "�" in text:
        raise WardwrightError(
            "invalid_header", f"`{name.decode()}` must be at most {CLAIM_CHARS_MAX} printable characters of UTF-8"
        )
    return text


def _tags(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """`metadata.tags`: a list or a comma-separated text; trimmed, sorted, without repeats."""
    raw = metadata.get("tags")
    if raw is None:
        return ()
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise WardwrightError(
            "invalid_request", "`metadata.tags` must be a list of texts", place=Place(path="metadata.tags")
        )
    tags = sorted({item.strip() for item in items} - {""})
    if len(tags) > TAGS_MAX or any(len(tag) > TAG_CHARS_MAX or not tag.isprintable() for tag in tags):
        raise WardwrightError(
            "invalid_request",
            f"`metadata.tags` holds at most {TAGS_MAX} tags of {TAG_CHARS_MAX} printable characters",
            place=Place(path="metadata.tags"),
        )
    return tuple(tags)


class Bearer(msgspec.Struct, frozen=True):
    """A credential as a client sent it. Its text shows in no representation."""

    token: bytes

    def __repr__(self) -> str:
        return "Bearer(…)"


def bearer_of(headers: Headers) -> Bearer | None:
    """The credential of a request: `Authorization: Bearer …`, or `x-api-key` as Anthropic's clients send it.

    The word an SDK must send where no key is wanted is not told apart here: it is a key that is not known.
    """
    raw = headers.get(b"authorization")
    if raw is not None:
        scheme, _, token = raw.partition(b" ")
        if scheme.lower() == b"bearer" and token.strip():
            return Bearer(token.strip())
        raise WardwrightError("invalid_api_key", "the `authorization` header must read `Bearer <key>`")
    raw = headers.get(b"x-api-key")
    return Bearer(raw.strip()) if raw is not None and raw.strip() else None
