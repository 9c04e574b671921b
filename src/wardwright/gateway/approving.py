"""Approvals in the life of a call: asked for where a rule wants one, used up before the call runs.

Rule 1: an approval is used last, when everything else lets the call run; what is refused before that spends nothing.
Rule 2: a call runs once the use of its approval is durable, and not otherwise.
"""

from __future__ import annotations

from wardwright.contracts.policy import RequireApproval
from wardwright.gateway.intake import Intake
from wardwright.gateway.redemption import Redemption
from wardwright.journal.approvals import ApprovalDesk, refusal_of
from wardwright.kernel.errors import Said, WardwrightError
from wardwright.policy.decision import Decision


def ask(desk: ApprovalDesk | None, intake: Intake, decision: Decision, now_us: int) -> None:
    """A rule wants approval. Returns where the call names one, which `redeem` uses up; else raises what the caller is
    told: `approval_required`, `approval_denied`, `approvals_full`."""
    winner = decision.winner
    assert winner is not None
    action = winner.action
    assert isinstance(action, RequireApproval)
    if intake.approval is not None and not intake.simulation:
        intake.approving.append(winner)
        return
    if intake.simulation or desk is None:
        message = action.message or f"rule `{winner.rule}` wants a person's approval"
        raise WardwrightError("approval_required", message, said=Said("approval_required", winner.rule_name))
    assert intake.contract is not None
    approval = desk.ask(
        tenant=intake.tenant,
        digest=intake.digest,
        policy=winner.policy,
        rule=winner.rule,
        message=action.message,
        model=intake.contract.name,
        expires_s=action.expires_s,
        receipt=intake.receipt,
    )
    raise refusal_of(approval, now_us)


def redeem(desk: ApprovalDesk | None, intake: Intake) -> Redemption | None:
    """Use up the approval that the call names; None: no rule wants one. Raises why it cannot be used."""
    if not intake.approving:
        return None
    assert desk is not None
    assert intake.approval is not None
    wanted, *others = intake.approving
    if others:
        message = f"`{others[0].rule_name}` wants an approval of its own, and a call names one"
        raise WardwrightError("approval_mismatch", message)
    redemption = Redemption()
    desk.redeem(
        intake.approval,
        tenant=intake.tenant,
        digest=intake.digest,
        policy=wanted.policy,
        rule=wanted.rule,
        receipt=intake.receipt,
        on_durable=redemption.settle,
    )
    return redemption
