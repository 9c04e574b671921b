"""Which version of each model serves: the facts of the control chain, their fold, and the decisions that add to them.

Rule 1: files propose, activations serve. A file whose digest is the one it proposed last adds no fact: that is why a
rollback survives a restart and a comment does not undo it.
Rule 2: rollback and canary are activations of a stored digest. They hold until the next activation, which also ends
a canary.
Rule 3: a decision returns the facts to write, none if nothing changes, and raises where it is refused. Whoever asked
writes them, and folds them in once they are written.
Rule 4: `closure` in a fact is the closure at that moment. When an alias later serves another version, calls carry the
new closure, and this fact stays as it was.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.contracts.condition import Facts, holds
from wardwright.contracts.digest import Contract, digest
from wardwright.contracts.model import Canary, ModelContract, When
from wardwright.contracts.policy import PolicyContract
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import PPM

VERSIONS_KEPT_MAX: Final = 256
"""Versions of one name that the fold remembers; older ones stay in the journal."""

STEPS_KEPT_MAX: Final = 256
"""Activations of one name that the fold remembers."""

DIGEST_PREFIX_CHARS_MIN: Final = 6
"""The fewest hex characters that name a version."""

Origin: TypeAlias = Literal["file", "import"]
Mode: TypeAlias = Literal["active", "canary", "rolled_back"]
Status: TypeAlias = Literal["active", "canary", "draft", "retired"]
ClosureOf: TypeAlias = Callable[[str], str]
"""From a contract's digest to the digest of the closure it would serve with now."""


# Facts. Members in alphabetical order and canonical values only: they are written as they stand.


class ContractStored(msgspec.Struct, frozen=True, kw_only=True):
    """A version exists: its canonical bytes lie in the store. Until it is activated it is a draft."""

    by: str
    digest: str
    kind: Literal["house", "model", "policy", "provider", "tool"]
    label: str | None
    """The operator's own `version`."""
    name: str
    origin: Origin
    source: str
    """The file it came from."""


class ContractActivated(msgspec.Struct, frozen=True, kw_only=True):
    """A stored version serves: all calls, or as a canary those that its rule picks."""

    by: str
    canary: Canary | None
    """Set exactly where `mode` is `canary`."""
    closure: str
    digest: str
    mode: Mode
    name: str


class CanaryEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A canary was stopped without an activation; the active version serves all calls."""

    by: str
    digest: str
    name: str


class ContractWithdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """The name serves no longer: the file that proposed it is gone."""

    by: str
    name: str


Fact: TypeAlias = ContractStored | ContractActivated | CanaryEnded | ContractWithdrawn

KINDS: Final[dict[str, type[Fact]]] = {
    "contract.stored": ContractStored,
    "contract.activated": ContractActivated,
    "contract.canary_ended": CanaryEnded,
    "contract.withdrawn": ContractWithdrawn,
}
"""The kind under which each fact stands in the control chain."""


def kind_of(fact: Fact) -> str:
    return next(kind for kind, cls in KINDS.items() if type(fact) is cls)


# What the facts amount to


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One stored version of a name."""

    activated_at: int | None = None
    """µs since the epoch; when it last began to serve, None for a draft."""
    digest: str
    label: str | None
    origin: Origin
    source: str
    stored_at: int
    """µs since the epoch."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One activation, and when it was written."""

    at: int
    fact: ContractActivated


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one model name."""

    active: ContractActivated | None = None
    """None for a name with drafts alone, or one that was withdrawn."""
    canary: ContractActivated | None = None
    proposed: str | None = None
    """The digest that its file proposed last."""
    source: str | None = None
    """The file that proposed it."""
    steps: tuple[Step, ...] = ()
    """Activations, oldest first."""
    trail: tuple[str, ...] = ()
    """The digests that rollback goes back through; the last is the active one."""
    versions: tuple[Version, ...] = ()
    """In the order in which they were first stored."""

    def version(self, digest_: str) -> Version | None:
        return next((version for version in self.versions if version.digest == digest_), None)

    def status(self, version: Version) -> Status:
        if self.active is not None and version.digest == self.active.digest:
            return "active"
        if self.canary is not None and version.digest == self.canary.digest:
            return "canary"
        return "draft" if version.activated_at is None else "retired"


class Activations(msgspec.Struct, frozen=True, kw_only=True):
    """The fold of all facts."""

    models: dict[str, History] = {}
    policies: dict[str, str] = {}
    """The digest last stored of each policy."""
    providers: dict[str, str] = {}
    """The digest last stored of each provider document."""


def folded(facts: Iterable[tuple[int, Fact]], onto: Activations | None = None) -> Activations:
    """Facts with their instants (µs since the epoch), in the order of the chain."""
    state = onto or Activations()
    models, policies, providers = dict(state.models), dict(state.policies), dict(state.providers)
    for at, fact in facts:
        if isinstance(fact, ContractStored) and fact.kind == "provider":
            providers[fact.name] = fact.digest
        elif isinstance(fact, ContractStored) and fact.kind == "policy":
            policies[fact.name] = fact.digest
        else:
            models[fact.name] = _after(models.get(fact.name, History()), fact, at)
    return Activations(models=models, policies=policies, providers=providers)


def _after(history: History, fact: Fact, at: int) -> History:
    replace = msgspec.structs.replace
    match fact:
        case ContractStored():
            versions = history.versions
            if history.version(fact.digest) is None:
                version = Version(
                    digest=fact.digest, label=fact.label, origin=fact.origin, source=fact.source, stored_at=at
                )
                versions = _kept(history, (*versions, version))
            if fact.origin == "file":
                return replace(history, proposed=fact.digest, source=fact.source, versions=versions)
            return replace(history, versions=versions)
        case ContractActivated():
            steps = (*history.steps, Step(at=at, fact=fact))[-STEPS_KEPT_MAX:]
            versions = tuple(
                replace(version, activated_at=at) if version.digest == fact.digest else version
                for version in history.versions
            )
            if fact.mode == "canary":
                return replace(history, canary=fact, steps=steps, versions=versions)
            trail = _trail(history.trail, fact)
            return replace(history, active=fact, canary=None, steps=steps, trail=trail, versions=versions)
        case CanaryEnded():
            return replace(history, canary=None)
        case ContractWithdrawn():
            return replace(history, active=None, canary=None, proposed=None, source=None)
        case _:
            assert_never(fact)


def _trail(trail: tuple[str, ...], fact: ContractActivated) -> tuple[str, ...]:
    """A rollback cuts the trail back to where it went; any other activation goes on from its end."""
    if fact.mode == "rolled_back" and fact.digest in trail:
        last = len(trail) - 1 - trail[::-1].index(fact.digest)
        return trail[: last + 1]
    if trail and trail[-1] == fact.digest:
        return trail
    return (*trail, fact.digest)[-STEPS_KEPT_MAX:]


def _kept(history: History, versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """The newest versions, those that serve always among them."""
    if len(versions) <= VERSIONS_KEPT_MAX:
        return versions
    serving = {fact.digest for fact in (history.active, history.canary) if fact is not None}
    oldest = next(version for version in versions if version.digest not in serving)
    return tuple(version for version in versions if version is not oldest)


# Decisions


def propose(
    state: Activations, contract: Contract, *, source: str, closure: ClosureOf, by: str = "file"
) -> tuple[Fact, ...]:
    """A file holds this contract. A digest that it proposed already changes nothing, whatever has happened since."""
    proposed = digest(contract)
    if not isinstance(contract, ModelContract):
        stored_last = state.policies if isinstance(contract, PolicyContract) else state.providers
        if stored_last.get(contract.name) == proposed:
            return ()
        return (_stored(contract, proposed, "file", source, by),)
    history = state.models.get(contract.name, History())
    if history.proposed == proposed:
        return ()
    stored = _stored(contract, proposed, "file", source, by)
    serves = history.active is not None and history.active.digest == proposed
    if contract.activate == "manual" or serves:
        return (stored,)
    return stored, _activated(contract.name, proposed, closure(proposed), by)


def adopt(state: Activations, contract: ModelContract, *, source: str, by: str) -> tuple[Fact, ...]:
    """An imported contract becomes a draft, whatever its own `activate` says; nothing if it is stored already."""
    imported = digest(contract)
    history = state.models.get(contract.name, History())
    return () if history.version(imported) else (_stored(contract, imported, "import", source, by),)


def activate(state: Activations, name: str, version: str, *, closure: ClosureOf, by: str) -> tuple[Fact, ...]:
    """Serve a stored version to all calls. `version` as in `find`."""
    history = _history(state, name)
    chosen = find(state, name, version)
    if history.active is not None and history.active.digest == chosen.digest:
        return ()
    return (_activated(name, chosen.digest, closure(chosen.digest), by),)


def rollback(state: Activations, name: str, *, closure: ClosureOf, by: str, to: str | None = None) -> tuple[Fact, ...]:
    """Serve an earlier version again: the one before the active, or `to` as in `find`. Each step back goes further."""
    history = _history(state, name)
    if to is not None:
        back = find(state, name, to).digest
        if history.active is not None and history.active.digest == back:
            return ()
    elif history.active is None:
        raise WardwrightError("contract_not_found", f"`{name}` has no active version to go back from")
    elif len(history.trail) < 2:
        hint = f"activate a version by its digest; `wardwright model versions {name}` lists them"
        raise WardwrightError("contract_not_found", f"`{name}` has no version before the active one", hint=hint)
    else:
        back = history.trail[-2]
    return (_activated(name, back, closure(back), by, mode="rolled_back"),)


def start_canary(
    state: Activations, name: str, version: str, rule: Canary, *, closure: ClosureOf, by: str
) -> tuple[Fact, ...]:
    """Serve a stored version to the calls that the rule picks, beside the active one."""
    history = _history(state, name)
    chosen = find(state, name, version)
    if (rule.share_ppm is None) == (rule.when is None) or rule.when == When():
        raise WardwrightError(
            "contract_invalid", "a canary serves a share of conversations, or the calls of a condition"
        )
    if rule.share_ppm is not None and not 0 < rule.share_ppm < PPM:
        raise WardwrightError("contract_invalid", "a canary's share lies above 0 and below 1,000,000 parts per million")
    if history.active is None:
        raise WardwrightError("contract_not_found", f"`{name}` has no active version for a canary to stand beside")
    if history.active.digest == chosen.digest:
        raise WardwrightError("contract_invalid", f"this version of `{name}` serves all calls already")
    running = history.canary
    if running is not None and running.digest == chosen.digest and running.canary == rule:
        return ()
    return (_activated(name, chosen.digest, closure(chosen.digest), by, mode="canary", rule=rule),)


def end_canary(state: Activations, name: str, *, by: str) -> tuple[Fact, ...]:
    """Stop a canary; the active version serves all calls. To keep the canary instead, activate it."""
    canary = _history(state, name).canary
    return () if canary is None else (CanaryEnded(by=by, digest=canary.digest, name=name),)


def withdraw_absent(
    state: Activations, *, present: Collection[str], unread: Collection[str], by: str = "file"
) -> tuple[Fact, ...]:
    """End the names whose files are gone. `present` are the names that files hold now, `unread` the files that were
    refused: what they may hold goes on serving. Names that were only ever imported have no file to lose."""
    return tuple(
        ContractWithdrawn(by=by, name=name)
        for name, history in sorted(state.models.items())
        if history.proposed is not None and name not in present and history.source not in unread
    )


def find(state: Activations, name: str, version: str) -> Version:
    """A stored version by its label, its digest, or the first DIGEST_PREFIX_CHARS_MIN or more hex characters of it.

    Raises `contract_not_found` where none or several match.
    """
    versions = _history(state, name).versions
    prefix = version.removeprefix("sha256:").lower()
    matches = [one for one in versions if one.label == version]
    if not matches and len(prefix) >= DIGEST_PREFIX_CHARS_MIN:
        matches = [one for one in versions if one.digest.removeprefix("sha256:").startswith(prefix)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        hint = "name it by its digest: " + ", ".join(one.digest[:19] for one in matches[-3:])
        raise WardwrightError("contract_not_found", f"{len(matches)} versions of `{name}` match `{version}`", hint=hint)
    hint = f"`wardwright model versions {name}` lists them"
    raise WardwrightError("contract_not_found", f"no version of `{name}` is called `{version}`", hint=hint)


def _history(state: Activations, name: str) -> History:
    history = state.models.get(name)
    if history is None:
        hint = did_you_mean(name, state.models)
        raise WardwrightError("contract_not_found", f"no model contract is called `{name}`", hint=hint)
    return history


def _stored(contract: Contract, stored: str, origin: Origin, source: str, by: str) -> ContractStored:
    label = None if isinstance(contract, Provider) else contract.version
    return ContractStored(
        by=by, digest=stored, kind=contract.kind, label=label, name=contract.name, origin=origin, source=source
    )


def _activated(
    name: str, chosen: str, closure: str, by: str, mode: Mode = "active", rule: Canary | None = None
) -> ContractActivated:
    return ContractActivated(by=by, canary=rule, closure=closure, digest=chosen, mode=mode, name=name)


# Serving


def canary_serves(canary: Canary, contract_digest: str, conversation: str, facts: Facts) -> bool:
    """Whether the canary version with this digest serves a call rather than the active one.

    A share is drawn per conversation (its keyed digest, hex): no state, the same side in every worker and after a
    restart, and whoever is on the canary's side stays there when the share grows.
    """
    if canary.when is not None:
        return holds(canary.when, facts)
    draw = hmac.digest(contract_digest.encode(), b"canary:" + conversation.encode(), "sha256")
    return int.from_bytes(draw[:8]) * PPM >> 64 < (canary.share_ppm or 0)
