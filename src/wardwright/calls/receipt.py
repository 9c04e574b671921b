"""Receipt v1: what one governed model call was asked, what it decided, what it did, what the client received.

Rule 1: members stand in alphabetical order and hold canonical values only, so that encoding a receipt writes its
canonical bytes without sorting; a test holds every receipt against RFC 8785.
Rule 2: it holds the facts each decision saw, so that the decision can be made again: `plan(route@digest, facts)`.
Rule 3: it holds no text of the caller or the model, no credential, no address: digests and counts stand for them.
Rule 4: a member is added with a default or not at all; a change of meaning is a new FORMAT with an upcaster.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from wardwright.calls.ruling import Ruling
from wardwright.contracts.policy import ActionName
from wardwright.journal import life
from wardwright.kernel.usage import Usage
from wardwright.limits.budget_record import Charge, Refused
from wardwright.limits.events import CallEvents
from wardwright.policy.arbiter import RANKS
from wardwright.routing.plan import Plan, RouteFacts

FORMAT: Final = 1

OPENED: Final = life.OPENED
CLOSED: Final = life.CLOSED
LOST: Final = life.LOST

Status: TypeAlias = Literal["completed", "refused", "blocked", "failed", "client_left", "simulated", "lost"]
"""`refused`: answered without an upstream call by the request's, the route's or the policy's own terms; `blocked`: a
rule ended an answer; `failed`: no upstream gave a whole answer; `lost`: the process ended before the call did."""

STOPPED: Final = "stopped"
"""The failure of an attempt that a rule gave up."""

Source: TypeAlias = Literal["trusted_auth", "header", "body_metadata", "gateway_metadata", "derived_anonymous"]
"""Where a caller's claim comes from, strongest first."""

UsageSource: TypeAlias = Literal["reported", "estimated", "none"]

UpstreamFate: TypeAlias = Literal["cancelled", "drained"]
"""What became of the upstream's answer when the client left."""


class Sourced(msgspec.Struct, frozen=True, gc=False):
    """One claim about the caller, and who made it."""

    source: Source
    """Who made the claim."""
    value: str
    """What was claimed."""


class Caller(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who called, as far as anyone said so. Only `tenant` and what is `trusted_auth` is proven."""

    agent: Sourced | None = None
    """The agent that consumes the answer."""
    application: Sourced | None = None
    """The application or team on whose account it runs."""
    client_request: Sourced | None = None
    """The client's own id of the request."""
    house: Sourced | None = None
    """The rules and people the agent works for."""
    key: str | None = None
    """The id of the serving key."""
    run: Sourced | None = None
    """The run the call belongs to."""
    session: Sourced | None = None
    """The session the call belongs to."""
    tags: tuple[str, ...] = ()
    """Free words of the caller, sorted."""
    tenant: Sourced = Sourced("trusted_auth", "local")
    """From the credential alone; `local` for keyless callers on loopback."""
    user: Sourced | None = None
    """The person the agent works for."""


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The version of the model contract that served the call."""

    canary: bool = False
    """The version served beside the active one."""
    closure: str
    """The digest that names every digest taking part, and the build."""
    digest: str
    """Of the contract's canonical bytes."""
    name: str
    """The contract's name, without prefix."""
    policies: tuple[str, ...] = ()
    """The policies whose rules were asked, sorted."""
    switched_from: str | None = None
    """The contract that the caller's name led to, where a rule switched the call to this one."""
    variant: str | None = None
    """The arm of the prompt experiment."""
    version: str | None = None
    """The operator's own label."""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was asked, without its content."""

    body: str = ""
    """HMAC-SHA256 of the body under the tenant's key, hex: equal bodies compare equal inside one tenant."""
    bytes: int = 0
    """Of the body."""
    choices: int = 1
    """Answers asked for: `n`."""
    conversation_source: str = ""
    """Where the conversation in the facts comes from."""
    error_ppm: int = 0
    """The error band of the estimate in parts per million, either way."""
    estimate: str = ""
    """The method behind `facts.input_tokens`."""
    hops: int = 0
    """Gateways of this kind the request had passed before."""
    kind: Literal["chat", "embeddings"] = "chat"
    """Which API was asked."""
    messages: int = 0
    """Messages in the request."""
    model: str = ""
    """The name as asked for, prefix included."""
    postscript: bool = False
    """The contract's postscript was added."""
    preamble: bool = False
    """The contract's preamble was added."""
    retries: int = 0
    """The client SDK's own count of retries before this call."""
    stream: bool = False
    """The client asked for a stream."""
    tools: int = 0
    """Tools the request declares."""


class Tried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One attempt at a target."""

    answered_us: int | None = None
    """From the attempt's start to the first byte of its answer."""
    changed: tuple[str, ...] = ()
    """What was altered for this target: members dropped, ids mapped, foreign signatures removed."""
    contract: str
    """The contract whose target it is: an alias leads to another than the one asked for."""
    cost_nano_usd: int = 0
    """By the contract's prices; 0 where it names none."""
    double: bool = False
    """A scripted or replayed upstream, not a real one."""
    failure: str | None = None
    """The class of the failure; unset where the attempt gave a whole answer."""
    fingerprint: str | None = None
    """The provider's `system_fingerprint`."""
    finish: tuple[str, ...] = ()
    """Finish reasons by choice."""
    http_status: int | None = None
    """Of the upstream's answer; unset where none came."""
    message: str | None = None
    """What failed, for the operator; no secret, no address."""
    model: str
    """What the provider calls the model."""
    provider: str
    """The name of the provider."""
    retry_after_s: int | None = None
    """How long the upstream asked to be left alone."""
    started_us: int
    """From the call's acceptance."""
    target: str
    """The target's name in its contract."""
    took_us: int
    """From the attempt's start to its end."""
    upstream_id: str | None = None
    """The provider's id of its answer."""
    upstream_model: str | None = None
    """What the provider says it ran."""
    usage: Usage = Usage()
    """Tokens of this attempt."""
    usage_source: UsageSource = "none"
    """Where `usage` comes from."""


class Client(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the client received."""

    argument_chars: int = 0
    """Characters of tool arguments."""
    bytes: int = 0
    """Body bytes handed to the client's connection."""
    events: int = 0
    """Events of the stream."""
    left_us: int | None = None
    """When the client closed before the answer was complete, from the call's acceptance; unset: it did not."""
    reasoning_chars: int = 0
    """Characters of reasoning."""
    status: int = 0
    """The HTTP status; 499 stands for a client that left before one was sent."""
    text_chars: int = 0
    """Characters of text."""
    tool_calls: int = 0
    """Tool calls in the answer."""
    upstream: UpstreamFate | None = None
    """Set where the client left."""


class Timings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """µs from the call's acceptance, of the monotonic clock."""

    deadline_us: int | None = None
    """When the call's own deadline passed, if it did."""
    decided_us: int = 0
    """To the plan: the gateway's own time before the first attempt."""
    first_byte_us: int | None = None
    """To the first byte handed to the client."""
    total_us: int = 0
    """To the end of the answer."""


class Selected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The target whose answer the client got."""

    context_window: int
    """Tokens, input and output together."""
    contract: str
    """The contract whose target it is."""
    fallback: bool = False
    """It was not the first of the plan."""
    model: str
    """What the provider calls the model."""
    provider: str
    """The name of the provider."""
    target: str
    """The target's name in its contract."""


class Alerted(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that the call raised."""

    outcome: Literal["queued", "duplicate", "dead_lettered", "dropped", "refused"]
    """What became of it when it was raised; `wardwright alert list` tells how its delivery went."""
    phase: str
    """In which its rule decided."""
    rule: str
    """`policy/rule`."""
    sink: str
    """Where it goes."""


class Replanned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The route decided anew, for an attempt that a rule asked for."""

    after: int
    """How many attempts had been made."""
    facts: RouteFacts
    """What the decision saw."""
    kept_chars: int = 0
    """Characters of the attempt before that the model was shown."""
    plan: Plan
    """What it was."""
    reminders: tuple[str, ...] = ()
    """What the model was told, in the rules' own words."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The `data` of `call.closed`."""

    alerts: tuple[Alerted, ...] = ()
    """What rules told somebody."""
    approval: str | None = None
    """The approval that the call used up."""
    attempts: tuple[Tried, ...] = ()
    """Every attempt that was started, in order."""
    budget_order: int = 0
    """Where the call stands among those that budgets counted; 0: they did not."""
    budget_refused: Refused | None = None
    """The budget that had no room for the call, or for another attempt of it."""
    budgets: tuple[Charge, ...] = ()
    """What the call counted in which budget."""
    cache_lost_tokens: int = 0
    """Input tokens, estimated, that the provider of the step before may hold in its cache, where an alloy's draw moved
    the conversation to another target."""
    caller: Caller
    """Who called."""
    captured: bool = False
    """The bodies of the call are kept beside the journal, until they are forgotten or retired."""
    client: Client
    """What the client received."""
    contract: Contract | None = None
    """Unset where the name led nowhere."""
    cost_nano_usd: int = 0
    """Over all attempts."""
    detectors: str | None = None
    """The version of the table of detectors, where a rule asked one."""
    error: str | None = None
    """The gateway's code for the error, of kernel.errors.CODES; a rule's own code stands in its ruling."""
    facts: RouteFacts | None = None
    """What the route decision saw; unset where the call ended before it."""
    format: int = FORMAT
    """The version of this schema."""
    history: CallEvents | None = None
    """What the call added to the past that rules read; unset where it added nothing."""
    node_type: str | None = None
    """The kind of the route's root: dispatcher, cascade, alloy, alias, guard, target."""
    plan: Plan | None = None
    """What the route decision was."""
    policy: tuple[Ruling, ...] = ()
    """What the rules decided, phase by phase and attempt by attempt; empty where no policy governs the model."""
    receipt: str
    """The receipt's id, `rcp_…`: it sorts by the instant of the call's acceptance."""
    replans: tuple[Replanned, ...] = ()
    """The route decided anew, once for each attempt that a rule asked for."""
    request: Request
    """What was asked."""
    retry_of: str | None = None
    """The receipt of the call that this one repeats, where the client says so."""
    selected: Selected | None = None
    """The target whose answer the client got; unset where there was none."""
    simulation: bool = False
    """The call was planned and not made."""
    started_at: int
    """µs since the epoch, UTC."""
    status: Status
    """How the call ended."""
    timings: Timings
    """When the call reached which point."""
    usage: Usage = Usage()
    """Over all attempts."""
    usage_source: UsageSource = "none"
    """Whether the tokens are the providers' own account; `estimated` where any attempt's are."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The `data` of `call.opened`, written before the first byte of a stream."""

    attempt: int
    """Index in the plan of the attempt whose answer begins."""
    caller: Caller
    """Who called."""
    contract: str
    """The contract's digest."""
    format: int = FORMAT
    """The version of this schema."""
    model: str
    """What the provider calls the model."""
    name: str
    """The contract's name."""
    provider: str
    """The name of the provider."""
    receipt: str
    """The id of the receipt that follows."""
    started_at: int
    """µs since the epoch, UTC."""
    target: str
    """The target's name in its contract."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The flat row by which receipts are found. Every member is a filter of `GET /v1/receipts`."""

    receipt: str
    """The receipt's id."""
    started_at: int
    """When the call was accepted, µs since the epoch, UTC."""
    status: str
    """How the call ended."""
    simulation: bool
    """The call was planned and not made."""
    model: str | None
    """The contract's name."""
    asked: str
    """The model as the caller wrote it, prefix included."""
    digest: str | None
    """Of the contract version that served."""
    version: str | None
    """The operator's label of that version."""
    variant: str | None
    """The arm of the prompt experiment."""
    canary: bool
    """The version served beside the active one."""
    kind: str
    """`chat` or `embeddings`."""
    stream: bool
    """The client asked for a stream."""
    tenant: str
    """The caller's tenant."""
    key: str | None
    """The id of the serving key; null for keyless calls."""
    application: str | None
    """The caller's application."""
    agent: str | None
    """The agent that consumes the answer."""
    user: str | None
    """The person the agent works for."""
    house: str | None
    """The rules and people the agent works for."""
    session: str | None
    """The session the call belongs to."""
    run: str | None
    """The run the call belongs to."""
    conversation: str | None
    """The conversation's keyed digest, hex."""
    provider: str | None
    """Of the selected target."""
    target_model: str | None
    """What the selected provider calls its model."""
    fallback: bool
    """The selected target was not the first of the plan."""
    attempts: int
    """How many attempts were started."""
    error: str | None
    """The gateway's code for the error; null where there was none."""
    http_status: int
    """The status the client saw."""
    input_tokens: int
    """Over all attempts, cached ones included."""
    output_tokens: int
    """Over all attempts, reasoning included."""
    cost_nano_usd: int
    """Over all attempts."""
    policy_effect: str | None
    """The strongest effect of rules over all phases; `allow` where they changed nothing, null where none was asked."""
    policy_rules: str | None
    """Rules that were not silent, those in shadow too, as `policy/rule` with blanks between; a filter names one."""
    policy_retries: int
    """Attempts that rules gave up for another."""
    first_byte_us: int | None
    """From acceptance to the first byte for the client."""
    total_us: int
    """From acceptance to the end of the answer."""


def said(claim: Sourced | None) -> str | None:
    """What a claim says; None where nobody made it."""
    return None if claim is None else claim.value


class Reason(Protocol):
    """A rule that was not silent."""

    @property
    def policy(self) -> str: ...
    @property
    def rule(self) -> str: ...


class Decided(Protocol):
    """What one phase decided."""

    @property
    def effect(self) -> ActionName: ...
    @property
    def reasons(self) -> Sequence[Reason]: ...


class Ruled(Protocol):
    """One phase of a call."""

    @property
    def decision(self) -> Decided: ...


class Closed(Protocol):
    """What a summary takes of a receipt."""

    @property
    def attempts(self) -> Sized: ...
    @property
    def caller(self) -> Caller: ...
    @property
    def client(self) -> Client: ...
    @property
    def contract(self) -> Contract | None: ...
    @property
    def cost_nano_usd(self) -> int: ...
    @property
    def error(self) -> str | None: ...
    @property
    def facts(self) -> Conversed | None: ...
    @property
    def policy(self) -> Sequence[Ruled]: ...
    @property
    def receipt(self) -> str: ...
    @property
    def replans(self) -> Sized: ...
    @property
    def request(self) -> Request: ...
    @property
    def selected(self) -> Selected | None: ...
    @property
    def simulation(self) -> bool: ...
    @property
    def started_at(self) -> int: ...
    @property
    def status(self) -> Status: ...
    @property
    def timings(self) -> Timings: ...
    @property
    def usage(self) -> Usage: ...


class Conversed(Protocol):
    """Facts that name a conversation."""

    @property
    def conversation(self) -> str: ...


def summary_of(receipt: Closed) -> Summary:
    """The row of a closed call."""
    contract, selected, caller, policy = receipt.contract, receipt.selected, receipt.caller, receipt.policy
    return Summary(
        receipt=receipt.receipt,
        started_at=receipt.started_at,
        status=receipt.status,
        simulation=receipt.simulation,
        model=None if contract is None else contract.name,
        asked=receipt.request.model,
        digest=None if contract is None else contract.digest,
        version=None if contract is None else contract.version,
        variant=None if contract is None else contract.variant,
        canary=contract is not None and contract.canary,
        kind=receipt.request.kind,
        stream=receipt.request.stream,
        tenant=caller.tenant.value,
        key=caller.key,
        application=said(caller.application),
        agent=said(caller.agent),
        user=said(caller.user),
        house=said(caller.house),
        session=said(caller.session),
        run=said(caller.run),
        conversation=None if receipt.facts is None else receipt.facts.conversation,
        provider=None if selected is None else selected.provider,
        target_model=None if selected is None else selected.model,
        fallback=selected is not None and selected.fallback,
        attempts=len(receipt.attempts),
        error=receipt.error,
        http_status=receipt.client.status,
        input_tokens=receipt.usage.input_total,
        output_tokens=receipt.usage.output_total,
        cost_nano_usd=receipt.cost_nano_usd,
        policy_effect=_strongest(policy) if policy else None,
        policy_rules=_spoke(policy) if policy else None,
        policy_retries=len(receipt.replans),
        first_byte_us=receipt.timings.first_byte_us,
        total_us=receipt.timings.total_us,
    )


def _strongest(policy: Sequence[Ruled]) -> str:
    """What weighs most of what the phases decided."""
    return max((ruled.decision.effect for ruled in policy), key=RANKS.__getitem__)


def _spoke(policy: Sequence[Ruled]) -> str | None:
    """Every rule that was not silent, once; None where all were."""
    names = {f"{one.policy}/{one.rule}" for ruled in policy for one in ruled.decision.reasons}
    return " ".join(sorted(names)) or None


def summary_of_lost(opened: Opened) -> Summary:
    """The row of a call that was opened and never closed."""
    receipt = Receipt(
        caller=opened.caller,
        client=Client(),
        contract=Contract(closure="", digest=opened.contract, name=opened.name),
        receipt=opened.receipt,
        request=Request(model=opened.name, stream=True),
        selected=Selected(
            context_window=0, contract=opened.name, model=opened.model, provider=opened.provider, target=opened.target
        ),
        started_at=opened.started_at,
        status="lost",
        timings=Timings(),
    )
    return summary_of(receipt)
