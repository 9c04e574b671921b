"""Routes at work in a running gateway: what was asked of which upstream, what the client got, what the receipt says."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from parts import installation, upstream
from parts import openai_answers as answers
from parts.installation import Installation, Json, Served, model, provider, target
from parts.upstream import EVENTS, Asked, Reply, Upstream
from wardwright.calls.receipt import Receipt

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]

FAILURES: Final[dict[str, Reply]] = {
    "rate_limited": answers.error(429, "slow down", headers=(("retry-after", "30"),)),
    "server_error": answers.error(500, "boom"),
    "credentials": answers.error(401, "who are you"),
    "not_served": answers.error(404, "no such model", code="model_not_found"),
    "overloaded": answers.error(529, "overloaded"),
    "context_length": answers.error(400, "too long", code="context_length_exceeded"),
    "protocol": Reply(status=302, headers=(("location", "http://elsewhere.test/"),)),
    "malformed": Reply((b'{"choices": "none"}',)),
    "reset": Reply(ending="reset"),
    "truncated": Reply((b'{"id": "up-1", "cho',), ending="cut"),
    "between_bytes_timeout": Reply((b'{"id": "up-1", "cho',), ending="stall"),
}
"""Replies by the class of failure that they are."""

STREAMED: Final[dict[str, Reply]] = {
    "server_error": FAILURES["server_error"],
    "stream_broken": Reply((b": nothing but a comment\n\n",), headers=EVENTS),
    "stream_broken-by-html": Reply((b"data: <html>\n\n",), headers=EVENTS),
    "overloaded": Reply((b'data: {"error": {"type": "overloaded_error", "message": "busy"}}\n\n',), headers=EVENTS),
    "reset": Reply((b": soon\n\n",), headers=EVENTS, ending="reset"),
    "truncated": Reply((b": soon\n\n",), headers=EVENTS, ending="cut"),
    "first_byte_timeout": Reply(ending="stall"),
}

SPARE: Final = "the spare answers"


def cascades(form: str, kinds: Iterable[str]) -> list[Json]:
    """A cascade a class of failure, each with a first target of its own, so that none rests for another."""
    return [model(f"falls-{form}-{kind}", target(f"{form}-{kind}", "far"), target("spare", "far")) for kind in kinds]


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        server.on("spare", answers.whole(SPARE))
        for member in ("red", "blue", "green"):
            server.on(member, agent_of(member))
        for name in ("small", "middle", "large", "at-home", "hosted"):
            server.on(name, answers.whole(name))
        yield server


@pytest.fixture(scope="module")
def here(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    red, blue, green = (target(name, "far", price={"input": "1", "output": "2"}) for name in ("red", "blue", "green"))
    at_home = target("at-home", "far", labels=["local"])
    hosted = target("hosted", "far", labels=["hosted"])
    return installation.at(
        tmp_path_factory.mktemp("routing"),
        provider("far", far.base_url, timeouts={"first_byte_s": 1, "between_bytes_s": 1}),
        provider("nobody", "http://127.0.0.1:9/v1"),
        provider(
            "first-house", far.base_url, credential="env:FIRST_KEY", headers={"x-team": "first", "openai-project": "p1"}
        ),
        provider("second-house", far.base_url, credential="env:SECOND_KEY"),
        provider("patient", far.base_url),
        provider("draining", far.base_url, on_client_left="drain"),
        model("two-houses", target("leaves", "first-house"), target("moves-in", "second-house")),
        model("hurried", target("slow-one", "patient"), target("slow-two", "patient"), deadline_s=2),
        model("drained", target("drains", "draining"), route="drains"),
        provider("narrow-door", far.base_url, pool={"connections_max": 1, "waiting_max": 0}),
        provider("fragile", far.base_url, breaker={"calls_min": 1, "open_s": 1}),
        *cascades("whole", FAILURES),
        *cascades("stream", STREAMED),
        model("falls-connect", target("away", "nobody"), target("spare", "far")),
        model("falls-pool", target("busy", "narrow-door"), target("spare", "far")),
        model("falls-rejected", target("picky", "far"), target("spare", "far")),
        model("falls-released", target("breaks-late", "far"), target("spare", "far")),
        model("breaks", target("brittle", "fragile"), target("spare", "far")),
        model("sized", target("small", "far", context_window=512), target("large", "far", context_window="16K"),
              target("middle", "far", context_window="4K"), route={"dispatcher": ["small", "large", "middle"]}),
        model("steps", red, blue, route={"alloy": {"strategy": "round_robin", "members": ["red", "blue"]}}),
        model("turns", red, blue, route={"alloy": {"strategy": "round_robin", "per": "turn",
                                                   "members": ["red", "blue"]}}),
        model("weighs", red, blue, green, route={"alloy": {"members": [
            {"node": "red", "weight": 2}, {"node": "blue", "weight": 2}, {"node": "green", "weight": 1}]}}),
        model("by-tenant", at_home, hosted, route={"guard": {
            "when": {"tenant": ["acme"]}, "then": "at-home", "otherwise": "hosted", "why": "Acme stays at home."}}),
        model("by-tag", at_home, hosted, route={"guard": {
            "when": {"tags": ["urgent"]}, "then": "hosted", "otherwise": "at-home"}}),
        model("by-data-class", at_home, hosted, route={"guard": {
            "when": {"data_class": ["private", "restricted"]}, "then": "at-home", "otherwise": "hosted"}}),
        model("by-house", at_home, hosted, route={"guard": {"when": {"house": ["lab"]}, "then": "at-home"}}),
        model("both", hosted, at_home),
        model("both-weighed", hosted, at_home, route={"alloy": {"members": [
            {"node": "hosted", "weight": 1000}, {"node": "at-home", "weight": 1}]}}),
        model("both-behind-an-alias", hosted, route={"cascade": ["hosted", {"alias": "both"}]}),
        model("hosted-only", hosted),
        model("hosted-by-contract", hosted, at_home, restrict=["hosted"]),
        model("framed", target("able", "far"), transforms={"preamble": "Be kind.", "postscript": "Be brief."}),
        model("varied", target("able", "far"), transforms={"variants": [
            {"name": "terse", "preamble": "Few words."}, {"name": "long", "preamble": "Many words."}]}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def near(here: Installation) -> Iterator[Served]:
    with here.serving(env={"FIRST_KEY": "sk-first", "SECOND_KEY": "sk-second"}) as served:
        yield served


@pytest.fixture(scope="module")
def client(near: Served) -> openai.OpenAI:
    return near.client()


def said(answer: openai.types.chat.ChatCompletion) -> str | None:
    return answer.choices[0].message.content


# Cascades


@pytest.mark.parametrize("kind", FAILURES)
def test_a_cascade_goes_on_after_each_class_of_failure(
    far: Upstream, near: Served, client: openai.OpenAI, kind: str
) -> None:
    far.on(f"whole-{kind}", FAILURES[kind])
    answer = client.chat.completions.create(model=f"falls-whole-{kind}", messages=HELLO)
    assert said(answer) == SPARE
    receipt = near.receipt(answer.id)
    assert [attempt.failure for attempt in receipt.attempts] == [kind, None]
    assert receipt.selected is not None
    assert (receipt.selected.target, receipt.selected.fallback) == ("spare", True)


@pytest.mark.parametrize("kind", STREAMED)
def test_a_cascade_goes_on_while_no_byte_of_the_stream_has_left(
    far: Upstream, near: Served, client: openai.OpenAI, kind: str
) -> None:
    far.on(f"stream-{kind}", STREAMED[kind])
    chunks = list(client.chat.completions.create(model=f"falls-stream-{kind}", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SPARE
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert [attempt.failure for attempt in near.receipt(chunks[0].id).attempts] == [kind.partition("-")[0], None]


def test_a_cascade_goes_on_when_nobody_listens(near: Served, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="falls-connect", messages=HELLO)
    assert said(answer) == SPARE
    assert near.receipt(answer.id).attempts[0].failure == "connect"


def test_a_cascade_goes_on_when_the_queue_to_a_target_is_full(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("busy", Reply(answers.words("one two").pieces[:2], headers=EVENTS, ending="stall"))
    holding = client.chat.completions.create(model="falls-pool", messages=HELLO, stream=True)
    next(iter(holding))
    answer = client.chat.completions.create(model="falls-pool", messages=HELLO)
    holding.close()
    assert said(answer) == SPARE
    assert near.receipt(answer.id).attempts[0].failure == "pool_full"


def test_a_request_that_the_upstream_calls_wrong_is_wrong_everywhere(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("picky", answers.error(400, "`temperature` must be at most 2"))
    before = len(far.of("spare"))
    with pytest.raises(openai.BadRequestError, match="temperature") as caught:
        client.chat.completions.create(model="falls-rejected", messages=HELLO)
    assert caught.value.code == "upstream_rejected"
    assert len(far.of("spare")) == before


def test_after_the_first_byte_nobody_else_takes_over(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on("breaks-late", Reply(answers.words("one two three").pieces[:2], headers=EVENTS, ending="reset"))
    before = len(far.of("spare"))
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="falls-released", messages=HELLO, stream=True))
    assert len(far.of("spare")) == before
    assert near.receipts(model="falls-released")[0]["status"] == "failed"


def test_credentials_and_headers_of_one_provider_never_reach_another_nor_the_client(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    own = (("openai-organization", "org-first"), ("x-ratelimit-remaining-requests", "3"), ("set-cookie", "a=b"))
    far.on("leaves", answers.error(500, "boom", headers=own))
    far.on("moves-in", replace(answers.whole("ok"), headers=(("content-type", "application/json"), *own)))
    raw = client.chat.completions.with_raw_response.create(model="two-houses", messages=HELLO)
    first, second = far.last("leaves").headers, far.last("moves-in").headers
    assert (first["authorization"], first["x-team"], first["openai-project"]) == ("Bearer sk-first", "first", "p1")
    assert second["authorization"] == "Bearer sk-second"
    assert not {"x-team", "openai-project"} & second.keys()
    assert not {name for name, _ in own} & {name.lower() for name in raw.headers}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_one_deadline_bounds_all_attempts(far: Upstream, near: Served, client: openai.OpenAI, stream: bool) -> None:
    far.on("slow-one", replace(answers.error(500, "boom"), wait_s=0.6))
    far.on("slow-two", replace(answers.whole("late"), wait_s=5))
    asked_at = time.monotonic()
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="hurried", messages=HELLO, stream=stream)
    assert 1.8 < time.monotonic() - asked_at < 5, "without a bound it takes 5.6 s"
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")
    receipt = near.receipt(caught.value.response.headers["x-wardwright-receipt-id"])
    assert [attempt.failure for attempt in receipt.attempts] == ["server_error", "total_timeout"]


def test_an_answer_that_is_drained_is_paid_for_as_the_provider_counts_it(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("drains", answers.words("one two three four", gap_s=0.1))
    stream = client.chat.completions.create(model="drained", messages=HELLO, stream=True)
    first = next(stream)
    stream.close()
    (row,) = near.receipts(model="drained")
    assert first.id == f"chatcmpl-{row['receipt']}"
    receipt = near.receipt(row["receipt"])
    assert (receipt.status, receipt.client.upstream) == ("client_left", "drained")
    assert (receipt.usage_source, receipt.usage.output_total) == ("reported", 7)
    assert receipt.client.text_chars < len("one two three four ")
    assert "drains" not in far.left


def test_a_target_that_keeps_failing_rests_and_is_probed_again(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("brittle", answers.error(500, "boom"), answers.whole("recovered"))
    first = near.receipt(client.chat.completions.create(model="breaks", messages=HELLO).id)
    assert [attempt.failure for attempt in first.attempts] == ["server_error", None]
    second = near.receipt(client.chat.completions.create(model="breaks", messages=HELLO).id)
    assert second.plan is not None
    assert [(skip.target, skip.reason) for skip in second.plan.skipped] == [("brittle", "breaker_open")]
    assert [attempt.target for attempt in second.attempts] == ["spare"]
    assert len(far.of("brittle")) == 1

    def recovered() -> bool | None:
        return said(client.chat.completions.create(model="breaks", messages=HELLO)) == "recovered" or None

    assert near.process.child.wait_for("answer of the target that rested", recovered)


# Fit


def test_a_small_prompt_goes_to_the_smallest_window(client: openai.OpenAI) -> None:
    assert said(client.chat.completions.create(model="sized", messages=HELLO, max_tokens=100)) == "small"


WORDS: Final = "every word of this sentence costs about one token "


@pytest.mark.parametrize(
    ("why", "prompt", "options", "chosen"),
    [
        ("a long prompt", WORDS * 150, {"max_tokens": 100}, "middle"),
        ("a very long prompt", WORDS * 800, {"max_tokens": 100}, "large"),
        ("a large budget for the answer", "Hi", {"max_tokens": 3000}, "middle"),
        ("dense script", "世界" * 600, {"max_tokens": 100}, "middle"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 40 else "",
)
def test_what_does_not_fit_the_smallest_window_goes_to_a_larger_one(
    near: Served, client: openai.OpenAI, why: str, prompt: str, options: dict[str, int], chosen: str
) -> None:
    answer = client.chat.completions.create(
        model="sized", messages=[{"role": "user", "content": prompt}], extra_body=options
    )
    assert said(answer) == chosen, why
    receipt = near.receipt(answer.id)
    assert receipt.plan is not None
    assert {skip.reason for skip in receipt.plan.skipped} == {"context_window_too_small"}


def test_tools_count_towards_the_window(client: openai.OpenAI) -> None:
    tools: list[ChatCompletionToolParam] = [
        {"type": "function", "function": {"name": f"tool_{n}", "description": WORDS * 3}} for n in range(40)
    ]
    answer = client.chat.completions.create(model="sized", messages=HELLO, max_tokens=100, tools=tools)
    assert said(answer) == "middle"


def test_what_fits_nowhere_is_refused_with_the_largest_window(near: Served, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="is 16384 tokens; it needs") as caught:
        client.chat.completions.create(model="sized", messages=[{"role": "user", "content": WORDS * 3000}])
    assert caught.value.code == "context_length_exceeded"
    receipt = near.receipt(caught.value.response.headers["x-wardwright-receipt-id"])
    assert receipt.plan is not None
    assert (receipt.attempts, len(receipt.plan.skipped)) == ((), 3)


# Alloys

SEARCH: Final[ChatCompletionToolParam] = {
    "type": "function",
    "function": {"name": "search", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
}
STEPS: Final = 5


def agent_of(name: str) -> Callable[[Asked], Reply]:
    """A model that searches until the turn has shown it enough results, then answers with its own name."""

    def answer(asked: Asked) -> Reply:
        roles = [message["role"] for message in asked.body["messages"]]
        turn = roles[len(roles) - roles[::-1].index("user") :]
        results = turn.count("tool")
        if results < STEPS - 1:
            call = answers.call(f"call_{name}_{results}", "search", '{"q": "x"}')
            return answers.whole({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")
        return answers.whole(name)

    return answer


def run_agent(
    client: openai.OpenAI, name: str, question: str, messages: list[ChatCompletionMessageParam] | None = None
) -> tuple[list[str], list[ChatCompletionMessageParam]]:
    """An agent's tool loop for one question: the ids of its answers, the conversation it ends with."""
    messages = [*(messages or []), {"role": "user", "content": question}]
    ids: list[str] = []
    while True:
        answer = client.chat.completions.create(model=name, messages=messages, tools=[SEARCH])
        ids.append(answer.id)
        message = answer.choices[0].message
        messages.append(message.to_dict())  # type: ignore[arg-type]
        if not message.tool_calls:
            return ids, messages
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "found"} for call in message.tool_calls]


def spoke(near: Served, ids: list[str]) -> list[str]:
    """Which target gave each answer."""
    selected = [near.receipt(id_).selected for id_ in ids]
    return [one.target for one in selected if one is not None]


def test_an_alloy_alternates_over_the_steps_of_an_agents_tool_loop(near: Served, client: openai.OpenAI) -> None:
    ids, _ = run_agent(client, "steps", "Who said it?")
    assert spoke(near, ids) == ["red", "blue", "red", "blue", "red"]
    facts = [near.receipt(id_).facts for id_ in ids]
    assert [one.step for one in facts if one is not None] == list(range(STEPS))
    assert len({one.conversation for one in facts if one is not None}) == 1


def test_an_alloy_per_turn_holds_still_through_the_loop_and_moves_on_at_the_next_turn(
    near: Served, client: openai.OpenAI
) -> None:
    ids, messages = run_agent(client, "turns", "Who said it?")
    assert spoke(near, ids) == ["red"] * STEPS
    ids, _ = run_agent(client, "turns", "And who heard it?", messages)
    assert spoke(near, ids) == ["blue"] * STEPS


def test_a_weighted_alloy_draws_alike_in_another_process_and_after_a_restart(
    near: Served, here: Installation, client: openai.OpenAI, tmp_path_factory: pytest.TempPathFactory
) -> None:
    questions = [f"Question {n}?" for n in range(4)]
    first = [spoke(near, run_agent(client, "weighs", question)[0]) for question in questions]
    assert {name for names in first for name in names} == {"red", "blue", "green"}

    # Another installation of the same contracts and the same tenants' keys, as a second worker has them.
    other = installation.at(tmp_path_factory.mktemp("replica"))
    shutil.copytree(here.folder, other.folder, dirs_exist_ok=True)
    other.state.mkdir(mode=0o700)
    shutil.copytree(here.state / "keys" / "tenants", other.state / "keys" / "tenants")
    for _ in ("another process", "after a restart"):
        with other.serving() as served:
            own = served.client()
            again = [spoke(served, run_agent(own, "weighs", question)[0]) for question in questions]
        assert again == first


def test_a_retry_of_the_sdk_draws_alike(far: Upstream, near: Served) -> None:
    question: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Will you retry?"}]
    boom = answers.error(500, "boom")
    for member in ("red", "blue", "green"):
        far.on(member, boom, answers.whole(member))
    try:
        answer = near.client(max_retries=1).chat.completions.create(model="weighs", messages=question)
    finally:
        for member in ("red", "blue", "green"):
            far.on(member, agent_of(member))
    retried = near.receipt(answer.id)
    assert retried.retry_of is not None
    failed = near.receipt(retried.retry_of)
    assert failed.plan is not None
    assert retried.plan is not None
    assert failed.plan.draws == retried.plan.draws
    assert [attempt.target for attempt in failed.attempts] == [attempt.target for attempt in retried.plan.attempts]


def test_a_member_that_fails_is_stood_in_for_by_the_next_of_the_draw(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    far.on("red", answers.error(503, "down"))
    try:
        ids, _ = run_agent(client, "steps", "Is red down?")
    finally:
        far.on("red", agent_of("red"))
    receipts = [near.receipt(id_) for id_ in ids]
    assert [[attempt.target for attempt in receipt.attempts] for receipt in receipts] == [
        ["red", "blue"], ["blue"], ["red", "blue"], ["blue"], ["red", "blue"],
    ]  # fmt: skip


# Guards and constraints


def chosen(near: Served, token: str, name: str, **members: object) -> str | None:
    answer = near.client(token).chat.completions.create(
        model=name, messages=HELLO, extra_body={"metadata": members} if members else None
    )
    return said(answer)


def test_a_guard_opens_by_the_tenant_of_the_key_and_by_nothing_the_caller_says(near: Served) -> None:
    acme, other = near.key(tenant="acme"), near.key(tenant="other")
    assert chosen(near, acme, "by-tenant") == "at-home"
    assert chosen(near, other, "by-tenant") == "hosted"
    assert chosen(near, other, "by-tenant", tenant="acme", tenant_id="acme") == "hosted"


def test_a_guard_opens_by_tag_and_by_data_class(near: Served) -> None:
    assert chosen(near, "unused", "by-tag") == "at-home"
    assert chosen(near, "unused", "by-tag", tags="slow, urgent") == "hosted"
    assert chosen(near, "unused", "by-tag", tags=["urgent"]) == "hosted"
    assert chosen(near, "unused", "by-data-class") == "hosted"
    assert chosen(near, "unused", "by-data-class", data_class="private") == "at-home"
    assert chosen(near, "unused", "by-data-class", data_class="public") == "hosted"


def test_a_guard_without_another_way_refuses_whom_it_does_not_know(near: Served) -> None:
    lab = near.key(house="lab")
    assert chosen(near, lab, "by-house") == "at-home"
    with pytest.raises(openai.PermissionDeniedError) as caught:
        chosen(near, near.key(house="kitchen"), "by-house", house="lab")
    assert caught.value.code == "route_refused"


@pytest.mark.parametrize("name", ["both", "both-weighed", "both-behind-an-alias"])
def test_what_a_key_is_restricted_to_binds_every_kind_of_route(near: Served, name: str) -> None:
    assert chosen(near, near.key(targets=["local"]), name) == "at-home"


@pytest.mark.parametrize("name", ["hosted-only", "hosted-by-contract"])
def test_constraints_that_share_no_target_refuse_without_naming_any(far: Upstream, near: Served, name: str) -> None:
    before = len(far.asked)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        chosen(near, near.key(targets=["local"]), name)
    assert caught.value.code == "route_refused"
    told = caught.value.response.text.replace(name, "")
    assert not any(word in told for word in ("hosted", "local", "at-home", "far"))
    assert len(far.asked) == before


def test_a_key_sees_and_calls_the_models_it_was_made_for(near: Served) -> None:
    client = near.client(near.key(models=["by-*"]))
    assert {entry.id for entry in client.models.list() if "/" not in entry.id} == {
        "by-tenant", "by-tag", "by-data-class", "by-house",
    }  # fmt: skip
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="wardwright/both", messages=HELLO)
    assert caught.value.code == "model_not_allowed"


# Transforms


def test_the_operators_text_stands_around_the_callers(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on("able", answers.whole("ok"))
    answer = client.chat.completions.create(model="framed", messages=HELLO)
    assert far.last("able").body["messages"] == [
        {"role": "system", "content": "Be kind."},
        *HELLO,
        {"role": "system", "content": "Be brief."},
    ]
    receipt = near.receipt(answer.id)
    assert (receipt.request.preamble, receipt.request.postscript, receipt.request.messages) == (True, True, 1)


def test_a_conversation_keeps_its_arm_of_the_experiment(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on("able", answers.whole("ok"))
    arms: dict[str, str] = {}
    for session in [f"session-{n % 8}" for n in range(24)]:
        answer = client.chat.completions.create(
            model="varied", messages=HELLO, extra_headers={"x-wardwright-session-id": session}
        )
        preamble = far.last("able").body["messages"][0]["content"]
        variant = variant_of(near.receipt(answer.id))
        assert (variant, preamble) in (("terse", "Few words."), ("long", "Many words."))
        assert arms.setdefault(session, variant) == variant
    assert set(arms.values()) == {"terse", "long"}
    rows = near.receipts(model="varied", variant="terse", limit=100)
    assert {row["session"] for row in rows} == {session for session, arm in arms.items() if arm == "terse"}


def variant_of(receipt: Receipt) -> str:
    assert receipt.contract is not None
    assert receipt.contract.variant is not None
    return receipt.contract.variant


# Simulation


def test_a_simulation_plans_the_same_route_and_leaves_no_trace(
    far: Upstream, near: Served, client: openai.OpenAI
) -> None:
    ids, messages = run_agent(client, "weighs", "Would you draw alike?")
    live = [near.receipt(id_) for id_ in ids]
    before = len(far.asked)
    for receipt in live:
        assert receipt.facts is not None
        history = cut(messages, receipt.facts.step)
        request = {"model": "weighs", "messages": history, "tools": [SEARCH]}
        told = near.http.post("/v1/synthetic/simulate", json={"request": request}).raise_for_status().json()
        simulated = msgspec.convert(told["receipt"], Receipt)
        assert simulated.plan == receipt.plan
        assert simulated.simulation
    assert len(far.asked) == before
    assert near.http.get("/v1/receipts", params={"simulation": "true"}).json()["data"] == []


def cut(messages: list[ChatCompletionMessageParam], step: int) -> list[ChatCompletionMessageParam]:
    """The conversation as it was sent at a step."""
    answered = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    return messages[: answered[step]]


# Load


def test_parallel_conversations_do_not_disturb_each_others_turns(near: Served, client: openai.OpenAI) -> None:
    outcomes: dict[int, list[str]] = {}

    def agent(number: int) -> None:
        ids, _ = run_agent(client, "steps", f"Agent {number} asks?")
        outcomes[number] = spoke(near, ids)

    threads = [threading.Thread(target=agent, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {number: ["red", "blue", "red", "blue", "red"] for number in range(6)}
