"""Governed tool calls: takes a call in, asks the rules, carries it out, and writes down what came of it.

    identify → foretell → rules before → obligations → approval → cache → breaker → intent → run → rules after
    → receipt → learn

Rule 1: nothing acts that the rules, the house and the scope have not let through; every way out of here has a receipt.
Rule 2: before anything is done to the world, the intent is durable: a crash leaves a call that is lost and visible,
with what it takes to put back what it was about to change. It is never repeated by itself.
Rule 3: failures are never kept as answers, and nothing that writes is answered from the cache.
Rule 4: a caller that gives up cancels what runs; the receipt says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, cast
from weakref import WeakValueDictionary

import msgspec
import stamina
from cachetools import LRUCache

from wardwright.calls.receipt import said
from wardwright.calls.refusals import blocked
from wardwright.contracts.house import CheckName, HouseContract
from wardwright.contracts.policy import Oblige, RequireApproval
from wardwright.harness.cache import Answer, Answers
from wardwright.harness.call import Call, Ended, Surroundings
from wardwright.harness.core import houses
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.before import Snapshot
from wardwright.harness.core.houses import Owing
from wardwright.harness.core.steps import arguments_of, require_expected
from wardwright.harness.run import DEPTH_MAX, Installation, Run, failure, target_of
from wardwright.journal.approvals import Redeemed, refusal_of
from wardwright.journal.entry import Durable, Entry
from wardwright.kernel import canonical
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

BREAKERS_MAX: Final = 4096
"""Healths that are known at one time; the one that was asked for longest ago goes first."""

DURABLE_S: Final = 30.0
"""How long an answer may wait for its receipt to be durable."""


class Workshop:
    """Every tool of one installation. Belongs to one event loop."""

    def __init__(
        self,
        around: Surroundings,
        here: Installation,
    ) -> None:
        self.around = around
        self.breakers: LRUCache[tuple[str, str, str], Breaker] = LRUCache(BREAKERS_MAX)
        """By tenant, tool and what it works on: nobody's failures are another tenant's."""
        self.here = here
        """What the next call is judged by."""
        self.live: dict[str, Call] = {}
        """Calls under way, by receipt."""
        self._answers = Answers(self._now)
        self._order = 0
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def call(self, call: Call) -> Ended:
        """Carry a call out, or say why not. Raises nothing but what cancels it."""
        run = Run(self.around, self.here, call)
        return await self._whole(run, self._carried(run))

    async def undo(self, receipt: tr.ToolReceipt, call: Call, *, forced: bool) -> Ended:
        """Put back what a call has changed, as a call of its own: `call.tool` is the tool that is undone.

        Rules are asked as for any other call; of what its house owes, who wrote last is left out, since the receipt
        that is undone is named. Raises nothing but what cancels it.
        """
        run = Run(self.around, self.here, call)
        run.undoes = receipt.receipt
        return await self._whole(run, self._undone(run, receipt, forced=forced))

    async def _whole(self, run: Run, work: Coroutine[Any, Any, Ended]) -> Ended:
        """Whatever comes of the work, there is one receipt of it."""
        self.live[run.receipt] = run.call
        try:
            return await work
        except asyncio.CancelledError:
            if not run.closed_already:
                self._closed(run, "cancelled", failure("tool_cancelled", "the caller gave up"))
            raise
        except Exception as defect:
            if run.closed_already:
                raise
            self.around.report(defect)
            error = failure("internal_error", "a defect of the harness; the log has its trace")
            return self._closed(run, "failed" if run.ran else "refused", error)
        finally:
            self.live.pop(run.receipt, None)

    async def _carried(self, run: Run) -> Ended:
        try:
            run.identify()
            if run.looks_back:
                await self.around.hear()
            run.foretell()
            decision = run.decide_before()
            if decision.effect == "block":
                raise blocked(decision)
            run.amend(decision)
            await self._obliged(run, decision)
            run.resumed = await self._earlier(run)
            await self._permitted(run, decision)
        except WardwrightError as error:
            return await self._told(run, run.refused(error), error)
        found = await self._known(run)
        if found is not None:
            run.cached_from = found.receipt
            return await self._finished(run, found.result)
        breaker, began = self._breaker(run), self._now()
        if not breaker.admits(began):
            return await self._instead(run, await self._told(run, "refused", _resting(run)))
        verdict: bool | None = None
        failed: WardwrightError | None = None
        result = b""
        try:
            async with self._alone(run, () if run.scope is None else run.scope.write):
                try:
                    await self._intended(run)
                    result = run.encoded(await self._ran(run))
                finally:
                    await self._sealed(run)
            verdict = True
        except WardwrightError as error:
            failed = error
            verdict = False if run.ran and _blames(error) else None
        finally:
            if verdict is None:
                breaker.abandoned(began)
            else:
                breaker.record(verdict, self._now(), began)
        return await (self._finished(run, result) if failed is None else self._failed(run, failed))

    # -- whether it may ------------------------------------------------------------------------------------------------

    async def _permitted(self, run: Run, decision: Decision) -> None:
        """Raises an approval that the call waits for, and why the one that it names cannot be used."""
        if decision.effect == "require_approval":
            winner = decision.winner
            assert winner is not None
            assert isinstance(winner.action, RequireApproval)
            if run.resumed is None or _winner(run.resumed) != (winner.policy, winner.rule):
                await self._approved(run, winner.policy, winner.rule, winner.action.message, winner.action.expires_s)
        elif run.resumed is None and (wants := run.mode_wants()) is not None:
            await self._approved(run, MODE_POLICY, *wants, APPROVAL_S)

    async def _approved(self, run: Run, policy: str, rule: str, message: str, expires_s: int) -> None:
        """Use up the approval that the call names; raises what the caller is told where it names none."""
        assert run.served is not None
        desk, tenant, id_ = self.around.desk, run.tenant, run.call.approval
        if id_ is None or (run.call.parent is not None and not self._is_for(run, id_, policy, rule)):
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
        self._require_able(run)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def durable(failure: Exception | None) -> None:
            if not done.done():
                done.set_result(None) if failure is None else done.set_exception(failure)

        try:
            desk.redeem(
                id_, tenant=tenant, digest=run.same, policy=policy, rule=rule, receipt=run.receipt, on_durable=durable
            )
        except WardwrightError as refusal:
            if refusal.code == "approval_required":  # nobody has decided yet: the call waits for this one still
                run.approval = id_
            raise
        run.approval = id_
        await done

    def _is_for(self, run: Run, id_: str, policy: str, rule: str) -> bool:
        """Whether the approval that a whole was called with is this step's, and not used by an equal one before."""
        try:
            approval = self.around.desk.find(id_)
        except WardwrightError:
            return False
        asked = approval.asked
        theirs = (asked.tenant, asked.digest, asked.policy, asked.rule)
        return theirs == (run.tenant, run.same, policy, rule) and not isinstance(approval.ended, Redeemed)

    def _require_able(self, run: Run) -> None:
        """What refuses the call in any case is found before an approval is used up. Raises that."""
        self._require_journal(run)
        if self._breaker(run).resting(self._now()) is not None:
            raise _resting(run)
        if run.undoes is None and run.served is not None and run.served.function is None:
            return
        if run.undoes is None:
            run.require_trust(self.around.trusted)
        run.reach()

    async def _obliged(self, run: Run, decision: Decision) -> None:
        """Raises `obligation_unmet`."""
        assert run.served is not None
        assert run.scope is not None
        also = [one.action.check for one in decision.kept if isinstance(one.action, Oblige)]
        demanded = cast(list[CheckName], also)  # other names are refused when rules load
        house = self.here.houses.get(run.call.house) if run.undoes is None else None
        contract = house or HouseContract(name="none")
        effect = run.served.contract.effect
        if not demanded and not any(effect in one.effects for one in contract.obligations):
            return
        past, writes = self.around.past, run.scope.write
        cited = run.call.evidence if run.undoes is None else (*run.call.evidence, run.undoes)
        owing = Owing(
            cited=await past.shown(run.tenant, cited),
            earlier=await past.reads(run.call.caller, writes),
            effect=effect,
            house=run.call.house,
            plan=run.call.plan,
            writes=writes,
            written_by=await past.writers(run.tenant, writes),
        )
        run.obligations = houses.checked(contract, demanded, owing)
        unmet = next((one for one in run.obligations if not one.met), None)
        if unmet is not None:
            owed = house is not None and any(one.check == unmet.check for one in contract.obligations)
            who = f"the house `{contract.name}` owes" if owed else "the rules demand"
            message = f"{who} `{unmet.check}`: {unmet.why}"
            raise failure("obligation_unmet", message, houses.hint_of(unmet.check))

    async def _earlier(self, run: Run) -> tr.ToolReceipt | None:
        """The attempt of these steps that stopped where the approval was asked for which the call names now."""
        assert run.served is not None
        if run.call.approval is None or run.served.function is not None:
            return None
        try:
            found = await self.around.past.receipt(self.around.desk.find(run.call.approval).asked.receipt)
        except WardwrightError:
            return None
        for _ in range(2 * DEPTH_MAX):
            if found is None or found.parent is None:
                return None
            found = await self.around.past.receipt(found.parent)
            if found is not None and run.takes_up(found):
                return found
        return None

    # -- doing it ------------------------------------------------------------------------------------------------------

    async def _known(self, run: Run) -> Answer | None:
        """An answer that was given before and still holds. Steps are asked for their own."""
        assert run.served is not None
        contract = run.served.contract
        if contract.cache is None or contract.effect != "read" or run.served.function is None:
            return None
        run.answer_key = await run.key_of_answer()
        return None if run.answer_key is None else self._answers.get(run.answer_key)

    async def _intended(self, run: Run) -> None:
        """Have hands ready, keep what is about to be changed, and write the intent down. Raises what refuses that."""
        assert run.served is not None
        contract = run.served.contract
        self._require_journal(run)
        if run.served.function is not None:
            run.require_trust(self.around.trusted)
            run.reach()
        if contract.effect == "read":
            return
        if contract.reversal == "T1" and run.hands is not None and run.scope is not None:
            await self._taken(run, run.scope.write)
        await self._opened(run)

    def _require_journal(self, run: Run) -> None:
        """Raises `journal_unavailable`."""
        if self.around.writer.failure is not None and run.demands.refuses_without_journal:
            raise failure("journal_unavailable", "the journal cannot be written, and this mode acts on record alone")

    async def _taken(self, run: Run, paths: Iterable[str]) -> None:
        assert run.hands is not None
        keep = self.around.keep(run.tenant)
        run.snapshots = tuple([await run.hands.take(path, keep) for path in paths])

    async def _opened(self, run: Run) -> None:
        """Have the intent durable. Raises `journal_unavailable` where the mode acts on record alone."""
        entry = run.opened()
        try:
            await self.around.durably(entry)
        except WardwrightError as cause:
            if run.demands.refuses_without_journal:
                raise failure("journal_unavailable", "the intent could not be written down") from cause
        run.intent = entry

    async def _ran(self, run: Run) -> object:
        """All attempts. Raises `tool_failed`, `tool_timeout`, and what hands raise."""
        assert run.served is not None
        contract = run.served.contract
        run.deadline_ns = self.around.clock.monotonic_ns() + contract.timeout_s * 1_000_000_000
        try:
            async with asyncio.timeout(contract.timeout_s):
                if run.served.function is None:
                    return await run.tried(self._stepped(run))
                try:
                    return await run.attempt()
                except WardwrightError as first:
                    if contract.attempts_max == 1 or not _may_try_again(first):
                        raise
                    return await self._again(run, first)
        except TimeoutError as cause:
            run.timed_out()
            raise failure("tool_timeout", f"`{contract.name}` did not end within {contract.timeout_s} s") from cause

    async def _again(self, run: Run, first: WardwrightError) -> object:
        """Further attempts, with pauses between them. Raises as the last of them did."""
        assert run.served is not None
        contract = run.served.contract
        failed: WardwrightError | None = first
        async for attempt in stamina.retry_context(
            on=_may_try_again,
            attempts=contract.attempts_max,
            timeout=run.left_s(),
            wait_initial=contract.retry.wait_ms / 1000,
            wait_max=WAIT_S_MAX,
            wait_jitter=contract.retry.wait_ms / 2000,
        ):
            with attempt:
                if failed is not None:  # it counts the one that was made already
                    known, failed = failed, None
                    raise known
                return await run.attempt()
        raise AssertionError("attempts that neither succeeded nor failed")

    async def _stepped(self, run: Run) -> object:
        """The steps of a tool that is made of others, each a call of its own.

        Those that an earlier attempt did before one of them needed an approval are not repeated: their receipts stand
        for them, and their results, which no receipt keeps, are null.
        """
        assert run.served is not None
        assert run.arguments is not None
        run.steps = [] if run.resumed is None else list(run.resumed.steps)
        steps, done = run.served.contract.steps, len(run.steps)
        taken: list[dict[str, object]] = [
            {"tool": step.tool, "receipt": receipt, "result": None}
            for step, receipt in zip(steps, run.steps, strict=False)
        ]
        for step in steps[done:]:
            ended = await self.call(run.step(step.tool, arguments_of(step, run.arguments)))
            if ended.error is not None:
                run.approval = ended.receipt.approval
                raise ended.error
            require_expected(step, ended.value if isinstance(ended.value, dict) else {})
            run.steps.append(ended.receipt.receipt)
            taken.append({"tool": step.tool, "receipt": ended.receipt.receipt, "result": ended.value})
        return {"steps": taken}

    async def _instead(self, run: Run, ended: Ended) -> Ended:
        """Another tool's result, where the contract names one for when this fails; else what came of this."""
        assert run.served is not None
        other = run.served.contract.degrade
        if other is None or run.call.depth >= DEPTH_MAX or ended.receipt.status not in _MENDED:
            return ended
        return await self.call(run.step(other, run.given(), degraded_from=run.served.name))

    @asynccontextmanager
    async def _alone(self, run: Run, paths: Iterable[str]) -> AsyncIterator[None]:
        """Nobody else of this process writes there meanwhile, so that what stands before and after is this call's."""
        assert run.served is not None
        kept = run.served.contract.reversal == "T1" or run.undoes is not None
        async with AsyncExitStack() as held:
            for path in sorted(set(paths)) if kept else ():
                lock = self._writing.get(path)
                if lock is None:
                    lock = self._writing[path] = asyncio.Lock()
                await held.enter_async_context(lock)
            yield

    async def _sealed(self, run: Run) -> None:
        """Say what the call left behind, so that undoing it can tell whether somebody has written since."""
        if run.ran and run.snapshots and run.hands is not None:
            keep = self.around.keep(run.tenant)
            try:
                run.snapshots = tuple([await run.hands.sealed(one, keep) for one in run.snapshots])
            except (RuntimeError, WardwrightError) as defect:  # at the interpreter's end there are no threads
                self.around.report(defect)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _finished(self, run: Run, result: bytes) -> Ended:
        decision = run.decide_after("completed", None, result)
        if decision.effect == "block":
            return await self._told(run, "denied", blocked(decision))
        if run.cached_from is None and run.answer_key is not None and await run.key_of_answer() != run.answer_key:
            run.answer_key = None  # what it rests on changed while it was made
        return await self._told(run, "completed", None, result)

    async def _failed(self, run: Run, error: WardwrightError) -> Ended:
        status = run.failed(error)
        if run.ran and status in ("failed", "timed_out"):
            decision = run.decide_after(status, error.code, b"")
            if decision.effect == "block":
                status, error = "denied", blocked(decision)
        return await self._instead(run, await self._told(run, status, error))

    async def _captured(self, run: Run, result: bytes) -> None:
        """Keep arguments and result, where somebody wants them and they were understood; the receipt says whether."""
        if run.scope is None or not (run.demands.keeps_results or self.around.captures_all):
            return
        arguments = canonical.encode(run.given())
        try:
            await asyncio.to_thread(self.around.capture, run.tenant, run.receipt, arguments, result)
            run.captured = True
        except (OSError, RuntimeError) as defect:  # at the interpreter's end there are no threads
            self.around.report(defect)

    async def _told(self, run: Run, status: tr.Status, error: WardwrightError | None, result: bytes = b"") -> Ended:
        """Close the call. Where a person is to decide, others are to be judged by what it earned, or the mode acts on
        record alone, the answer waits until all is durable: what somebody was told, every process can know."""
        await self._captured(run, result)
        if not (status == "awaiting_approval" or run.remembered or run.demands.refuses_without_journal):
            return self._closed(run, status, error, result)
        written: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

        def durable(failure: Exception | None) -> None:
            if not written.done():
                written.set_result(failure)

        ended = self._closed(run, status, error, result, durable)
        _, late = await asyncio.wait((written,), timeout=DURABLE_S)
        if run.demands.refuses_without_journal and (late or written.result() is not None):
            unwritten = failure("journal_unavailable", "the receipt could not be written: what was done is not told")
            return Ended(receipt=ended.receipt, error=error or unwritten)
        return ended

    def _closed(
        self,
        run: Run,
        status: tr.Status,
        error: WardwrightError | None,
        result: bytes = b"",
        on_durable: Durable | None = None,
    ) -> Ended:
        """Write the receipt, and learn from it."""
        run.closed_already = True
        self._order = max(self.around.clock.now_us(), self._order + 1)
        receipt = run.closed(status, error, result, self._order)
        refs = () if run.intent is None else (("intent", run.intent),)
        at = receipt.started_at + receipt.timings.total_us
        run_id = said(receipt.caller.run)
        entry = Entry(tr.CLOSED, receipt, at=at, actor="harness", run=run_id, refs=refs, on_durable=on_durable)  # type: ignore[arg-type]  # a relation and an entry
        self.around.writer.put(entry)
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
        key = (run.tenant, run.served.name, run.target)
        found: Breaker | None = self.breakers.get(key)
        if found is None:
            found = self.breakers[key] = Breaker(run.served.contract.breaker)
        return found

    def _now(self) -> float:
        return self.around.clock.monotonic_ns() / 1e9

    # -- taking it back ------------------------------------------------------------------------------------------------

    async def _undone(self, run: Run, receipt: tr.ToolReceipt, *, forced: bool) -> Ended:
        try:
            run.undoing(receipt, forced=forced)
            if run.looks_back:
                await self.around.hear()
            decision = run.decide_before()
            if decision.effect == "block":
                raise blocked(decision)
            await self._obliged(run, decision)
            await self._permitted(run, decision)
            run.reach()
            self._require_journal(run)
            paths = [one.path for one in receipt.snapshots]
            async with self._alone(run, paths):
                await self._taken(run, paths)
                if not forced:
                    _require_untouched(receipt.snapshots, run.snapshots)
                await self._opened(run)
                await self._restored(run, receipt, forced=forced)
        except WardwrightError as error:
            if run.ran:
                return await self._failed(run, error)
            return await self._told(run, run.refused(error), error)
        return await self._finished(run, run.encoded({"restored": paths}))

    async def _restored(self, run: Run, receipt: tr.ToolReceipt, *, forced: bool) -> None:
        assert run.hands is not None
        keep = self.around.keep(run.tenant)
        run.ran = True
        try:
            for one in receipt.snapshots:
                await run.hands.restore(one, keep, forced=forced)
        finally:
            await self._sealed(run)


def _require_untouched(then: Sequence[Snapshot], now: Sequence[Snapshot]) -> None:
    """All of it or nothing is put back. Raises `tool_failed`."""
    for left, found in zip(then, now, strict=True):
        if left.after is None:
            message = f"nobody can tell whether `{left.path}` was written since: the call that wrote it did not end"
            raise failure("tool_failed", message, "look at it, then force the undo")
        if left.after != found.before:
            message = f"`{left.path}` was written since the call that is to be undone"
            raise failure("tool_failed", message, "look at it, then force the undo")


def _resting(run: Run) -> WardwrightError:
    return failure("tool_unavailable", f"`{run.call.tool}` rests after failures", "try again later")


def _winner(receipt: tr.ToolReceipt) -> tuple[str, str] | None:
    """The rule that wanted an approval before the call, if one did."""
    for ruling in receipt.policy:
        if ruling.phase == "tool.before" and ruling.decision.effect == "require_approval":
            winner = ruling.decision.winner
            return None if winner is None else (winner.policy, winner.rule)
    return None


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
