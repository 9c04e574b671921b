"""Calls under rules, whole: random policies, upstreams that say and do anything, clients that stream, wait or leave.

The oracle of texts is `parts.whole_text`, asked for every attempt; the receipts are held to their own replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from parts.governed_stage import ANSWER_MARK, ASKED_MARK, STEPS_MAX, Channel, Document, Meddling, Played, Script, play
from parts.governed_worlds import (
    SEAMED,
    Case,
    Does,
    Draft,
    drafts,
    drafts_that_go_on,
    drafts_with,
    drafts_with_a_seam,
    made,
    scripts,
)
from parts.whole_text import Meaning, Verdict, judge
from wardwright.calls import receipt as rc
from wardwright.calls.answer_rulings import retrying
from wardwright.calls.effects import Answer, Break, Close, Finish, Open, Refuse, Release, Replan
from wardwright.calls.effects import Start as Begun
from wardwright.calls.ruling import Ruling
from wardwright.calls.rulings import Again
from wardwright.contracts import policy as c
from wardwright.kernel.canonical import require
from wardwright.rehearsal.replay import replay
from wardwright.rehearsal.rulings import again
from wardwright.streams import rule as r
from wardwright.streams.ruleset import RETRIES_MAX

EXAMPLES = settings().max_examples
CALLS = 4
"""Of each policy, streamed and whole, each beginning with another answer."""

_AFTER_CLOSE = (Answer, Release, Finish, Refuse, Break)


# What holds of every call


def hold_to_its_bounds(case: Case, played: Played) -> None:
    """Whatever happened: one end, nothing after it, nothing made up, retries within their bounds."""
    effects, receipt = played.effects, played.receipt
    closes = [place for place, effect in enumerate(effects) if isinstance(effect, Close)]
    assert len(closes) == 1
    assert all(isinstance(effect, _AFTER_CLOSE) for effect in effects[closes[0] + 1 :])
    releases = [place for place, effect in enumerate(effects) if isinstance(effect, Release)]
    if releases:
        assert any(isinstance(effect, Open) for effect in effects[: releases[0]])
        assert not any(isinstance(effect, Begun | Replan) for effect in effects[releases[0] :])
    heard = played.heard
    completed = receipt.status == "completed"
    assert heard.terminated == completed
    if not completed:
        assert not any(isinstance(effect, Answer | Finish) for effect in effects)
    if receipt.status == "blocked":
        assert played.error is not None
        stopped = {one.choice for ruling in receipt.policy for one in ruling.caught if one.action in ("block", "ended")}
        ended_in = {one.choice for ruling in receipt.policy for one in ruling.caught if one.action == "ended"}
        assert not (ended_in & heard.finish.keys()), (stopped, heard)
    counted = sum(len(text) for (channel, _), text in heard.said.items() if channel == "text")
    assert receipt.client.text_chars == counted
    if played.stream:
        assert receipt.client.bytes == len(played.released)
    hold_to_budgets(case, played)
    hold_receipt(case, receipt)


def hold_to_budgets(case: Case, played: Played) -> None:
    """Each rule retries as often as it says, all as often as a call may; each replan follows a stopped attempt."""
    receipt = played.receipt
    spent = spent_before(receipt.policy, len(receipt.attempts))
    for name, times in spent.items():
        actions = case.world.governance.by_name[name].rule.then
        assert times <= max(one.max for one in actions if isinstance(one, c.Retry | c.RetryWithReminder | c.Reroute))
    replans = sum(isinstance(effect, Replan) for effect in played.effects)
    assert replans <= RETRIES_MAX
    assert replans <= sum(spent.values())
    stopped = [index for index, one in enumerate(receipt.attempts) if one.failure == rc.STOPPED]
    assert {one.after - 1 for one in receipt.replans} <= set(stopped)


def spent_before(rulings: Sequence[Ruling], attempt: int) -> Counter[str]:
    """Attempts that each rule gave up, before one of the call."""
    spent: Counter[str] = Counter()
    for ruling in rulings:
        if ruling.attempt is None or ruling.attempt >= attempt:
            continue
        if ruling.phase == "stream":
            spent.update({one.rule for one in ruling.caught if one.action == "retry" and not one.shadow and one.rule})
        elif ruling.phase == "output":
            spent.update(retrying(ruling.decision))
    return spent


def hold_receipt(case: Case, receipt: rc.Receipt) -> None:
    """It is canonical as it is encoded, holds no text of request or answer, and its decisions come out again."""
    encoded = msgspec.json.encode(receipt)
    value = msgspec.json.decode(encoded)
    require(value)
    assert rfc8785.dumps(value) == encoded
    assert ASKED_MARK.encode() not in encoded
    assert ANSWER_MARK.encode() not in encoded
    read = msgspec.json.decode(encoded, type=rc.Receipt)
    for ruling, decision in again(read.policy, case.world.governance):
        assert decision == ruling.decision


def hold_replay(case: Case, receipt: rc.Receipt) -> None:
    """The same from stored contracts alone, the plans too: policies are compiled anew, which takes its time."""
    found = replay(receipt, case.world.store.get)
    assert found.verdict == "reproduced", found


# What holds of calls that nobody disturbs


def actions_of(case: Case, receipt: rc.Receipt, attempt: int) -> dict[str, r.Action]:
    """What each stream rule does in one attempt, after those before it."""
    stream = case.world.governance.stream
    assert stream is not None
    spent = spent_before(receipt.policy, attempt)
    silent = frozenset(one.name for one in case.watching if one.first_only and attempt > 0)
    found = stream.actions(
        [r.Past(rule=name, retries=times) for name, times in spent.items()],
        retries_left=RETRIES_MAX - sum(spent.values()),
        silent=silent,
    )
    return {rule.id: action for rule, action in zip(stream.rules, found, strict=True) if action is not None}


def verdicts_of(case: Case, script: Script, actions: dict[str, r.Action]) -> dict[tuple[Channel, int], Verdict]:
    """What becomes of each channel of an answer, were it the only one."""
    found: dict[tuple[Channel, int], Verdict] = {}
    for channel, choice in script.speaking:
        meanings = case.meanings(channel, actions)
        said = script.said(channel, choice)
        found[channel, choice] = in_values(said, meanings) if channel == "tool" else judge(said, meanings)
    return found


def in_values(arguments: str, meanings: list[Meaning]) -> Verdict:
    """Tool arguments are judged value by value."""
    values = msgspec.json.decode(arguments)
    verdicts = {name: judge(value, meanings) for name, value in values.items()}
    stop = next((one.stop for one in verdicts.values() if one.stop), ())
    released = msgspec.json.encode({name: one.released for name, one in verdicts.items()}).decode()
    return Verdict(released, stop, False)


def hold_to_the_oracle(case: Case, played: Played, seen: Counter[str]) -> None:
    """Each attempt ends as the rules say of its whole text, and the client hears what they allow of the last."""
    receipt, heard = played.receipt, played.heard
    for index, (script, tried) in enumerate(zip(played.scripts, receipt.attempts, strict=True)):
        last = index == len(receipt.attempts) - 1
        if script.end in ("unavailable", "never_answers"):
            assert tried.failure in ("overloaded", "total_timeout")
            continue
        actions = actions_of(case, receipt, index)
        verdicts = verdicts_of(case, script, actions)
        note_coverage(case, actions, seen)
        if not script.whole:
            if last:
                for key, text in heard.said.items():
                    assert verdicts[key].released.startswith(text)  # type: ignore[index]
            continue
        stops = [one for one in verdicts.values() if one.stop]
        by_stream = any(
            one.action in ("block", "retry") and not one.shadow and one.lost_to is None
            for ruling in receipt.policy
            if ruling.phase == "stream" and ruling.attempt == index
            for one in ruling.caught
        )
        assert by_stream == bool(stops)
        assert (tried.failure is None) <= (not stops)
        if not last:
            continue
        if receipt.status == "completed":
            assert not stops
            wanted = {key: one.released for key, one in verdicts.items() if one.released}
            assert heard.said == wanted
        elif len(verdicts) == 1 and stops and played.stream and not case.world.governance.waits:
            (verdict,) = verdicts.values()
            rule = actions[verdict.stop[0]]
            if not isinstance(rule, r.Retry) or heard.said:
                assert heard.said.get(script.speaking[0], "") == verdict.released
        elif not played.stream or case.world.governance.waits:
            assert heard.said == {}
        else:
            for key, text in heard.said.items():
                assert verdicts[key].released.startswith(text)  # type: ignore[index]


def note_coverage(case: Case, actions: dict[str, r.Action], seen: Counter[str]) -> None:
    stream = case.world.governance.stream
    assert stream is not None
    for rule in stream.rules:
        if rule.id in actions and not rule.shadow:
            seen[f"{type(actions[rule.id]).__name__} {rule.commit}"] += 1


def hold_alike(streamed: Played, whole: Played, seen: Counter[str]) -> None:
    """A client that streams and one that waits are told the same, but where a part had left when a rule gave up."""
    one, other = streamed.receipt, whole.receipt
    if streamed.released and one.status == "blocked":
        causes = {caught.cause for ruling in one.policy for caught in ruling.caught if caught.action == "ended"}
        if "retry_after_release" in causes:
            seen["retry came too late"] += 1
            return
    if streamed.released and one.status == "failed":
        return  # a part had left when the upstream failed: no other target may follow
    assert one.status == other.status
    assert one.error == other.error
    assert [tried.failure for tried in one.attempts] == [tried.failure for tried in other.attempts]
    if one.status == "completed":
        assert streamed.heard == whole.heard


def outcome(played: Played, seen: Counter[str]) -> None:
    receipt = played.receipt
    seen[receipt.status] += 1
    seen[f"{receipt.status} {receipt.error}"] += 1
    if any(tried.failure == rc.STOPPED for tried in receipt.attempts) and receipt.status == "completed":
        seen["completed after a retry"] += 1
    if played.released and receipt.status == "blocked":
        seen["blocked after release"] += 1
    if receipt.replans and any(one.plan.refusal for one in receipt.replans):
        seen["a retry that nowhere may serve"] += 1
    if any(one.kept_chars for one in receipt.replans):
        seen["shown its own beginning"] += 1
    for ruling in receipt.policy:
        for caught in ruling.caught:
            seen[f"{caught.action} {caught.cause}".strip()] += 1
            seen["shadow"] += caught.shadow
            seen["composed"] += caught.composed
        seen[f"{ruling.phase} {ruling.decision.effect}"] += 1
        seen["unmet"] += bool(ruling.unmet)
        seen["an answer judged and asked for again"] += ruling.phase == "output" and bool(ruling.decision.retries)


SAYING_ALL = st.lists(scripts(ends=("done", "done", "no_terminator")), min_size=2, max_size=5)
MEDDLING: st.SearchStrategy[dict[int, Meddling]] = st.one_of(
    st.integers(1, 9).map(lambda step: {step: "left"}),
    st.dictionaries(
        st.integers(0, 12), st.sampled_from(("wake", "wake", "wake", "wake", "left", "deadline", "abandon")), max_size=5
    ),
)


HOLDS: dict[str, Document] = {
    "exact": {"mode": "exact"},
    "full": {"mode": "full"},
    **{unit: {"mode": "boundary", "boundary": unit} for unit in ("sentence", "line", "code_block", "json_value")},
}
"""Every commit mode that holds text, as policies say it."""
ACTIONS: dict[Does, str] = {
    "block": "Block", "retry": "Retry", "rewrite": "Rewrite", "drop": "Drop", "annotate": "Annotate",
}  # fmt: skip


def hold_calls(case: Case, said: list[Script], seen: Counter[str]) -> None:
    """Several calls under one policy, each streamed and whole."""
    for first in range(CALLS):
        turned = said[first % len(said) :] + said[: first % len(said)]
        streamed, whole = (play(case.world, turned, stream=stream) for stream in (True, False))
        for played in (streamed, whole):
            hold_to_its_bounds(case, played)
            outcome(played, seen)
            if case.plain:
                hold_to_the_oracle(case, played, seen)
        if case.plain and not any(script.end in ("stalls", "never_answers") for script in said):
            hold_alike(streamed, whole, seen)
    hold_replay(case, streamed.receipt)


@pytest.mark.parametrize("commit", HOLDS)
def test_calls_end_as_the_rules_say_of_whole_texts_whatever_a_rule_does_and_holds(commit: str) -> None:
    seen: Counter[str] = Counter()
    for does in ACTIONS:

        @settings(max_examples=EXAMPLES // 10)
        @given(drafts_with(does, HOLDS[commit]), SAYING_ALL)
        def property_holds(draft: Draft, said: list[Script]) -> None:
            case = made(draft)
            if case is not None:
                hold_calls(case, said, seen)

        property_holds()
    assert {one for one in ACTIONS.values() if seen[f"{one} {commit}"] < EXAMPLES // 10} == set()


Disturbance: TypeAlias = tuple[bool, bool, list[int], dict[int, Meddling]]
"""Whether the client streams, whether its upstreams are drained, how time passes, and what else happens when."""
DISTURBANCES: st.SearchStrategy[Disturbance] = st.tuples(
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from((0, 1, 15, 25, 3000)), min_size=1, max_size=8),
    MEDDLING,
)


def test_what_edits_compose_is_caught_in_calls_too() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(drafts_with_a_seam(), st.lists(scripts(ends=("done",), texts=SEAMED), min_size=2, max_size=4))
    def property_holds(draft: Draft, said: list[Script]) -> None:
        case = made(draft)
        if case is not None:
            hold_calls(case, said, seen)

    property_holds()
    assert seen["composed"] >= 3


def test_calls_end_as_the_rules_say_of_whole_texts_streamed_and_whole_alike() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=8 * EXAMPLES)
    @given(
        st.one_of(drafts(), drafts_with("retry", {"mode": "full"}), drafts_with("retry", {"mode": "exact"})),
        st.one_of(SAYING_ALL, st.lists(scripts(), min_size=2, max_size=5)),
    )
    def property_holds(draft: Draft, said: list[Script]) -> None:
        case = made(draft)
        if case is not None:
            hold_calls(case, said, seen)

    property_holds()
    assert {name for name in NEEDED if seen[name] < 1} == set()


NEEDED = {
    "completed", "blocked", "failed", "completed after a retry", "blocked after release", "ended block",
    "ended retry_after_release", "retry came too late", "a retry that nowhere may serve", "shown its own beginning",
    "block", "retry", "rewrite", "drop", "annotate", "shadow", "unmet", "an answer judged and asked for again",
    "output block", "output annotate", "request annotate", "route annotate", "receipt annotate",
}  # fmt: skip


def test_whenever_clients_leave_clocks_strike_or_time_passes_calls_stay_within_their_bounds() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=8 * EXAMPLES)
    @given(
        drafts(), st.lists(scripts(), min_size=1, max_size=4), st.lists(DISTURBANCES, min_size=CALLS, max_size=CALLS)
    )
    def property_holds(draft: Draft, said: list[Script], disturbances: list[Disturbance]) -> None:
        case = made(draft)
        if case is None:
            return
        for stream, drain, steps_ms, meddling in disturbances:
            played = play(case.world, said, stream=stream, steps_ms=steps_ms, meddling=meddling, drain=drain)
            hold_to_its_bounds(case, played)
            outcome(played, seen)
            seen[f"{played.receipt.status} {played.receipt.client.upstream}"] += 1
            seen[f"{played.receipt.status} after release"] += bool(played.released)
        hold_replay(case, played.receipt)

    property_holds()
    needed = {
        "client_left cancelled", "client_left drained", "client_left after release", "ended held_age",
        "released held_age", "failed deadline_exceeded", "failed journal_unavailable", "completed", "blocked",
        "failed after release",
    }  # fmt: skip
    assert {name for name in needed if seen[name] < 1} == set()


def test_answers_that_go_on_are_what_the_rules_allow_on_the_text_that_the_client_has() -> None:
    """However often it was given up in the middle: no character is lost, doubled or changed after it was seen."""
    seen: Counter[str] = Counter()
    texts = scripts(ends=("done",), channels=False)

    @settings(max_examples=2 * EXAMPLES)
    @given(drafts_that_go_on(), st.lists(texts, min_size=2, max_size=4))
    def property_holds(draft: Draft, said: list[Script]) -> None:
        case = made(draft)
        if case is None:
            return
        for first in range(CALLS):
            turned = said[first % len(said) :] + said[: first % len(said)]
            played = play(case.world, turned, stream=True, continues=True)
            receipt, heard = played.receipt, played.heard.said.get(("text", 0), "")
            hold_to_budgets(case, played)
            hold_receipt(case, receipt)
            assert receipt.client.text_chars == len(heard)
            assert played.heard.terminated == (receipt.status == "completed")
            prefixes = [one.prefix for one in agains(played) if one.prefix]
            assert all(heard.startswith(prefix) for prefix in prefixes)
            seen["went on"] += bool(prefixes)
            if prefixes and receipt.status == "completed":
                seen["went on to the end"] += 1
                if case.plain:
                    last = played.scripts[-1]
                    actions = actions_of(case, receipt, len(receipt.attempts) - 1)
                    whole = judge(prefixes[-1] + last.said("text", 0), case.meanings("text", actions))
                    assert (heard, whole.stop) == (whole.released, ())

    property_holds()
    assert min(seen["went on"], seen["went on to the end"]) >= 3


def agains(played: Played) -> list[Again]:
    return [effect.again for effect in played.effects if isinstance(effect, Replan)]


def test_a_wake_before_its_time_changes_nothing() -> None:
    @settings(max_examples=2 * EXAMPLES)
    @given(drafts(), SAYING_ALL)
    def property_holds(draft: Draft, said: list[Script]) -> None:
        case = made(draft)
        if case is None or not case.plain:
            return
        quiet = play(case.world, said, stream=True)
        woken = play(case.world, said, stream=True, meddling=dict.fromkeys(range(STEPS_MAX), "wake"))
        assert woken.released == quiet.released
        assert woken.receipt.status == quiet.receipt.status
        assert [one.decision for one in woken.receipt.policy] == [one.decision for one in quiet.receipt.policy]

    property_holds()
