"""The typed value of a `kind: model` contract: what a synthetic model name stands for.

Rule 1: a value here is canonical: no floats, decimals as normalised strings, so its digest is stable.
Rule 2: a member equal to its default leaves no trace in the digest (`contracts.digest` compares by value;
`omit_defaults` alone compares by identity); a default never changes within a `format`.
Rule 3: names are resolved elsewhere (`contracts.check`): this file says what a document may say.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, assert_never

import msgspec

FORMAT: Final = 1
"""The current format of model contracts."""

ROUTE_DEPTH_MAX: Final = 8
"""Nodes from the root of a route to a target, the root and aliases counted, the target not."""

TARGETS_MAX: Final = 64
"""Targets in one contract."""

ROUTE_TARGETS_MAX: Final = 256
"""Leaves of a route once its aliases are followed: no plan is longer."""

Capability: TypeAlias = Literal[
    "tools", "parallel_tools", "vision", "audio", "json_object", "json_schema", "reasoning", "logprobs", "choices",
    "embeddings",
]  # fmt: skip
"""What a request can ask of a target beyond plain text. `choices` is `n` > 1."""

NAME_CHARS_MAX: Final = 96

Name: TypeAlias = Annotated[
    str,
    msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=NAME_CHARS_MAX, extra={"word": "name"}),
]
"""Lower case letters, digits, `.`, `_` and `-`, beginning with a letter or digit; no `/`."""

Decimal: TypeAlias = Annotated[
    str,
    msgspec.Meta(pattern=r"^(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$", extra={"word": "decimal"}),
]
"""A normalised non-negative decimal such as `0.25`: no sign, exponent, leading `+` or trailing zeros."""

TokenCount: TypeAlias = Annotated[int, msgspec.Meta(ge=1, extra={"word": "tokens"})]
"""Tokens; documents may also write `128K` (× 1024) and `1M` (× 1024²)."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
"""A whole number from 1."""

Weight: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
"""A share among the weights beside it."""


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """USD per million tokens, one a class."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """Tokens read from the provider's cache; the price of `input` if unset."""
    cache_write: Decimal | None = None
    """Tokens written to the provider's cache; the price of `input` if unset."""
    reasoning: Decimal | None = None
    """Output tokens spent on reasoning; the price of `output` if unset."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How tokens of this target are estimated."""

    tokenizer: str | None = None
    """A `tokenizer.json` beside the contract, read offline (extra `tokenizers`). Unset: the calibrated heuristic."""
    margin: Decimal = "1.1"
    """The estimate is multiplied by this before it is compared with the window."""


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One concrete model at one provider."""

    name: Name
    """What routes of this contract call it."""
    provider: Name
    """The name of a `kind: provider` document."""
    model: str
    """What the provider calls it."""
    context_window: TokenCount
    """Tokens, input and output together."""
    output_max: TokenCount | None = None
    """The most tokens the model can write; caps the output budget of the fit."""
    capacity_fraction: Decimal = "1"
    """The share of the window that routing may fill."""
    capabilities: tuple[Capability, ...] | None = None
    """What it can do; unset means undeclared, and nothing is assumed to be missing."""
    unsupported_parameters: tuple[str, ...] = ()
    """Request members that are removed before this target sees them."""
    price: Price | None = None
    tokens: Tokens = Tokens()
    labels: tuple[str, ...] = ()
    """Words that constraints and guards may name, such as `local`."""


class TargetRef(msgspec.Struct, frozen=True, kw_only=True, tag_field="node", tag="target"):
    """A leaf of the route: one target by its name."""

    target: Name


class Dispatcher(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="node", tag="dispatcher"):
    """The smallest window that fits; larger ones are its fallbacks."""

    members: tuple[Node, ...]


class Cascade(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="node", tag="cascade"):
    """One member after the other: the next on a classified failure before the first byte reaches the client."""

    members: tuple[Node, ...]
    order: Literal["declared", "learned"] = "declared"
    """`learned`: members whose first target has succeeded more surely in the caller's tenant and house come first; of
    those that little is known of, the declared order holds."""


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One voice of an alloy."""

    node: Node
    weight: Weight = 1


class Alloy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="node", tag="alloy"):
    """One conversation, a member drawn per step; the members not drawn are its fallbacks, in draw order."""

    members: tuple[Member, ...]
    strategy: Literal["round_robin", "weighted", "sequence"] = "weighted"
    sequence: tuple[int, ...] = ()
    """For `sequence`: indexes of members, repeated over the steps."""
    per: Literal["step", "turn"] = "step"
    """`turn` holds one member through the tool loop of a turn."""
    partial_context: bool = False
    """Members that the conversation has outgrown drop out; without it, `min_context_window` is the ceiling of all."""
    min_context_window: TokenCount | None = None
    """Tokens; the smallest window of the members if unset."""


class Alias(msgspec.Struct, frozen=True, kw_only=True, tag_field="node", tag="alias"):
    """Another model contract, by its name: its route, targets and constraints take part."""

    model: Name


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A condition over the facts of a call: every member that is set must hold.

    Members in alphabetical order: activations of a canary carry conditions into the journal.
    """

    agent: tuple[str, ...] = ()
    application: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    """The request asks for all of these."""
    cost_usd_max: Decimal | None = None
    """The request states a `metadata.cost_usd_max`, and it is at most this."""
    data_class: tuple[str, ...] = ()
    """The request's `metadata.data_class` is one of these."""
    house: tuple[str, ...] = ()
    input_tokens_max: TokenCount | None = None
    """Inclusive, on the estimated input."""
    input_tokens_min: TokenCount | None = None
    region: tuple[str, ...] = ()
    """The request's `metadata.region` is one of these."""
    tags: tuple[str, ...] = ()
    """Any of these tags is among the caller's."""
    tenant: tuple[str, ...] = ()


class Guard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="node", tag="guard"):
    """A gate on the way: `then` where the condition holds, else `otherwise`, else the route refuses."""

    when: When
    then: Node
    otherwise: Node | None = None
    why: str = ""


Node: TypeAlias = TargetRef | Dispatcher | Cascade | Alloy | Alias | Guard


def goes_by_learning(node: Node) -> bool:
    """Whether a cascade beneath a node is in the order of what was learned; routes behind aliases are not looked at."""
    match node:
        case TargetRef() | Alias():
            return False
        case Cascade():
            return node.order == "learned" or any(map(goes_by_learning, node.members))
        case Dispatcher():
            return any(map(goes_by_learning, node.members))
        case Alloy():
            return any(goes_by_learning(member.node) for member in node.members)
        case Guard():
            return goes_by_learning(node.then) or (node.otherwise is not None and goes_by_learning(node.otherwise))
        case _:
            assert_never(node)


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One named arm of a prompt experiment, held by a conversation."""

    name: Name
    weight: Weight = 1
    preamble: str | None = None
    postscript: str | None = None


class Transforms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Operator text around the caller's messages."""

    preamble: str | None = None
    """A system message put first."""
    postscript: str | None = None
    """A system message put last."""
    variants: tuple[Variant, ...] = ()
    """A variant's text replaces the plain one."""


class Canary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which calls an activation serves beside the active version. Exactly one of the two is set."""

    share_ppm: Annotated[int, msgspec.Meta(ge=1, le=999_999)] | None = None
    """Of conversations, in parts per million; a conversation stays on its side."""
    when: When | None = None


class ModelContract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a synthetic model name means."""

    name: Name
    """Served as `<name>` and `wardwright/<name>`."""
    targets: tuple[Target, ...]
    route: Node
    kind: Literal["model"] = "model"
    format: int = FORMAT
    version: str | None = None
    """The operator's own label."""
    description: str = ""
    activate: Literal["auto", "manual"] = "auto"
    """`manual` keeps a changed file as a draft."""
    transforms: Transforms = Transforms()
    restrict: tuple[str, ...] = ()
    """Patterns over `provider/model`, target names and labels; only targets that match one may serve."""
    policies: tuple[Name, ...] = ()
    """Names of `kind: policy` contracts whose rules govern every call. Their order means nothing."""
    expose_selected_model: bool = False
    """Answers carry `X-Wardwright-Selected-Model`."""
    deadline_s: Count = 600
    """One deadline over all attempts of a call."""
    output_tokens_default: TokenCount = 1024
    """The output budget of the fit where the request states none."""
