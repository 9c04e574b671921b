"""Which conversation a request belongs to, and where in it the request stands.

The conversation is the tenant and the key with the first of these that the request has; the source is kept, so that a
rule which must not rest on a guess can say so:

1. `declared`: the header `X-Wardwright-Session-Id`;
2. `client`: the session header of a client that is known to send one (CLIENT_SESSION_HEADERS);
3. `metadata`: `metadata.session_id` of the body;
4. `derived`: a digest of the first user message, which stays the same while the conversation grows. Two conversations
   of one key that begin with the same words are one.

Everything goes through one keyed digest, so a recorded conversation tells nothing about session ids or words to whoever
lacks the key, and nothing a caller says reaches into another tenant or key. What a caller states and what is derived
from words never meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from wardwright.routing.draw import Keyed

Source: TypeAlias = Literal["declared", "client", "metadata", "derived", "none"]
"""`none`: nothing was said and there is no user message; the conversation is then the key itself."""

SAID: Final[frozenset[str]] = frozenset({"declared", "client", "metadata"})
"""Sources by which somebody said which conversation it is."""

SESSION_HEADER: Final = b"x-wardwright-session-id"

CLIENT_SESSION_HEADERS: Final[dict[bytes, str]] = {
    b"x-claude-code-session-id": "Claude Code",
    b"session-id": "Codex",
    b"session_id": "Codex, earlier versions",
    b"x-opencode-session": "OpenCode",
    b"x-openwebui-chat-id": "Open WebUI",
    b"x-litellm-session-id": "LiteLLM in front of this gateway",
    b"x-session-id": "several clients, by convention",
}
"""Header names of known clients, in lower case, the more telling first."""

FIRST_MESSAGE_CHARS_MAX: Final = 512
"""Of a long first message, this much of its beginning and as much of its end are digested, and its length."""


class Conversation(msgspec.Struct, frozen=True, gc=False):
    digest: str
    """64 hex digits."""
    source: Source


def conversation_of(
    key: Keyed,
    tenant: str,
    serving_key: str,
    *,
    declared: str | None = None,
    client: str | None = None,
    metadata: str | None = None,
    first_user_message: str | None = None,
) -> Conversation:
    """The conversation of a request; `key` is the tenant's own, `serving_key` the id of the credential used.

    An empty statement counts as none.
    """
    source: Source
    if declared:
        source, said = "declared", "=" + declared
    elif client:
        source, said = "client", "=" + client
    elif metadata:
        source, said = "metadata", "=" + metadata
    elif first_user_message:
        source, said = "derived", "~" + _bounded(first_user_message)
    else:
        source, said = "none", ""
    # Lengths keep ("ab", "c") and ("a", "bc") apart; surrogates cannot be encoded and must not fail a request.
    message = f"{len(tenant)}:{tenant}{len(serving_key)}:{serving_key}{said}"
    return Conversation(key.digest(message.encode("utf-8", "surrogatepass")).hex(), source)


def session_headers(headers: Mapping[bytes, bytes]) -> tuple[str | None, str | None]:
    """What the headers (by name in lower case) say: the declared session, and the known client's."""
    declared = headers.get(SESSION_HEADER)
    client: str | None = None
    if not CLIENT_SESSION_HEADERS.keys().isdisjoint(headers):
        said = (headers[name] for name in CLIENT_SESSION_HEADERS if headers.get(name))
        first = next(said, None)
        client = None if first is None else first.decode("latin-1")
    return None if declared is None else declared.decode("latin-1"), client


class Place(NamedTuple):
    """Where in its conversation a request stands."""

    step: int
    """Assistant messages: the index of this model call."""
    turn: int
    """User messages less one: the index of this turn."""
    in_tool_loop: bool
    """The last message is a tool's result."""


def place_of(roles: Sequence[str]) -> Place:
    """From the roles of the messages, in order.

    >>> place_of(["system", "user", "assistant", "tool"])
    Place(step=1, turn=0, in_tool_loop=True)
    """
    return Place(
        step=roles.count("assistant"),
        turn=max(0, roles.count("user") - 1),
        in_tool_loop=bool(roles) and roles[-1] in ("tool", "function"),
    )


def _bounded(text: str) -> str:
    if len(text) <= 2 * FIRST_MESSAGE_CHARS_MAX:
        return text
    return f"{len(text)}:{text[:FIRST_MESSAGE_CHARS_MAX]}{text[-FIRST_MESSAGE_CHARS_MAX:]}"
