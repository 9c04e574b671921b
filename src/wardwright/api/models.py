"""The models that a caller may name, and what a call would do without making it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from wardwright.api.access import Keyed, key_of
from wardwright.api.operation import Ask
from wardwright.calls.receipt import Receipt
from wardwright.gateway.catalog import PREFIX, Served
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import SECOND_US

OWNER: Final = "wardwright"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One name that calls may use, as OpenAI's clients expect it."""

    id: str
    """What calls say in `model`."""
    object: Literal["model"] = "model"
    """What this is."""
    created: int
    """Seconds since the epoch: when the version that serves was activated."""
    owned_by: str = OWNER
    """Always the gateway: who answers behind it is not told."""


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """Every name that the caller may use: each model flat and with its prefix."""

    object: Literal["list"] = "list"
    """What this is."""
    data: tuple[Model, ...]
    """By name, flat before prefixed."""


class Synthetic(msgspec.Struct, frozen=True, kw_only=True):
    """One synthetic model as callers see it: never its texts, its route or its targets."""

    id: str
    """The flat name."""
    model_id: str
    """The same, under the name that other tools of this kind use."""
    public_model_id: str
    """The name with its prefix."""
    public_namespace: str
    """The prefix without its slash."""
    active_version: str | None
    """The operator's label of the version that serves."""
    digest: str
    """Of the version that serves."""
    description: str
    """The operator's own words."""
    route_type: str
    """The kind of the route's root: dispatcher, cascade, alloy, alias, guard, target."""
    status: Literal["active", "canary"]
    """`canary`: a second version serves some of the calls."""
    requires_api_key: bool
    """Whether calls need a serving key here."""


class Synthetics(msgspec.Struct, frozen=True, kw_only=True):
    """The synthetic models that the caller may use."""

    data: tuple[Synthetic, ...]
    """By name."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chat request to plan."""

    request: msgspec.Raw
    """The body of a chat request."""
    model: str | None = None
    """Instead of the request's own `model`."""


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What the call would have been."""

    receipt: Receipt
    """Up to the plan; nothing was called, nothing was written."""


async def list_models(ask: Ask[None]) -> Models:
    names = [served.active.contract.name for served in _allowed(ask)]
    return Models(data=tuple(_model(ask, name, id_) for name in names for id_ in (name, PREFIX + name)))


async def show_model(ask: Ask[None]) -> Model:
    asked = ask.path["id"]
    served = ask.front.gateway.catalog.find(asked)
    if served is None or not _allows(ask, served):
        close = ask.front.gateway.catalog.suggest(asked)
        offered = close is not None and any(close == one.active.contract.name for one in _allowed(ask))
        hint = f"did you mean `{close}`?" if offered else None
        raise WardwrightError("model_not_found", f"the model `{asked}` does not exist here", hint=hint)
    return _model(ask, served.active.contract.name, asked)


async def list_synthetics(ask: Ask[None]) -> Synthetics:
    needs_key = ask.front.gateway.posture.keys == "required"
    return Synthetics(data=tuple(_synthetic(served, needs_key) for served in _allowed(ask)))


async def simulate(ask: Ask[Trial]) -> Simulated:
    if isinstance(ask.caller, Keyed):
        ask.caller.require("simulate")
    trial = ask.body
    body = bytes(trial.request)
    if trial.model is not None:
        body = _with_model(body, trial.model)
    return Simulated(receipt=ask.front.gateway.simulate(ask.headers, body, key_of(ask.caller)))


def _allowed(ask: Ask[None]) -> tuple[Served, ...]:
    return tuple(served for _, served in ask.front.gateway.catalog.items() if _allows(ask, served))


def _allows(ask: Ask[None], served: Served) -> bool:
    key = key_of(ask.caller)
    return key is None or key.allows_model(served.active.contract.name)


def _model(ask: Ask[None], name: str, id_: str) -> Model:
    history = ask.front.control.activations.models.get(name)
    active = None if history is None or history.active is None else history.version(history.active.digest)
    since = 0 if active is None or active.activated_at is None else active.activated_at
    return Model(id=id_, created=since // SECOND_US)


def _synthetic(served: Served, needs_key: bool) -> Synthetic:
    version = served.active
    contract = version.contract
    return Synthetic(
        id=contract.name,
        model_id=contract.name,
        public_model_id=PREFIX + contract.name,
        public_namespace=PREFIX.rstrip("/"),
        active_version=contract.version,
        digest=version.digest,
        description=contract.description,
        route_type=version.node_type,
        status="active" if served.canary is None else "canary",
        requires_api_key=needs_key,
    )


def _with_model(body: bytes, model: str) -> bytes:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return body  # no object: whoever reads it as a chat request says so
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(members)
