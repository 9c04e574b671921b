"""What reaches the client equals what the rules allow on the whole text, wherever the stream is cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from parts.stream_rules import TEXTS, admitted, cut, rule_sets, seams
from parts.whole_text import Meaning, Verdict, judge
from wardwright.dialects.openai_events import OpenAIEvents
from wardwright.kernel.events import (
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStart,
)
from wardwright.kernel.patterns.admission import Regex
from wardwright.streams import rule as r
from wardwright.streams.effects import Abort, Effect, Release, Retry
from wardwright.streams.governor import Delivery, Governor
from wardwright.streams.rule import Action, Block, Drop, Rewrite, StreamRule
from wardwright.streams.ruleset import RuleSet, problems

EXAMPLES = 17 * settings().max_examples  # 1,700 in an ordinary run
CUTS = 3 if settings().max_examples <= 100 else 30
"""Ways to cut each text: 5,100 cases in an ordinary run, a million in a nightly one."""
MORE_CUTS = st.lists(st.lists(st.integers(0, 60), max_size=6), min_size=CUTS - 2, max_size=CUTS - 2)


def said(effects: Sequence[Effect]) -> str:
    return "".join(
        event.text
        for effect in effects
        if isinstance(effect, Release)
        for event in effect.events
        if isinstance(event, TextDelta)
    )


def run(rules: RuleSet, pieces: Sequence[str], delivery: Delivery = "live") -> list[Effect]:
    governor = Governor(rules, delivery=delivery)
    effects: list[Effect] = []
    for piece in pieces:
        effects += governor.take([TextDelta(0, piece)], 0)
    effects += governor.take([Finish(0, "stop")], 0)
    effects += governor.end()
    return effects


def check(effects: Sequence[Effect], wanted: Verdict, seen: Counter[str]) -> None:
    ends = [effect for effect in effects if isinstance(effect, Abort | Retry)]
    assert len(ends) == bool(wanted.stop)
    match ends:
        case []:
            seen["complete"] += 1
        case [Retry() as retry]:
            seen["retry"] += 1
            assert retry.rules == wanted.stop
            assert said(effects) == ""
            return
        case [Abort() as abort]:
            seen["caught by the net" if wanted.composed else abort.cause] += 1
            assert abort.rule == wanted.stop[0]
            assert effects[-1] is abort
    assert said(effects) == wanted.released


def test_what_reaches_the_client_is_what_the_rules_allow_on_the_whole_text() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(st.one_of(rule_sets(), rule_sets(), seams()), TEXTS, MORE_CUTS)
    def property_holds(meanings: list[Meaning], text: str, cuts: list[list[int]]) -> None:
        rules = admitted(meanings)
        if rules is None:
            return
        wanted = judge(text, meanings)
        for meaning in meanings:
            if not meaning.rule.shadow:
                seen[f"{type(meaning.rule.then).__name__} {meaning.rule.commit}"] += 1
                seen[f"{type(meaning.rule.then).__name__} {type(meaning.rule.match).__name__}"] += 1
        for pieces in ([text], list(text), *(cut(text, places) for places in cuts)):
            check(run(rules, pieces), wanted, seen)

    property_holds()
    commits = ("exact", "sentence", "line", "code_block", "json_value", "full")
    actions = ("Block", "Retry", "Rewrite", "Drop", "Annotate")
    needed = {f"{action} {commit}" for action in actions for commit in commits}
    needed |= {f"{action} {match}" for action in actions for match in ("Regex", "Detected")}
    needed |= {"complete", "retry", "block", "retry_after_release", "caught by the net"}
    assert {name for name in needed if seen[name] < 5} == set()


def chunks(text: str, sizes: Sequence[int]) -> bytes:
    """A streamed chat completion whose deltas have these sizes."""
    out, at = [b""], 0
    for size in [*sizes, len(text)]:
        if piece := text[at : at + size]:
            delta = msgspec.json.encode(piece)
            out.append(b'data: {"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null}]}\n\n' % delta)
        at += size
    out.append(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    return b"".join(out)


@settings(max_examples=4 * settings().max_examples)
@given(
    st.one_of(rule_sets(), seams()),
    TEXTS,
    st.lists(st.integers(1, 5), max_size=12),
    st.lists(st.integers(0, 4000), max_size=40),
)
def test_bytes_may_be_cut_anywhere_characters_too(
    meanings: list[Meaning], text: str, sizes: list[int], places: list[int]
) -> None:
    rules = admitted(meanings)
    if rules is None:
        return
    sent = chunks(text, sizes)
    edges = sorted({0, len(sent), *(place % len(sent) for place in places)})
    decoder, governor = OpenAIEvents(), Governor(rules)
    effects: list[Effect] = []
    for start, end in pairwise(edges):
        effects += governor.take(decoder.feed(sent[start:end]), 0)
    effects += governor.take(decoder.close(), 0)
    check(effects, judge(text, meanings), Counter())


def without(meanings: list[Meaning], *kinds: type[Action]) -> RuleSet:
    """The rules that do none of these."""
    return RuleSet([meaning.rule for meaning in meanings if not isinstance(meaning.rule.then, kinds)])


@settings(max_examples=2 * settings().max_examples)
@given(rule_sets(), TEXTS, st.lists(st.integers(0, 60), max_size=6))
def test_what_comes_is_released_held_or_dropped_never_lost(
    meanings: list[Meaning], text: str, places: list[int]
) -> None:
    governor = Governor(without(meanings, Rewrite, Drop))
    came, effects = 0, list[Effect]()
    for piece in cut(text, places):
        came += len(piece)
        effects += governor.take([TextDelta(0, piece)], 0)
        if governor.given_up:
            break
        assert came == len(said(effects)) + governor.held_chars
    else:
        effects += governor.take([Finish(0, "stop")], 0)
    match effects[-1:]:
        case [Abort(dropped_chars=dropped) | Retry(dropped_chars=dropped)]:
            assert came == len(said(effects)) + dropped
            assert governor.take([TextDelta(0, "more")], 0) == []
        case _:
            assert said(effects) == text
            assert governor.held_chars == 0


@settings(max_examples=2 * settings().max_examples)
@given(rule_sets(), TEXTS, TEXTS, st.lists(st.integers(0, 60), max_size=8), st.randoms(use_true_random=False))
def test_channels_and_choices_are_judged_each_by_itself(
    meanings: list[Meaning], one: str, two: str, places: list[int], luck: Random
) -> None:
    kept = [meaning for meaning in meanings if not isinstance(meaning.rule.then, Block | r.Retry)]
    rules = RuleSet([msgspec.structs.replace(one.rule, on=(r.Text(), r.Reasoning())) for one in kept])
    streams: list[list[Event]] = [
        [TextDelta(0, piece) for piece in cut(one, places)],
        [ReasoningDelta(0, piece) for piece in cut(two, places)],
        [TextDelta(1, piece) for piece in cut(two, places[::-1])],
        [RefusalDelta(1, piece) for piece in cut(one, places[::-1])],
    ]
    governor, effects = Governor(rules), list[Effect]()
    while left := [stream for stream in streams if stream]:
        effects += governor.take([luck.choice(left).pop(0)], 0)
    effects += governor.take([Finish(1, "stop"), Finish(0, "stop")], 0)
    spoken: dict[tuple[str, int], str] = {}
    for effect in effects:
        for event in effect.events if isinstance(effect, Release) else ():
            if isinstance(event, TextDelta | ReasoningDelta | RefusalDelta):
                key = (type(event).__name__, event.choice)
                spoken[key] = spoken.get(key, "") + event.text
    first, second = judge(one, kept).released, judge(two, kept).released
    wanted = {
        ("TextDelta", 0): first,
        ("ReasoningDelta", 0): second,
        ("TextDelta", 1): second,
        ("RefusalDelta", 1): first,
    }
    assert spoken == {key: text for key, text in wanted.items() if text}


@settings(max_examples=4 * settings().max_examples)
@given(
    st.one_of(rule_sets(), seams()), st.lists(TEXTS, min_size=1, max_size=4), st.lists(st.integers(0, 400), max_size=9)
)
def test_values_of_a_tool_call_are_judged_whole_and_the_call_leaves_whole(
    meanings: list[Meaning], values: list[str], places: list[int]
) -> None:
    if admitted(meanings) is None:
        return
    plain = [one._replace(rule=msgspec.structs.replace(one.rule, commit="exact")) for one in meanings]
    rules = RuleSet([msgspec.structs.replace(one.rule, on=(r.ToolArguments(),)) for one in plain])
    sent = {f"v{index}": [value] for index, value in enumerate(values)}
    pieces = cut(msgspec.json.encode(sent).decode(), places)
    events: list[Event] = [
        ToolCallStart(0, 0, "call_0", "edit"),
        *(ToolArgumentsDelta(0, 0, piece) for piece in pieces),
    ]
    governor, effects = Governor(rules), list[Effect]()
    for event in [*events, Finish(0, "tool_calls")]:
        assert not any(isinstance(effect, Release) for effect in effects)
        effects += governor.take([event], 0)
    verdicts = [judge(value, plain) for value in values]
    stop = next((verdict.stop for verdict in verdicts if verdict.stop), ())
    match effects[-1]:
        case Abort(rule=rule, cause="block"):
            assert (rule,) == stop[:1]
        case Retry(rules=names):
            assert names == stop
        case Release(events=(_, ToolArgumentsDelta(text=arguments), Finish())):
            assert stop == ()
            assert msgspec.json.decode(arguments) == {
                f"v{index}": [verdict.released] for index, verdict in enumerate(verdicts)
            }
        case other:
            raise AssertionError(other)


def test_no_more_is_held_than_the_caps_allow() -> None:
    seen: Counter[str] = Counter()

    started = st.tuples(TEXTS, TEXTS).map("abbbbbbbb".join)
    """Texts in which what `long` blocks has begun."""

    @settings(max_examples=2 * settings().max_examples)
    @given(rule_sets(), started, st.lists(st.integers(0, 60), max_size=6), st.integers(1, 6), st.booleans())
    def property_holds(meanings: list[Meaning], text: str, places: list[int], cap: int, closed: bool) -> None:
        on_cap = "fail_closed" if closed else "release_and_flag"
        blocks = [one.rule for one in meanings if isinstance(one.rule.then, Block)]
        blocks.append(StreamRule(id="long", match=Regex("ab+x"), then=Block()))
        capped = [msgspec.structs.replace(rule, held_chars_max=cap, on_cap=on_cap) for rule in blocks]
        if problems(capped):
            return
        governor, effects = Governor(RuleSet(capped)), list[Effect]()
        for piece in cut(text, places):
            effects += governor.take([TextDelta(0, piece)], 0)
            assert governor.given_up or governor.held_chars <= cap
        caps = [effect for effect in effects if isinstance(effect, Abort) and effect.cause == "held_chars"]
        assert closed or not caps
        assert text.startswith(said(effects))
        seen["stopped at the cap"] += bool(caps)
        seen["released at the cap"] += governor.given_up

    property_holds()
    assert min(seen["stopped at the cap"], seen["released at the cap"]) > 5


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 6), st.text("abcd", min_size=1, max_size=4))
def test_budgets_bound_the_retries_of_a_turn(budgets: list[int], turn: int, letters: str) -> None:
    """A model that never learns is stopped when each rule's retries, or those of the turn, are spent."""
    rules = RuleSet(
        [
            StreamRule(
                id=f"r{index}", match=r.Phrase("abcd"[index]), then=r.Retry("no", retries_max=budget), commit="full"
            )
            for index, budget in enumerate(budgets)
        ]
    )
    spent: Counter[str] = Counter()
    for retries in range(100):
        past = [r.Past(rule=rule, retries=count) for rule, count in spent.items()]
        governor = Governor(rules, past=past, retries_left=turn - retries)
        effects = governor.take([TextDelta(0, letters), Finish(0, "stop")], 0)
        match effects[-1]:
            case Retry(rules=names):
                spent.update(names)
            case Abort(cause="block"):
                break
            case Release():
                assert not set(letters) & set("abcd"[: len(budgets)])
                break
    assert retries <= min(turn, sum(budgets))
    assert all(spent[f"r{index}"] <= budget for index, budget in enumerate(budgets))
