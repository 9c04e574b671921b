"""One request on its way in: read, known, resolved, in this order.

Rule: each step fills in what it learns before it can refuse, so that the receipt of a refused call says everything
that was known when it was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.facts import chat_facts, embeddings_facts, variant_of
from wardwright.calls.policy_facts import Asked
from wardwright.calls.rulings import Rulings
from wardwright.contracts.activation import canary_serves
from wardwright.contracts.model import Variant
from wardwright.contracts.policy import Transform
from wardwright.dialects.openai_request import (
    ChatHead,
    EmbeddingsHead,
    Members,
    Role,
    Survey,
    around,
    decode_chat,
    decode_embeddings,
    followed_by,
    survey,
)
from wardwright.dialects.voice import FIRST_HOP, HOPS
from wardwright.gateway.catalog import Catalog, Served, Version
from wardwright.gateway.core.callers import Headers, identify
from wardwright.gateway.core.heading import APPROVAL, ONWARD, RETRIES, Heading
from wardwright.gateway.core.keys import Key
from wardwright.gateway.health import Endpoint, HealthBoard
from wardwright.gateway.redemption import Redemption
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.decision import Proposal
from wardwright.routing.conversation import conversation_of, session_headers
from wardwright.routing.counting import count_chat
from wardwright.routing.draw import Keyed
from wardwright.routing.plan import RouteFacts, SkipReason
from wardwright.routing.tokens import UNCALIBRATED_PPM, Estimate, estimate_chat

Kind: TypeAlias = Literal["chat", "embeddings"]


class Intake(msgspec.Struct, eq=False):
    """What is known of a request so far."""

    kind: Kind
    _heading: Heading
    _body: bytes
    key: Key | None
    caller: rc.Caller = rc.Caller()
    """As the key alone says it, until the request is read."""
    tenant: str = "local"
    simulation: bool = False
    approving: list[Proposal] = []
    """Rules that want the approval that the call names."""
    calibration_ppm: int | None = None
    """What the estimate was calibrated by; None where its outcome teaches nothing."""
    contract: rc.Contract | None = None
    conversation_source: str = ""
    digest: str = ""
    estimate: Estimate | None = None
    head: ChatHead | EmbeddingsHead | None = None
    hops: int = 0
    include_usage: bool = False
    members: Members = {}
    """What will be sent on: the client's members with the contract's text around the messages."""
    receipt: str = ""
    """The id of the call's receipt, once it has one."""
    redemption: Redemption | None = None
    """The use of the approval that the call names, where a rule wants it."""
    retries: int = 0
    rulings: Rulings | None = None
    """Where policies govern the call: its rules, and what they said."""
    stream: bool = False
    _found: Survey | None = None
    _members: Members = {}
    _preamble: bool = False
    _postscript: bool = False
    _secret: Keyed | None = None
    _variant: Variant | None = None

    def read(self, secret: Keyed) -> None:
        """What the body and the headers say; `secret` is the tenant's. Raises what the decoders raise, and
        `invalid_header`."""
        body, self._secret = self._body, secret
        self.digest = secret.digest(body).hex()
        if self.kind == "chat":
            self._members, chat = decode_chat(body)
            self.head = chat
            self._found = survey(chat)
            self.stream = bool(chat.stream)
            self.include_usage = chat.stream_options is not None and chat.wants_usage
        else:
            self._members, self.head = decode_embeddings(body)
        self.members = self._members
        headers, metadata = self._heading.headers, self.head.metadata
        if self._heading.is_plain and not metadata:
            return  # nobody claims anything
        self.hops = _count(headers, HOPS)
        self.retries = _count(headers, RETRIES)
        self.caller = identify(headers, metadata, self.key)

    def resolve(
        self,
        catalog: Catalog,
        health: HealthBoard,
        calibrations: Mapping[str, int],
        *,
        hops_max: int,
        now: float,
        secret: Keyed,
    ) -> tuple[Version, rc.Contract, RouteFacts]:
        """What the name means for this call. Raises `too_many_hops`, `model_not_found`, `model_not_allowed`."""
        head = self.head
        assert head is not None
        if self.hops >= hops_max:
            raise WardwrightError(
                "too_many_hops", f"the request has passed {self.hops} gateways: a route leads in a circle"
            )
        served = self._served(catalog, head.model)
        declared, client = (None, None) if self._heading.is_plain else session_headers(self._heading.headers)
        session = None if head.metadata is None else head.metadata.get("session_id")
        conversation = conversation_of(
            secret,
            self.tenant,
            "" if self.key is None else self.key.id,
            declared=declared,
            client=client,
            metadata=session if isinstance(session, str) else None,
            first_user_message=None if self._found is None else self._found.first_user_text,
        )
        self.conversation_source = conversation.source
        rests = health.resting(now)
        version, canary = served.active, False
        facts = self._facts(version, conversation.digest, calibrations, rests)
        if served.canary is not None:
            rule, beside = served.canary
            if canary_serves(rule, beside.digest, conversation.digest, facts):
                version, canary = beside, True
                facts = self._facts(version, conversation.digest, calibrations, rests)
        stamp = version.stamp
        if canary or self._variant is not None:
            variant = None if self._variant is None else self._variant.name
            stamp = msgspec.structs.replace(stamp, canary=canary, variant=variant)
        self.contract = stamp
        return version, stamp, facts

    @property
    def approval(self) -> str | None:
        """The approval that the call names."""
        named = self._heading.headers.get(APPROVAL)
        return None if named is None else named.decode("latin-1").strip()

    def asked(self, facts: RouteFacts) -> Asked:
        """The request as rules read it."""
        head, contract, secret = self.head, self.contract, self._secret
        assert head is not None
        assert contract is not None
        assert secret is not None
        return Asked(
            bytes=len(self._body),
            caller=self.caller,
            conversation_source=self.conversation_source,
            found=self._found,
            head=head,
            hops=self.hops,
            input_tokens=facts.input_tokens,
            messages=self._members.get("messages"),
            model=contract.name,
            retries=self.retries,
            secret=secret,
        )

    def switched(self, version: Version, calibrations: Mapping[str, int], facts: RouteFacts) -> RouteFacts:
        """The facts under another contract, as a rule wants it."""
        found = self._facts(version, facts.conversation, calibrations, {})
        self.contract = version.stamp
        if self._variant is not None:
            self.contract = msgspec.structs.replace(version.stamp, variant=self._variant.name)
        return msgspec.structs.replace(found, resting=facts.resting)

    def amended(
        self,
        version: Version,
        calibrations: Mapping[str, int],
        facts: RouteFacts,
        *,
        constraints: tuple[tuple[str, ...], ...] = (),
        more: Sequence[tuple[Role, str]] = (),
        transforms: Iterable[Transform] = (),
    ) -> RouteFacts:
        """The facts after rules put text around the messages, added `more` behind them, or restricted the route."""
        messages = before = self.members.get("messages")
        if messages is not None:
            for transform in transforms:
                messages = around(messages, transform.preamble, transform.postscript)
            if more:
                messages = followed_by(messages, more)
        input_tokens = facts.input_tokens
        if messages is not None and messages is not before:
            self.members = {**self.members, "messages": messages}
            estimate = self.estimate = self._estimate(version, calibrations)
            input_tokens = estimate.tokens
        return msgspec.structs.replace(facts, constraints=(*facts.constraints, *constraints), input_tokens=input_tokens)

    @property
    def choices(self) -> int:
        """Answers asked for."""
        return 1 if not isinstance(self.head, ChatHead) else self.head.n or 1

    def onward(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that the upstream request carries beside the dialect's own."""
        if self._heading.is_plain:
            return FIRST_HOP
        headers = self._heading.headers
        travelling = tuple((name, headers[name]) for name in ONWARD if name in headers)
        if self.hops == 0 and not travelling:
            return FIRST_HOP
        return ((HOPS, b"%d" % (self.hops + 1)), *travelling)

    def request(self) -> rc.Request:
        """What the receipt says was asked."""
        head, estimate = self.head, self.estimate
        chat = head if isinstance(head, ChatHead) else None
        return rc.Request(
            body=self.digest,
            bytes=len(self._body),
            choices=1 if chat is None else chat.n or 1,
            conversation_source=self.conversation_source,
            error_ppm=0 if estimate is None else estimate.error_ppm,
            estimate="" if estimate is None else estimate.method,
            hops=self.hops,
            kind=self.kind,
            messages=0 if chat is None else len(chat.messages),
            model="" if head is None else head.model,
            postscript=self._postscript,
            preamble=self._preamble,
            retries=self.retries,
            stream=self.stream,
            tools=0 if chat is None else len(chat.tools or ()) + len(chat.functions or ()),
        )

    def _served(self, catalog: Catalog, asked: str) -> Served:
        served = catalog.find(asked)
        key = self.key
        if served is None:
            close = catalog.suggest(asked)
            if close is not None and key is not None and not key.allows_model(close):
                close = None
            raise WardwrightError(
                "model_not_found",
                f"the model `{asked}` does not exist here",
                hint=None if close is None else f"did you mean `{close}`?",
            )
        if key is not None and not key.allows_model(served.active.contract.name):
            raise WardwrightError("model_not_allowed", f"this key may not use the model `{asked}`")
        return served

    def _facts(
        self,
        version: Version,
        conversation: str,
        calibrations: Mapping[str, int],
        rests: Mapping[Endpoint, SkipReason],
    ) -> RouteFacts:
        """The facts under one version: its operator's text is around the messages before anything is estimated."""
        head = self.head
        self.members, self._variant = self._members, None
        if version.transforms and isinstance(head, ChatHead):
            self._transform(version, conversation)
        constraints = () if self.key is None or not self.key.targets else (self.key.targets,)
        resting = version.resting(rests) if rests else ()
        estimate = self.estimate = self._estimate(version, calibrations)
        if self._found is not None and isinstance(head, ChatHead):
            return chat_facts(
                head,
                self._found,
                self.caller,
                version.contract,
                constraints=constraints,
                conversation=conversation,
                input_tokens=estimate.tokens,
                resting=resting,
            )
        assert head is not None
        return embeddings_facts(
            self.caller,
            head.metadata,
            constraints=constraints,
            conversation=conversation,
            input_tokens=estimate.tokens,
            resting=resting,
        )

    def _estimate(self, version: Version, calibrations: Mapping[str, int]) -> Estimate:
        head, members = self.head, self.members
        found = self._found
        ppm = self.calibration_ppm = calibrations.get(version.contract.name, UNCALIBRATED_PPM)
        if found is None or not isinstance(head, ChatHead):
            return estimate_chat(memoryview(members["input"]), None, 0, 0, calibration_ppm=ppm)
        raw = members.get("tools") or members.get("functions")
        tools = None if raw is None else memoryview(raw)
        if version.tokenizer is not None:
            self.calibration_ppm = None
            return count_chat(bytes(members["messages"]), None if raw is None else bytes(raw), version.tokenizer)
        if found.images or found.audio or found.files:
            self.calibration_ppm = None
        return estimate_chat(
            memoryview(members["messages"]),
            tools,
            found.images,
            len(head.messages),
            audio=found.audio,
            files=found.files,
            calibration_ppm=ppm,
        )

    def _transform(self, version: Version, conversation: str) -> None:
        transforms = version.contract.transforms
        self._variant = variant = variant_of(version.contract, version.digest, conversation)
        preamble, postscript = transforms.preamble, transforms.postscript
        if variant is not None:
            preamble = variant.preamble if variant.preamble is not None else preamble
            postscript = variant.postscript if variant.postscript is not None else postscript
        self._preamble, self._postscript = preamble is not None, postscript is not None
        self.members = {**self._members, "messages": around(self._members["messages"], preamble, postscript)}


def _count(headers: Headers, name: bytes) -> int:
    raw = headers.get(name, b"0").strip()
    if not raw.isdigit() or len(raw) > 4:
        raise WardwrightError("invalid_header", f"`{name.decode()}` must be a small whole number")
    return int(raw)
