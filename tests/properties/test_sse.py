"""However a stream is cut, its events are the same."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wardwright.dialects.sse import Framer, ServerEvent

_LINE = st.one_of(
    st.sampled_from([b"", b"", b"data: x", b"data:", b"event: ping", b": note", b"data: {\xe2\x82\xac}", b"retry: 1"]),
    st.binary(max_size=12).map(lambda raw: b"data: " + raw.replace(b"\r", b"").replace(b"\n", b"")),
)
_END = st.sampled_from([b"\n", b"\r", b"\r\n"])
STREAMS = st.builds(
    lambda bom, lines: bom + b"".join(line + end for line, end in lines),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(_LINE, _END), max_size=20),
)


def read(pieces: list[bytes], bound: int = 1_000) -> tuple[list[ServerEvent], bool]:
    framer = Framer(event_bytes_max=bound)
    events = [event for piece in pieces for event in framer.feed(piece)]
    return events + framer.close(), framer.too_large


@given(STREAMS, st.lists(st.integers(0, 200), max_size=8), st.sampled_from([8, 1_000]))
def test_any_split_gives_the_same_events(stream: bytes, cuts: list[int], bound: int) -> None:
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert read(pieces, bound) == read([stream], bound)
    assert read([bytes([byte]) for byte in stream], bound) == read([stream], bound)


@given(STREAMS)
def test_line_ends_do_not_matter(stream: bytes) -> None:
    plain = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert read([stream]) == read([plain])
