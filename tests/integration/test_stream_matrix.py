"""The stream matrix, row by row, through HTTP: what a client of the official SDK sees, and what the receipt says of it.

Below it stand the ways in which stream policies of earlier gateways failed, by their numbers, as a client would meet
them here; `unit/streams/test_known_defects` has each of them in the governor alone.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from parts import raw_upstream
from parts.contracts import chat, model, provider, scripted
from parts.gateway_thread import Document, running
from parts.governed_client import Asking, policy, rule, sdk, streamed, whole
from parts.raw_client import RawClient, request
from parts.raw_upstream import DONE, PATIENCE_S, ROLE, SSE_HEAD, STOP, Turn, chunk, text
from wardwright.calls import receipt as rc

BOTH = pytest.mark.parametrize("ask", [streamed, whole])
BLOCK: Document = {"block": {"code": "no_old_client"}}
REMIND: Document = {"retry_with_reminder": {"text": "Use NewClient."}}
FULL: Document = {"mode": "full"}
EXACT: Document = {"mode": "exact"}
OLD = r"OldClient\("
SLIP: Document = {"chunks": ["client = Old", "Client(", "token)"]}
LATE: Document = {"chunks": ["It is fine. ", "Then Old", "Client(token)", " and more"]}
CLEAN: Document = {"chunks": ["client = New", "Client(", "token)"]}
CLEAN_TEXT = "client = NewClient(token)"


def governed(*rules: Document, steps: tuple[Document, ...]) -> list[Document]:
    """One model over one script under these rules."""
    return [scripted("s", *steps), model("m", "s", policies=["house-rules"]), policy(*rules)]


def upstreams(upstream: raw_upstream.RawUpstream, *rules: Document, **members: Any) -> list[Document]:
    """One model over an upstream of bytes under these rules."""
    return [
        provider("up", upstream.base_url, **members),
        model("m", "up", policies=["house-rules"]),
        policy(*rules),
    ]


# The matrix


@BOTH
def test_default_prefix_release_and_flush(tmp_path: Path, ask: Asking) -> None:
    step: Document = {"chunks": ["one OldCl", "oud, two Ol", "d"], "chunk_delay_ms": 20}
    with running(tmp_path, governed(rule(OLD, BLOCK), steps=(step,))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish) == ("one OldCloud, two Old", "stop")
    assert receipt.policy[0].held_chars_max == 5, "what could still match was held, and no more"
    assert receipt.policy[0].caught == ()


@BOTH
def test_split_literal_block_and_nothing_of_it_released(tmp_path: Path, ask: Asking) -> None:
    with running(tmp_path, governed(rule(OLD, BLOCK), steps=(LATE,))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.code, seen.rule) == ("no_old_client", "house-rules/r")
    assert seen.finish is None
    assert seen.text == ("It is fine. Then " if ask is streamed else "")
    assert (receipt.status, receipt.client.text_chars) == ("blocked", len(seen.text))
    (caught, ended) = receipt.policy[0].caught
    assert (caught.action, caught.start, caught.end) == ("block", 17, 27)
    assert (ended.action, ended.cause) == ("ended", "block")


@BOTH
def test_utf8_never_split(tmp_path: Path, ask: Asking) -> None:
    said = "caf\u00e9 \U0001f600\U0001f600 na\u00efve"
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": said}}]}, ensure_ascii=False)
    sent = b"".join((ROLE, b"data: %b\n\n" % event.encode(), STOP, DONE))

    def play(turn: Turn) -> None:
        turn.send(SSE_HEAD)
        for at in range(len(sent)):
            turn.send(chunk(sent[at : at + 1]))
        turn.send(chunk(b""))

    with raw_upstream.running(play) as upstream:
        documents = upstreams(upstream, rule("\U0001f600+", {"rewrite": {"replacement": ":)"}}))
        with running(tmp_path, documents) as gateway:
            assert ask(gateway).text == "caf\u00e9 :) na\u00efve"


@BOTH
def test_rewrite_in_chunk_and_across_chunks(tmp_path: Path, ask: Asking) -> None:
    step: Document = {"chunks": ["Yours is acct_12345678, his acct", "_8765", "4321."]}
    documents = governed(rule(r"acct_[0-9]{8}", {"rewrite": {"replacement": "[account]"}}), steps=(step,))
    with running(tmp_path, documents) as gateway:
        assert ask(gateway).text == "Yours is [account], his [account]."
        receipt = gateway.ended_once().receipt
    assert [(one.action, one.start, one.end) for one in receipt.policy[0].caught] == [
        ("rewrite", 9, 22),
        ("rewrite", 28, 41),
    ]


@BOTH
def test_drop(tmp_path: Path, ask: Asking) -> None:
    step: Document = {"chunks": ["As an A", "I model, ", "I say: no."]}
    with running(tmp_path, governed(rule("As an AI model, ", "drop"), steps=(step,))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish) == ("I say: no.", "stop")
    assert receipt.policy[0].caught[0].action == "drop"


@BOTH
def test_latency_fail_closed_with_zero_bytes(tmp_path: Path, ask: Asking) -> None:
    def stalls(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("OldCl")))
        turn.wait_until_left()

    with raw_upstream.running(stalls) as upstream:
        documents = upstreams(upstream, rule(OLD, BLOCK, hold={"mode": "exact", "age_ms_max": 60}))
        with running(tmp_path, documents) as gateway:
            began = time.monotonic()
            seen = ask(gateway)
            took_s = time.monotonic() - began
            receipt = gateway.ended_once().receipt
    assert (seen.text, seen.status, seen.code) == ("", 403, "policy_indeterminate")
    assert 0.06 <= took_s < 5
    assert (receipt.status, receipt.client.text_chars) == ("blocked", 0)
    (ended,) = receipt.policy[0].caught
    assert (ended.action, ended.cause, ended.dropped_chars) == ("ended", "held_age", 5)
    assert receipt.policy[0].held_us_max >= 60_000


@BOTH
def test_retry_success(tmp_path: Path, ask: Asking) -> None:
    with running(tmp_path, governed(rule(OLD, REMIND), steps=(LATE, CLEAN))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish) == (CLEAN_TEXT, "stop")
    assert [one.failure for one in receipt.attempts] == [rc.STOPPED, None]
    assert [one.attempt for one in receipt.policy] == [0, 1]
    assert receipt.policy[0].caught[0].released_chars == 0
    assert receipt.client.text_chars == len(CLEAN_TEXT)


@BOTH
def test_budget_exhausted_and_nothing_released(tmp_path: Path, ask: Asking) -> None:
    again: Document = {"retry_with_reminder": {"text": "Use NewClient.", "max": 2}}
    documents = governed(rule(OLD, again, after_retries=[BLOCK]), steps=(SLIP,))
    with running(tmp_path, documents) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.status, seen.code) == ("", 403, "no_old_client")
    assert [one.failure for one in receipt.attempts] == [rc.STOPPED] * 3
    assert (receipt.status, receipt.client.bytes, len(receipt.replans)) == ("blocked", 0, 2)


def test_max_retries_0(tmp_path: Path) -> None:
    """A retry that never happens is no retry: it is refused, and the file says what to write."""
    never: Document = {"retry_with_reminder": {"text": "Use NewClient.", "max": 0}}
    with running(tmp_path, governed(rule(OLD, REMIND), steps=(CLEAN,))) as gateway:
        (tmp_path / "contracts" / "policy-house-rules.json").write_text(json.dumps(policy(rule(OLD, never))))
        state = gateway.run(gateway.runtime.reload())
        assert state.errors[0].message == "`max` is a whole number from 1; here stands `0`"
        assert streamed(gateway).text == CLEAN_TEXT


@BOTH
def test_budgets_per_rule(tmp_path: Path, ask: Asking) -> None:
    rules = (
        rule("aaa", {"retry": {"max": 2}}, id_="a", after_retries=[{"block": {"code": "a_spent"}}]),
        rule("bbb", {"retry": {"max": 1}}, id_="b", after_retries=[{"block": {"code": "b_spent"}}]),
    )
    steps: tuple[Document, ...] = tuple({"text": one} for one in ("aaa", "bbb", "aaa", "bbb"))
    with running(tmp_path, governed(*rules, steps=steps)) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert seen.code == "b_spent", "the other rule has spent its own"
    assert len(receipt.attempts) == 4


def long_reminder(*targets: tuple[str, int]) -> list[Document]:
    """A rule with a long reminder over targets of these windows; the smallest that fits answers."""
    reminder: Document = {"retry_with_reminder": {"text": "Use the other client. " * 90}}
    members = [{"name": one, "provider": one, "model": "m", "context_window": window} for one, window in targets]
    return [
        *(scripted(one, SLIP if index == 0 else CLEAN) for index, (one, _) in enumerate(targets)),
        {"kind": "model", "name": "m", "targets": members, "policies": ["house-rules"],
         "route": {"dispatcher": [one for one, _ in targets]}, "output_tokens_default": 64},
        policy(rule(OLD, reminder)),
    ]  # fmt: skip


@BOTH
def test_reminder_too_big_reroutes_to_a_larger_target(tmp_path: Path, ask: Asking) -> None:
    with running(tmp_path, long_reminder(("small", 300), ("large", 8000))) as gateway:
        assert ask(gateway).text == CLEAN_TEXT
        receipt = gateway.ended_once().receipt
    assert [one.target for one in receipt.attempts] == ["small", "large"]
    assert [one.reason for one in receipt.replans[0].plan.skipped] == ["context_window_too_small"]


@BOTH
def test_reminder_too_big_for_all_fails_closed(tmp_path: Path, ask: Asking) -> None:
    with running(tmp_path, long_reminder(("small", 300))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.status, seen.code) == ("", 400, "context_length_exceeded")
    assert (receipt.status, receipt.client.bytes) == ("blocked", 0)
    assert receipt.replans[0].plan.attempts == ()


def test_retry_after_safe_prefix_is_skipped_and_says_so(tmp_path: Path) -> None:
    documents = governed(rule(OLD, REMIND, hold=EXACT), steps=({**LATE, "chunk_delay_ms": 20}, CLEAN))
    with running(tmp_path, documents) as gateway:
        seen = streamed(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.code, seen.finish) == ("It is fine. Then ", "policy_blocked", None)
    assert seen.rule == "house-rules/r"
    caught, ended = receipt.policy[0].caught
    assert (caught.action, caught.released_chars) == ("retry", 17)
    assert (ended.action, ended.cause) == ("ended", "retry_after_release")
    assert (len(receipt.attempts), receipt.replans) == (1, ())


@BOTH
def test_provider_error_before_release(tmp_path: Path, ask: Asking) -> None:
    """What is held is not released: another target may still answer."""

    def dies(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("OldCl")))
        turn.reset()

    with raw_upstream.running(dies) as upstream:
        documents = [
            provider("up", upstream.base_url),
            scripted("s", CLEAN),
            model("m", "up", "s", policies=["house-rules"]),
            policy(rule(OLD, BLOCK)),
        ]
        with running(tmp_path, documents) as gateway:
            seen = ask(gateway)
            receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish) == (CLEAN_TEXT, "stop")
    assert [one.failure for one in receipt.attempts] == ["reset", None]


def test_provider_error_after_release(tmp_path: Path) -> None:
    heard = threading.Event()

    def dies(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("fine, OldCl")))
        assert heard.wait(PATIENCE_S)  # a reset takes what was not read yet with it
        turn.reset()

    with raw_upstream.running(dies) as upstream:
        documents = [
            provider("up", upstream.base_url),
            scripted("s", CLEAN),
            model("m", "up", "s", policies=["house-rules"]),
            policy(rule(OLD, BLOCK)),
        ]
        with running(tmp_path, documents) as gateway:
            seen = streamed(gateway, heard=heard)
            receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish, seen.code) == ("fine, ", None, "upstream_stream_broken")
    assert (receipt.status, receipt.client.text_chars, len(receipt.attempts)) == ("failed", 6, 1)


@BOTH
def test_provider_timeout_before_release(tmp_path: Path, ask: Asking) -> None:
    def silent(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("OldCl")))
        turn.wait_until_left()

    with raw_upstream.running(silent) as upstream:
        documents = [
            provider("up", upstream.base_url, timeouts={"between_bytes_s": 1}),
            scripted("s", CLEAN),
            model("m", "up", "s", policies=["house-rules"]),
            policy(rule(OLD, BLOCK, hold={"mode": "exact", "age_ms_max": 9000})),
        ]
        with running(tmp_path, documents) as gateway:
            assert ask(gateway).text == CLEAN_TEXT
            receipt = gateway.ended_once().receipt
    assert [one.failure for one in receipt.attempts] == ["between_bytes_timeout", None]


def test_provider_timeout_after_release(tmp_path: Path) -> None:
    def silent(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("fine, OldCl")))
        turn.wait_until_left()

    with raw_upstream.running(silent) as upstream:
        slow: Document = {"mode": "exact", "age_ms_max": 9000}
        documents = upstreams(upstream, rule(OLD, BLOCK, hold=slow), timeouts={"between_bytes_s": 1})
        with running(tmp_path, documents) as gateway:
            seen = streamed(gateway)
            receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish, seen.code) == ("fine, ", None, "upstream_timeout")
    assert receipt.status == "failed"


@BOTH
def test_cancelled_provider_drained(tmp_path: Path, ask: Asking) -> None:
    """A rule that gives an attempt up hangs up on its upstream, which hears of it while it still writes; the next
    attempt has a connection of its own."""
    heard_of_it = threading.Event()

    def play(turn: Turn) -> None:
        if turn.nth > 1:
            turn.stream(ROLE, text(CLEAN_TEXT), STOP, DONE)
            return
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("OldClient(")))
        turn.wait_until_left()
        heard_of_it.set()

    with raw_upstream.running(play) as upstream, running(tmp_path, upstreams(upstream, rule(OLD, REMIND))) as gateway:
        assert ask(gateway).text == CLEAN_TEXT
        receipt = gateway.ended_once().receipt
        assert heard_of_it.wait(5)
        reminded = upstream.turns[1].asked["messages"]
    assert [one["content"] for one in reminded] == ["hello", "Use NewClient."]
    assert receipt.attempts[0].failure == rc.STOPPED
    assert receipt.status == "completed"


def test_stalled_upstream_while_text_is_held_lets_go_where_the_rule_says_so(tmp_path: Path) -> None:
    """The timer fires on a silent upstream: the client hears the text while nothing comes."""
    heard = threading.Event()

    def stalls(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("OldCl")))
        assert heard.wait(8), "the client heard nothing while the upstream was silent"
        turn.send(chunk(text("oud")), chunk(STOP), chunk(DONE), chunk(b""))

    lets_go: Document = {"mode": "exact", "age_ms_max": 60, "on_cap": "release_and_flag"}
    with raw_upstream.running(stalls) as upstream:
        documents = upstreams(upstream, rule(OLD, BLOCK, hold=lets_go))
        with running(tmp_path, documents) as gateway, sdk(gateway) as caller:
            said = ""
            for one in caller.chat.completions.create(**chat("m"), stream=True):
                said += one.choices[0].delta.content or ""
                if said == "OldCl":
                    heard.set()
            receipt = gateway.ended_once().receipt
    assert said == "OldCloud"
    (flagged,) = receipt.policy[0].caught
    assert (flagged.action, flagged.cause, flagged.rule) == ("released", "held_age", "house-rules/r")


def test_client_leaves_during_a_retry(tmp_path: Path) -> None:
    asked_again = threading.Event()

    def play(turn: Turn) -> None:
        if turn.nth == 1:
            turn.send(SSE_HEAD, chunk(ROLE), chunk(text("OldClient(")))
        else:
            asked_again.set()
        turn.wait_until_left()

    with raw_upstream.running(play) as upstream, running(tmp_path, upstreams(upstream, rule(OLD, REMIND))) as gateway:
        with RawClient(gateway.port) as client:
            client.send(request(json.dumps(chat("m", stream=True)).encode()))
            assert asked_again.wait(PATIENCE_S)
        receipt = gateway.ended_once().receipt
    assert (receipt.status, receipt.client.upstream, receipt.client.bytes) == ("client_left", "cancelled", 0)
    assert [one.failure for one in receipt.attempts] == [rc.STOPPED, None]
    assert len(receipt.replans) == 1


# Ways in which stream policies failed elsewhere


@BOTH
def test_defect_1_the_first_rule_that_matches_does_not_shadow_the_rest(tmp_path: Path, ask: Asking) -> None:
    """One chunk holds what is rewritten, what is annotated and what is blocked."""
    rules = (
        rule("acct_[0-9]+", {"rewrite": {"replacement": "[account]"}}, id_="account"),
        rule("pay", {"annotate": "pays"}, id_="note"),
        rule("sk-live", {"block": {"code": "no_keys"}}, id_="key"),
    )
    step: Document = {"chunks": ["pay acct_7 with sk-live_1 now"]}
    with running(tmp_path, governed(*rules, steps=(step,))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert seen.code == "no_keys"
    assert seen.text == ("pay [account] with " if ask is streamed else "")
    assert {one.rule for one in receipt.policy[0].caught} == {
        f"house-rules/{one}" for one in ("account", "note", "key")
    }


def test_defect_2_a_rewrite_does_not_let_go_of_what_another_rule_holds(tmp_path: Path) -> None:
    rules = (
        rule("acct_[0-9]+", {"rewrite": {"replacement": "[account]"}}, id_="account"),
        rule("sk-live", {"block": {"code": "no_keys"}}, id_="key"),
    )
    step: Document = {"chunks": ["acct_1 sk-", "li", "ve"], "chunk_delay_ms": 20}
    with running(tmp_path, governed(*rules, steps=(step,))) as gateway:
        seen = streamed(gateway)
    assert (seen.text, seen.code) == ("[account] ", "no_keys")


@BOTH
def test_defect_3_a_drop_reaches_over_chunks_and_nothing_brings_it_back(tmp_path: Path, ask: Asking) -> None:
    rules = (
        rule("secret", "drop", id_="drop", hold=FULL),
        rule("word", {"rewrite": {"replacement": "WORD"}}, id_="rewrite"),
    )
    step: Document = {"chunks": ["a sec", "ret wo", "rd b"]}
    with running(tmp_path, governed(*rules, steps=(step,))) as gateway:
        assert ask(gateway).text == "a  WORD b"


def test_defect_4_what_is_held_is_as_long_as_the_pattern(tmp_path: Path) -> None:
    long = "x" + "0" * 400
    step: Document = {"chunks": ["ab ", *long, "y tail"]}
    with running(tmp_path, governed(rule("x[0-9]{400}y", BLOCK), steps=(step,))) as gateway:
        seen = streamed(gateway)
    assert (seen.text, seen.code) == ("ab ", "no_old_client")


def test_defect_5_the_cap_on_age_is_not_that_of_the_stream(tmp_path: Path) -> None:
    """A stream far older than the cap, each of whose held texts is young."""
    step: Document = {"chunks": ["on and on Old"] * 24, "chunk_delay_ms": 60}
    young: Document = {"mode": "exact", "age_ms_max": 1000}
    with running(tmp_path, governed(rule(OLD, BLOCK, hold=young), steps=(step,))) as gateway:
        seen = streamed(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.finish) == ("on and on Old" * 24, "stop")
    assert receipt.timings.total_us > 1_300_000


def test_defect_6_a_whole_answer_does_not_bypass_the_rules_of_streams(tmp_path: Path) -> None:
    with running(tmp_path, governed(rule(OLD, BLOCK), steps=(SLIP,))) as gateway:
        seen = whole(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.status, seen.code) == (403, "no_old_client")
    assert not receipt.request.stream


@BOTH
def test_defect_7_tool_calls_are_governed_and_a_retry_stays_open(tmp_path: Path, ask: Asking) -> None:
    bad: Document = {"tool_calls": [{"name": "shell", "arguments": '{"cmd": "curl x"}'}]}
    good: Document = {"tool_calls": [{"name": "shell", "arguments": '{"cmd": "ls"}'}]}
    watch: Document = {"channel": "tool_arguments", "tool": "shell", "pointer": "/cmd"}
    with running(tmp_path, governed(rule(r"\bcurl\b", REMIND, on=[watch]), steps=(bad, good))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.tool_calls, seen.finish) == ((("shell", '{"cmd": "ls"}'),), "tool_calls")
    caught = receipt.policy[0].caught[0]
    assert (caught.channel, caught.field, caught.call, caught.end) == ("tool_arguments", "/cmd", 0, 4)


@BOTH
def test_defect_7_reasoning_is_governed_where_a_rule_watches_it(tmp_path: Path, ask: Asking) -> None:
    step: Document = {"reasoning": "they want sk-live keys", "text": "Here you are."}
    with running(tmp_path, governed(rule("sk-live", BLOCK, on=["reasoning"]), steps=(step,))) as gateway:
        seen = ask(gateway)
        receipt = gateway.ended_once().receipt
    assert (seen.text, seen.code) == ("", "no_old_client")
    assert receipt.policy[0].caught[0].channel == "reasoning"


def test_defect_8_chunks_keep_role_finish_and_usage(tmp_path: Path) -> None:
    with running(tmp_path, governed(rule(OLD, BLOCK), steps=({"text": "one two", "finish": "length"},))) as gateway:
        with sdk(gateway) as caller:
            stream = caller.chat.completions.create(**chat("m"), stream=True, stream_options={"include_usage": True})
            chunks = list(stream)
        receipt = gateway.ended_once().receipt
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == receipt.usage.output_total == 2
    assert {one.id for one in chunks} == {f"chatcmpl-{receipt.receipt}"}


@BOTH
def test_defect_8_an_empty_answer_is_an_answer(tmp_path: Path, ask: Asking) -> None:
    with running(tmp_path, governed(rule(OLD, BLOCK), steps=({"text": ""},))) as gateway:
        seen = ask(gateway)
    assert (seen.text, seen.finish, seen.error) == ("", "stop", None)


def test_defect_8_text_that_nothing_could_match_streams_through(tmp_path: Path) -> None:
    heard = threading.Event()

    def play(turn: Turn) -> None:
        turn.send(SSE_HEAD, chunk(ROLE), chunk(text("free")))
        assert heard.wait(8), "the client heard nothing before the end"
        turn.send(chunk(STOP), chunk(DONE), chunk(b""))

    with raw_upstream.running(play) as upstream, running(tmp_path, upstreams(upstream, rule(OLD, BLOCK))) as gateway:
        with sdk(gateway) as caller:
            for one in caller.chat.completions.create(**chat("m"), stream=True):
                if one.choices[0].delta.content == "free":
                    heard.set()
        assert gateway.ended_once().receipt.status == "completed"


@BOTH
def test_defect_9_a_second_violation_has_an_action_of_its_own(tmp_path: Path, ask: Asking) -> None:
    mends: Document = {"after_retries": [{"rewrite": {"replacement": "NewClient("}}]}
    with running(tmp_path, governed(rule(OLD, REMIND, **mends), steps=(SLIP,))) as gateway:
        assert ask(gateway).text == CLEAN_TEXT
        receipt = gateway.ended_once().receipt
    assert [one.caught[0].action for one in receipt.policy] == ["retry", "rewrite"]


@BOTH
def test_defect_9_shadow_says_what_it_would_have_done(tmp_path: Path, ask: Asking) -> None:
    with running(tmp_path, governed(rule(OLD, BLOCK, enforce="shadow"), steps=(SLIP,))) as gateway:
        assert ask(gateway).text == "client = OldClient(token)"
        receipt = gateway.ended_once().receipt
    assert receipt.policy[0].caught[0].shadow
    assert receipt.policy[0].decision.shadow[0].effect == "block"


def test_defect_9_what_was_released_is_counted_for_each_attempt(tmp_path: Path) -> None:
    documents = governed(rule(OLD, REMIND, hold=EXACT), steps=({**LATE, "chunk_delay_ms": 20},))
    with running(tmp_path, documents) as gateway:
        seen = streamed(gateway)
        receipt = gateway.ended_once().receipt
    (ruling,) = receipt.policy
    assert ruling.caught[0].released_chars == receipt.client.text_chars == len(seen.text) == 17
