"""Which tools a caller is shown: all but those that the rules refuse whatever the arguments are.

Rule 1: hiding is a kindness, not a wall. A tool that is hidden and called all the same meets the same rules.
Rule 2: what a call alone knows (arguments, scope, run, prediction, the past) is unavailable here. A tool is hidden
where a rule that blocks fires without it; never where a rule merely cannot be told.
"""

from __future__ import annotations

from typing import Final

from wardwright.calls.receipt import Caller
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core import facts
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.rules import Rules
from wardwright.policy.decision import Proposal
from wardwright.policy.evaluate import decide
from wardwright.policy.phases import Facts

_KNOWN: Final = frozenset(
    {
        "caller.agent", "caller.application", "caller.house", "caller.key", "caller.tenant", "caller.user",
        "tool.effect", "tool.mode", "tool.name", "tool.reversal",
    }
)  # fmt: skip
"""What is the same for every call of a tool by one caller."""

UNTOLD: Final = "is known of a call alone"


def is_visible(contract: ToolContract, rules: Rules | None, caller: Caller, mode: str) -> bool:
    """Whether some call of this tool might be let through by the rules before it."""
    if rules is None or not rules.policy.of("tool.before"):
        return True
    reads = rules.policy.reads["tool.before"]
    asked = facts.Asked(
        arguments={},
        caller=caller,
        contract=contract,
        degraded=False,
        evidence=0,
        mode=mode,
        plan=None,
        prediction=None,
        scope=Scope(),
        shape="",
        undoes=None,
        walls="none",
    )
    known = facts.before(asked, reads & _KNOWN).known
    decision = decide(rules.policy, "tool.before", Facts(known, dict.fromkeys(reads - _KNOWN, UNTOLD)))
    return not any(_refuses(one) for one in (*decision.kept, *decision.lost))


def _refuses(proposal: Proposal) -> bool:
    return proposal.effect == "block" and proposal.because == "fired"
