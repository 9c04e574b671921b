"""Server-sent events, by the WHATWG rules."""

from __future__ import annotations

import pytest

from wardwright.dialects.sse import Framer, LineEnds, ServerEvent, read_block


def events(data: bytes) -> list[tuple[str, bytes]]:
    framer = Framer()
    return [(event.name, event.data) for event in [*framer.feed(data), *framer.close()]]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("message", b"a")]),
        (b"data:a\n\n", [("message", b"a")]),
        (b"data:  a\n\n", [("message", b" a")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", b"a"), ("message", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("message", b"a"), ("message", b"b")]),
        (b"data: a\ndata: b\n\n", [("message", b"a\nb")]),
        (b"data\n\n", [("message", b"")]),
        (b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
        (b"event:\ndata: x\n\n", [("message", b"x")]),
        (b"event: lonely\n\ndata: x\n\n", [("message", b"x")]),
        (b": a comment\n\ndata: x\n\n", [("message", b"x")]),
        (b"id: 7\nretry: 10\nodd: y\ndata: x\n\n", [("message", b"x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [("message", b"x")]),
        (b"\n\n\n\n\ndata: x\n\n\n\n", [("message", b"x")]),
        (b"data: a:b: c\n\n", [("message", b"a:b: c")]),
        (b"", []),
    ],
)
def test_a_stream_is_read_by_the_rules(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert events(stream) == expected


def test_a_last_event_without_its_blank_line_is_handed_out_at_the_end() -> None:
    framer = Framer()
    assert framer.feed(b"data: last\n") == []
    assert framer.close() == [ServerEvent("message", b"last")]


def test_an_event_past_the_bound_stops_the_framer_after_those_before_it() -> None:
    framer = Framer(event_bytes_max=20)
    assert framer.feed(b"data: ok\n\ndata: " + b"x" * 40 + b"\n\ndata: after\n\n") == [ServerEvent("message", b"ok")]
    assert framer.too_large
    assert framer.feed(b"data: more\n\n") == []


def test_an_event_that_never_ends_is_not_held_past_the_bound() -> None:
    framer = Framer(event_bytes_max=20)
    assert framer.feed(b"data: " + b"x" * 40) == []
    assert framer.too_large


def test_a_byte_order_mark_in_pieces_is_still_one() -> None:
    ends = LineEnds()
    assert [ends.normalise(bytes([byte])) for byte in b"\xef\xbb\xbfd"] == [b"", b"", b"", b"d"]


def test_a_block_of_comments_has_no_event() -> None:
    assert read_block(b": one\n: two") is None
