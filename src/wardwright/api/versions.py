"""Versions of model contracts over HTTP: what there is, what changed, what serves.

Every change answers with where it led, so that whoever asked need not ask again.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from wardwright.api.front import Front
from wardwright.api.operation import JSON, Ask, Document
from wardwright.contracts.activation import Fact, Origin, Status, Step
from wardwright.contracts.difference import Change, diff
from wardwright.contracts.digest import digest
from wardwright.contracts.model import Canary, ModelContract
from wardwright.contracts.transfer import Role, export, mapped, read_bundle
from wardwright.kernel.errors import Place, WardwrightError

BY: Final = "admin"
"""The admin credential names nobody."""

Named: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""The digest of a version, the first six or more hex characters of it, or its label."""


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One stored version."""

    digest: str
    """Of the contract's canonical bytes."""
    label: str | None
    """The operator's own `version`."""
    status: Status
    """What it does now."""
    origin: Origin
    """How it came here."""
    source: str
    """The file it came from."""
    stored_at: int
    """µs since the epoch."""
    activated_at: int | None
    """µs since the epoch; when it last began to serve, null for a draft."""


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """One model name and what serves it."""

    name: str
    """The flat name."""
    active: str | None
    """The digest that serves all calls; null for a name with drafts alone, or one that was withdrawn."""
    canary: str | None
    """The digest that serves some calls beside it."""
    rule: Canary | None
    """Which calls those are."""
    serving: bool
    """Whether calls may name it now."""
    versions: int
    """How many are stored."""


class ModelViews(msgspec.Struct, frozen=True, kw_only=True):
    """Every name that was ever stored and not forgotten, by name."""

    data: tuple[ModelView, ...]
    """By name."""


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of one name, in the order in which they were first stored."""

    model: ModelView
    """The name, and what serves it."""
    data: tuple[VersionView, ...]
    """Every version that is remembered."""
    steps: tuple[Step, ...]
    """Activations, oldest first."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two versions."""

    model: str
    """The name."""
    from_: str = msgspec.field(name="from")
    """A digest."""
    to: str
    """A digest."""
    changes: tuple[Change, ...]
    """What leads from one to the other, each in one sentence. None where they are equal."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One version in full."""

    digest: str
    """Of the contract's canonical bytes."""
    contract: ModelContract
    """The typed value; members that equal their default are left out."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One synthetic model in full: for whoever runs the installation."""

    model: ModelView
    """The name, and what serves it."""
    closure: str | None
    """The digest of everything that took part when it was activated."""
    contract: ModelContract | None
    """The version that serves."""
    canary: ModelContract | None
    """The version that serves beside it."""


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """All synthetic models in full, by name."""

    data: tuple[Record, ...]
    """By name."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change led."""

    changed: bool
    """False: it was so already."""
    model: ModelView
    """What serves now."""


class Activation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version shall serve."""

    version: Named
    """Its digest, the first six or more hex characters of it, or its label."""


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far back to go."""

    to: Named | None = None
    """A version; unset: the one that served before."""


class CanaryStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version shall serve beside the active one, and which calls."""

    version: Named
    """Its digest, the first six or more hex characters of it, or its label."""
    rule: Canary
    """A share of conversations, or a condition: exactly one of the two."""


class Import(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle, and who plays its roles here."""

    bundle: msgspec.Raw
    """What `export` gave."""
    providers: dict[str, str] = {}
    """From the bundle's provider names to those of this installation; names that are the same may be left out."""
    source: Annotated[str, msgspec.Meta(max_length=256)] = "import.json"
    """Where the bundle came from, for the record."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One imported contract."""

    digest: str
    """Of the contract with local providers in its roles."""
    model: ModelView
    """Its name, and what serves it."""
    stored: bool
    """False: this version was here already."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The drafts that an import left; none of them serves."""

    data: tuple[Draft, ...]
    """The model asked for, then those its aliases lead to."""
    roles: tuple[Role, ...]
    """What the bundle asked of its providers."""


async def list_models(ask: Ask[None]) -> ModelViews:
    names = sorted(ask.front.control.activations.models)
    return ModelViews(data=tuple(_view(ask.front, name) for name in names))


async def list_versions(ask: Ask[None]) -> Versions:
    name = ask.path["name"]
    history = ask.front.control.history(name)
    return Versions(
        model=_view(ask.front, name),
        data=tuple(
            VersionView(
                digest=version.digest,
                label=version.label,
                status=history.status(version),
                origin=version.origin,
                source=version.source,
                stored_at=version.stored_at,
                activated_at=version.activated_at,
            )
            for version in history.versions
        ),
        steps=history.steps,
    )


async def show_difference(ask: Ask[None]) -> Difference:
    control, name = ask.front.control, ask.path["name"]
    trail = control.history(name).trail
    before, old = control.contract(name, ask.query.text("from") or (trail[-2] if len(trail) > 1 else None))
    after, new = control.contract(name, ask.query.text("to"))
    return Difference(model=name, from_=before, to=after, changes=diff(old, new))


async def show_contract(ask: Ask[None]) -> Stored:
    found, contract = ask.front.control.contract(ask.path["name"], ask.query.text("version"))
    return Stored(digest=found, contract=contract)


async def list_records(ask: Ask[None]) -> Records:
    control = ask.front.control
    found: list[Record] = []
    for name, history in sorted(control.activations.models.items()):
        active, canary = history.active, history.canary
        found.append(
            Record(
                model=_view(ask.front, name),
                closure=None if active is None else active.closure,
                contract=None if active is None else control.contract(name, active.digest)[1],
                canary=None if canary is None else control.contract(name, canary.digest)[1],
            )
        )
    return Records(data=tuple(found))


async def activate(ask: Ask[Activation]) -> Changed:
    name = ask.path["name"]
    return _changed(ask.front, name, await ask.front.control.activate(name, ask.body.version, by=BY))


async def roll_back(ask: Ask[Rollback]) -> Changed:
    name = ask.path["name"]
    return _changed(ask.front, name, await ask.front.control.rollback(name, ask.body.to, by=BY))


async def start_canary(ask: Ask[CanaryStart]) -> Changed:
    name, start = ask.path["name"], ask.body
    facts = await ask.front.control.start_canary(name, start.version, start.rule, by=BY)
    return _changed(ask.front, name, facts)


async def end_canary(ask: Ask[None]) -> Changed:
    name = ask.path["name"]
    return _changed(ask.front, name, await ask.front.control.end_canary(name, by=BY))


async def export_model(ask: Ask[None]) -> Document:
    control = ask.front.control
    active = {
        name: control.contract(name, history.active.digest)[1]
        for name, history in control.activations.models.items()
        if history.active is not None
    }
    return Document(export(ask.path["name"], active), JSON)


async def import_models(ask: Ask[Import]) -> Imported:
    control, providers = ask.front.control, ask.body.providers
    bundle = read_bundle(bytes(ask.body.bundle), ask.body.source)
    missing = bundle.unmapped(providers, ask.front.upstreams.by_name)
    if missing:
        role = missing[0]
        raise WardwrightError(
            "contract_reference",
            f"no provider here plays the role `{role.name}`, which must serve {', '.join(role.models)}",
            place=Place(path="providers"),
            hint=f"say which provider does, such as `{role.name}={next(iter(ask.front.upstreams.by_name), 'NAME')}`",
        )
    drafts: list[Draft] = []
    for contract in bundle.contracts:
        local = mapped(contract, providers)
        facts = await control.adopt(local, source=ask.body.source, by=BY)
        drafts.append(Draft(digest=digest(local), model=_view(ask.front, local.name), stored=bool(facts)))
    return Imported(data=tuple(drafts), roles=bundle.manifest.roles)


def _changed(front: Front, name: str, facts: tuple[Fact, ...]) -> Changed:
    return Changed(changed=bool(facts), model=_view(front, name))


def _view(front: Front, name: str) -> ModelView:
    history = front.control.history(name)
    return ModelView(
        name=name,
        active=None if history.active is None else history.active.digest,
        canary=None if history.canary is None else history.canary.digest,
        rule=None if history.canary is None else history.canary.canary,
        serving=front.gateway.catalog.find(name) is not None,
        versions=len(history.versions),
    )
