"""An upstream that dies at every byte boundary of its answer: the client has the answer, or an error, and one receipt.

The truth about each cut is told by the bytes themselves: what HTTP and the dialect still call a whole answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec
import pytest

from parts import contracts, raw_upstream
from parts.contracts import chat
from parts.gateway_thread import GatewayThread, running
from parts.raw_client import Answer, RawClient, request
from parts.raw_upstream import DONE, ROLE, STOP, Turn, chunk, text, whole

Way: TypeAlias = Literal["close", "reset"]

CLIENTS: Final = 4
WHOLE: Final = whole(raw_upstream.WHOLE_BODY)
UNTIL_CLOSE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + raw_upstream.WHOLE_BODY
EVENTS: Final = (ROLE, text("one "), text("two"), STOP, DONE)
STREAM: Final = raw_upstream.SSE_HEAD + b"".join(map(chunk, EVENTS)) + chunk(b"")
STREAM_UNTIL_CLOSE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(EVENTS)

ANSWERS: Final = {
    "whole": WHOLE,
    "whole until close": UNTIL_CLOSE,
    "stream": STREAM,
    "stream until close": STREAM_UNTIL_CLOSE,
}
CUTS: Final = [
    ("whole", "close"),
    ("whole", "reset"),
    ("whole until close", "close"),
    ("stream", "close"),
    ("stream", "reset"),
    ("stream until close", "close"),
]
"""An answer that ends with the connection looks the same however that ends, but for what a reset takes along."""
TEXT: Final = "one two"
FALLBACK: Final = "from the second"


def dies(turn: Turn) -> None:
    """Answer what `say` names up to `cut`, then die the `way` that is asked: members that only an upstream reads."""
    asked = turn.asked
    turn.send(ANSWERS[asked["say"]][: asked["cut"]])
    if asked["way"] == "close":
        turn.close()
    else:
        turn.reset()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    with raw_upstream.running(dies) as upstream:
        documents = [
            contracts.provider("frail", upstream.base_url),
            contracts.scripted("firm", {"text": FALLBACK}),
            contracts.model("alone", "frail"),
            contracts.model("backed", "frail", "firm"),
        ]
        with running(tmp_path_factory.mktemp("gateway"), documents, commit_delay_ms=1) as gateway:
            yield gateway


def ask_all(gateway: GatewayThread, model: str, say: str, way: Way) -> list[tuple[int, Answer]]:
    """The answer for every cut, a few clients at a time."""
    size = len(ANSWERS[say])

    def ask(cuts: range) -> list[tuple[int, Answer]]:
        found = []
        with RawClient(gateway.port) as client:
            for cut in cuts:
                body = chat(model, stream=say.startswith("stream"), say=say, cut=cut, way=way)
                found.append((cut, client.ask(request(json.dumps(body).encode()))))
        return found

    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = pool.map(ask, [range(start, size + 1, CLIENTS) for start in range(CLIENTS)])
        return sorted((pair for part in parts for pair in part), key=lambda pair: pair[0])


def events_of(answer: Answer) -> tuple[list[Any], bool]:
    """The JSON of each event, and whether the stream ended with [DONE]."""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    blocks = answer.body.split(b"\n\n")
    assert blocks.pop() == b"", "the stream ends within an event"
    payloads = [block.removeprefix(b"data: ") for block in blocks]
    done = payloads[-1] == b"[DONE]"
    return [json.loads(payload) for payload in (payloads[:-1] if done else payloads)], done


def heard(answer: Answer) -> tuple[str, str, bool]:
    """What a client makes of an answer: the verdict (`complete`, or an error's code), the text, whether it was a stream
    that had begun. Fails for whatever would make a client believe a broken answer."""
    if answer.status != 200:
        return answer.code, "", False
    if "text/event-stream" not in answer.headers["content-type"]:
        choice = answer.json["choices"][0]
        assert choice["finish_reason"] == "stop"
        return "complete", choice["message"]["content"], False
    events, done = events_of(answer)
    finish = [e["choices"][0]["finish_reason"] for e in events if e.get("choices") and e["choices"][0]["finish_reason"]]
    said = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e.get("choices"))
    if done:
        assert finish == ["stop"]
        assert not any("error" in event for event in events)
        return "complete", said, True
    assert "error" in events[-1], "neither an end nor an error"
    assert not any("error" in event for event in events[:-1])
    code = events[-1]["error"]["code"]
    assert isinstance(code, str)
    return code, said, True


def is_answer(say: str, cut: int) -> bool | None:
    """Whether the bytes up to a cut still are the answer, when the connection then closes; None: both readings hold."""
    data = ANSWERS[say]
    match say:
        case "whole":
            return cut == len(data)
        case "whole until close":
            return cut == len(data)
        case "stream":
            # What follows the terminator adds nothing; a transport may well insist on the end of the chunks.
            return True if cut == len(data) else None if cut >= data.index(DONE) + len(DONE) else False
        case _:
            # Every choice has finished once the event that says so is whole. Its blank line may be lost, and a
            # terminator that is cut may count as nothing or as nonsense.
            finished = data.index(STOP) + len(STOP)
            return True if cut in (finished, len(data)) else None if cut >= finished - 2 else False


@pytest.mark.parametrize(("say", "way"), CUTS)
def test_an_upstream_that_dies_at_any_byte_never_leaves_a_false_end(gateway: GatewayThread, say: str, way: Way) -> None:
    gateway.ended()
    answers = ask_all(gateway, "alone", say, way)
    ended = {one.receipt.receipt: one for one in gateway.ended(len(answers))}
    verdicts = set()
    for cut, answer in answers:
        verdict, said, streamed = heard(answer)
        verdicts.add(verdict)
        one = ended.pop(answer.headers["x-wardwright-receipt-id"])
        receipt = one.receipt
        told = is_answer(say, cut)
        if verdict == "complete":
            assert told is not False, cut
            assert said == TEXT, cut
            assert (receipt.status, receipt.error) == ("completed", None)
        else:
            assert told is not True or way == "reset", cut
            assert TEXT.startswith(said), cut
            assert verdict in ("upstream_failed", "upstream_stream_broken"), (cut, verdict)
            assert (receipt.status, receipt.error) == ("failed", verdict)
            assert answer.status == (200 if streamed else 502)
        assert one.opened == streamed, cut
        assert receipt.client.text_chars == len(said), cut
        assert receipt.client.bytes == (len(answer.body) if verdict == "complete" else receipt.client.bytes)
        assert len(receipt.attempts) == 1
    assert not ended
    assert "complete" in verdicts or way == "reset"
    assert verdicts - {"complete"}


@pytest.mark.parametrize(("say", "way"), CUTS)
def test_a_cascade_goes_on_exactly_when_nothing_was_released(gateway: GatewayThread, say: str, way: Way) -> None:
    gateway.ended()
    answers = ask_all(gateway, "backed", say, way)
    ended = {one.receipt.receipt: one for one in gateway.ended(len(answers))}
    outcomes = set()
    for cut, answer in answers:
        verdict, said, streamed = heard(answer)
        one = ended.pop(answer.headers["x-wardwright-receipt-id"])
        receipt = one.receipt
        if verdict == "complete":
            fell = said == FALLBACK
            assert fell or said == TEXT, (cut, said)
            assert [tried.target for tried in receipt.attempts] == (["frail", "firm"] if fell else ["frail"])
            assert (receipt.attempts[0].failure is not None) == fell
            assert receipt.status == "completed"
            assert not fell or way == "reset" or is_answer(say, cut) is not True
            outcomes.add("fell" if fell else "first")
        else:
            assert streamed, f"{verdict} at {cut}, and nothing had been released"
            assert TEXT.startswith(said)
            assert [tried.target for tried in receipt.attempts] == ["frail"]
            assert receipt.status == "failed"
            outcomes.add("broke")
    assert not ended
    assert "fell" in outcomes
    assert ("broke" in outcomes) == say.startswith("stream")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("member", "value", "source"),
    [
        ("usage", {"prompt_tokens": 2**60, "completion_tokens": 2}, "estimated"),
        ("usage", {"prompt_tokens": 3, "completion_tokens": 10**40}, "estimated"),
        ("usage", {"prompt_tokens": -3, "completion_tokens": -2}, "reported"),
        ("id", "x" * 1_000_000, "reported"),
        ("model", "\u2028" * 100_000, "reported"),
        ("system_fingerprint", "\x00" * 100_000, "reported"),
    ],
    ids=["tokens", "many tokens", "negative", "id", "model", "fingerprint"],
)
def test_nothing_that_an_upstream_says_makes_a_receipt_large_or_impossible(
    tmp_path: Path, member: str, value: object, source: str, stream: bool
) -> None:
    def says(turn: Turn) -> None:
        if stream:
            chunks = [json.loads(event[6:]) for event in EVENTS[:-1]]
            usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
            chunks.append({"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "m"} | usage)
            changed = [one | ({member: value} if member in one or member != "usage" else {}) for one in chunks]
            turn.stream(*(b"data: " + json.dumps(one).encode() + b"\n\n" for one in changed), DONE)
        else:
            turn.send(whole(json.dumps(json.loads(raw_upstream.WHOLE_BODY) | {member: value}).encode()))

    with raw_upstream.running(says) as upstream:
        documents = [contracts.provider("up", upstream.base_url), contracts.model("m", "up")]
        with running(tmp_path, documents) as other, RawClient(other.port) as client:
            assert heard(client.ask(request(json.dumps(chat("m", stream=stream)).encode())))[:2] == ("complete", TEXT)
            receipt = other.ended_once().receipt
    assert (receipt.status, receipt.usage_source) == ("completed", source)
    assert len(msgspec.json.encode(receipt)) < 4096


def test_an_upstream_that_never_listens_or_never_speaks_is_an_error_in_time(
    gateway: GatewayThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    timeouts = {"connect_s": 1, "first_byte_s": 1, "between_bytes_s": 1, "total_s": 2}

    def stalls(turn: Turn) -> None:
        match turn.asked["say"]:
            case "nothing":
                pass
            case "half a head":
                turn.send(b"HTTP/1.1 200 O")
            case "a beginning":
                turn.send(raw_upstream.SSE_HEAD + chunk(ROLE + text("one ")))
        turn.wait_until_left()

    with raw_upstream.running(stalls) as upstream, raw_upstream.running(dies) as gone:
        closed_port_url = gone.base_url
        gone.close()
        documents = [
            contracts.provider("mute", upstream.base_url, timeouts=timeouts),
            contracts.provider("patient", upstream.base_url),
            contracts.provider("gone", closed_port_url),
            contracts.scripted("firm", {"text": FALLBACK}),
            contracts.model("mute", "mute"),
            contracts.model("brief", "patient", deadline_s=1),
            contracts.model("gone", "gone"),
            contracts.model("backed", "gone", "mute", "firm"),
        ]
        cases = [
            ("mute", "nothing", 504, "upstream_timeout", ""),
            ("mute", "half a head", 504, "upstream_timeout", ""),
            ("mute", "a beginning", 200, "upstream_timeout", "one "),
            ("brief", "nothing", 504, "deadline_exceeded", ""),
            ("brief", "a beginning", 200, "deadline_exceeded", "one "),
            ("gone", "nothing", 502, "upstream_failed", ""),
            ("backed", "nothing", 200, "complete", FALLBACK),
            ("backed", "a beginning", 200, "upstream_timeout", "one "),
        ]
        with running(tmp_path_factory.mktemp("gateway"), documents) as other:

            def ask(case: tuple[str, str, int, str, str]) -> Answer:
                with RawClient(other.port) as client:
                    return client.ask(request(json.dumps(chat(case[0], stream=True, say=case[1])).encode()))

            with ThreadPoolExecutor(len(cases)) as pool:
                answers = list(pool.map(ask, cases))
            for (model, say, status, verdict, said), answer in zip(cases, answers, strict=True):
                assert (answer.status, *heard(answer)[:2]) == (status, verdict, said), (model, say)
            other.ended(len(cases))
            for turn in upstream.turns:
                assert turn.left.wait(10)
