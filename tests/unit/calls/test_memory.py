"""One call's dealings with the past, by the rules of shipped and written policies."""

from __future__ import annotations

from pathlib import Path

from parts.policies import document
from wardwright.calls.memory import Memory, call_events
from wardwright.calls.phases import PHASES
from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.policy import PolicyContract
from wardwright.limits.history import History
from wardwright.policy.compiler import Policy
from wardwright.policy.decision import Decision
from wardwright.policy.evaluate import decide
from wardwright.policy.loading import load
from wardwright.policy.phases import Fact, Facts

NOW_US = 1_800_000_000_000_000
ESCALATION = Path(__file__).parents[3] / "examples" / "policies" / "escalation.yaml"
SECRET = "use AKIA" + "IOSFODNN7EXAMPLE"


class World:
    """A gateway's history and one policy."""

    def __init__(self, contract: Located[PolicyContract]) -> None:
        self.policy: Policy = load([contract], PHASES)
        self.history = History()
        self.history.declare({contract.value.name: [(contract.value.state, contract.value.machines)]})
        self.calls = 0

    def call(self, turn: int = 0, session: str = "s", source: str = "declared", user: str | None = None) -> Memory:
        self.calls += 1
        who = None if user is None else Sourced("header", user)
        call = call_events(
            f"rcp_{self.calls:04d}",
            Caller(user=who),
            self.policy,
            model="m",
            conversation=session,
            source=source,
            step=turn,
            turn=turn,
        )
        return Memory(self.history, self.policy, call, seal=lambda text: f"sealed {len(text)}")

    def asked(self, memory: Memory, **known: Fact) -> tuple[Decision, Facts]:
        given = {name.replace("__", "."): value for name, value in known.items()}
        facts = Facts({name: given.get(name) for name in self.policy.reads["request"] if not name.startswith(PAST)})
        return memory.decide("request", facts, NOW_US + self.calls)


PAST = ("state.", "machine.")


def shipped() -> Located[PolicyContract]:
    (found,) = decode(ESCALATION.read_bytes(), ESCALATION.name)
    assert isinstance(found.value, PolicyContract)
    return Located(found.value, found.file, found.places)


def written(text: str) -> World:
    return World(document(text))


def labels(decision: Decision) -> list[str]:
    return [one.label for one in decision.annotations]


def test_the_third_credential_moves_the_session_to_review() -> None:
    world = World(shipped())
    routes: list[tuple[tuple[str, ...], ...]] = []
    for turn in range(4):
        memory = world.call(turn)
        world.asked(memory, text__last_user=SECRET if turn < 3 else "hello", conversation__turn=turn)
        routes.append(memory.constraints())
        memory.settle(NOW_US)

    assert routes == [(), (), (("reviewed",),), (("reviewed",),)]
    assert world.call(4, session="other").constraints() == ()


def test_steps_of_one_turn_are_one_credential() -> None:
    world = World(shipped())
    for _ in range(5):
        memory = world.call(0)
        world.asked(memory, text__last_user=SECRET, conversation__turn=0)
        memory.settle(NOW_US)

    assert memory.constraints() == ()


def test_a_session_that_has_learned_is_let_go_and_one_that_relapses_is_held() -> None:
    world = World(shipped())
    states: list[Fact] = []
    turn = 0
    for phase in range(6):
        for _ in range(3 if phase % 2 == 0 else 11):
            memory = world.call(turn)
            said = SECRET if phase % 2 == 0 else "hello"
            _, facts = world.asked(memory, text__last_user=said, conversation__turn=turn)
            memory.settle(NOW_US)
            turn += 1
        states.append(facts.known["machine.trust"])

    assert states == ["review", "normal", "review", "normal", "held", "held"]


def test_defect_16_a_threshold_can_refuse_the_call_that_crosses_it() -> None:
    world = written(
        """
        state: {asks: {count: ask, scope: session, within: {age_s: 60}}}
        rules:
        - {id: ask, phase: request, then: [annotate: ask], why: because}
        - {id: enough, phase: request, when: {gte: [state.asks, 3]}, then: [block: enough], why: because}
        """
    )
    memories = [world.call() for _ in range(4)]
    effects = [world.asked(memory)[0].effect for memory in memories]

    assert effects == ["annotate", "annotate", "block", "block"]


def test_defect_17_a_missing_scope_value_is_left_to_the_rule() -> None:
    world = written(
        """
        state: {asks: {count: ask, scope: user, within: {age_s: 60}}}
        rules:
        - {id: ask, phase: request, then: [annotate: ask], why: because}
        - {id: enough, phase: request, when: {gte: [state.asks, 3]}, then: [block: enough], why: because}
        """
    )
    for _ in range(5):
        world.asked(world.call(user="ann"))
    decision, _ = world.asked(world.call())

    assert [one.unknown for one in decision.reasons if one.unknown] == [("state.asks has no user",)]
    assert decision.winner is not None
    assert decision.winner.because == "indeterminate"
    assert world.asked(world.call(user="bob"))[0].effect == "annotate"


def test_a_conversation_that_is_only_the_key_is_no_session() -> None:
    world = World(shipped())
    memory = world.call(source="none")
    _, facts = world.asked(memory, text__last_user=SECRET, conversation__turn=0)

    assert facts.unavailable["state.credentials"] == "has no session"
    assert memory.constraints() == (("reviewed",), ("reviewed",))


def test_the_facts_decide_the_same_again() -> None:
    world = World(shipped())
    for turn in range(4):
        memory = world.call(turn)
        decision, facts = world.asked(memory, text__last_user=SECRET, conversation__turn=turn)
        memory.settle(NOW_US)

        assert decide(world.policy, "request", facts) == decision


def test_texts_are_kept_sealed_and_numbers_as_they_are() -> None:
    world = written(
        """
        state:
          asks:
            distinct: ask
            of: text.user
            same: [request.messages, tools.names]
            scope: session
            within: {events: 9}
        rules: [{id: ask, phase: request, then: [annotate: ask], why: because}]
        """
    )
    memory = world.call()
    world.asked(memory, text__user="my words", request__messages=3, tools__names=("a",))
    events = memory.settle(NOW_US)

    assert events is not None
    assert [event.fields for event in events.events] == [
        (("request.messages", 3), ("text.user", "sealed 8"), ("tools.names", "sealed 5"))
    ]


def test_a_label_counts_once_for_each_attempt_and_what_nothing_counts_is_passed_over() -> None:
    world = World(shipped())
    memory = world.call()
    for attempt in (0, 0, 1, 1):
        memory.note(["credential-sent", "unheard-of"], Facts({"conversation.turn": 0}), NOW_US, attempt)

    assert [(event.label, event.attempt) for event in memory.call.events] == [
        ("credential-sent", 0),
        ("credential-sent", 1),
    ]


def test_a_call_that_is_released_leaves_no_trace() -> None:
    world = World(shipped())
    for turn in range(3):
        memory = world.call(turn)
        world.asked(memory, text__last_user=SECRET, conversation__turn=turn)
        memory.release()

    assert world.call(3).constraints() == ()


def test_a_call_that_earned_nothing_has_nothing_for_its_receipt() -> None:
    world = World(shipped())
    memory = world.call()
    decision, _ = world.asked(memory, text__last_user="hello", conversation__turn=0)

    assert labels(decision) == []
    assert memory.settle(NOW_US) is None
