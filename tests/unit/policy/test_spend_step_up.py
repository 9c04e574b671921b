"""The shipped policy on spending, walked through the life of calls: facts, decision, reservation, settlement, alert."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from wardwright.calls.phases import PHASES
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import Alert, PolicyContract, RequireApproval, RestrictRoutes
from wardwright.kernel.units import SECOND_US
from wardwright.kernel.usage import NANO_USD
from wardwright.limits.allowance import Amounts, Claims, limits_of
from wardwright.limits.budget_facts import BudgetFacts, facts_after, facts_before
from wardwright.limits.budget_record import Charge
from wardwright.limits.budgets import Budgets, Exceeded, Granted, Refusal, Unclaimed
from wardwright.policy.decision import Decision
from wardwright.policy.evaluate import decide
from wardwright.policy.loading import load
from wardwright.policy.phases import Facts

FILE: Final = Path(__file__).parents[3] / "examples" / "policies" / "spend-step-up.yaml"
AGENT: Final = Claims(tenant="t", agent="builder", run="r1")
DAY_S: Final = 86_400


class House:
    """A gateway's use of budgets, without the gateway."""

    def __init__(self) -> None:
        (found,) = decode(FILE.read_bytes(), FILE.name)
        assert isinstance(found.value, PolicyContract)
        self.policy = load([Located(found.value, found.file, found.places)], PHASES)
        self.limits = limits_of(self.policy.budgets)
        self.budgets = Budgets()
        self.now_us = 1_700_000_000 * SECOND_US

    def asked(self, claims: Claims = AGENT) -> Decision:
        reads = self.policy.reads["request"]
        return self.decided("request", facts_before(self.budgets, self.limits, claims, self.now_us, reads))

    def called(self, usd: int, claims: Claims = AGENT) -> Decision | Refusal:
        """One call that reserves and uses so much, and what the phase `receipt` decides."""
        self.now_us += SECOND_US
        amounts = Amounts(cost_usd=usd * NANO_USD)
        outcome = self.budgets.reserve(self.limits, claims, amounts, self.now_us, self.now_us + SECOND_US)
        if not isinstance(outcome, Granted):
            return outcome
        charges = self.budgets.settle(outcome.reservation, amounts, self.now_us)
        return self.ended(charges, claims)

    def ended(self, charges: tuple[Charge, ...], claims: Claims) -> Decision:
        reads = self.policy.reads["receipt"]
        return self.decided("receipt", facts_after(self.budgets, self.limits, claims, charges, self.now_us, reads))

    def decided(self, phase: str, told: BudgetFacts) -> Decision:
        return decide(self.policy, phase, Facts(told.known, told.unavailable))


def acts(decision: Decision | Refusal, action: type[msgspec.Struct]) -> bool:
    assert isinstance(decision, Decision)
    return any(isinstance(one.action, action) for one in decision.kept)


def test_an_agent_steps_up_in_the_middle_of_its_day_and_down_near_the_end() -> None:
    house, cheap = House(), []
    for _ in range(25):
        cheap.append(acts(house.asked(), RestrictRoutes))
        house.called(1)

    assert cheap == [True] * 2 + [False] * 18 + [True] * 5


def test_somebody_is_told_once_at_four_fifths() -> None:
    house = House()
    told = [acts(house.called(1), Alert) for _ in range(25)]

    assert [number for number, alerted in enumerate(told, start=1) if alerted] == [20]


def test_the_day_s_limit_holds_until_enough_of_it_is_a_day_old() -> None:
    house = House()
    house.called(25)
    refusal = house.called(1)

    assert isinstance(refusal, Exceeded)
    assert DAY_S <= refusal.retry_after_s + 1 <= DAY_S + DAY_S // 64 + 1
    house.now_us += refusal.retry_after_s * SECOND_US
    assert isinstance(house.called(1), Decision)


def test_a_run_of_hundreds_of_calls_needs_somebody_s_word() -> None:
    house = House()
    for _ in range(400):
        house.called(0)

    assert acts(house.asked(), RequireApproval)
    assert not acts(house.asked(Claims(tenant="t", agent="builder", run="r2")), RequireApproval)


def test_an_agent_that_does_not_say_who_it_is_is_refused() -> None:
    house = House()
    refusal = house.called(1, Claims(tenant="t"))

    assert isinstance(refusal, Unclaimed)
    assert refusal.limit.name == "spend-step-up/agent-day"


def test_an_agent_without_a_run_is_not_held_to_the_run_s_count() -> None:
    assert not acts(House().asked(Claims(tenant="t", agent="builder")), RequireApproval)
