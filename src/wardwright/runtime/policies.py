"""The policies that serve: the last good version of each, compiled as models put them together.

Rule 1: a policy that cannot be compiled, alone or beside those it governs with, or whose budgets cannot be kept, is
refused whole; its last good version goes on. A model whose policies cannot be had does not serve.
Rule 2: what was compiled once is compiled: models that name the same policies share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wardwright.calls.governance import Governance, govern
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import digest, governing, reach, restored
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import Machine, PolicyContract, State
from wardwright.contracts.pricing import unpriced
from wardwright.contracts.refusal import ContractErrors
from wardwright.contracts.sink_names import unknown_sinks
from wardwright.journal.store import Blobs
from wardwright.kernel.errors import WardwrightError
from wardwright.policy.reminders import states_of
from wardwright.runtime.library import Library

COMPILED_MAX: Final = 1024
"""Sets of policies that are kept compiled."""


class Policies:
    """Belongs to `runtime.control`."""

    def __init__(self, store: Blobs, sinks: frozenset[str] | None) -> None:
        """`sinks` are those that alerts may name; None: nobody can tell here."""
        self._sinks = sinks
        self._compiled: dict[tuple[str, ...], Governance | None] = {}
        """By the digests of the set."""
        self._located: dict[str, Located[PolicyContract]] = {}
        self._store = store

    @property
    def contracts(self) -> dict[str, PolicyContract]:
        """What serves, by name."""
        return {name: one.value for name, one in self._located.items()}

    @property
    def remember(self) -> bool:
        """Some policy reads a past, or counts budgets."""
        return any(states_of(one.value) or one.value.machines or one.value.budgets for one in self._located.values())

    @property
    def past(self) -> dict[str, list[tuple[tuple[State, ...], tuple[Machine, ...]]]]:
        """What each policy keeps of the past, for `limits.history`."""
        return {name: [(states_of(one.value), one.value.machines)] for name, one in self._located.items()}

    def restore(self, stored: Mapping[str, str]) -> None:
        """Take up the versions stored last, by name and digest."""
        for name, key in stored.items():
            data = self._store.get(key)
            value = None if data is None else restored(data)
            if isinstance(value, PolicyContract):
                self._located[name] = Located(value, f"the stored policy `{name}`")

    def take(
        self, library: Library, models: Mapping[str, ModelContract]
    ) -> tuple[tuple[Located[PolicyContract], ...], tuple[WardwrightError, ...]]:
        """Serve the policies of the files from now on; returns those that may, and why the others may not.

        `models` are those that serve, and that are to.
        """
        errors: list[WardwrightError] = []
        good = dict(self._located)
        changed = {name: one for name, one in library.policies.items() if not self._serves(one.value)}
        for name, one in sorted(changed.items()):
            if refused := self._refusals((one,)):
                errors += refused
            else:
                good[name] = one
        for names in sorted({governing(reach(name, models), models) for name in models}):
            fresh = [name for name in names if name in changed and good.get(name) is changed[name]]
            found = tuple(good[name] for name in names if name in good)
            if fresh and len(found) > 1 and (refused := self._refusals(found)):
                errors += refused
                for name in fresh:
                    good.pop(name)
                    if name in self._located:
                        good[name] = self._located[name]
        unchanged = {name: one for name, one in library.policies.items() if name not in changed}
        passed = {name: one for name, one in changed.items() if good.get(name) is one}
        together = {name: one.value for name, one in good.items()}
        for unkept in sorted({one for name in models for one in unpriced(name, models, together)}):
            dropped = passed.pop(unkept.policy, None)
            if dropped is not None:
                errors.append(unkept.refusal(dropped.place("budgets")))
        for name, one in {**unchanged, **passed}.items():
            self._located[name] = one  # the same value, or one that was judged: with the places of its file
        return tuple(one for _, one in sorted({**unchanged, **passed}.items())), tuple(errors)

    def govern(self, names: tuple[str, ...]) -> Governance | None:
        """What policies of these names amount to. Raises `contract_reference`, and ContractErrors."""
        missing = [name for name in names if name not in self._located]
        if missing:
            raise WardwrightError(
                "contract_reference", f"no policy is named `{missing[0]}`, and the model waits for it"
            )
        found = tuple(self._located[name] for name in names)
        if self._sinks is not None:
            for one in found:
                for error in unknown_sinks(one, self._sinks):
                    raise error
        return self._governance(found)

    def _serves(self, policy: PolicyContract) -> bool:
        served = self._located.get(policy.name)
        return served is not None and digest(served.value) == digest(policy)

    def _refusals(self, policies: tuple[Located[PolicyContract], ...]) -> tuple[WardwrightError, ...]:
        if self._sinks is not None:
            unknown = [error for one in policies for error in unknown_sinks(one, self._sinks)]
            if unknown:
                return tuple(unknown)
        try:
            self._governance(policies)
        except ContractErrors as refused:
            return tuple(refused.errors)
        return ()

    def _governance(self, policies: tuple[Located[PolicyContract], ...]) -> Governance | None:
        key = tuple(digest(one.value) for one in policies)
        if key not in self._compiled:
            if len(self._compiled) >= COMPILED_MAX:
                self._compiled.clear()
            self._compiled[key] = govern(policies)
        return self._compiled[key]
