"""A stage for calls under rules: policies as documents, upstreams as scripts, and one call played through the machine.

Rule 1: the machine is driven as the gateway drives it: effects in their order, one exchange at a time, another plan
where it asks for one. No socket, no clock: `Played` holds all that happened.
Rule 2: what a script says comes in pieces that are cut anywhere, characters and all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from parts import call_stage
from parts.call_stage import JSON, MS, SSE
from wardwright.calls import receipt as rc
from wardwright.calls.attempt import Terms
from wardwright.calls.effects import Answer, Break, Cancel, Close, Effect, Refuse, Release, Replan
from wardwright.calls.effects import Start as Begun
from wardwright.calls.governance import Governance, govern
from wardwright.calls.machine import Accepted, Machine
from wardwright.calls.policy_facts import Asked
from wardwright.calls.rulings import Again, Rulings
from wardwright.contracts.decode import Located, decode
from wardwright.contracts.digest import canonical, closure, digest
from wardwright.contracts.model import ModelContract
from wardwright.contracts.policy import PolicyContract
from wardwright.dialects.answer import DONE, Identity
from wardwright.dialects.exchange import Failure
from wardwright.dialects.openai_request import decode_chat, survey
from wardwright.kernel import canonical as canonical_json
from wardwright.kernel.errors import WardwrightError
from wardwright.routing.draw import Keyed
from wardwright.routing.graph import resolve
from wardwright.routing.plan import Plan, RouteFacts
from wardwright.routing.planner import plan

Document: TypeAlias = dict[str, Any]
End: TypeAlias = Literal[
    "done", "no_terminator", "cut", "reset", "stalls", "error_event", "unavailable", "never_answers"
]
"""How a script ends: well, well without `[DONE]`, before its end, and so on."""
Channel: TypeAlias = Literal["text", "reasoning", "tool"]
Meddling: TypeAlias = Literal["wake", "left", "deadline", "abandon"]

ASKED_MARK: Final = "xvkqy"
"""Stands in every request: no receipt may hold it."""
ANSWER_MARK: Final = "kqzjw"
"""The same for answers."""
BODY: Final = msgspec.json.encode(
    {"model": "coding", "messages": [{"role": "user", "content": f"Do it, {ASKED_MARK}."}], "metadata": {"k": "v"}}
)
NOW_US: Final = 1_700_000_000_000_000
STEPS_MAX: Final = 4000


class Part(NamedTuple):
    """A stretch of one channel of one choice."""

    channel: Channel
    choice: int
    text: str


class Script(NamedTuple):
    """One answer of an upstream."""

    parts: tuple[Part, ...]
    places: tuple[int, ...]
    """Where its bytes are cut."""
    end: End = "done"

    def said(self, channel: Channel, choice: int) -> str:
        return "".join(part.text for part in self.parts if (part.channel, part.choice) == (channel, choice))

    @property
    def speaking(self) -> tuple[tuple[Channel, int], ...]:
        """The channels that say something, in the order in which they begin."""
        return tuple(dict.fromkeys((part.channel, part.choice) for part in self.parts if part.text))

    @property
    def whole(self) -> bool:
        """It says all that it has to say."""
        return self.end in ("done", "no_terminator")


class World(NamedTuple):
    """One policy over one model of two targets."""

    governance: Governance
    store: Mapping[str, bytes]
    """Contracts and closure by digest, as a replay wants them."""
    contract: rc.Contract
    model: ModelContract


class Heard(NamedTuple):
    """What a client makes of what it was sent."""

    said: dict[tuple[str, int], str]
    finish: dict[int, str]
    terminated: bool


class Played(NamedTuple):
    """One call from its acceptance to its end."""

    effects: tuple[Effect, ...]
    receipt: rc.Receipt
    stream: bool
    scripts: tuple[Script, ...]
    """What was played, one an attempt that was sent."""

    @property
    def released(self) -> bytes:
        return b"".join(effect.data for effect in self.effects if isinstance(effect, Release))

    @property
    def error(self) -> WardwrightError | None:
        return next((effect.error for effect in self.effects if isinstance(effect, Refuse | Break)), None)

    @property
    def heard(self) -> Heard:
        answers = [effect.body for effect in self.effects if isinstance(effect, Answer)]
        return heard_whole(answers[0]) if answers else heard_stream(self.released)


def world(rules: Sequence[Document]) -> World:
    """Raises ContractErrors for rules that are refused."""
    policy, model = _decoded({"kind": "policy", "name": "p", "rules": list(rules)}), _decoded(_MODEL)
    assert isinstance(policy.value, PolicyContract)
    assert isinstance(model.value, ModelContract)
    governance = govern([Located(policy.value, policy.file, policy.places)])
    assert governance is not None
    serving, asked = model.value, policy.value
    closed = closure("coding", {"coding": serving}, {}, "test", {"p": asked})
    key = canonical_json.digest(closed)
    return World(
        governance=governance,
        store={
            key: canonical_json.encode(closed),
            digest(serving): canonical(serving),
            digest(asked): canonical(asked),
        },
        contract=rc.Contract(closure=key, digest=digest(serving), name="coding", policies=("p",)),
        model=serving,
    )


_MODEL: Final[Document] = {
    "kind": "model",
    "name": "coding",
    "targets": [{"name": f"t{n}", "provider": f"p{n}", "model": f"m{n}", "context_window": 8192} for n in range(2)],
    "route": {"cascade": ["t0", "t1"]},
    "policies": ["p"],
}


def _decoded(document: Document) -> Any:
    (found,) = decode(msgspec.json.encode(document), f"{document['name']}.json")
    return found


def play(
    here: World,
    scripts: Sequence[Script],
    *,
    stream: bool,
    steps_ms: Sequence[int] = (1,),
    meddling: Mapping[int, Meddling] | None = None,
    drain: bool = False,
    continues: bool = False,
) -> Played:
    """Play a call to its end. `meddling` says what else happens, by the number of the step it comes before;
    `continues`: the providers go on from the beginning of an answer."""
    stage = _Stage(here, scripts, stream=stream, drain=drain, continues=continues)
    for number in range(STEPS_MAX):
        if stage.machine.closed:
            break
        stage.now_ns += steps_ms[number % len(steps_ms)] * MS
        stage.meddle((meddling or {}).get(number))
        stage.step()
    assert stage.machine.closed, "the call does not end"
    stage.after_the_end()
    (receipt,) = (effect.receipt for effect in stage.effects if isinstance(effect, Close))
    return Played(tuple(stage.effects), receipt, stream, tuple(stage.played))


class _Stage:
    def __init__(self, here: World, scripts: Sequence[Script], *, stream: bool, drain: bool, continues: bool) -> None:
        self.effects: list[Effect] = []
        self.now_ns = 0
        self.played: list[Script] = []
        self._drain = drain
        self._continues = continues
        self._exchange: Iterator[tuple[str, bytes]] | None = None
        self._route = resolve("coding", {"coding": here.model})
        self._scripts = scripts
        self._seen = 0
        self.machine = Machine(
            Accepted(
                caller=rc.Caller(),
                identity=Identity("chatcmpl-rcp_1", "coding", 1_700_000_000),
                include_usage=False,
                now_ns=0,
                receipt="rcp_1",
                request=rc.Request(model="coding", stream=stream),
                retry_of=None,
                simulation=False,
                started_at=NOW_US,
            )
        )
        members, head = decode_chat(BODY)
        asked = Asked(
            bytes=len(BODY),
            caller=rc.Caller(),
            conversation_source="derived",
            found=survey(head),
            head=head,
            hops=0,
            input_tokens=12,
            messages=members["messages"],
            model="coding",
            retries=0,
            secret=Keyed(b"a key of the stage".ljust(32)),
        )
        rulings = Rulings(here.governance, asked)
        facts = RouteFacts(input_tokens=12, output_tokens=64)
        rulings.request(NOW_US)
        planned = plan(self._route, facts)
        rulings.route(planned, facts, NOW_US)
        self.carry(
            self.machine.decided(
                here.contract, "cascade", facts, planned, self._terms(planned), self.now_ns, rulings=rulings
            )
        )

    def _terms(self, planned: Plan) -> tuple[Terms, ...]:
        every = call_stage.terms(2, drain=self._drain, continues=self._continues)
        return tuple(every[int(attempt.target[1:])] for attempt in planned.attempts)

    def carry(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case Begun():
                    assert self._exchange is None, "an exchange was left running beside another"
                    script = self._scripts[min(len(self.played), len(self._scripts) - 1)]
                    self.played.append(script)
                    self._exchange = _exchange(script)
                case Cancel():
                    self._exchange = None
                case Replan():
                    self._replan(effect.again)

    def _replan(self, again: Again) -> None:
        """As `gateway.governing.reminded` does it: what is said more is estimated, and the routes restricted."""
        facts = self.machine.facts
        more = sum(map(len, (again.kept, *again.reminders))) // 4
        facts = msgspec.structs.replace(
            facts, constraints=(*facts.constraints, *again.constraints), input_tokens=facts.input_tokens + more
        )
        planned = plan(self._route, facts)
        self.carry(self.machine.replanned(again, facts, planned, self._terms(planned), self.now_ns))

    def meddle(self, what: Meddling | None) -> None:
        machine, now_ns = self.machine, self.now_ns
        match what:
            case "wake":
                self.carry(machine.wake(now_ns))
            case "left":
                self.carry(machine.client_left(now_ns))
            case "deadline":
                self.carry(machine.tick(now_ns))
            case "abandon":
                self.carry(machine.abandon(WardwrightError("journal_unavailable", "full"), now_ns))

    def step(self) -> None:
        """The next thing that the upstream does; where it does nothing more, time passes."""
        machine = self.machine
        if machine.closed:
            return
        due_ns = machine.due_ns
        if due_ns is not None and due_ns <= self.now_ns:
            self.carry(machine.wake(self.now_ns))
            assert machine.due_ns != due_ns, "what is due stays due"
            return
        exchange = self._exchange
        assert exchange is not None, "the call waits for nothing"
        what, data = next(exchange, ("stalls", b""))
        match what:
            case "head":
                self.carry(machine.head(int(data), SSE if data == b"200" else JSON, self.now_ns))
            case "data":
                self.carry(machine.event(data, self.now_ns))
            case "end":
                self._exchange = None
                self.carry(machine.end(self.now_ns))
            case "reset":
                self._exchange = None
                self.carry(machine.failed(Failure(kind="reset", message="gone"), self.now_ns))
            case _ if due_ns is not None:
                self.now_ns = due_ns
            case _:
                self.carry(machine.tick(self.now_ns))

    def after_the_end(self) -> None:
        """Whatever comes later changes nothing."""
        machine, now_ns = self.machine, self.now_ns + MS
        late = Failure(kind="reset", message="gone")
        assert machine.due_ns is None
        assert not machine.head(200, SSE, now_ns)
        assert not machine.event(DONE, now_ns)
        assert not machine.end(now_ns)
        assert not machine.failed(late, now_ns)
        assert not machine.wake(now_ns)
        assert not machine.tick(now_ns)
        assert not machine.client_left(now_ns)


def _exchange(script: Script) -> Iterator[tuple[str, bytes]]:
    if script.end == "never_answers":
        return
    if script.end == "unavailable":
        yield "head", b"503"
        yield "data", b'{"error":{"message":"busy"}}'
        yield "end", b""
        return
    sent = sse(script)
    yield "head", b"200"
    edges = sorted({0, len(sent), *(place % (len(sent) + 1) for place in script.places)})
    for start, end in pairwise(edges):
        yield "data", sent[start:end]
    if script.end == "reset":
        yield "reset", b""
    elif script.end != "stalls":
        yield "end", b""


def sse(script: Script) -> bytes:
    """The bytes that an upstream sends."""
    out = [call_stage.chunk({"role": "assistant", "content": ""})]
    called: set[int] = set()
    out += [_chunk(part, called) for part in script.parts]
    if script.end == "error_event":
        out.append(b'data: {"error":{"message":"no"}}\n\n')
    if script.whole:
        choices = sorted({0, *(part.choice for part in script.parts)})
        out += [_entry(choice, {}, "tool_calls" if choice in called else "stop") for choice in choices]
        if script.end == "done":
            out.append(DONE)
    return b"".join(out)


def _chunk(part: Part, called: set[int]) -> bytes:
    match part.channel:
        case "text":
            return _entry(part.choice, {"content": part.text})
        case "reasoning":
            return _entry(part.choice, {"reasoning_content": part.text})
        case "tool":
            call: Document = {"index": 0, "function": {"arguments": part.text}}
            if part.choice not in called:
                called.add(part.choice)
                call |= {"id": f"call_{part.choice}", "type": "function"}
                call["function"]["name"] = "edit"
            return _entry(part.choice, {"tool_calls": [call]})


def _entry(choice: int, delta: Document, finish: str | None = None) -> bytes:
    entry = {"index": choice, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % msgspec.json.encode({"id": "up-1", "created": 1, "model": "m0", "choices": [entry]})


# What the client hears


def heard_stream(data: bytes) -> Heard:
    said: dict[tuple[str, int], str] = {}
    finish: dict[int, str] = {}
    terminated = False
    for event in data.decode().split("\n\n"):
        if not event:
            continue
        assert not terminated, "something follows the end"
        payload = event.removeprefix("data: ")
        if payload == "[DONE]":
            terminated = True
            continue
        for choice in msgspec.json.decode(payload)["choices"]:
            index = choice["index"]
            assert index not in finish, "something follows the end of a choice"
            for channel, text in _of(choice["delta"]):
                said[channel, index] = said.get((channel, index), "") + text
            if choice["finish_reason"] is not None:
                finish[index] = choice["finish_reason"]
    return Heard({key: text for key, text in said.items() if text}, finish, terminated)


def heard_whole(body: bytes) -> Heard:
    choices = msgspec.json.decode(body)["choices"]
    said = {(channel, choice["index"]): text for choice in choices for channel, text in _of(choice["message"]) if text}
    return Heard(said, {choice["index"]: choice["finish_reason"] for choice in choices}, True)


def _of(message: Document) -> Iterator[tuple[str, str]]:
    if message.get("content"):
        yield "text", message["content"]
    if message.get("reasoning_content"):
        yield "reasoning", message["reasoning_content"]
    for call in message.get("tool_calls") or ():
        yield "tool", call["function"]["arguments"]
