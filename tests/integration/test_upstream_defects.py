"""Known defects of gateways of this kind, and the tests that show this one without them.

The numbers are those of the list that the project answers to. Tests without a file stand below; those of policies and
held streams (1–8, 16–26) come with them.

| # | Defect elsewhere | Tests |
|---|---|---|
| 9 | what reached the consumer is one ambiguous flag | `test_what_the_client_got_is_counted_and_not_guessed` |
| 10 | no fallback when a provider fails | `test_a_target_that_fails_is_followed_by_the_next`, \
`test_routing_live::test_a_cascade_goes_on_after_each_class_of_failure` and the tests beside it, \
`unit/calls/test_machine::test_a_failure_before_the_first_byte_falls_through_to_the_next_target` |
| 11 | a prompt too large goes to the largest target; tools, output and dense scripts are not counted | \
`test_a_prompt_too_large_for_all_is_sent_to_none`, \
`test_routing_live::test_what_does_not_fit_the_smallest_window_goes_to_a_larger_one`, \
`test_routing_live::test_tools_count_towards_the_window`, \
`unit/routing/test_planner::test_a_request_that_nothing_holds_is_refused_naming_the_largest_window`, \
`unit/routing/test_tokens::test_each_kind_of_text_has_the_density_that_vocabularies_give_it` |
| 12 | constraints that share nothing are dropped; a provider and its model do not intersect | \
`test_disjoint_constraints_refuse_and_nested_ones_intersect`, \
`unit/routing/test_planner::test_disjoint_constraints_refuse_instead_of_admitting_everything`, \
`unit/routing/test_planner::test_a_provider_and_one_of_its_models_intersect_in_that_model`, \
`properties/test_routing::test_constraints_that_share_no_target_refuse` |
| 13 | weighted members slip past constraints | `test_a_heavy_member_does_not_outweigh_a_constraint`, \
`test_routing_live::test_what_a_key_is_restricted_to_binds_every_kind_of_route`, \
`unit/routing/test_planner::test_constraints_bind_weighted_members_nested_nodes_and_aliases_alike` |
| 14 | alloys do not alternate | \
`test_routing_live::test_an_alloy_alternates_over_the_steps_of_an_agents_tool_loop`, \
`test_routing_live::test_a_weighted_alloy_draws_alike_in_another_process_and_after_a_restart`, \
`unit/routing/test_planner::test_an_alloy_alternates_over_the_steps_of_a_tool_loop` |
| 15 | an unknown target answers cheerfully from a mock | \
`test_a_target_at_an_unknown_provider_is_refused_and_never_played`, `test_a_double_is_told_from_a_real_upstream`, \
`unit/routing/test_graph::test_a_target_that_no_contract_declares_is_refused_and_never_replaced` |
| 18 | the first tool call of a conversation stands for all, and parallel calls are ignored | \
`unit/calls/test_tool_facts::test_the_latest_step_is_told_and_not_the_first`, \
`unit/calls/test_tool_facts::test_every_parallel_call_is_told`, \
`unit/calls/test_tool_facts::test_a_call_of_long_ago_holds_nothing_after_an_answer_without_calls` |
| 19 | using a tool again counts as a loop | \
`test_recipes::test_two_times_other_arguments_and_other_results_are_no_loop`, \
`unit/calls/test_tool_facts::test_the_same_tool_with_other_arguments_is_no_repetition`, \
`unit/calls/test_tool_facts::test_the_same_call_with_another_result_is_no_repetition` |
| 27 | refusals carry a made-up assistant message and constant usage | \
`test_a_refusal_is_an_error_and_holds_no_answer`, \
`unit/calls/test_machine::test_a_stream_that_ends_without_its_end_is_broken_never_stopped` |
| 28 | answers are stored by default | `test_neither_prompts_nor_answers_nor_keys_lie_in_the_state_folder` |
| 29 | one attempt a receipt, ids that do not order, no cursor, no export, no cost | \
`test_a_receipt_tells_every_attempt_and_what_each_cost`, `test_receipts_page_in_the_order_of_their_calls` |
| 30 | only a few members reach the provider; tools are dropped | \
`test_openai_sdk::test_every_documented_sampling_member_reaches_the_upstream`, \
`test_openai_sdk::test_members_that_nobody_knows_reach_the_upstream`, \
`test_openai_sdk::test_a_whole_answer_carries_parallel_tool_calls` |
| 31 | no versions, drafts, canary or rollback; activation overwrites | \
`test_every_version_that_ever_served_can_be_shown_and_served_again`, all of `test_versions_live`, \
`unit/contracts/test_activation::test_a_rollback_survives_a_restart_with_the_same_files` and those beside it |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from parts import installation, upstream
from parts import openai_answers as answers
from parts.installation import Installation, Served, model, provider, target
from parts.upstream import EVENTS, Reply, Upstream

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
PROMPT_MARK = "a-prompt-that-nobody-may-find"
ANSWER_MARK = "an-answer-that-nobody-may-find"
CREDENTIAL = "sk-of-the-upstream-4711471147114711"


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        server.on("local-model", answers.whole("from here"))
        server.on("hosted-model", answers.whole("from afar"))
        server.on("failing", answers.error(500, "boom"))
        yield server


@pytest.fixture(scope="module")
def here(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    price = {"input": "2", "cached_input": "0.5", "output": "8", "reasoning": "10"}
    home = target("local-model", "box", labels=["local"], price=price)
    hosted = target("hosted-model", "cloud", labels=["hosted"], price=price)
    failing = target("failing", "cloud", price=price)
    return installation.at(
        tmp_path_factory.mktemp("defects"),
        provider("box", far.base_url, credential="env:BOX_KEY"),
        provider("cloud", far.base_url),
        {
            "kind": "provider",
            "name": "stage",
            "transport": "scripted",
            "scripts": [{"model": "scripted", "steps": [{"text": "a script"}]}],
        },
        model("plain", home),
        model("two", failing, home),
        model("breaks", target("breaking", "cloud")),
        model("sized", target("local-model", "box", context_window=256), target("hosted-model", "cloud",
              context_window=512), route={"dispatcher": ["local-model", "hosted-model"]}),
        model("both", hosted, home),
        model("heavy", hosted, home, route={"alloy": {"members": [
            {"node": "hosted-model", "weight": 1_000_000}, {"node": "local-model", "weight": 1}]}}),
        model("hosted", hosted, restrict=["hosted"]),
        model("orphan", target("anything", "no-such-provider")),
        model("played", target("scripted", "stage")),
    )  # fmt: skip


@pytest.fixture(scope="module")
def near(here: Installation) -> Iterator[Served]:
    with here.serving(env={"BOX_KEY": CREDENTIAL}) as served:
        yield served


@pytest.fixture(scope="module")
def client(near: Served) -> openai.OpenAI:
    return near.client()


# 9


def test_what_the_client_got_is_counted_and_not_guessed(far: Upstream, near: Served, client: openai.OpenAI) -> None:
    far.on("breaking", Reply(answers.words("one two three").pieces[:3], headers=EVENTS, ending="reset"))
    stream = client.chat.completions.create(model="breaks", messages=HELLO, stream=True)
    got: list[str] = []
    with pytest.raises(openai.APIError):
        got.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    row = near.receipts(model="breaks")[0]
    receipt = near.receipt(row["receipt"])
    assert receipt.client.text_chars == len("one two ") == sum(map(len, ["one ", "two "]))
    assert (receipt.status, receipt.error, receipt.client.status) == ("failed", "upstream_stream_broken", 200)


# 10


def test_a_target_that_fails_is_followed_by_the_next(near: Served, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="two", messages=HELLO)
    assert answer.choices[0].message.content == "from here"


# 11


def test_a_prompt_too_large_for_all_is_sent_to_none(far: Upstream, client: openai.OpenAI) -> None:
    before = len(far.asked)
    with pytest.raises(openai.BadRequestError, match="is 512 tokens; it needs") as caught:
        client.chat.completions.create(
            model="sized", messages=[{"role": "user", "content": "word " * 600}], max_tokens=10
        )
    assert caught.value.code == "context_length_exceeded"
    assert len(far.asked) == before


# 12, 13


def test_disjoint_constraints_refuse_and_nested_ones_intersect(near: Served) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        near.client(near.key(targets=["local"])).chat.completions.create(model="hosted", messages=HELLO)
    assert caught.value.code == "route_refused"
    nested = near.client(near.key(targets=["box/local-*", "local"]))
    assert nested.chat.completions.create(model="both", messages=HELLO).choices[0].message.content == "from here"


def test_a_heavy_member_does_not_outweigh_a_constraint(near: Served) -> None:
    client = near.client(near.key(targets=["local"]))
    for number in range(5):
        answer = client.chat.completions.create(
            model="heavy", messages=[{"role": "user", "content": f"Question {number}"}]
        )
        assert answer.choices[0].message.content == "from here"


# 15


def test_a_target_at_an_unknown_provider_is_refused_and_never_played(near: Served, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="orphan", messages=HELLO)
    (error,) = near.admin("GET", "/admin/runtime")["reload"]["errors"]
    assert "no-such-provider" in error["detail"]
    assert error["code"] == "contract_reference"


def test_a_double_is_told_from_a_real_upstream(near: Served, client: openai.OpenAI) -> None:
    for name, double in (("played", True), ("plain", False)):
        answer = client.chat.completions.create(model=name, messages=HELLO)
        assert near.receipt(answer.id).attempts[0].double is double


# 27


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("name", "status", "members"),
    [
        ("hosted", 403, {}),
        ("sized", 400, {"max_tokens": 5000}),
        ("nothing-of-the-kind", 404, {}),
        ("only-failing", 502, {}),
    ],
)
def test_a_refusal_is_an_error_and_holds_no_answer(
    near: Served, here: Installation, name: str, status: int, members: dict[str, int], stream: bool
) -> None:
    if name == "only-failing":
        here.write(model("only-failing", target("failing", "cloud")))
        near.admin("POST", "/api/reload")
    headers = {"authorization": f"Bearer {near.key(targets=['local'])}"} if status == 403 else {}
    body = {"model": name, "messages": HELLO, "stream": stream, **members}
    answer = near.http.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told.keys() == {"error"}
    assert {"message", "type", "param", "code"} <= told["error"].keys()
    receipt = near.receipt(answer.headers["x-wardwright-receipt-id"])
    assert (receipt.usage.input_total, receipt.usage.output_total) == (0, 0)
    assert (receipt.client.status, receipt.client.text_chars) == (status, 0)


# 28


def test_neither_prompts_nor_answers_nor_keys_lie_in_the_state_folder(
    far: Upstream, here: Installation, near: Served
) -> None:
    far.on("local-model", answers.whole(ANSWER_MARK), answers.words(ANSWER_MARK), answers.whole("from here"))
    token = near.key()
    client = near.client(token)
    question: list[ChatCompletionMessageParam] = [{"role": "user", "content": PROMPT_MARK}]
    client.chat.completions.create(model="plain", messages=question, user=PROMPT_MARK)
    list(client.chat.completions.create(model="plain", messages=question, stream=True))
    near.receipts(least=2, model="plain")
    assert far.last("local-model").headers["authorization"] == f"Bearer {CREDENTIAL}"
    admin = near.http.headers["x-wardwright-admin-token"]
    for file in files(here.state):
        content = file.read_bytes()
        for secret in (PROMPT_MARK, ANSWER_MARK, CREDENTIAL, token):
            assert secret.encode() not in content, f"{secret} lies in {file}"
        assert file.name == "admin-token" or admin.encode() not in content
    assert CREDENTIAL not in near.process.child.said()


def files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in found)
    return found


# 29


def test_a_receipt_tells_every_attempt_and_what_each_cost(near: Served, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="two", messages=HELLO)
    receipt = near.receipt(answer.id)
    failed, answered = receipt.attempts
    assert (failed.target, failed.failure, failed.http_status, failed.cost_nano_usd) == (
        "failing",
        "server_error",
        500,
        0,
    )
    # 16 fresh and 5 cached input tokens, 5 of output and 2 of reasoning, at USD 2, 0.5, 8 and 10 a million.
    assert answered.cost_nano_usd == 16 * 2000 + 5 * 500 + 5 * 8000 + 2 * 10_000
    assert receipt.cost_nano_usd == answered.cost_nano_usd
    assert 0 < failed.took_us <= answered.started_us
    assert answered.answered_us is not None
    assert receipt.timings.first_byte_us is not None
    assert receipt.timings.decided_us <= failed.started_us + 1
    assert answered.started_us + answered.took_us <= receipt.timings.total_us + 1


def test_receipts_page_in_the_order_of_their_calls(near: Served, client: openai.OpenAI) -> None:
    made = [
        client.chat.completions.create(
            model="plain", messages=HELLO, extra_headers={"x-wardwright-run-id": "paged"}
        ).id.removeprefix("chatcmpl-")
        for _ in range(7)
    ]  # fmt: skip
    assert made == sorted(made), "ids order as the calls did"
    near.receipts(least=7, run="paged")
    paged: list[str] = []
    cursor = ""
    while True:
        query = {"run": "paged", "limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = near.http.get("/v1/receipts", params=query).json()
        paged += [row["receipt"] for row in page["data"]]
        assert len(page["data"]) <= 3
        if page["next"] is None:
            break
        cursor = page["next"]
    assert paged == made[::-1]


# 31


def test_every_version_that_ever_served_can_be_shown_and_served_again(
    far: Upstream, here: Installation, near: Served, client: openai.OpenAI
) -> None:
    for name in ("first", "second", "third"):
        far.on(name, answers.whole(name))
        here.write(model("history", target(name, "cloud"), version=name))
        near.admin("POST", "/api/reload")
    shown = near.admin("GET", "/api/models/history/contract?version=first")
    assert shown["contract"]["targets"][0]["model"] == "first"
    changes = near.admin("GET", "/api/models/history/diff?from=first&to=third")["changes"]
    assert changes
    for name in ("first", "second", "third"):
        near.admin("POST", "/api/models/history/activate", {"version": name})
        answer = client.chat.completions.create(model="history", messages=HELLO)
        assert answer.choices[0].message.content == name
    steps = near.admin("GET", "/api/models/history/versions")["steps"]
    names = {one["digest"]: one["label"] for one in near.admin("GET", "/api/models/history/versions")["data"]}
    assert [names[step["fact"]["digest"]] for step in steps] == ["first", "second", "third"] * 2


def test_every_test_that_the_table_names_exists() -> None:
    assert __doc__ is not None
    tests = Path(__file__).parent.parent
    named = re.findall(r"`(?:([\w/]+)::)?(test_\w+)`", __doc__)
    assert len(named) > 25
    for module, name in named:
        if not module and (tests / "integration" / f"{name}.py").exists():
            continue
        path = (
            tests / f"{module}.py" if "/" in module else tests / "integration" / f"{module or Path(__file__).stem}.py"
        )
        assert f"def {name}(" in path.read_text(), f"{path.name} has no `{name}`"
