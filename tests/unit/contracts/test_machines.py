"""Machines of a policy: how they are written, and every reason why one is refused, with its place."""

from __future__ import annotations

import textwrap

import msgspec
import pytest

from wardwright.contracts.decode import decode
from wardwright.contracts.policy import Machine, PolicyContract
from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError

RULES = "rules: [{id: r, phase: request, then: [annotate: x, annotate: y, annotate: z], why: because}]\n"


def read(machine: str, rules: str = RULES) -> PolicyContract:
    text = f"kind: policy\nname: p\n{rules}machines:\n  m:\n{textwrap.indent(textwrap.dedent(machine), '    ')}"
    (found,) = decode(text.encode(), "p.yaml")
    assert isinstance(found.value, PolicyContract)
    return found.value


def refused(machine: str, rules: str = RULES) -> tuple[WardwrightError, ...]:
    with pytest.raises(ContractErrors) as caught:
        read(machine, rules)
    return caught.value.errors


def machine(transitions: str, states: str = "{a: , b: {}, c: {terminal: true}}", more: str = "") -> str:
    return f"scope: session\ninitial: a\nstates: {states}\ntransitions: [{transitions}]\n{more}"


ON = "{from: a, on: x, to: b}, {from: b, on: y, to: c}"


def test_a_machine_is_read_by_name_with_its_states_sorted() -> None:
    (found,) = read(machine(ON, "{c: {terminal: true, restrict_routes: [local]}, b: , a: {}}")).machines

    assert (found.name, found.initial, [state.name for state in found.states]) == ("m", "a", ["a", "b", "c"])
    assert found.states[2].restrict_routes == ("local",)
    assert (found.transitions[0].origin, found.transitions[0].on, found.transitions[0].to) == ("a", "x", "b")


def test_the_canonical_form_is_the_same_machine() -> None:
    written = read(machine(ON + ", {from: b, on: z, to: a, max: 2}", more="on_exhausted: c"))
    (found,) = decode(canonical.encode(written), "p.json")

    assert found.value == written


@pytest.mark.parametrize(
    ("text", "message", "hint", "path"),
    [
        (
            machine(ON, "{a: , b: , c: {terminal: true}, d: {terminal: true}}"),
            "nothing leads to the state `d`",
            "add a transition to it, or remove it",
            "machines.m.states.d",
        ),
        (
            machine(ON, "{a: , b: , c: }"),
            "the machine `m` has no terminal state",
            "say `terminal: true` of the state in which it rests",
            "machines.m.states",
        ),
        (
            machine("{from: a, on: x, to: b}, {from: a, on: y, to: c}"),
            "no terminal state can be reached from `b`",
            "add a way out of it",
            "machines.m.states.b",
        ),
        (
            machine(ON + ", {from: b, on: z, to: a}"),
            "the machine can go round for ever: `a` → `b` → `a`",
            "give one of these transitions a `max`",
            "machines.m.transitions",
        ),
        (
            machine(ON + ", {from: b, on: z, to: a, max: 1}", more="on_exhausted: a"),
            "the machine can go round for ever: `a` → `b` → `a`",
            "give one of these transitions a `max`",
            "machines.m.transitions",
        ),
        (
            machine(ON + ", {from: b, on: z, to: b}"),
            "the machine can go round for ever: `b` → `b`",
            "give one of these transitions a `max`",
            "machines.m.transitions",
        ),
        (
            machine(ON + ", {from: bb, on: z, to: a}"),
            "this machine has no state `bb`",
            "did you mean `b`?",
            "machines.m.transitions[2].from",
        ),
        (
            machine(ON.replace("on: y", "on: yy")),
            "no rule of this policy annotates `yy`",
            "did you mean `y`?",
            "machines.m.transitions[1].on",
        ),
        (
            machine(ON.replace("on: y", "on: escalate")),
            "no rule of this policy annotates `escalate`",
            "known here: x, y, z",
            "machines.m.transitions[1].on",
        ),
        (
            machine(ON + ", {from: a, on: x, to: c}"),
            "`x` leads out of `a` twice: transition 0 does too",
            "remove one of them",
            "machines.m.transitions[2]",
        ),
        (
            machine(ON + ", {from: c, on: x, to: a}"),
            "`c` is terminal: nothing leads out of it",
            "remove the transition, or `terminal`",
            "machines.m.transitions[2]",
        ),
        (
            machine("{from: a, on: x, to: b}, {from: b, on: y, to: c, max: 3}"),
            "the machine `m` has a budget and no `on_exhausted`",
            "add `on_exhausted: STATE`, where a transition leads whose `max` is spent",
            "machines.m",
        ),
        (
            machine(ON, more="on_exhausted: c"),
            "`on_exhausted` means nothing: no transition has a `max`",
            "remove it",
            "machines.m.on_exhausted",
        ),
        (
            machine(ON, "{a: {restrict_routes: ['a b/']}, b: , c: {terminal: true}}"),
            "`a b/` is not a pattern",
            "write `provider/model`, a target's name or a label; `*` stands for any characters",
            "machines.m.states.a.restrict_routes",
        ),
        (
            machine(ON).replace("scope: session", "scope: user\nsession: declared"),
            "`session: declared` means nothing to the scope `user`",
            "remove it, or use `scope: session`",
            "machines.m.session",
        ),
        (
            machine(ON).replace("initial: a", "initial: z"),
            "this machine has no state `z`",
            None,
            "machines.m.initial",
        ),
        (
            machine("{on: x, to: b}, " + ON),
            "a transition needs `from`, the state it leads from",
            None,
            "machines.m.transitions[0]",
        ),
        (
            machine("{from: a, origin: a, on: x, to: b}, " + ON),
            "`from` and `origin` say the same",
            "remove one of them",
            "machines.m.transitions[0]",
        ),
        (
            machine(ON, "{a: 3, b: , c: {terminal: true}}"),
            "a state of a machine is a mapping of its members; here stands `3`",
            None,
            "machines.m.states.a",
        ),
        (
            machine("5, " + ON),
            "a transition is a mapping; here stands `5`",
            "write `{from: one, on: label, to: other}`",
            "machines.m.transitions[0]",
        ),
    ],
)
def test_a_machine_that_goes_nowhere_is_refused(text: str, message: str, hint: str | None, path: str) -> None:
    (error,) = refused(text)

    assert error.message == message
    assert hint is None or error.hint == hint
    assert error.place is not None
    assert error.place.line is not None
    assert error.place.path == path


def test_a_budget_on_a_loop_is_all_it_needs() -> None:
    (found,) = read(machine(ON + ", {from: b, on: z, to: a, max: 2}", more="on_exhausted: c")).machines

    assert isinstance(found, Machine)
    assert [one.max for one in found.transitions] == [None, None, 2]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            "count: x, scope: user, within: {turns: 3}",
            "`turns` are those of one conversation, and `user` may have many",
        ),
        (
            "count: x, scope: run, within: {steps: 3}",
            "`steps` are those of one conversation, and `run` may have many",
        ),
        (
            "count: x, scope: user, session: declared, within: {events: 3}",
            "`session: declared` means nothing to the scope `user`",
        ),
        (
            "count: x, scope: user, within: {events: 30}, items_max: 20",
            "`within` reaches back 30 events, and `items_max` keeps 20",
        ),
        (
            "count: x, scope: user, within: {age_s: 2592001}",
            "`age_s` is a whole number from 1 to 2,592,000; here stands `2592001`",
        ),
    ],
)
def test_state_that_could_not_be_exact_is_refused(state: str, message: str) -> None:
    text = f"kind: policy\nname: p\n{RULES}state:\n  seen: {{{state}}}\n"
    with pytest.raises(ContractErrors) as caught:
        decode(text.encode(), "p.yaml")

    assert caught.value.errors[0].message == message


def test_a_policy_without_machines_has_the_digest_it_had() -> None:
    without = PolicyContract(name="p", rules=())

    assert "machines" not in msgspec.to_builtins(without)
