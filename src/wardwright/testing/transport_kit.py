"""The conformance kit of transports: what `dialects.exchange.Transport` promises, one case a promise.

Run it over your own transport, from any test runner:

    @pytest.mark.parametrize("case", transport_kit.cases("reuse"), ids=str)
    def test_my_transport(case):
        case.run(lambda provider, credential, wheel, loop, spawn: MyTransport(...))

Rule 1: a case talks to a real socket with bad manners on the other end (`nasty_server`).
Rule 2: a case that waits for a bound turns the wheel itself, after it saw what must come before.
Rule 3: every failure a case meets is held to the seam: a known kind, no credential, no address.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeAlias, get_args

from wardwright.contracts.provider import Pool, Provider, Timeouts
from wardwright.dialects.exchange import Failure, FailureClass, Headers
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import (
    CHUNKED_HEAD,
    EVENTS,
    FLOOD_BYTES,
    TRICKLE_EVENTS,
    TRICKLE_PAUSE_S,
    chunk,
)
from wardwright.testing.rig import CREDENTIAL, Build, Rig, Setting, rig, running

Feature: TypeAlias = Literal["reuse", "coalescing", "bounded_framing", "stale_retry"]
"""What a transport may have beyond the seam:
reuse           a connection serves one exchange after another
coalescing      all pieces of one socket read arrive in one `body` call
bounded_framing interim heads and trailers without end are refused
stale_retry     a request whose reused connection was closed without an answer is sent again
"""

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


class Case:
    """One promise."""

    def __init__(self, check: Callable[[Rig], Awaitable[None]], setting: Setting, needs: Feature | None) -> None:
        self._check = check
        self._setting = setting
        self.needs = needs
        """Runs only where the transport has this feature."""
        self.name = getattr(check, "__name__", "case").replace("_", " ")

    def __str__(self) -> str:
        return self.name

    def run(self, build: Build, new_loop: LoopFactory = asyncio.new_event_loop) -> None:
        """Run the case on an event loop of its own. Raises AssertionError where the promise is broken."""

        async def check() -> None:
            async with rig(build, self._setting) as world:
                await self._check(world)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(check())


CASES: Final[list[Case]] = []


def case(
    *,
    timeouts: Timeouts | None = None,
    pool: Pool | None = None,
    holds_time: bool = False,
    needs: Feature | None = None,
) -> Callable[[Callable[[Rig], Awaitable[None]]], Callable[[Rig], Awaitable[None]]]:
    """Put a function among CASES."""

    def keep(check: Callable[[Rig], Awaitable[None]]) -> Callable[[Rig], Awaitable[None]]:
        CASES.append(
            Case(check, Setting(timeouts=timeouts or Timeouts(), pool=pool or Pool(), holds_time=holds_time), needs)
        )
        return check

    return keep


def cases(*features: Feature) -> list[Case]:
    """The cases for a transport with these features."""
    return [case for case in CASES if case.needs is None or case.needs in features]


def expect_whole(heard: Heard, body: bytes = b'{"answer":"ok"}', status: int = 200) -> None:
    assert heard.failure is None, heard.failure
    assert heard.is_complete
    assert (heard.status, heard.body_bytes) == (status, body)


def expect_failure(heard: Heard, *kinds: FailureClass) -> Failure:
    failure = heard.failure
    assert failure is not None, f"no failure but {heard.status} {heard.body_bytes[:80]!r}"
    assert failure.kind in kinds, failure
    assert failure.kind in get_args(FailureClass)
    assert CREDENTIAL.decode() not in failure.message
    assert not re.search(r"127\.0\.0\.1|localhost|\d{4,}|/v1", failure.message), failure.message
    return failure


# --- requests


@case()
async def a_request_arrives_as_it_was_given(rig: Rig) -> None:
    heard = await rig.ask("/echo", b'{"model":"m"}', ((b"idempotency-key", b"k-1"),))
    expect_whole(heard, heard.body_bytes)
    (seen,) = rig.server.seen
    headers = dict(seen.headers)
    assert seen.head.startswith(b"POST /v1/echo HTTP/1.1\r\n")
    assert seen.body == b'{"model":"m"}'
    assert len(headers) == len(seen.headers), f"a header stands twice: {seen.headers}"
    assert headers[b"host"] == f"127.0.0.1:{rig.server.port}".encode()
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"authorization"] == b"Bearer " + CREDENTIAL
    assert headers[b"idempotency-key"] == b"k-1"
    assert headers[b"accept-encoding"] == b"identity"


@case()
async def a_header_of_the_request_replaces_a_default(rig: Rig) -> None:
    await rig.ask("/echo", headers=((b"content-type", b"text/plain"), (b"accept", b"text/event-stream")))
    headers = rig.server.seen[0].headers
    assert [value for name, value in headers if name == b"content-type"] == [b"text/plain"]
    assert [value for name, value in headers if name == b"accept"] == [b"text/event-stream"]


@case()
async def a_request_cannot_replace_what_the_transport_owns(rig: Rig) -> None:
    own = ((b"authorization", b"Bearer other"), (b"host", b"other"), (b"content-length", b"1"))
    expect_whole(await rig.ask("/whole", b'{"model":"m"}', own))
    (seen,) = rig.server.seen
    assert b"other" not in seen.head
    assert seen.body == b'{"model":"m"}'


@case()
async def a_large_body_arrives_whole(rig: Rig) -> None:
    body = bytes(range(32, 127)) * 10_000
    heard = await rig.ask("/echo", body)
    expect_whole(heard, heard.body_bytes)
    assert rig.server.seen[0].body == body
    assert heard.body_bytes.endswith(b"\r\n\r\n" + body)


@case()
async def an_empty_body_is_a_body(rig: Rig) -> None:
    expect_whole(await rig.ask("/whole", b""))
    assert dict(rig.server.seen[0].headers)[b"content-length"] == b"0"


# --- answers


@case()
async def a_whole_answer_is_head_body_end(rig: Rig) -> None:
    heard = await rig.ask("/whole")
    expect_whole(heard)
    assert (b"content-type", b"application/json") in heard.headers


@case()
async def a_chunked_answer_is_unwrapped(rig: Rig) -> None:
    expect_whole(await rig.ask("/chunked"), b"".join(EVENTS))


@case(needs="coalescing")
async def a_burst_of_chunks_is_one_call(rig: Rig) -> None:
    heard = await rig.ask("/chunked")
    assert len(heard.bodies) <= 2, len(heard.bodies)


@case()
async def error_statuses_are_answers(rig: Rig) -> None:
    for status in (400, 401, 429, 500, 503, 529):
        expect_whole(await rig.ask(f"/status/{status}"), b"why?", status)


@case()
async def answers_without_a_body_end_at_their_head(rig: Rig) -> None:
    for status in (204, 304):
        heard = await rig.ask(f"/status/{status}")
        expect_whole(heard, b"", status)
        assert (b"x-kept", b"yes") in heard.headers
    expect_whole(await rig.ask("/whole"))


@case()
async def redirects_are_not_followed_and_cookies_not_kept(rig: Rig) -> None:
    expect_whole(await rig.ask("/redirect"), b"", 307)
    await rig.ask("/whole")
    assert len(rig.server.seen) == 2
    assert not any(name == b"cookie" for name, _ in rig.server.seen[1].headers)


@case()
async def an_encoded_body_is_handed_on_as_it_is(rig: Rig) -> None:
    heard = await rig.ask("/gzip")
    expect_whole(heard, b"not-gzip")
    assert (b"content-encoding", b"gzip") in heard.headers


@case()
async def any_split_of_an_answer_is_the_same_answer(rig: Rig) -> None:
    answer = CHUNKED_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + chunk(b"")
    for cut in range(1, len(answer)):
        expect_whole(await rig.ask(f"/split/{cut}"), EVENTS[0] + EVENTS[1])


@case()
async def single_bytes_make_the_same_answer(rig: Rig) -> None:
    expect_whole(await rig.ask("/byte-by-byte"), EVENTS[0])


@case()
async def interim_heads_are_swallowed(rig: Rig) -> None:
    for _ in range(2):
        heard = await rig.ask("/interim")
        expect_whole(heard)
        assert not any(name == b"link" for name, _ in heard.headers)


@case()
async def trailers_are_ignored(rig: Rig) -> None:
    for _ in range(2):
        heard = await rig.ask("/trailers")
        expect_whole(heard, b"one")
        assert not any(name == b"x-checksum" for name, _ in heard.headers)


@case()
async def chunk_extensions_are_ignored(rig: Rig) -> None:
    expect_whole(await rig.ask("/extensions"), b"one")


@case()
async def a_body_may_end_with_the_connection(rig: Rig) -> None:
    for path in ("/close-delimited", "/http10", "/says-close"):
        heard = await rig.ask(path)
        expect_whole(heard, heard.body_bytes)
        assert heard.body_bytes in (b"until the end", b'{"answer":"ok"}')
    assert {seen.connection for seen in rig.server.seen} == {1, 2, 3}


@case()
async def large_heads_within_the_bound_pass(rig: Rig) -> None:
    heard = await rig.ask("/large-header/16384")
    expect_whole(heard)
    assert len(dict(heard.headers)[b"x-large"]) == 16_384
    heard = await rig.ask("/many-headers/500")
    expect_whole(heard)
    assert len(heard.headers) == 502


@case()
async def events_arrive_when_they_are_sent(rig: Rig) -> None:
    heard = await rig.ask("/trickle")
    expect_whole(heard, b"".join(EVENTS[:TRICKLE_EVENTS]))
    assert len(heard.bodies) == TRICKLE_EVENTS, "a transport that gathers events is no transport for streams"
    spread_s = heard.arrivals_s[-1] - heard.arrivals_s[0]
    assert spread_s >= TRICKLE_PAUSE_S * (TRICKLE_EVENTS - 1) * 0.8, spread_s


# --- lies, nonsense and breaks


@case()
async def an_answer_short_of_its_length_is_truncated(rig: Rig) -> None:
    heard = await rig.ask("/short")
    expect_failure(heard, "truncated")
    assert (heard.status, heard.body_bytes) == (200, b"only this")


@case()
async def a_chunked_answer_without_its_end_is_truncated(rig: Rig) -> None:
    heard = await rig.ask("/lost-chunks")
    expect_failure(heard, "truncated")
    assert heard.body_bytes == b"one"


@case()
async def an_answer_that_dies_at_any_byte_is_never_whole(rig: Rig) -> None:
    answer = CHUNKED_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + chunk(b"")
    for size in range(len(answer)):
        heard = await rig.ask(f"/cut/{size}")
        expect_failure(heard, "reset", "truncated")
        assert (EVENTS[0] + EVENTS[1]).startswith(heard.body_bytes)
        assert (heard.status == 200) == (size >= len(CHUNKED_HEAD))
    assert len(rig.server.seen) == len(answer), "a request whose answer had begun was sent again"


@case()
async def bytes_past_the_declared_length_reach_nobody(rig: Rig) -> None:
    for path in ("/long", "/afterthought"):
        expect_whole(await rig.ask(path))
        await asyncio.sleep(0.02)
        expect_whole(await rig.ask("/whole"))
    first, after_first, second, after_second = (seen.connection for seen in rig.server.seen)
    assert first != after_first, "the connection was used again"
    assert second != after_second, "the connection was used again"


@case()
async def nonsense_is_a_protocol_failure(rig: Rig) -> None:
    for path in ("/garbage", "/two-lengths", "/switches"):
        heard = await rig.ask(path)
        expect_failure(heard, "protocol")
        assert heard.status == 0


@case()
async def a_body_without_a_head_is_no_answer(rig: Rig) -> None:
    heard = await rig.ask("/headless")
    expect_failure(heard, "protocol", "reset")
    assert heard.status == 0


@case()
async def nonsense_within_a_body_is_a_protocol_failure(rig: Rig) -> None:
    heard = await rig.ask("/bad-chunk")
    expect_failure(heard, "protocol")
    assert heard.body_bytes == b"one"


@case()
async def heads_past_the_bound_are_a_protocol_failure(rig: Rig) -> None:
    for path in ("/endless-head", "/large-header/300000", "/many-headers/40000"):
        heard = await rig.ask(path)
        expect_failure(heard, "protocol")
        assert heard.status == 0


@case(needs="bounded_framing")
async def framing_without_end_is_a_protocol_failure(rig: Rig) -> None:
    for path in ("/endless-interim", "/endless-trailers"):
        expect_failure(await rig.ask(path), "protocol")


@case()
async def a_connection_that_breaks_is_a_reset(rig: Rig) -> None:
    for path in ("/slam/now", "/slam/head", "/reset/now", "/reset/head", "/reset/body", "/reset/close-delimited"):
        before = len(rig.server.seen)
        expect_failure(await rig.ask(path), "reset")
        assert len(rig.server.seen) == before + 1, "a request that was sent on a fresh connection was sent again"


# --- waits


@case()
async def a_port_that_nobody_serves_refuses(rig: Rig) -> None:
    await rig.server.aclose()
    expect_failure(await rig.ask("/whole"), "connect")


@case(timeouts=Timeouts(first_byte_s=4, between_bytes_s=2), holds_time=True)
async def a_late_first_byte_is_its_own_failure(rig: Rig) -> None:
    for path in ("/stall/now", "/stall/interim"):
        rig.server.seen.clear()
        heard = rig.start(path)
        await rig.until(lambda: len(rig.server.seen) == 1)
        await rig.pass_time(3.5)
        assert heard.failure is None
        await rig.pass_time(1)
        expect_failure(await heard.ended(), "first_byte_timeout")
    await rig.until(lambda: len(rig.server.left) == 2)


@case(timeouts=Timeouts(first_byte_s=2, between_bytes_s=2), holds_time=True)
async def a_stall_within_a_head_ends(rig: Rig) -> None:
    heard = rig.start("/stall/head")
    await rig.until(lambda: len(rig.server.seen) == 1)
    await asyncio.sleep(0.02)
    await rig.pass_time(2.5)
    expect_failure(await heard.ended(), "first_byte_timeout", "between_bytes_timeout")
    assert heard.status == 0


@case(timeouts=Timeouts(first_byte_s=20, between_bytes_s=2), holds_time=True)
async def a_stall_within_a_body_is_its_own_failure(rig: Rig) -> None:
    for path in ("/stall/body", "/stall/length"):
        heard = rig.start(path)
        await heard.heard_body()
        await rig.pass_time(1.5)
        assert heard.failure is None
        await rig.pass_time(1)
        expect_failure(await heard.ended(), "between_bytes_timeout")
        assert heard.status == 200
    await rig.until(lambda: len(rig.server.left) == 2)


@case(timeouts=Timeouts(between_bytes_s=2, total_s=8), holds_time=True)
async def a_stream_without_end_meets_the_total(rig: Rig) -> None:
    heard = rig.start("/drip")
    for _ in range(7):
        await heard.heard_body(len(heard.body_bytes) + 1)
        await rig.pass_time(1)
    assert heard.failure is None
    await rig.pass_time(1.5)
    expect_failure(await heard.ended(), "total_timeout")


@case(holds_time=True)
async def a_slow_connect_is_its_own_failure(rig: Rig) -> None:
    """A listener that accepts nobody, its backlog full: the handshake never ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(3)]
    try:
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        provider = Provider(name="deaf", base_url=url, timeouts=Timeouts(connect_s=2))
        async with running(rig.build, provider, rig.wheel) as transport:
            heard = Rig(transport, rig.server, rig.wheel, rig.build).start("/whole")
            await asyncio.sleep(0.02)
            await rig.pass_time(1.5)
            assert heard.failure is None
            await rig.pass_time(1)
            expect_failure(await heard.ended(), "connect_timeout")
    finally:
        for opened in (listener, *fillers):
            opened.close()


# --- connections


@case(needs="reuse")
async def a_connection_is_used_again(rig: Rig) -> None:
    for path in ("/whole", "/chunked", "/interim", "/trailers", "/status/500", "/status/204", "/whole"):
        await rig.ask(path)
    assert {seen.connection for seen in rig.server.seen} == {1}


@case()
async def a_connection_that_closed_after_its_answer_is_not_missed(rig: Rig) -> None:
    for _ in range(5):
        expect_whole(await rig.ask("/hang-up"))
        await asyncio.sleep(0.02)
    assert len(rig.server.seen) == 5


@case(needs="stale_retry")
async def a_connection_that_closes_just_as_it_is_used_again_is_not_missed(rig: Rig) -> None:
    for _ in range(30):
        expect_whole(await rig.ask("/hang-up"))
    assert len(rig.server.seen) == 30


@case(needs="stale_retry")
async def a_stale_connection_is_replaced_once(rig: Rig) -> None:
    for _ in range(3):
        expect_whole(await rig.ask("/once"))
    assert [(seen.connection, seen.nth) for seen in rig.server.seen] == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]


@case(needs="reuse")
async def a_request_is_not_repeated_once_a_byte_of_answer_came(rig: Rig) -> None:
    expect_whole(await rig.ask("/once-then-a-byte"))
    expect_failure(await rig.ask("/once-then-a-byte"), "reset")
    assert len(rig.server.seen) == 2


@case(pool=Pool(connections_max=2, waiting_max=1))
async def the_pool_and_its_queue_are_bounded(rig: Rig) -> None:
    running = [rig.start("/gated"), rig.start("/gated")]
    queued = rig.start("/gated")
    expect_failure(await rig.ask("/whole"), "pool_full")
    await rig.until(lambda: len(rig.server.seen) == 2)
    gauges = rig.transport.gauges()
    assert (gauges.connections, gauges.waiting) == (2, 1)
    rig.server.gate.set()
    for heard in (*running, queued):
        expect_whole(await heard.ended())
    assert rig.transport.gauges().waiting == 0


@case(pool=Pool(connections_max=1))
async def who_waits_longest_goes_first(rig: Rig) -> None:
    first = rig.start("/gated")
    waiting = [rig.start(f"/status/{status}") for status in (500, 501, 502, 503)]
    waiting[1].cancel()
    rig.server.gate.set()
    await first.ended()
    for heard in (waiting[0], *waiting[2:]):
        await heard.ended()
    assert [seen.path[-3:] for seen in rig.server.seen[1:]] == ["500", "502", "503"]
    assert not waiting[1].faults


@case(pool=Pool(connections_max=1), timeouts=Timeouts(connect_s=2), holds_time=True)
async def a_wait_for_a_connection_ends(rig: Rig) -> None:
    held = rig.start("/gated")
    await rig.until(lambda: len(rig.server.seen) == 1)
    waiting = rig.start("/whole")
    await rig.pass_time(1.5)
    assert waiting.failure is None
    await rig.pass_time(1)
    expect_failure(await waiting.ended(), "pool_full")
    assert held.failure is None
    rig.server.gate.set()
    expect_whole(await held.ended())


@case(pool=Pool(connections_max=1))
async def a_broken_connection_makes_room_for_the_next(rig: Rig) -> None:
    broken = [rig.start("/reset/now"), rig.start("/slam/now"), rig.start("/short")]
    whole = rig.start("/whole")
    for heard in broken:
        expect_failure(await heard.ended(), "reset", "truncated")
    expect_whole(await whole.ended())


# --- the caller's side


@case()
async def a_cancelled_exchange_is_silent_and_its_connection_closed(rig: Rig) -> None:
    for path in ("/stall/now", "/stall/head", "/stall/body"):
        count = len(rig.server.left)
        heard = rig.start(path)
        await rig.until(lambda path=path: bool(rig.server.seen) and rig.server.seen[-1].path.endswith(path))  # type: ignore[misc]
        if path == "/stall/body":
            await heard.heard_body()
        heard.cancel()
        heard.cancel()
        await rig.until(lambda count=count: len(rig.server.left) == count + 1)  # type: ignore[misc]
        heard.check()
    expect_whole(await rig.ask("/whole"))


@case()
async def an_exchange_may_be_cancelled_before_it_is_connected(rig: Rig) -> None:
    heard = rig.start("/whole")
    heard.cancel()
    await asyncio.sleep(0.05)
    heard.check()
    expect_whole(await rig.ask("/whole"))


@case()
async def cancelling_what_is_over_changes_nothing(rig: Rig) -> None:
    heard = await rig.ask("/whole")
    assert heard.exchange is not None
    heard.exchange.cancel()
    heard.exchange.pause()
    heard.exchange.resume()
    expect_whole(await rig.ask("/whole"))


class _Relay:
    """Hands on to a Heard, and acts within a call."""

    def __init__(self, heard: Heard, on: str, act: Callable[[], None]) -> None:
        self._heard = heard
        self._on = on
        self._act = act

    def head(self, status: int, headers: Headers) -> None:
        self._heard.head(status, headers)
        self._react("head")

    def body(self, data: bytes) -> None:
        self._heard.body(data)
        self._react("body")

    def end(self) -> None:
        self._heard.end()
        self._react("end")

    def failed(self, failure: Failure) -> None:
        self._heard.failed(failure)
        self._react("failed")

    def _react(self, call: str) -> None:
        if call == self._on:
            self._act()


@case()
async def a_receiver_may_cancel_within_a_call(rig: Rig) -> None:
    for call in ("head", "body"):
        heard = Heard(rig.loop)
        rig.start_with(heard, _Relay(heard, call, heard.cancel), "/chunked")
        await rig.until(lambda heard=heard: heard.is_cancelled)  # type: ignore[misc]
        await asyncio.sleep(0.02)
        heard.check()
        assert len(heard.bodies) == (call == "body")
    expect_whole(await rig.ask("/whole"))


@case()
async def a_receiver_may_start_another_exchange_within_a_call(rig: Rig) -> None:
    for path, call in (("/whole", "end"), ("/slam/now", "failed")):
        first, second = Heard(rig.loop), Heard(rig.loop)
        relay = _Relay(first, call, lambda second=second: rig.start_with(second, second, "/chunked"))  # type: ignore[misc]
        rig.start_with(first, relay, path)
        await first.ended()
        expect_whole(await second.ended(), b"".join(EVENTS))


@case(timeouts=Timeouts(between_bytes_s=2, total_s=600), holds_time=True)
async def a_paused_exchange_reads_no_more_and_does_not_time_out(rig: Rig) -> None:
    heard = Heard(rig.loop)

    def pause() -> None:
        if len(heard.bodies) == 1:
            assert heard.exchange is not None
            heard.exchange.pause()

    rig.start_with(heard, _Relay(heard, "body", pause), "/flood")
    await heard.heard_body()
    await rig.pass_time(8)
    held = len(heard.body_bytes)
    assert held < FLOOD_BYTES // 4
    await asyncio.sleep(0.05)
    assert len(heard.body_bytes) == held
    assert heard.failure is None
    assert heard.exchange is not None
    heard.exchange.resume()
    expect_whole(await heard.ended(), b"x" * FLOOD_BYTES)
    expect_whole(await rig.ask("/whole"))


@case(timeouts=Timeouts(total_s=4), holds_time=True)
async def a_paused_exchange_still_meets_the_total(rig: Rig) -> None:
    heard = rig.start("/flood")
    await heard.heard_body()
    assert heard.exchange is not None
    heard.exchange.pause()
    await rig.pass_time(3.5)
    assert heard.failure is None
    await rig.pass_time(1)
    expect_failure(await heard.ended(), "total_timeout")


@case()
async def closing_ends_what_is_under_way(rig: Rig) -> None:
    running = [rig.start("/stall/now"), rig.start("/stall/body")]
    await running[1].heard_body()
    await rig.transport.aclose()
    for heard in running:
        expect_failure(await heard.ended(), "reset")
    expect_failure(await rig.ask("/whole"), "connect", "reset")
    gauges = rig.transport.gauges()
    assert (gauges.connections, gauges.idle, gauges.waiting) == (0, 0, 0)
