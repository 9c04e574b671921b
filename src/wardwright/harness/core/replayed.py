"""Make the rule decisions of a tool's receipt again, from the facts it holds and the policies it names.

Obligations rest on other receipts and are not decided again; what showed them stands in the receipt.
"""

from __future__ import annotations

import msgspec

from wardwright.contracts.decode import Located
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.rules import Rules, again, rules_of
from wardwright.kernel.detectors.table import DETECTORS_VERSION
from wardwright.kernel.errors import WardwrightError
from wardwright.rehearsal.replay import Load, Replay, Verdict, policy_of


def replay(receipt: ToolReceipt, load: Load) -> Replay:
    """Decide again what the receipt says was decided."""
    if not receipt.policy:
        why = "no policy spoke of it" if not receipt.policies else "the call ended before its rules were asked"
        return Replay(receipt=receipt.receipt, verdict="undecided", why=why)
    try:
        rules = rules_then(receipt, load)
    except (WardwrightError, msgspec.MsgspecError) as error:
        return Replay(receipt=receipt.receipt, verdict="unknown", why=str(error))
    if rules is None:
        return Replay(receipt=receipt.receipt, verdict="unknown", why="its policies say nothing of tools")
    if receipt.detectors not in (None, DETECTORS_VERSION):
        why = "the table of detectors has changed, and the text that they read was not kept"
        return Replay(receipt=receipt.receipt, verdict="unknown", why=why)
    differences = []
    for ruling in receipt.policy:
        decision = again(ruling, rules)
        if decision.effect != ruling.decision.effect:
            now, then = decision.effect, ruling.decision.effect
            differences.append(f"the rules of the phase {ruling.phase} come out as {now}, not {then}")
        elif decision != ruling.decision:
            differences.append(f"the rules of the phase {ruling.phase} give other reasons")
    verdict: Verdict = "different" if differences else "reproduced"
    return Replay(differences=tuple(differences), receipt=receipt.receipt, verdict=verdict)


def rules_then(receipt: ToolReceipt, load: Load) -> Rules | None:
    """The rules that were asked. Raises WardwrightError for a policy that is not stored, or loads no longer."""
    return rules_of(Located(policy_of(digest, load), name) for name, digest in receipt.policies)
