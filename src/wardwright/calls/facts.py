"""The facts of a route decision, gathered from one request."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from wardwright.calls.receipt import Caller, said
from wardwright.contracts.model import ModelContract, Variant
from wardwright.dialects.openai_request import ChatHead, Survey, capabilities_of
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.routing.plan import RouteFacts, SkipReason

WORD_CHARS_MAX: Final = 256
"""Of a claim in the metadata that routes may ask for."""

_TOOL_ROLES: Final = frozenset({"tool", "function"})


def chat_facts(
    head: ChatHead,
    found: Survey,
    caller: Caller,
    contract: ModelContract,
    *,
    constraints: tuple[tuple[str, ...], ...],
    conversation: str,
    input_tokens: int,
    resting: tuple[tuple[str, SkipReason], ...],
) -> RouteFacts:
    """What routing may know of a chat request."""
    metadata, agent, application, house = head.metadata, caller.agent, caller.application, caller.house
    return RouteFacts(
        agent=None if agent is None else agent.value,
        application=None if application is None else application.value,
        capabilities=capabilities_of(head, found),
        constraints=constraints,
        conversation=conversation,
        cost_usd_max=None if metadata is None else _text(metadata, "cost_usd_max"),
        data_class=None if metadata is None else _text(metadata, "data_class"),
        house=None if house is None else house.value,
        in_tool_loop=head.messages[-1].role in _TOOL_ROLES,
        input_tokens=input_tokens,
        output_tokens=head.output_tokens or contract.output_tokens_default,
        region=None if metadata is None else _text(metadata, "region"),
        resting=resting,
        step=found.assistants,
        tags=caller.tags,
        tenant=caller.tenant.value,
        turn=found.users - 1 if found.users else 0,
    )


def embeddings_facts(
    caller: Caller,
    metadata: dict[str, Any] | None,
    *,
    constraints: tuple[tuple[str, ...], ...],
    conversation: str,
    input_tokens: int,
    resting: tuple[tuple[str, SkipReason], ...],
) -> RouteFacts:
    """What routing may know of an embeddings request: one step, no output, and a target that embeds."""
    return RouteFacts(
        agent=said(caller.agent),
        application=said(caller.application),
        capabilities=("embeddings",),
        constraints=constraints,
        conversation=conversation,
        cost_usd_max=None if metadata is None else _text(metadata, "cost_usd_max"),
        data_class=None if metadata is None else _text(metadata, "data_class"),
        house=said(caller.house),
        input_tokens=input_tokens,
        region=None if metadata is None else _text(metadata, "region"),
        resting=resting,
        tags=caller.tags,
        tenant=caller.tenant.value,
    )


def variant_of(contract: ModelContract, digest: str, conversation: str) -> Variant | None:
    """The arm of the prompt experiment that a conversation is on: the same in every worker and after a restart."""
    variants = contract.transforms.variants
    if not variants:
        return None
    total = sum(variant.weight for variant in variants)
    luck = hmac.digest(digest.encode(), b"variant\0" + conversation.encode(), hashlib.sha256)
    point = int.from_bytes(luck[:8], "big") * total >> 64
    for variant in variants:
        if point < variant.weight:
            return variant
        point -= variant.weight
    raise AssertionError("a point below the total lies on some variant")


def _text(metadata: dict[str, Any], name: str) -> str | None:
    """Raises `invalid_request` for a text that is longer than any such word."""
    value = metadata.get(name)
    if not isinstance(value, str) or not value:
        return None
    if len(value) > WORD_CHARS_MAX:
        raise WardwrightError(
            "invalid_request",
            f"`metadata.{name}` must be at most {WORD_CHARS_MAX} characters",
            place=Place(path=f"metadata.{name}"),
        )
    return value
