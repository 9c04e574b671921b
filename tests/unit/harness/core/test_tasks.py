"""To which house a task goes, how far it is, and what the end of a call means for it."""

from __future__ import annotations

import pytest

from wardwright.calls.receipt import Caller
from wardwright.contracts.house import HouseContract, HouseTasks
from wardwright.contracts.tool import Effect
from wardwright.harness.core import tasks
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.receipt import Opened, Status, ToolReceipt, ToolRef, Try
from wardwright.harness.core.tasks import Again, Begin, Finished, Over, Stranded, Task, TaskCall, Waits, Went

TASK = Task(
    id="tsk_1",
    house="ezra",
    calls=(TaskCall(tool="file.read"), TaskCall(tool="http.send")),
    added_at=1_000_000,
    attempts_max=2,
)


def house(name: str, **taken: object) -> HouseContract:
    return HouseContract(name=name, tasks=HouseTasks(**taken))  # type: ignore[arg-type]  # what a test says


HOUSES = {
    one.name: one
    for one in (
        house("masons", labels=("build", "stone"), tools=("file.write",)),
        house("archive", labels=("read",), tools=("file.read",)),
        house("annex", labels=("read",)),
        house("yard", default=True),
    )
}


def routed(*labels: str, tools: tuple[str, ...] = ("none.such",), named: str | None = None) -> tuple[str, str]:
    found = tasks.route(named, labels, tools, HOUSES)
    return found.house, found.by


def test_a_house_that_is_named_has_the_task() -> None:
    assert routed("build", named="anybody") == ("anybody", "name")
    assert routed("build", "house/annex") == ("annex", "name")


def test_a_label_of_an_unknown_house_names_none() -> None:
    assert routed("build", "house/nobody") == ("masons", "labels")


def test_more_labels_win_over_tools() -> None:
    assert routed("build", "stone", tools=("file.read",)) == ("masons", "labels")


def test_among_equal_labels_tools_decide_and_then_the_name() -> None:
    assert routed("read", tools=("file.read",)) == ("archive", "labels")
    found = tasks.route(None, ["read"], ["none.such"], HOUSES)
    assert (found.house, found.also) == ("annex", ("archive",))


def test_tools_decide_where_no_label_does() -> None:
    assert routed(tools=("file.write",)) == ("masons", "tools")


def test_what_nobody_takes_goes_to_the_default_house() -> None:
    assert routed() == ("yard", "default")
    assert tasks.route(None, (), ("x",), {}).house == tasks.DEFAULT_HOUSE


def test_the_order_in_which_houses_are_read_decides_nothing() -> None:
    backwards = dict(reversed(HOUSES.items()))
    for labels in ((), ("read",), ("build", "read"), ("stone",)):
        assert tasks.route(None, labels, ("file.read",), HOUSES) == tasks.route(None, labels, ("file.read",), backwards)


def test_a_degree_of_priority_is_a_minute_in_line() -> None:
    urgent = Task(id="tsk_2", house="ezra", calls=TASK.calls, added_at=100_000_000, priority=1)
    assert urgent.line_at == 40_000_000
    assert Task(id="tsk_3", house="ezra", calls=TASK.calls, added_at=1, due_at=9, priority=5).line_at == 9


def receipt(
    id_: str, status: Status = "completed", *, effect: Effect = "read", error: str | None = None, **more: object
) -> ToolReceipt:
    return ToolReceipt(
        attempts=(Try(),),
        caller=Caller(),
        effect=effect,
        error=error,
        receipt=id_,
        started_at=int(id_[-1]),
        status=status,
        tool=ToolRef(digest="", name="http.send"),
        **more,  # type: ignore[arg-type]  # what a test says
    )


def opened(id_: str) -> Opened:
    return Opened(
        caller=Caller(),
        effect="write-remote",
        receipt=id_,
        scope=Scope(),
        started_at=int(id_[-1]),
        tool=ToolRef(digest="", name="http.send"),
    )


def test_as_many_calls_as_were_completed_are_behind_a_task() -> None:
    assert tasks.standing(TASK, (), ()) == Begin(step=0)
    failed = receipt("rct_1", "failed")
    assert tasks.standing(TASK, (failed, receipt("rct_2")), ()) == Begin(step=1, receipts=("rct_2",))
    both = (receipt("rct_3", effect="write-remote"), receipt("rct_2"))
    assert tasks.standing(TASK, both, (opened("rct_3"),)) == Finished(receipts=("rct_2", "rct_3"))


def test_a_receipt_that_is_told_twice_counts_once() -> None:
    assert tasks.standing(TASK, (receipt("rct_1"), receipt("rct_1")), ()) == Begin(step=1, receipts=("rct_1",))


def test_steps_of_a_tool_are_no_calls_of_the_task_and_stand_ins_are() -> None:
    within = receipt("rct_1", parent="rct_0")
    assert tasks.standing(TASK, (within,), ()) == Begin(step=0)
    instead = receipt("rct_2", parent="rct_0", degraded_from="http.send")
    assert tasks.standing(TASK, (within, instead), ()) == Begin(step=1, receipts=("rct_2",))


@pytest.mark.parametrize("ended", [(), (receipt("rct_4", "cancelled", effect="write-remote"),)])
def test_a_call_that_began_and_has_no_known_end_strands_the_task(ended: tuple[ToolReceipt, ...]) -> None:
    found = tasks.standing(TASK, (receipt("rct_1"), *ended), (opened("rct_4"),))
    assert found == Stranded(receipt="rct_4", tool="http.send", receipts=("rct_1",))


def test_a_call_that_waited_for_a_person_is_made_with_its_approval() -> None:
    waited = receipt("rct_1", "awaiting_approval", approval="apr_1")
    assert tasks.standing(TASK, (waited,), ()) == Begin(step=0, approval="apr_1")


def means(one: ToolReceipt, attempts: int = 1, task: Task = TASK) -> type:
    return type(tasks.meaning(task, one, "it said so", attempts))


def test_what_the_end_of_a_call_means() -> None:
    assert means(receipt("rct_1")) is Went
    assert means(receipt("rct_1", "awaiting_approval", approval="apr_1")) is Waits
    assert means(receipt("rct_1", "denied")) is Over
    assert means(receipt("rct_1", "refused", error="tool_arguments")) is Over
    assert means(receipt("rct_1", "refused", error="tool_unavailable")) is Again
    assert means(receipt("rct_1", "failed")) is Again
    assert means(receipt("rct_1", "failed"), attempts=2) is Over


def test_a_call_with_an_effect_that_failed_is_made_again_only_where_the_task_says_so() -> None:
    failed = receipt("rct_1", "failed", effect="write-remote")
    assert means(failed) is Over
    stubborn = Task(id="tsk_2", house="ezra", calls=TASK.calls, added_at=1, repeats=True)
    assert means(failed, task=stubborn) is Again
