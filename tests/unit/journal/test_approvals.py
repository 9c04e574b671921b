"""Approvals: one request, one decision, one run."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardwright.journal import approvals
from wardwright.journal.approvals import (
    KINDS,
    PENDING_MAX,
    SETTLED_KEPT_MAX,
    Approvals,
    Approved,
    Asked,
    Denied,
    Expired,
    Fact,
    Redeemed,
    StatusName,
    folded,
    kind_of,
)
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError

EXPIRES = 1_000


def asked(id_: str = "apr_1", **members: str | int) -> Asked:
    return msgspec.convert(
        {
            "digest": "hmac:1",
            "expires_at": EXPIRES,
            "id": id_,
            "message": "Spends money.",
            "model": "coding",
            "policy": "desk-rules",
            "receipt": "rcp_1",
            "rule": "costly",
            "tenant": "acme",
            **members,
        },
        Asked,
    )


APPROVED = Approved(by="ada", id="apr_1")
DENIED = Denied(by="bob", id="apr_1", why="Not today.")
REDEEMED = Redeemed(id="apr_1", receipt="rcp_2")
EXPIRED = Expired(id="apr_1")

STANDS: dict[StatusName, tuple[Fact, ...]] = {
    "pending": (),
    "approved": (APPROVED,),
    "denied": (DENIED,),
    "redeemed": (APPROVED, REDEEMED),
    "expired": (EXPIRED,),
}


def standing(*facts: Fact) -> Approvals:
    return folded((at, fact) for at, fact in enumerate((asked(), *facts), start=1))


def redeem(book: Approvals, id_: str = "apr_1", *, now: int = 10, **members: str) -> Redeemed:
    same = {"tenant": "acme", "digest": "hmac:1", "policy": "desk-rules", "rule": "costly", **members}
    return approvals.redeem(
        book,
        id_,
        digest=same["digest"],
        now=now,
        policy=same["policy"],
        receipt="rcp_2",
        rule=same["rule"],
        tenant=same["tenant"],
    )


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(WardwrightError) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize("status", STANDS)
def test_an_approval_stands_as_its_facts_say(status: StatusName) -> None:
    assert standing(*STANDS[status]).find("apr_1").status(10) == status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("pending", "approval_required"),
        ("denied", "approval_denied"),
        ("redeemed", "approval_spent"),
        ("expired", "approval_expired"),
    ],
)
def test_only_an_approved_request_runs(status: StatusName, code: str) -> None:
    book = standing(*STANDS[status])
    assert code_of(lambda: redeem(book)) == code


def test_an_approved_request_runs_once() -> None:
    book = standing(APPROVED)
    fact = redeem(book)
    assert fact == REDEEMED
    book.fold(fact, 11)
    assert code_of(lambda: redeem(book)) == "approval_spent"


def test_an_approval_is_nothing_to_another_tenant() -> None:
    book = standing(APPROVED)
    with pytest.raises(WardwrightError) as refused:
        redeem(book, tenant="rival")
    with pytest.raises(WardwrightError) as unknown:
        redeem(book, "apr_2")
    assert refused.value.code == unknown.value.code == "approval_not_found"
    assert refused.value.message.replace("apr_1", "apr_2") == unknown.value.message


def test_an_id_that_nobody_would_give_is_not_repeated() -> None:
    for id_ in ("apr_" + "x" * 100, "apr_\n1"):
        with pytest.raises(WardwrightError) as unknown:
            redeem(standing(), id_)
        assert unknown.value.message == "no approval `…`"


@pytest.mark.parametrize("member", ["digest", "policy", "rule"])
def test_an_approval_is_for_one_request_and_one_rule(member: str) -> None:
    members = {member: "other"}
    assert code_of(lambda: redeem(standing(APPROVED), "apr_1", now=10, **members)) == "approval_mismatch"


@pytest.mark.parametrize("status", ["pending", "approved", "denied"])
def test_time_ends_an_approval_whatever_was_decided(status: StatusName) -> None:
    book = standing(*STANDS[status])
    assert book.find("apr_1").status(EXPIRES - 1) == status
    assert book.find("apr_1").status(EXPIRES) == "expired"
    assert code_of(lambda: redeem(book, now=EXPIRES)) == "approval_expired"
    assert code_of(lambda: approvals.approve(book, "apr_1", by="ada", now=EXPIRES)) == "approval_settled"


@pytest.mark.parametrize("status", ["approved", "denied", "redeemed", "expired"])
def test_what_is_decided_or_over_is_not_approved_again(status: StatusName) -> None:
    book = standing(*STANDS[status])
    assert code_of(lambda: approvals.approve(book, "apr_1", by="ada", now=10)) == "approval_settled"


def test_an_approval_can_be_taken_back_until_it_was_used() -> None:
    book = standing(APPROVED)
    book.fold(approvals.deny(book, "apr_1", by="bob", why="Wait.", now=10), 10)
    assert code_of(lambda: redeem(book)) == "approval_denied"
    assert code_of(lambda: approvals.deny(standing(APPROVED, REDEEMED), "apr_1", by="bob", why="", now=10)) == (
        "approval_settled"
    )


def test_the_same_request_finds_its_approval_and_another_does_not() -> None:
    book = standing()
    found = book.holding("acme", "hmac:1", "desk-rules", "costly", now=10)
    assert found is not None
    assert found.id == "apr_1"
    assert book.holding("rival", "hmac:1", "desk-rules", "costly", now=10) is None
    assert book.holding("acme", "hmac:2", "desk-rules", "costly", now=10) is None
    assert book.holding("acme", "hmac:1", "other-rules", "costly", now=10) is None
    assert book.holding("acme", "hmac:1", "desk-rules", "other", now=10) is None


@pytest.mark.parametrize("status", STANDS)
def test_a_request_asks_anew_once_its_approval_has_ended(status: StatusName) -> None:
    book = standing(*STANDS[status])
    found = book.holding("acme", "hmac:1", "desk-rules", "costly", now=10)
    assert (found is None) == (status in ("redeemed", "expired"))
    assert book.holding("acme", "hmac:1", "desk-rules", "costly", now=EXPIRES) is None


def test_a_denied_request_stays_denied_until_it_expires() -> None:
    approval = standing(DENIED).find("apr_1")
    refusal = approvals.refusal_of(approval, 10)
    assert (refusal.code, "Not today." in refusal.message) == ("approval_denied", True)


def test_a_caller_is_told_the_id_and_what_to_do_with_it() -> None:
    refusal = approvals.refusal_of(standing().find("apr_1"), 10)
    assert (refusal.code, refusal.status, refusal.retryable) == ("approval_required", 403, False)
    assert refusal.message == "Spends money. (apr_1)"
    assert "X-Wardwright-Approval-Id: apr_1" in (refusal.hint or "")


def test_whoever_called_a_tool_is_told_how_tools_use_it() -> None:
    book = folded([(1, asked(receipt="rct_1"))])
    assert approvals.refusal_of(book.find("apr_1"), 10).hint == (
        'once it is approved, make the same call with `approval="apr_1"`'
    )


def test_requests_that_wait_are_bounded_by_tenant() -> None:
    book = folded((1, asked(f"apr_{number}", digest=f"hmac:{number}")) for number in range(PENDING_MAX))
    assert code_of(lambda: approvals.require_room(book, "acme")) == "approvals_full"
    approvals.require_room(book, "rival")
    book.fold(Denied(by="ada", id="apr_0", why=""), 2)
    approvals.require_room(book, "acme")


def test_the_oldest_that_are_over_are_forgotten_and_cannot_run_again() -> None:
    book = Approvals()
    for number in range(SETTLED_KEPT_MAX + 2):
        id_ = f"apr_{number}"
        book.fold(asked(id_, digest=id_), 1)
        book.fold(Approved(by="ada", id=id_), 2)
        book.fold(Redeemed(id=id_, receipt="rcp_2"), 3)
    assert len(list(book.all())) == SETTLED_KEPT_MAX
    assert code_of(lambda: redeem(book, "apr_0", digest="apr_0")) == "approval_not_found"
    assert code_of(lambda: redeem(book, "apr_2", digest="apr_2")) == "approval_spent"


@pytest.mark.parametrize("fact", [asked(), APPROVED, DENIED, REDEEMED, EXPIRED], ids=kind_of)
def test_a_fact_is_written_in_canonical_form_and_read_back(fact: Fact) -> None:
    encoded = msgspec.json.encode(fact)
    assert encoded == canonical.encode(fact)
    assert msgspec.json.decode(encoded, type=KINDS[kind_of(fact)]) == fact


@pytest.mark.parametrize("status", STANDS)
def test_what_another_writer_said_before_the_request_is_heard_of_waits_for_it(status: StatusName) -> None:
    facts = list(enumerate((asked(), *STANDS[status]), start=1))
    book = folded([*reversed(facts[1:]), facts[0]])
    assert book.find("apr_1").status(10) == status
    assert book.waiting("acme") == (1 if status == "pending" else 0)


def test_facts_that_wait_for_their_request_are_bounded() -> None:
    book = folded((at, Approved(by="ada", id=f"apr_{at}")) for at in range(approvals.EARLY_MAX + 1))
    for id_ in ("apr_0", "apr_1"):
        book.fold(asked(id_), 0)
    assert [book.find(id_).status(10) for id_ in ("apr_0", "apr_1")] == ["pending", "approved"]


@given(st.lists(st.sampled_from([APPROVED, DENIED, REDEEMED, EXPIRED]), max_size=8))
def test_whatever_order_facts_race_in_a_run_follows_an_approval_and_an_end_is_final(facts: list[Fact]) -> None:
    book = standing()
    ended: StatusName | None = None
    for at, fact in enumerate(facts, start=2):
        book.fold(fact, at)
        status = book.find("apr_1").status(10)
        assert ended is None or status == ended
        ended = status if status in ("redeemed", "expired") else None
    assert book.waiting("acme") == (0 if facts else 1)
