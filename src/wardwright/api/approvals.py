"""Approvals over HTTP: requests that wait for a person, and what the person says."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias, get_args

import msgspec

from wardwright.api.operation import Ask
from wardwright.api.query import Parameter
from wardwright.contracts.refusal import did_you_mean
from wardwright.gateway.core import callers
from wardwright.journal.approvals import WORDS_CHARS_MAX, Approval, Denied, Redeemed, StatusName
from wardwright.kernel.errors import Place, WardwrightError

LIMIT_MAX: Final = 500
LIMIT_DEFAULT: Final = 50

Person: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=callers.CLAIM_CHARS_MAX)]

PARAMETERS: Final = (
    Parameter(name="status", means=f"One of {', '.join(get_args(StatusName))}."),
    Parameter(name="tenant", means="Whose requests."),
    Parameter(name="limit", means="How many.", form="integer", default=LIMIT_DEFAULT, ge=1, le=LIMIT_MAX),
)


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """One request that needs or needed a person's approval."""

    id: str
    """`apr_…`: what the request is sent with once it is approved."""
    status: StatusName
    """`redeemed`: it was approved and has run."""
    tenant: str
    """Whose request it is."""
    model: str
    """The model, or the tool, that it asks for; `receipt` begins with `rct_` where it is a tool."""
    policy: str
    """The policy of the rule that wants the approval."""
    rule: str
    """The rule."""
    message: str
    """The rule's words for whoever decides."""
    request: str
    """The digest of the request, as its receipt has it."""
    receipt: str
    """Of the call that was refused for want of the approval."""
    asked_at: int
    """µs since the epoch."""
    expires_at: int
    """µs since the epoch; afterwards it can be neither decided nor used."""
    decided_at: int | None
    """µs since the epoch."""
    decided_by: str | None
    """Who approved or denied, as the admin named them."""
    why: str | None
    """What they said when they denied."""
    ended_at: int | None
    """µs since the epoch; when it was used, or noticed to have expired."""
    ran_as: str | None
    """The receipt of the call that used it."""


class ApprovalViews(msgspec.Struct, frozen=True, kw_only=True):
    """Some approvals."""

    data: tuple[ApprovalView, ...]
    """Newest first."""


class Approving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who lets the request run."""

    by: Person = "admin"
    """For the journal."""


class Denying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who refuses the request, and why."""

    by: Person = "admin"
    """For the journal."""
    why: Annotated[str, msgspec.Meta(max_length=WORDS_CHARS_MAX)] = ""
    """The caller is told."""


async def list_approvals(ask: Ask[None]) -> ApprovalViews:
    status, tenant = ask.query.text("status"), ask.query.text("tenant")
    if status is not None and status not in get_args(StatusName):
        raise WardwrightError(
            "invalid_request",
            f"no approval is ever `{status}`",
            place=Place(path="status"),
            hint=did_you_mean(status, get_args(StatusName)),
        )
    now = ask.front.gateway.clock.now_us()
    limit = ask.query.integer("limit") or LIMIT_DEFAULT
    found = [
        _view(one, now)
        for one in ask.front.approvals.all()
        if (status is None or one.status(now) == status) and (tenant is None or one.asked.tenant == tenant)
    ]
    return ApprovalViews(data=tuple(reversed(found[-limit:])))


async def show_approval(ask: Ask[None]) -> ApprovalView:
    return _view(ask.front.approvals.find(ask.path["id"]), ask.front.gateway.clock.now_us())


async def approve(ask: Ask[Approving]) -> ApprovalView:
    _require_printable(ask.body.by, "by")
    done = await ask.front.approvals.approve(ask.path["id"], by=ask.body.by)
    return _view(done, ask.front.gateway.clock.now_us())


async def deny(ask: Ask[Denying]) -> ApprovalView:
    _require_printable(ask.body.by, "by")
    _require_printable(ask.body.why, "why")
    done = await ask.front.approvals.deny(ask.path["id"], by=ask.body.by, why=ask.body.why)
    return _view(done, ask.front.gateway.clock.now_us())


def _require_printable(text: str, member: str) -> None:
    if not text.isprintable():
        raise WardwrightError(
            "invalid_request", f"`{member}` holds characters that do not print", place=Place(path=member)
        )


def _view(approval: Approval, now: int) -> ApprovalView:
    asked, decided, ended = approval.asked, approval.decided, approval.ended
    return ApprovalView(
        id=approval.id,
        status=approval.status(now),
        tenant=asked.tenant,
        model=asked.model,
        policy=asked.policy,
        rule=asked.rule,
        message=asked.message,
        request=asked.digest,
        receipt=asked.receipt,
        asked_at=approval.asked_at,
        expires_at=asked.expires_at,
        decided_at=approval.decided_at,
        decided_by=None if decided is None else decided.by,
        why=decided.why if isinstance(decided, Denied) else None,
        ended_at=approval.ended_at,
        ran_as=ended.receipt if isinstance(ended, Redeemed) else None,
    )
