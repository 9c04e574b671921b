"""Reading answers: how the bytes are cut never matters, and no bytes at all do harm."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wardwright.dialects.exchange import Failure, Headers
from wardwright.providers.answer import AnswerReader, Bounds
from wardwright.testing.nasty_server import chunk

BOUNDS = Bounds(response_head_bytes_max=400, body_bytes_max=4000)

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=10).map(lambda text: f"x-{text}")
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip)
headers = st.lists(st.tuples(names, values), max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer with a length or in chunks, perhaps after interim heads."""
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * draw(st.integers(0, 2))
    status = draw(st.sampled_from([200, 201, 400, 429, 500, 529]))
    head = f"HTTP/1.1 {status} Such\r\n" + "".join(f"{name}: {value}\r\n" for name, value in draw(headers))
    parts = draw(st.lists(st.binary(min_size=1, max_size=60), max_size=6))
    if draw(st.booleans()):
        body = (
            b"".join(chunk(part) for part in parts) + b"0\r\n" + draw(st.sampled_from([b"", b"x-sum: 1\r\n"])) + b"\r\n"
        )
        return interim + head.encode() + b"transfer-encoding: chunked\r\n\r\n" + body
    body = b"".join(parts)
    return interim + head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


def read(cuts: list[bytes]) -> tuple[int, Headers, bytes, bool, bool, str | None]:
    """Feed pieces; stop at a failure, as a connection does."""
    reader = AnswerReader(BOUNDS)
    body = b""
    failure: Failure | None = None
    for data in cuts:
        failure = reader.feed(data)
        body += b"".join(reader.pieces)
        reader.pieces.clear()
        if failure is not None or reader.is_complete:
            break
    kind = None if failure is None else failure.kind
    return reader.status, reader.head, body, reader.is_complete, reader.is_reusable, kind


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[start:end] for start, end in pairwise(places)]


@given(answers(), st.lists(st.integers(0, 2000), max_size=12))
def test_any_cut_reads_the_same(answer: bytes, at: list[int]) -> None:
    whole = read([answer])
    assert read(cut(answer, at)) == whole
    assert whole[3:] == (True, True, None)


@given(answers(), st.binary(min_size=1, max_size=40).filter(lambda extra: extra.strip(b"\r\n") != b""))
def test_bytes_after_an_answer_leave_it_whole_and_the_connection_unused(answer: bytes, extra: bytes) -> None:
    status, _, body, is_complete, is_reusable, _ = read([answer + extra])
    assert (status, body, is_complete) == (*read([answer])[:1], read([answer])[2], True)
    assert not is_reusable


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_nonsense_never_makes_an_answer_nor_an_error_of_ours(data: list[bytes]) -> None:
    status, head, _, is_complete, _, kind = read([piece for piece in data if piece])
    if not is_complete:
        assert kind in (None, "protocol")
    assert status == 0 or 200 <= status <= 999
    assert sum(len(name) + len(value) for name, value in head) <= BOUNDS.response_head_bytes_max


@given(answers(), st.integers(0, 2000), st.integers(0, 255))
def test_a_flipped_byte_is_an_answer_or_a_protocol_failure(answer: bytes, place: int, value: int) -> None:
    place %= len(answer)
    kind = read([answer[:place] + bytes([value]) + answer[place + 1 :]])[-1]
    assert kind in (None, "protocol")


def test_a_head_at_the_bound_passes_and_one_past_it_does_not() -> None:
    for size, passes in ((300, True), (400, False)):
        answer = b"HTTP/1.1 200 OK\r\nx-a: %b\r\ncontent-length: 0\r\n\r\n" % (b"x" * size)
        for pieces in ([answer], cut(answer, list(range(len(answer))))):
            assert (read(pieces)[-1] is None) == passes


def test_a_body_past_its_bound_is_refused() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n" + b"x" * 9000
    assert read(cut(answer, list(range(0, 9000, 100))))[-1] == "protocol"
