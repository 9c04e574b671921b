"""The tools of the network."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wardwright.contracts.tool import ToolScope
from wardwright.harness.core.hands import Answer, Request
from wardwright.harness.tools.network import CHECK, FETCH, LOOKUP, REDIRECTS_MAX, SEND, Address
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.hands import Server, World, answer
from wardwright.testing.tool_calls import call

PUBLIC, OTHER, PRIVATE = "93.184.216.34", "1.1.1.1", "10.0.0.7"
ANY = ToolScope(hosts=("*.example:*",))


def serving(server: Server, *hosts: str, port: int = 443) -> World:
    world = World()
    for host in hosts or ("a.example",):
        world.serve(host, port, server, address=PUBLIC)
    return world


def paths(**answers: Answer) -> Server:
    """A server by the last word of a path."""
    return lambda request: answers[request.url.rstrip("/").rsplit("/", 1)[1]]


def to(url: str, status: int = 302) -> Answer:
    return answer(status, headers={"Location": url})


def failing(calling: Callable[[], object]) -> WardwrightError:
    with pytest.raises(WardwrightError) as caught:
        calling()
    return caught.value


def test_an_address_is_fetched_with_headers_and_body() -> None:
    world = serving(lambda _: answer(200, "Grüße".encode(), {"Content-Type": "text/plain", "Set-Cookie": "secret=1"}))
    got = call(FETCH, world, url="https://a.example/x?y=1", headers={"Accept": "text/*"})
    assert (got.status, got.kind, got.body.text, got.truncated) == (200, "text", "Grüße", False)
    assert got.headers == (("content-type", "text/plain"),)
    assert world.sent[0].headers == (("accept", "text/*"),)
    assert world.sent[0].method == "GET"


def test_an_error_of_the_server_is_an_answer() -> None:
    assert call(FETCH, serving(lambda _: answer(500, b"no")), url="https://a.example/").status == 500


def test_a_body_is_cut_at_its_bound_between_characters() -> None:
    got = call(FETCH, serving(lambda _: answer(200, "äöü".encode())), url="https://a.example/", bytes_max=3)
    assert (got.body.text, got.bytes, got.truncated) == ("ä", 2, True)


def test_a_binary_body_is_given_only_if_asked_for() -> None:
    world = serving(lambda _: answer(200, b"\0\xff"))
    assert call(FETCH, world, url="https://a.example/").body is None
    assert call(FETCH, world, url="https://a.example/", binary=True).body.text == "AP8="


def test_redirects_are_followed_and_told() -> None:
    world = serving(paths(one=to("two"), two=to("/a/three", 308), three=answer(200, b"here")))
    got = call(FETCH, world, url="https://a.example/a/one")
    assert (got.url, got.body.text) == ("https://a.example/a/three", "here")
    assert got.redirects == ("https://a.example/a/one", "https://a.example/a/two")


def test_redirects_end_somewhere() -> None:
    world = serving(paths(one=to("/one")))
    error = failing(lambda: call(FETCH, world, url="https://a.example/one"))
    assert (error.code, len(world.sent)) == ("tool_failed", REDIRECTS_MAX + 1)


def test_a_redirect_out_of_the_scope_is_denied() -> None:
    world = serving(paths(one=to("https://b.example/two"), two=answer(200)), "a.example", "b.example")
    assert failing(lambda: call(FETCH, world, url="https://a.example/one")).code == "scope_denied"
    assert len(world.sent) == 1


@pytest.mark.parametrize(
    "onward",
    [
        f"http://{PRIVATE}/two", "http://127.0.0.1/two", "http://[::ffff:127.0.0.1]/two", "http://inner.example/two",
        "https://b.example:22/two",
    ],
)  # fmt: skip
def test_a_redirect_into_a_private_network_is_denied(onward: str) -> None:
    world = World()
    world.serve("a.example", 80, paths(one=to(onward)), address=PUBLIC)
    world.serve("inner.example", 80, paths(two=answer(200, b"secret")), address=PRIVATE)
    error = failing(lambda: call(FETCH, world, scope=ToolScope(hosts=("*.example:80",)), url="http://a.example/one"))
    assert error.code == "scope_denied"


def test_a_private_address_that_the_caller_names_is_denied_and_one_that_the_contract_names_is_not() -> None:
    world = World()
    world.serve("inner.example", 80, lambda _: answer(200, b"ok"), address=PRIVATE)
    assert failing(lambda: call(FETCH, world, url="http://inner.example/")).code == "scope_denied"
    named = ToolScope(hosts=("inner.example:80",))
    assert call(FETCH, world, scope=named, url="http://inner.example/").status == 200


def seen(world: World) -> list[tuple[str, list[str]]]:
    return [(request.url, [name for name, _ in request.headers]) for request in world.sent]


@pytest.mark.parametrize("onward", ["https://b.example/two", "https://a.example:8443/two"])
def test_what_the_caller_sends_stays_at_its_host(onward: str) -> None:
    world = serving(
        paths(one=to(onward), two=to("https://a.example/three"), three=answer(200)), "a.example", "b.example"
    )
    world.serve("a.example", 8443, paths(two=to("https://a.example/three")), address=PUBLIC)
    headers = {"Authorization": "Bearer x", "X-Key": "y", "Accept": "*/*", "Cookie": "z"}
    call(FETCH, world, scope=ANY, url="https://a.example/one", headers=headers)
    assert seen(world) == [
        ("https://a.example/one", ["accept", "authorization", "cookie", "x-key"]),
        (onward, ["accept"]),
        ("https://a.example/three", ["accept"]),
    ]


def test_headers_follow_a_redirect_that_stays() -> None:
    world = serving(paths(one=to("/two"), two=answer(200)))
    call(FETCH, world, url="https://a.example/one", headers={"Authorization": "Bearer x"})
    assert [names for _, names in seen(world)] == [["authorization"], ["authorization"]]


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    world = serving(paths(one=to("http://a.example/two")))
    error = failing(lambda: call(FETCH, world, scope=ANY, url="https://a.example/one"))
    assert (error.code, "from https to" in error.message) == ("tool_failed", True)


@pytest.mark.parametrize(
    "onward",
    ["file:///etc/passwd", "gopher://a.example/", "https://u:p@a.example/", "https://a.example:x/", "http://[a"],
)
def test_a_redirect_to_what_is_no_address_is_a_failure(onward: str) -> None:
    world = serving(paths(one=to(onward)))
    assert failing(lambda: call(FETCH, world, scope=ANY, url="https://a.example/one")).code == "tool_failed"
    assert len(world.sent) == 1


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "a.example", "https://", "https:///x", "https://u:p@a.example/", "https://a.example:99999/",
     "https://a.example/ x", "https://a.example/\r\nX: y", "https://*.example/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    world = serving(lambda _: answer(200))
    assert failing(lambda: call(FETCH, world, url=url)).code == "tool_arguments"
    assert world.sent == []


@pytest.mark.parametrize(
    "headers",
    [{"Host": "b"}, {"a": "x\r\nb: c"}, {"a b": "c"}, {"": "x"}, {"A": "1", "a": "2"}, {"Content-Length": "3"}],
)
def test_a_header_that_would_break_the_request_is_refused(headers: dict[str, str]) -> None:
    world = serving(lambda _: answer(200))
    error = failing(lambda: call(FETCH, world, url="https://a.example/", headers=headers))
    assert error.code == "tool_arguments"


def test_a_body_is_sent_once_and_a_redirect_is_told() -> None:
    world = serving(paths(one=to("/two", 307)))
    got = call(SEND, world, url="https://a.example/one", method="PUT", body="AP8=", encoding="base64")
    assert (got.status, len(world.sent)) == (307, 1)
    assert ("location", "/two") in got.headers
    assert (world.sent[0].method, world.sent[0].body) == ("PUT", b"\0\xff")


def test_a_host_is_looked_up() -> None:
    world = World()
    world.addresses["a.example"] = (PUBLIC, "fd00::1")
    assert call(LOOKUP, world, host="a.example").addresses == (
        Address(address=PUBLIC, family="IPv4", public=True),
        Address(address="fd00::1", family="IPv6", public=False),
    )
    assert failing(lambda: call(LOOKUP, world, host="none.example")).code == "tool_failed"


@pytest.mark.parametrize("host", ["*.example", "a b", "-x", "a/b", "a\n", ""])
def test_what_is_no_host_is_refused(host: str) -> None:
    assert failing(lambda: call(LOOKUP, World(), host=host)).code == "tool_arguments"


def test_a_port_is_open_or_closed() -> None:
    world = serving(lambda _: None, port=22)
    opened = call(CHECK, world, host="a.example", port=22)
    assert (opened.open, opened.address, opened.reason) == (True, PUBLIC, None)
    closed = call(CHECK, world, host="a.example", port=23)
    assert (closed.open, closed.address) == (False, None)
    assert "nobody listens" in closed.reason


def test_a_port_of_a_private_network_is_denied_and_not_told_to_be_closed() -> None:
    world = World()
    world.serve("inner.example", 22, lambda _: None, address=PRIVATE)
    assert failing(lambda: call(CHECK, world, host="inner.example", port=22)).code == "scope_denied"
    named = ToolScope(hosts=("inner.example:*",))
    assert call(CHECK, world, scope=named, host="inner.example", port=22).open


def test_a_server_that_is_silent_runs_out_of_time() -> None:
    def silent(request: Request) -> None:
        return None

    assert failing(lambda: call(FETCH, serving(silent), url="https://a.example/")).code == "tool_timeout"
