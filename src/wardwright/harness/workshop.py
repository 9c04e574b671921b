"""Governed tool calls: takes a call in, asks the rules, carries it out, and writes down what came of it.

    identify → foretell → rules before → obligations → cache → breaker → intent → run → rules after → receipt → learn

Rule 1: nothing acts that the rules, the house and the scope have not let through; every way out of here has a receipt.
Rule 2: before anything is done to the world, the intent is durable: a crash leaves a call that is lost and visible,
with what it takes to put back what it was about to change. It is never repeated by itself.
Rule 3: failures are never kept as answers, and nothing that writes is answered from the cache.
Rule 4: a caller that gives up cancels what runs; the receipt says so.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
import stamina

from wardwright.calls.receipt import said
from wardwright.calls.refusals import blocked
from wardwright.contracts.house import CheckName, HouseContract
from wardwright.contracts.policy import Oblige, RequireApproval
from wardwright.harness.cache import Answer, Answers
from wardwright.harness.call import Call, Ended, Surroundings
from wardwright.harness.core import houses
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.houses import Owing
from wardwright.harness.core.steps import arguments_of, require_expected
from wardwright.harness.run import DEPTH_MAX, Installation, Run, failure, target_of
from wardwright.journal.approvals import refusal_of
from wardwright.journal.entry import Entry
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.breaker import Breaker
from wardwright.limits.observed import Observation, Outcome, key_of
from wardwright.policy.decision import Decision

WAIT_S_MAX: Final = 30.0
"""The longest pause between two attempts."""

APPROVAL_S: Final = 86_400
"""How long an approval that the mode wants may be given and used."""

MODE_POLICY: Final = "mode"
"""In the place of a policy's name, where the mode and not a rule wants approval."""

_AGAIN: Final = frozenset({"tool_failed", "tool_timeout"})
"""Failures that another attempt may mend, and that say something against the tool's health."""

_MENDED: Final = frozenset({"failed", "timed_out", "refused"})
"""Ends after which another tool may stand in."""


class Workshop:
    """Every tool of one installation. Belongs to one event loop."""

    def __init__(
        self,
        around: Surroundings,
        here: Installation,
    ) -> None:
        self.around = around
        self.breakers: dict[tuple[str, str], Breaker] = {}
        """By tool and what it works on."""
        self.here = here
        """What the next call is judged by."""
        self.live: dict[str, Call] = {}
        """Calls under way, by receipt."""
        self._answers = Answers()
        self._order = 0

    async def call(self, call: Call) -> Ended:
        """Carry a call out, or say why not. Raises nothing but what cancels it."""
        run = Run(self.around, self.here, call)
        self.live[run.receipt] = call
        try:
            return await self._carried(run)
        except asyncio.CancelledError:
            self._closed(run, "cancelled", failure("tool_cancelled", "the caller gave up"))
            raise
        finally:
            self.live.pop(run.receipt, None)

    async def _carried(self, run: Run) -> Ended:
        try:
            run.identify()
            run.foretell()
            decision = run.decide_before()
            await self._permitted(run, decision)
            await self._obliged(run, decision)
        except WardwrightError as error:
            return self._closed(run, run.refused(error), error)
        assert run.served is not None
        found = await self._known(run)
        if found is not None:
            run.cached_from = found.receipt
            return self._finished(run, found.result)
        breaker = self._breaker(run)
        if not breaker.admits(self._now()):
            resting = failure("tool_unavailable", f"`{run.served.name}` rests after failures", "try again later")
            return await self._instead(run, self._closed(run, "refused", resting))
        began = self._now()
        try:
            await self._intended(run)
            result = run.encoded(await self._ran(run))
        except WardwrightError as error:
            if run.ran:
                breaker.record(not _blames(error), self._now(), began)
            await self._sealed(run)
            return await self._instead(run, self._closed(run, run.failed(error), error))
        breaker.record(True, self._now(), began)
        await self._sealed(run)
        return self._finished(run, result)

    # -- whether it may ------------------------------------------------------------------------------------------------

    async def _permitted(self, run: Run, decision: Decision) -> None:
        """Raises what the rules and the mode refuse it with, or an approval that it waits for."""
        if decision.effect == "block":
            raise blocked(decision)
        if decision.effect == "require_approval":
            winner = decision.winner
            assert winner is not None
            assert isinstance(winner.action, RequireApproval)
            await self._approved(run, winner.policy, winner.rule, winner.action.message, winner.action.expires_s)
        elif (wants := run.mode_wants()) is not None:
            await self._approved(run, MODE_POLICY, *wants, APPROVAL_S)

    async def _approved(self, run: Run, policy: str, rule: str, message: str, expires_s: int) -> None:
        """Use up the approval that the call names; raises what the caller is told where it names none."""
        assert run.served is not None
        desk, tenant = self.around.desk, run.tenant
        if run.call.approval is None:
            approval = desk.ask(
                tenant=tenant,
                digest=run.same,
                policy=policy,
                rule=rule,
                message=message,
                model=run.served.name,
                expires_s=expires_s,
                receipt=run.receipt,
            )
            run.approval = approval.id
            raise refusal_of(approval, self.around.clock.now_us())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def durable(failure: Exception | None) -> None:
            if not done.done():
                done.set_result(None) if failure is None else done.set_exception(failure)

        desk.redeem(
            run.call.approval,
            tenant=tenant,
            digest=run.same,
            policy=policy,
            rule=rule,
            receipt=run.receipt,
            on_durable=durable,
        )
        run.approval = run.call.approval
        await done

    async def _obliged(self, run: Run, decision: Decision) -> None:
        """Raises `obligation_unmet`."""
        assert run.served is not None
        assert run.scope is not None
        also: list[CheckName] = [one.action.check for one in decision.kept if isinstance(one.action, Oblige)]  # type: ignore[misc]  # known names: judged when rules load
        house = self.here.houses.get(run.call.house)
        if run.call.house and house is None:
            raise failure("tool_arguments", f"no house is named `{run.call.house}`", "`wardwright house list`")
        contract = house or HouseContract(name="none")
        effect = run.served.contract.effect
        if not also and not any(effect in one.effects for one in contract.obligations):
            return
        past, writes = self.around.past, run.scope.write
        owing = Owing(
            cited=await past.shown(run.tenant, run.call.evidence),
            earlier=await past.reads(run.call.caller, writes),
            effect=effect,
            house=run.call.house,
            plan=run.call.plan,
            writes=writes,
            written_by=await past.writers(run.tenant, writes),
        )
        run.obligations = houses.checked(contract, also, owing)
        unmet = next((one for one in run.obligations if not one.met), None)
        if unmet is not None:
            who = f"the house `{contract.name}` owes" if house is not None else "the rules demand"
            message = f"{who} `{unmet.check}`: {unmet.why}"
            raise failure("obligation_unmet", message, houses.hint_of(unmet.check))

    # -- doing it ------------------------------------------------------------------------------------------------------

    async def _known(self, run: Run) -> Answer | None:
        """An answer that was given before and still holds."""
        assert run.served is not None
        contract = run.served.contract
        if contract.cache is None or contract.effect != "read":
            return None
        run.answer_key = await run.key_of_answer()
        return self._answers.get(run.answer_key)

    async def _intended(self, run: Run) -> None:
        """Have hands ready, keep what is about to be changed, and write the intent down. Raises what refuses that."""
        assert run.served is not None
        contract = run.served.contract
        if self.around.writer.failure is not None and run.demands.refuses_without_journal:
            raise failure("journal_unavailable", "the journal cannot be written, and this mode acts on record alone")
        if run.served.function is not None:
            run.require_trust(self.around.trusted)
            run.reach()
        if contract.effect == "read":
            return
        if contract.reversal == "T1" and run.hands is not None and run.scope is not None:
            keep = self.around.keep(run.tenant)
            run.snapshots = tuple([await run.hands.take(path, keep) for path in run.scope.write])
        entry = run.opened()
        try:
            await self.around.durably(entry)
        except WardwrightError:
            if run.demands.refuses_without_journal:
                raise
        run.intent = entry

    async def _ran(self, run: Run) -> object:
        """All attempts. Raises `tool_failed`, `tool_timeout`, and what hands raise."""
        assert run.served is not None
        contract = run.served.contract
        try:
            async with asyncio.timeout(contract.timeout_s):
                if run.served.function is None:
                    return await self._stepped(run)
                if contract.attempts_max == 1:
                    return await run.attempt(contract.timeout_s)
                async for attempt in stamina.retry_context(
                    on=_may_try_again,
                    attempts=contract.attempts_max,
                    timeout=contract.timeout_s,
                    wait_initial=contract.retry.wait_ms / 1000,
                    wait_max=WAIT_S_MAX,
                    wait_jitter=contract.retry.wait_ms / 2000,
                ):
                    with attempt:
                        return await run.attempt(contract.timeout_s)
        except TimeoutError as cause:
            message = f"`{contract.name}` did not end within {contract.timeout_s} s"
            raise failure("tool_timeout", message) from cause
        raise AssertionError("attempts that neither succeeded nor failed")

    async def _stepped(self, run: Run) -> object:
        """The steps of a tool that is made of others, each a call of its own."""
        assert run.served is not None
        assert run.arguments is not None
        run.ran = True
        taken: list[dict[str, object]] = []
        for step in run.served.contract.steps:
            ended = await self.call(run.step(step.tool, arguments_of(step, run.arguments)))
            if ended.error is not None:
                run.approval = ended.receipt.approval
                raise ended.error
            require_expected(step, ended.value if isinstance(ended.value, dict) else {})
            taken.append({"tool": step.tool, "receipt": ended.receipt.receipt, "result": ended.value})
        return {"steps": taken}

    async def _instead(self, run: Run, ended: Ended) -> Ended:
        """Another tool's result, where the contract names one for when this fails; else what came of this."""
        assert run.served is not None
        other = run.served.contract.degrade
        if (
            other is None
            or run.call.depth >= DEPTH_MAX
            or ended.receipt.status not in ("failed", "timed_out", "refused")
        ):
            return ended
        return await self.call(run.step(other, run.given(), degraded_from=run.served.name))

    async def _sealed(self, run: Run) -> None:
        """Say what the call left behind, so that undoing it can tell whether somebody has written since."""
        if run.snapshots and run.hands is not None:
            keep = self.around.keep(run.tenant)
            try:
                run.snapshots = tuple([await run.hands.sealed(one, keep) for one in run.snapshots])
            except WardwrightError as defect:
                self.around.report(defect)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _finished(self, run: Run, result: bytes) -> Ended:
        decision = run.decide_after(result)
        if decision.effect == "block":
            return self._closed(run, "denied", blocked(decision))
        return self._closed(run, "completed", None, result)

    def _closed(
        self,
        run: Run,
        status: tr.Status,
        error: WardwrightError | None,
        result: bytes = b"",
    ) -> Ended:
        """Write the receipt, and learn from it."""
        self._order = max(self.around.clock.now_us(), self._order + 1)
        receipt = run.closed(status, error, result, self._order)
        refs = () if run.intent is None else (("intent", run.intent),)
        at = receipt.started_at + receipt.timings.total_us
        run_id = said(receipt.caller.run)
        self.around.writer.put(Entry(tr.CLOSED, receipt, at=at, actor="harness", run=run_id, refs=refs))  # type: ignore[arg-type]  # a relation and an entry
        self.around.past.note(receipt)
        seen = observation_of(receipt, self.around.writer_name)
        if seen is not None:
            self.here.patterns.learn(seen)
        if status == "completed" and run.answer_key is not None and run.cached_from is None:
            assert run.served is not None
            assert run.served.contract.cache is not None
            self._answers.put(run.answer_key, receipt.receipt, result, run.served.contract.cache.ttl_s)
        return Ended(receipt=receipt, value=msgspec.json.decode(result) if result else None, error=error)

    def _breaker(self, run: Run) -> Breaker:
        assert run.served is not None
        key = (run.served.name, run.target)
        found = self.breakers.get(key)
        if found is None:
            found = self.breakers[key] = Breaker(run.served.contract.breaker)
        return found

    def _now(self) -> float:
        return self.around.clock.monotonic_ns() / 1e9

    # -- taking it back ------------------------------------------------------------------------------------------------

    async def undo(self, receipt: tr.ToolReceipt, call: Call, *, forced: bool) -> Ended:
        """Put back what a call has changed, as a call of its own: `call.tool` is the tool that is undone.

        Raises nothing; a receipt that kept nothing is refused with `tool_failed`.
        """
        run = Run(self.around, self.here, call)
        run.undoes = receipt.receipt
        try:
            run.undoing(receipt)
            decision = run.decide_before()
            await self._permitted(run, decision)
            run.reach()
            assert run.hands is not None
            keep = self.around.keep(run.tenant)
            run.snapshots = tuple([await run.hands.take(one.path, keep) for one in receipt.snapshots])
            await self.around.durably(entry := run.opened())
            run.intent, run.ran = entry, True
            for one in receipt.snapshots:
                await run.hands.restore(one, keep, forced=forced)
            await self._sealed(run)
        except WardwrightError as error:
            return self._closed(run, run.failed(error) if run.ran else run.refused(error), error)
        return self._finished(run, run.encoded({"restored": [one.path for one in receipt.snapshots]}))


def observation_of(receipt: tr.ToolReceipt, writer: str) -> Observation | None:
    """What a call taught; None where nothing was tried."""
    outcomes: dict[str, Outcome] = {"completed": "succeeded", "failed": "failed", "timed_out": "cut"}
    outcome = outcomes.get(receipt.status)
    if outcome is None or receipt.cached_from is not None or not receipt.attempts or receipt.scope is None:
        return None
    return Observation(
        at_us=receipt.started_at + receipt.timings.total_us,
        key=key_of(
            receipt.caller.tenant.value,
            kind="tool",
            name=receipt.tool.name,
            shape=receipt.shape,
            house=receipt.house,
            target=target_of(receipt.scope),
        ),
        latency_us=receipt.timings.ran_us,
        order=receipt.order,
        outcome=outcome,
        writer=writer,
    )


def _may_try_again(error: Exception) -> bool:
    return isinstance(error, WardwrightError) and error.code in _AGAIN


def _blames(error: WardwrightError) -> bool:
    """Whether a failure says something against the tool's health."""
    return error.code in _AGAIN
