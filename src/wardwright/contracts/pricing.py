"""Whether the money that budgets hold back can be told: every target under a blocking budget of it has a price.

Rule 1: a target without a price would be reserved for, and settled, as costing nothing, and the budget would never end.
One that costs nothing says so with a price of 0; a scripted double is no exception.
Rule 2: what counts is where a call can go: the targets that a route leads to, those of its aliases, and those of the
models that rules switch to, each under the policies of all that led there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from wardwright.contracts.digest import governing, leaves, reach, switched_to
from wardwright.contracts.model import ModelContract, TargetRef
from wardwright.contracts.policy import PolicyContract
from wardwright.kernel.errors import Place, WardwrightError

HINT: Final = "give the target a price, or count tokens"


class Unpriced(msgspec.Struct, frozen=True, order=True):
    """A target whose cost a budget cannot tell."""

    contract: str
    """The model whose target it is."""
    index: int
    """Among the contract's targets."""
    target: str
    policy: str
    budget: str
    """One of the policy."""

    @property
    def path(self) -> str:
        return f"targets[{self.index}]"

    def refusal(self, place: Place | None) -> WardwrightError:
        target = f"`{self.target}` of `{self.contract}`"
        message = f"the budget `{self.policy}/{self.budget}` counts what calls cost, and {target} has no price"
        return WardwrightError("policy_unenforceable", message, place=place, hint=HINT)


def unpriced(
    name: str, models: Mapping[str, ModelContract], policies: Mapping[str, PolicyContract]
) -> frozenset[Unpriced]:
    """What a call for this model may meet. Names that lead nowhere are left out."""
    reached = reach(name, models)
    names = governing(reached, models)
    found = set(_without(reached, names, models, policies))
    for other in switched_to(names, policies):
        beyond = reach(other, models)
        found.update(_without(beyond, {*names, *governing(beyond, models)}, models, policies))
    return frozenset(found)


def _without(
    reached: Iterable[str],
    names: Iterable[str],
    models: Mapping[str, ModelContract],
    policies: Mapping[str, PolicyContract],
) -> Iterator[Unpriced]:
    """The targets without a price in these models, by each budget of these policies that must know one."""
    budgets = [
        (name, budget.name)
        for name in names
        if name in policies
        for budget in policies[name].budgets
        if budget.of == "cost_usd" and budget.on_exceeded == "block"
    ]
    if not budgets:
        return
    for one in reached:
        used = {leaf.target for leaf in leaves(models[one].route) if isinstance(leaf, TargetRef)}
        for index, target in enumerate(models[one].targets):
            if target.price is None and target.name in used:
                yield from (Unpriced(one, index, target.name, *budget) for budget in budgets)
