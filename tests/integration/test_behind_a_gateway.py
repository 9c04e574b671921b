"""Behind another gateway: one serving key, many users; who called is known as far as somebody said so.

And what may be read afterwards: a key's own receipts, its tenant's, or all; never a stranger's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from parts import installation, litellm_front, upstream
from parts import openai_answers as answers
from parts.installation import Served, model, provider, target
from parts.litellm_front import Front, User
from parts.upstream import Upstream
from wardwright.calls.receipt import Caller, Sourced

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]

USERS = {
    "sk-front-ann": User(alias="ann-key", team="search", end_user="ann@example.test"),
    "sk-front-bob": User(alias="bob-key", team="billing", end_user="bob@example.test"),
}


@pytest.fixture(scope="module")
def far() -> Iterator[Upstream]:
    with upstream.running() as server:
        server.on("able", answers.whole("ok"))
        yield server


@pytest.fixture(scope="module")
def near(far: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = installation.at(
        tmp_path_factory.mktemp("behind"),
        provider("far", far.base_url),
        model("chat", target("able", "far")),
        model("locked", target("able", "far"), restrict=["nothing"]),
    )
    with made.serving(options=["--keys", "required"]) as served:
        yield served


@pytest.fixture(scope="module")
def front(near: Served) -> Iterator[Front]:
    with litellm_front.running(near.process.url, near.key(tenant="acme", label="the front"), USERS) as running:
        yield running


def at_front(front: Front, key: str = "sk-front-ann") -> openai.OpenAI:
    return openai.OpenAI(base_url=front.base_url, api_key=key, max_retries=0, timeout=20)


def caller_of(near: Served, answer_id: str) -> Caller:
    return near.receipt(answer_id).caller


# Who called


def test_the_name_asked_for_comes_back_with_its_prefix_and_the_front_is_none_the_wiser(
    far: Upstream, near: Served, front: Front
) -> None:
    with at_front(front) as client:
        answer = client.chat.completions.create(model="chat", messages=HELLO)
    assert (answer.model, answer.choices[0].message.content) == ("wardwright/chat", "ok")
    receipt = near.receipt(answer.id)
    assert receipt.contract is not None
    assert (receipt.request.model, receipt.contract.name) == ("wardwright/chat", "chat")


def test_what_the_front_knows_of_its_users_stands_in_the_receipt_with_its_source(near: Served, front: Front) -> None:
    with at_front(front) as client:
        answer = client.chat.completions.create(model="chat", messages=HELLO)
    caller = caller_of(near, answer.id)
    assert caller.tenant == Sourced("trusted_auth", "acme")
    assert caller.agent == Sourced("gateway_metadata", "ann-key")
    assert caller.application == Sourced("gateway_metadata", "search")
    assert caller.user == Sourced("gateway_metadata", "ann@example.test")
    assert caller.client_request == Sourced("gateway_metadata", front.calls[-1])


def test_what_the_users_client_said_reaches_through_the_front(near: Served, front: Front) -> None:
    with at_front(front) as client:
        answer = client.chat.completions.create(
            model="chat", messages=HELLO, metadata={"house": "kitchen", "run_id": "run-7"}
        )
    caller = caller_of(near, answer.id)
    assert caller.house == Sourced("gateway_metadata", "kitchen")
    assert caller.run == Sourced("gateway_metadata", "run-7")


def test_a_header_outweighs_the_metadata_and_the_key_outweighs_both(near: Served) -> None:
    said = {"house": "from-metadata", "agent_id": "from-metadata"}
    headers = {"x-wardwright-house": "from-header", "x-wardwright-agent-id": "from-header"}

    def ask(key: str, headers: dict[str, str]) -> Caller:
        answer = near.client(key).chat.completions.create(
            model="chat", messages=HELLO, extra_headers=headers, extra_body={"metadata": said}
        )
        return caller_of(near, answer.id)

    plain, bound = near.key(), near.key(house="from-key")
    assert ask(plain, {}).house == Sourced("body_metadata", "from-metadata")
    assert ask(plain, headers).house == Sourced("header", "from-header")
    caller = ask(bound, headers)
    assert caller.house == Sourced("trusted_auth", "from-key")
    assert caller.agent == Sourced("header", "from-header")


def test_a_caller_of_whom_nothing_is_said_has_a_name_derived_from_its_key(near: Served) -> None:
    client = near.client(near.key())
    first, second = (client.chat.completions.create(model="chat", messages=HELLO).id for _ in range(2))
    one, other = caller_of(near, first), caller_of(near, second)
    assert one.agent is not None
    assert one.agent.source == "derived_anonymous"
    assert one == other


def test_nothing_a_caller_says_makes_it_another_tenant(near: Served) -> None:
    answer = near.client(near.key(tenant="small")).chat.completions.create(
        model="chat",
        messages=HELLO,
        extra_headers={"x-wardwright-tenant-id": "acme", "x-wardwright-tenant": "acme"},
        extra_body={"metadata": {"tenant": "acme", "tenant_id": "acme", "user_api_key_team_id": "acme"}},
    )
    assert caller_of(near, answer.id).tenant == Sourced("trusted_auth", "small")


def test_equal_words_in_two_tenants_are_two_conversations(near: Served) -> None:
    ids = [
        near.client(near.key(tenant=tenant)).chat.completions.create(
            model="chat", messages=HELLO, extra_headers={"x-wardwright-session-id": "the same"}
        ).id
        for tenant in ("first", "second")
    ]  # fmt: skip
    one, other = (near.receipt(id_) for id_ in ids)
    assert one.facts is not None
    assert other.facts is not None
    assert one.request.conversation_source == other.request.conversation_source == "declared"
    assert one.facts.conversation != other.facts.conversation
    assert one.request.body != other.request.body, "digests of equal bodies tell nothing across tenants"


def test_the_users_of_a_front_are_told_apart_in_conversations_too(near: Served, front: Front) -> None:
    conversations = set()
    for session in ("ann-1", "bob-1", "ann-1"):
        with at_front(front) as client:
            answer = client.chat.completions.create(
                model="chat", messages=HELLO, extra_headers={"x-wardwright-session-id": session}
            )
        facts = near.receipt(answer.id).facts
        assert facts is not None
        conversations.add(facts.conversation)
    assert len(conversations) == 2


# What the front passes back


def test_a_stream_passes_both_gateways_as_it_is_written(far: Upstream, front: Front) -> None:
    far.on("able", answers.words("one two three four five", gap_s=0.25))
    try:
        with at_front(front) as client:
            arrived = [
                time.monotonic()
                for chunk in client.chat.completions.create(model="chat", messages=HELLO, stream=True)
                if chunk.choices[0].delta.content
            ]
    finally:
        far.on("able", answers.whole("ok"))
    assert len(arrived) == 5
    assert arrived[-1] - arrived[0] > 0.4


def test_a_refusal_reaches_the_fronts_user_as_one_that_is_not_retried(near: Served, front: Front) -> None:
    with (
        openai.OpenAI(base_url=front.base_url, api_key="sk-front-bob", max_retries=2) as client,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        client.chat.completions.create(model="locked", messages=HELLO)
    assert caught.value.code == "route_refused"
    assert len(near.receipts(model="locked")) == 1


def test_gateways_that_lead_in_a_circle_are_noticed(near: Served) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        near.client(near.key()).chat.completions.create(
            model="chat", messages=HELLO, extra_headers={"x-wardwright-hops": "4"}
        )
    assert caught.value.code == "too_many_hops"
    assert caught.value.response.headers["x-should-retry"] == "false"


# Who may read what


@pytest.fixture(scope="module")
def readers(near: Served) -> dict[str, tuple[str, str]]:
    """By name: a key and the id of a receipt that it made."""
    terms: dict[str, dict[str, object]] = {
        "own": {"tenant": "red"},
        "neighbour": {"tenant": "red"},
        "tenant": {"tenant": "red", "scopes": ["call", "receipts:tenant"]},
        "stranger": {"tenant": "blue", "scopes": ["call", "receipts:tenant"]},
        "writer": {"tenant": "red", "scopes": ["call"]},
    }
    made = {}
    for name, term in terms.items():
        key = near.key(**term)
        answer = near.client(key).chat.completions.create(model="chat", messages=HELLO)
        made[name] = (key, answer.id.removeprefix("chatcmpl-"))
    return made


def fetch(near: Served, key: str, path: str) -> httpx2.Response:
    """With a serving key and without the admin's credential."""
    request = near.http.build_request("GET", path, headers={"authorization": f"Bearer {key}"})
    del request.headers["x-wardwright-admin-token"]
    return near.http.send(request)


@pytest.mark.parametrize(
    ("reader", "visible"),
    [
        ("own", {"own"}),
        ("neighbour", {"neighbour"}),
        ("tenant", {"own", "neighbour", "tenant", "writer"}),
        ("stranger", {"stranger"}),
    ],
)
def test_a_key_reads_what_its_scope_reaches_and_nothing_else_exists_for_it(
    near: Served, readers: dict[str, tuple[str, str]], reader: str, visible: set[str]
) -> None:
    key = readers[reader][0]
    mine = {id_ for name, (_, id_) in readers.items() if name in visible}
    near.receipts(least=len(readers), limit=500)
    near.process.child.wait_for(
        "rows",
        lambda: {row["receipt"] for row in fetch(near, key, "/v1/receipts").json()["data"]} == mine or None,
        timeout_s=5,
    )
    unknown = fetch(near, key, "/v1/receipts/rcp_00000000000000000000000000")
    assert unknown.status_code == 404
    for name, (_, id_) in readers.items():
        answer = fetch(near, key, f"/v1/receipts/{id_}")
        if name in visible:
            assert answer.json()["receipt"]["receipt"] == id_
        else:
            assert answer.status_code == 404
            assert answer.text.replace(id_, "") == unknown.text.replace("rcp_00000000000000000000000000", "")


def test_filters_do_not_widen_what_a_key_may_read(near: Served, readers: dict[str, tuple[str, str]]) -> None:
    key = readers["stranger"][0]
    for wish in ("tenant=red", "tenant_id=red", "tenant=*", "key=" + near.receipts(tenant="red")[0]["key"]):
        assert fetch(near, key, f"/v1/receipts?{wish}").json()["data"] == []


def test_a_key_without_the_scope_reads_nothing_and_no_key_reads_what_is_the_admins(
    near: Served, readers: dict[str, tuple[str, str]]
) -> None:
    writer = readers["writer"][0]
    assert fetch(near, writer, "/v1/receipts").json()["error"]["code"] == "scope_missing"
    assert fetch(near, writer, f"/v1/receipts/{readers['writer'][1]}").json()["error"]["code"] == "scope_missing"
    for path in ("/admin/runtime", "/admin/providers", "/api/keys", "/api/models"):
        for name in readers:
            assert fetch(near, readers[name][0], path).status_code == 401


def test_the_admin_reads_them_all(near: Served, readers: dict[str, tuple[str, str]]) -> None:
    rows = [row for _, id_ in readers.values() for row in near.receipts(receipt=id_)]
    assert [row["tenant"] for row in rows] == ["red", "red", "red", "blue", "red"]
