"""Approvals: a rule asks, a person decides, the same request runs once. Facts of the control chain, their fold, and the
decisions that add to them.

Rule 1: an approval is for one request: tenant, digest of the request, policy and rule. Asking again for the same gives
the same approval, as long as it holds; so a client that repeats itself bothers nobody twice, and one that was denied
stays denied.
Rule 2: it ends at its `expires_at`, whether it was decided or not. What is over cannot be decided or used.
Rule 3: it is used once. Whoever uses it writes that down first and runs the request afterwards: after a crash between
the two it is spent, and the request did not run. At most once, never twice.
Rule 4: to another tenant it does not exist.
Rule 5: facts of several writers come in an order that need not be that in which they were written: what is said of an
approval before it is asked for waits for that.
Rule 6: a decision returns the fact to write, and raises where it is refused. Whoever asked writes it, and folds it in.

Instants are µs since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, Protocol, TypeAlias, assert_never

import msgspec

from wardwright.journal.entry import Durable
from wardwright.journal.life import TOOL_RECEIPT_PREFIX
from wardwright.kernel.errors import Said, WardwrightError

PENDING_MAX: Final = 1_000
"""Requests of one tenant that may wait for a person."""
SETTLED_KEPT_MAX: Final = 10_000
"""Approvals that are over and still known by their id; older ones stay in the journal and are as unknown ones here."""
EARLY_MAX: Final = 10_000
"""Facts that wait for the request that they are about; the oldest go first."""
ID_CHARS_MAX: Final = 64
"""A longer id is nobody's, and not repeated in messages."""
WORDS_CHARS_MAX: Final = 1_000
"""What a person may say about a decision."""

StatusName: TypeAlias = Literal["pending", "approved", "denied", "redeemed", "expired"]


# Facts. Members in alphabetical order and canonical values only: they are written as they stand.


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A rule wants a person's approval."""

    digest: str
    """Of the request, under the tenant's key."""
    expires_at: int
    id: str
    """`apr_…`"""
    message: str
    """The rule's words for whoever decides."""
    model: str
    policy: str
    receipt: str
    """Of the call that was refused for want of it."""
    rule: str
    tenant: str


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """A person let the request run, once."""

    by: str
    id: str


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """A person refused."""

    by: str
    id: str
    why: str


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """The request came again and is about to run."""

    id: str
    receipt: str
    """Of the call that runs."""


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """Its time passed before it was used."""

    id: str


Fact: TypeAlias = Asked | Approved | Denied | Redeemed | Expired

KINDS: Final[dict[str, type[Fact]]] = {
    "approval.asked": Asked,
    "approval.approved": Approved,
    "approval.denied": Denied,
    "approval.redeemed": Redeemed,
    "approval.expired": Expired,
}
"""The kind under which each fact stands in the control chain."""


def kind_of(fact: Fact) -> str:
    return next(kind for kind, cls in KINDS.items() if type(fact) is cls)


class ApprovalDesk(Protocol):
    """Where calls ask for approvals and use them. Implemented by `runtime.approvals`."""

    def ask(
        self,
        *,
        tenant: str,
        digest: str,
        policy: str,
        rule: str,
        message: str,
        model: str,
        expires_s: int,
        receipt: str,
    ) -> Approval:
        """The approval that a request needs: the one that still holds, else a new one. Raises `approvals_full`."""
        ...

    def redeem(
        self, id_: str, *, tenant: str, digest: str, policy: str, rule: str, receipt: str, on_durable: Durable
    ) -> Approval:
        """Use an approval: the call runs once `on_durable` hears None. Raises what `redeem` of this module raises."""
        ...


# What the facts amount to


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One approval as it stands."""

    asked: Asked
    asked_at: int
    decided: Approved | Denied | None = None
    decided_at: int | None = None
    ended: Redeemed | Expired | None = None
    ended_at: int | None = None

    @property
    def id(self) -> str:
        return self.asked.id

    def status(self, now: int) -> StatusName:
        """How it stands, whether or not anybody has noticed its expiry yet."""
        match self.ended:
            case Redeemed():
                return "redeemed"
            case Expired():
                return "expired"
            case None:
                pass
        if now >= self.asked.expires_at:
            return "expired"
        match self.decided:
            case None:
                return "pending"
            case Approved():
                return "approved"
            case Denied():
                return "denied"
            case _:
                assert_never(self.decided)


Same: TypeAlias = tuple[str, str, str, str]
"""Tenant, digest, policy and rule: what makes a request the same."""


class Approvals:
    """The fold: every approval that holds, and the latest of those that are over. Belongs to one thread.

    What holds is bounded: of undecided ones by PENDING_MAX a tenant, of decided ones, which stay until they are used or
    expire, by what people decide in that time.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Approval] = {}
        """In the order in which they were asked for."""
        self._early: dict[tuple[int, Fact], None] = {}
        """What was said of approvals that nobody asked for yet, with its instant, as it came."""
        self._holding: dict[Same, str] = {}
        """Those that have not ended, by what they are for."""
        self._over: dict[str, None] = {}
        """Those that have ended, oldest first."""
        self._waiting: dict[str, int] = {}
        """By tenant: undecided ones that have not ended."""

    def fold(self, fact: Fact, at: int) -> None:
        """Take one fact in. One that comes too late changes nothing: what has ended has ended, and a denial stands."""
        if isinstance(fact, Asked):
            self._by_id[fact.id] = Approval(asked=fact, asked_at=at)
            self._holding[_same(fact)] = fact.id
            self._waiting[fact.tenant] = self._waiting.get(fact.tenant, 0) + 1
            for early in sorted((one for one in self._early if one[1].id == fact.id), key=lambda one: one[0]):
                del self._early[early]
                self.fold(early[1], early[0])
            return
        known = self._by_id.get(fact.id)
        if known is None:
            self._early[at, fact] = None
            if len(self._early) > EARLY_MAX:
                del self._early[next(iter(self._early))]
            return
        if known.ended is not None or (isinstance(fact, Approved) and known.decided is not None):
            return
        if known.decided is None:
            self._waiting[known.asked.tenant] -= 1
        match fact:
            case Approved() | Denied():
                self._by_id[fact.id] = msgspec.structs.replace(known, decided=fact, decided_at=at)
            case Redeemed() | Expired():
                self._by_id[fact.id] = msgspec.structs.replace(known, ended=fact, ended_at=at)
                self._let_go(known)
            case _:
                assert_never(fact)

    def _let_go(self, approval: Approval) -> None:
        self._over[approval.id] = None
        if self._holding.get(_same(approval.asked)) == approval.id:
            del self._holding[_same(approval.asked)]
        while len(self._over) > SETTLED_KEPT_MAX:
            oldest = next(iter(self._over))
            del self._over[oldest]
            del self._by_id[oldest]

    def all(self) -> Iterable[Approval]:
        """In the order in which they were asked for."""
        return self._by_id.values()

    def find(self, id_: str) -> Approval:
        """Raises `approval_not_found`."""
        found = self._by_id.get(id_)
        if found is None:
            raise _not_found(id_)
        return found

    def holding(self, tenant: str, digest: str, policy: str, rule: str, now: int) -> Approval | None:
        """The approval for a request, if one was asked for and has not ended."""
        id_ = self._holding.get((tenant, digest, policy, rule))
        if id_ is None or self._by_id[id_].status(now) == "expired":
            return None
        return self._by_id[id_]

    def is_over(self, id_: str, now: int) -> bool:
        """Whether nobody can use it any more. One that is not known was over long ago, or was never asked for."""
        known = self._by_id.get(id_)
        return known is None or known.status(now) in ("redeemed", "expired")

    def overdue(self, now: int) -> tuple[Expired, ...]:
        """What to write about those whose time has passed."""
        return tuple(Expired(id=id_) for id_ in self._holding.values() if now >= self._by_id[id_].asked.expires_at)

    def waiting(self, tenant: str) -> int:
        """How many of a tenant's requests wait for a person."""
        return self._waiting.get(tenant, 0)

    @property
    def waiting_in_all(self) -> int:
        return sum(self._waiting.values())


def folded(facts: Iterable[tuple[int, Fact]]) -> Approvals:
    """Facts with their instants, in the order of the chain."""
    approvals = Approvals()
    for at, fact in facts:
        approvals.fold(fact, at)
    return approvals


# Decisions


def require_room(approvals: Approvals, tenant: str) -> None:
    """Raises `approvals_full` where too many requests of a tenant wait already."""
    if approvals.waiting(tenant) >= PENDING_MAX:
        raise WardwrightError("approvals_full", f"{PENDING_MAX} requests of this tenant wait for approval already")


def approve(approvals: Approvals, id_: str, *, by: str, now: int) -> Approved:
    """Raises `approval_not_found`; `approval_settled` where it was decided or is over."""
    _require_pending(approvals.find(id_), now)
    return Approved(by=by, id=id_)


def deny(approvals: Approvals, id_: str, *, by: str, why: str, now: int) -> Denied:
    """Raises as `approve`; one that was approved and not used yet may still be denied."""
    approval = approvals.find(id_)
    if approval.status(now) != "approved":
        _require_pending(approval, now)
    return Denied(by=by, id=id_, why=why[:WORDS_CHARS_MAX])


def redeem(
    approvals: Approvals, id_: str, *, tenant: str, digest: str, policy: str, rule: str, receipt: str, now: int
) -> Redeemed:
    """The fact to write before the request runs.

    Raises `approval_not_found`, also for another tenant's; `approval_mismatch` for another request or rule;
    `approval_required` while nobody has decided; `approval_denied`, `approval_spent`, `approval_expired`.
    """
    approval = approvals.find(id_)
    if approval.asked.tenant != tenant:
        raise _not_found(id_)
    if _same(approval.asked) != (tenant, digest, policy, rule):
        raise WardwrightError(
            "approval_mismatch",
            f"`{id_}` approves another request",
            hint="send the very request that was refused, or leave the approval out to ask anew",
        )
    refusal = _REFUSALS[approval.status(now)]
    if refusal is not None:
        raise refusal(approval)
    return Redeemed(id=id_, receipt=receipt)


def refusal_of(approval: Approval, now: int) -> WardwrightError:
    """What the caller is told whose request needs this approval and came without it."""
    if approval.status(now) == "denied":
        return _denied(approval)
    return _required(approval)


def _required(approval: Approval) -> WardwrightError:
    message = approval.asked.message or f"rule `{approval.asked.rule}` wants a person's approval"
    if approval.asked.receipt.startswith(f"{TOOL_RECEIPT_PREFIX}_"):
        hint = f'once it is approved, make the same call with `approval="{approval.id}"`'
    else:
        hint = f"once it is approved, send the same request with `X-Wardwright-Approval-Id: {approval.id}`"
    return WardwrightError(
        "approval_required",
        f"{message} ({approval.id})",
        hint=hint,
        said=_said("approval_required", approval),
    )


def _denied(approval: Approval) -> WardwrightError:
    why = approval.decided.why if isinstance(approval.decided, Denied) else ""
    message = f"`{approval.id}` was denied" + (f": {why}" if why else "")
    return WardwrightError("approval_denied", message, said=_said("approval_denied", approval))


def _said(code: str, approval: Approval) -> Said:
    return Said(code, f"{approval.asked.policy}/{approval.asked.rule}")


def spent(approval: Approval) -> WardwrightError:
    """What whoever comes second is told."""
    return WardwrightError(
        "approval_spent",
        f"`{approval.id}` was used already",
        hint="an approval is for one run; the same request without it asks anew",
    )


def _expired(approval: Approval) -> WardwrightError:
    return WardwrightError(
        "approval_expired", f"`{approval.id}` has expired", hint="the same request without it asks anew"
    )


_REFUSALS: Final[Mapping[StatusName, Callable[[Approval], WardwrightError] | None]] = {
    "pending": _required,
    "approved": None,
    "denied": _denied,
    "redeemed": spent,
    "expired": _expired,
}


def _require_pending(approval: Approval, now: int) -> None:
    status = approval.status(now)
    if status != "pending":
        raise WardwrightError("approval_settled", f"`{approval.id}` is {status} already")


def _not_found(id_: str) -> WardwrightError:
    shown = id_ if len(id_) <= ID_CHARS_MAX and id_.isprintable() else "…"
    return WardwrightError("approval_not_found", f"no approval `{shown}`", hint="`wardwright approval list` shows them")


def _same(asked: Asked) -> Same:
    return (asked.tenant, asked.digest, asked.policy, asked.rule)
