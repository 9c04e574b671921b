"""The decisions of rules made again, from what a receipt kept of the facts they saw.

Rule 1: a comparison over text that was not kept comes out as it was recorded, if the rules that were asked made it; any
other comparison over that text cannot be told.
Rule 2: what was found in an answer is a fact here: the answer itself was not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from wardwright.calls.answer_rulings import before_attempt, retrying, ruled_stream, within_budget
from wardwright.calls.governance import Governance
from wardwright.calls.ruling import Ruling
from wardwright.policy.decision import Decision
from wardwright.policy.evaluate import Unsearched, decide
from wardwright.policy.phases import Facts

NOT_KEPT: Final = "was not kept"


def facts_of(ruling: Ruling, recorded: Governance) -> Facts:
    """The facts of a decision as its receipt has them; `recorded` are the rules that were asked then."""
    found, withheld = frozenset(ruling.found), frozenset(ruling.withheld)
    compared = recorded.comparisons[ruling.phase]
    return Facts(
        known=dict(ruling.facts),
        unavailable={**dict(ruling.unavailable), **dict.fromkeys(withheld, NOT_KEPT)},
        told={key: key in found for key, leaf in compared if leaf.field in withheld},
    )


def again(rulings: Sequence[Ruling], recorded: Governance) -> Iterator[tuple[Ruling, Decision]]:
    """Each ruling of a call, and how it comes out now under the rules that were asked then."""
    retries: dict[str, int] = {}
    for ruling in rulings:
        facts = facts_of(ruling, recorded)
        if ruling.phase == "stream":
            decision = ruled_stream(recorded, before_attempt(recorded, facts)[0], ruling.caught)
            caught = (one.rule for one in ruling.caught if one.action == "retry" and not one.shadow)
            gave_up = sorted({rule for rule in caught if rule is not None})
        else:
            found = {name: Unsearched(span) if isinstance(span, str) else span for name, span in ruling.searched}
            decision = within_budget(recorded, decide(recorded.policy, ruling.phase, facts, found), retries)
            gave_up = list(retrying(decision))
        for rule in gave_up:
            retries[rule] = retries.get(rule, 0) + 1
        yield ruling, decision
