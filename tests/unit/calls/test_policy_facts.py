"""What rules read of a request is what the request says."""

from __future__ import annotations

import json

import msgspec

from wardwright.calls.phases import PHASES, REQUEST
from wardwright.calls.policy_facts import SOURCES, Asked, request_facts
from wardwright.calls.receipt import Caller, Sourced
from wardwright.calls.tool_facts import TOOL_FACTS
from wardwright.dialects.openai_request import decode_chat, decode_embeddings, survey
from wardwright.policy.phases import OPEN, checked
from wardwright.routing.draw import Keyed

BODY = {
    "model": "wardwright/coding",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": None},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
        {"role": "user", "content": "two"},
    ],
    "max_tokens": 64,
    "stream": True,
    "tools": [
        {"type": "function", "function": {"name": "edit"}},
        {"type": "web_search"},
        {"type": "custom", "name": "x"},
    ],
    "metadata": {"data_class": "public", "count": 3},
}


def asked(**changes: object) -> Asked:
    members, head = decode_chat(json.dumps(BODY | changes).encode())
    caller = Caller(agent=Sourced("header", "builder"), key="key_1", tags=("eu", "x"))
    return Asked(
        bytes=700,
        caller=caller,
        conversation_source="derived",
        found=survey(head),
        head=head,
        hops=1,
        input_tokens=42,
        messages=members["messages"],
        model="coding",
        retries=2,
        secret=Keyed(b"the tenant's"),
    )


def test_every_field_of_the_phase_has_a_source_of_its_type() -> None:
    closed = {field.name for field in REQUEST.fields if not field.name.endswith(OPEN)}

    assert set(SOURCES) | set(TOOL_FACTS) == closed
    facts = request_facts(asked(), closed)
    assert facts.unavailable == {}
    assert checked(REQUEST, facts.known).unavailable == {}


def test_the_fields_hold_what_the_request_says() -> None:
    assert request_facts(asked(), SOURCES).known == {
        "caller.tenant": "local",
        "caller.application": None,
        "caller.agent": "builder",
        "caller.house": None,
        "caller.user": None,
        "caller.key": "key_1",
        "caller.session": None,
        "caller.run": None,
        "caller.tags": ("eu", "x"),
        "request.model": "coding",
        "request.stream": True,
        "request.messages": 5,
        "request.choices": 1,
        "request.output_tokens": 64,
        "request.input_tokens": 42,
        "request.capabilities": ("tools", "vision"),
        "request.bytes": 700,
        "request.hops": 1,
        "request.retries": 2,
        "tools.count": 3,
        "tools.names": ("edit", "x"),
        "conversation.step": 1,
        "conversation.turn": 1,
        "conversation.in_tool_loop": False,
        "conversation.source": "derived",
        "text.all": "Be brief.\none\n\n\nok\ntwo",
        "text.user": "one\n\ntwo",
        "text.last_user": "two",
        "text.system": "Be brief.",
        "text.assistant": "",
        "text.tool": "ok",
    }


def test_an_embeddings_request_calls_no_tools() -> None:
    members, head = decode_embeddings(b'{"model": "e", "input": "text"}')
    embedding = msgspec.structs.replace(asked(), found=None, head=head, messages=members.get("messages"))

    assert request_facts(embedding, ["tools.latest", "tools.repeats"]).known == {"tools.latest": (), "tools.repeats": 0}


def test_tool_calls_of_another_shape_are_unavailable_and_the_rest_is_known() -> None:
    calls = [{"id": "c", "function": {"name": "edit", "arguments": {"path": "a.py"}}}]
    facts = request_facts(
        asked(messages=[{"role": "assistant", "tool_calls": calls}]), ["tools.repeats", "request.hops"]
    )

    assert facts.known == {"request.hops": 1}
    assert facts.unavailable == {"tools.repeats": "tool calls have a shape that is not known"}


def test_only_what_is_read_is_looked_at() -> None:
    assert request_facts(asked(), {"request.hops"}).known == {"request.hops": 1}


def test_metadata_that_is_no_text_is_unavailable_and_what_is_not_there_is_absent() -> None:
    facts = request_facts(asked(), {"metadata.data_class", "metadata.count", "metadata.region"})

    assert facts.known == {"metadata.data_class": "public", "metadata.region": None}
    assert facts.unavailable == {"metadata.count": "is no text"}


def test_phases_name_each_field_once() -> None:
    for phase in PHASES:
        assert len(set(phase.names())) == len(phase.names()), phase.name
