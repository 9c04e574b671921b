"""Whether the sinks that policies name are there. Sinks belong to the settings, so a policy cannot tell by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from wardwright.contracts.decode import Located
from wardwright.contracts.policy import Alert, PolicyContract
from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.errors import WardwrightError


def unknown_sinks(document: Located[PolicyContract], names: Collection[str]) -> Iterator[WardwrightError]:
    """An error for each alert that would go nowhere, with its place. Rules that are off count too: they may come on."""
    for index, rule in enumerate(document.value.rules):
        for member, actions in (("then", rule.then), ("after_retries", rule.after_retries)):
            for at, action in enumerate(actions):
                if isinstance(action, Alert) and action.sink not in names:
                    yield WardwrightError(
                        "contract_reference",
                        f"`{rule.id}` alerts `{action.sink}`, and the settings have no such sink",
                        place=document.place(f"rules[{index}].{member}[{at}].sink"),
                        hint=did_you_mean(action.sink, names),
                    )
