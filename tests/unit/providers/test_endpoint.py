"""Base URLs and request heads."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.contracts.provider import Dialect, Provider
from wardwright.dialects.exchange import HttpRequest
from wardwright.kernel.errors import WardwrightError
from wardwright.providers.endpoint import PREFIXES_MAX, Heads, parse_base_url, tls_context


def provider(base_url: str | None) -> Provider:
    return Provider(name="p", base_url=base_url)


@pytest.mark.parametrize(
    ("base_url", "host", "port", "authority", "path", "tls"),
    [
        ("https://api.example.com/v1", "api.example.com", 443, "api.example.com", "/v1", True),
        ("https://api.example.com:443/v1/", "api.example.com", 443, "api.example.com", "/v1", True),
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000", "", False),
        ("http://[::1]:8000/v1", "::1", 8000, "[::1]:8000", "/v1", False),
        ("http://LocalHost/v1", "localhost", 80, "localhost", "/v1", False),
    ],
)
def test_a_base_url_is_taken_apart(base_url: str, host: str, port: int, authority: str, path: str, tls: bool) -> None:
    endpoint = parse_base_url(provider(base_url))
    assert (endpoint.host, endpoint.port, endpoint.authority) == (host, port, authority)
    assert (endpoint.path, endpoint.tls) == (path, tls)


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        "",
        "api.example.com/v1",
        "ftp://api.example.com",
        "https://",
        "https://user:word@api.example.com",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/v1#part",
        "https://api.example.com:port/",
        "https://api.example.com/v 1",
        "https://api.example.com/v1\r\nx: y",
    ],
)
def test_what_is_no_plain_url_is_refused_with_its_place(base_url: str | None) -> None:
    with pytest.raises(WardwrightError) as caught:
        parse_base_url(provider(base_url))
    assert caught.value.code == "contract_invalid"
    assert caught.value.place is not None
    assert caught.value.place.path == "base_url"
    assert "word" not in str(caught.value)


def heads(dialect: Dialect = "openai", extra: tuple[tuple[bytes, bytes], ...] = ()) -> Heads:
    return Heads(parse_base_url(provider("https://api.example.com/v1")), dialect, b"sk-1", extra)


def test_a_head_is_rendered_whole() -> None:
    rendered = heads().render(HttpRequest("/chat/completions", (), b"{}"))
    assert rendered == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.example.com\r\nauthorization: Bearer sk-1\r\n"
        b"user-agent: wardwright\r\naccept: */*\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n"
        b"content-length: 2\r\n\r\n"
    )


def test_each_dialect_presents_its_credential_in_its_own_way() -> None:
    assert b"\r\nx-api-key: sk-1\r\n" in heads("anthropic").render(HttpRequest("/messages", (), b""))


def test_a_providers_own_header_wins_over_defaults_and_requests() -> None:
    own = heads(extra=((b"User-Agent", b"house"), (b"x-team", b"a")))
    rendered = own.render(HttpRequest("/x", ((b"user-agent", b"caller"), (b"x-team", b"b")), b""))
    assert rendered.count(b"user-agent") == 1
    assert b"user-agent: house\r\n" in rendered
    assert b"x-team: a\r\n" in rendered
    assert b"caller" not in rendered


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("/x", ((b"x-a", b"1\r\nx-b: 2"),), b""),
        HttpRequest("/x", ((b"x-a", b"1\n"),), b""),
        HttpRequest("/x", ((b"x a", b"1"),), b""),
        HttpRequest("/x", ((b"", b"1"),), b""),
        HttpRequest("/x y", (), b""),
        HttpRequest("/x\r\nx-b: 2", (), b""),
        HttpRequest("x", (), b""),
        HttpRequest("/x", (), b"", method="GET /y HTTP/1.1\r\nx: "),
    ],
)
def test_nothing_breaks_out_of_its_line(request_: HttpRequest) -> None:
    with pytest.raises(WardwrightError) as caught:
        heads().render(request_)
    assert caught.value.code == "invalid_header"


def test_rendered_beginnings_are_bounded() -> None:
    own = heads()
    for n in range(PREFIXES_MAX * 3):
        assert b"x-n: %d\r\n" % n in own.render(HttpRequest("/x", ((b"x-n", b"%d" % n),), b""))
    assert len(own._prefixes) <= PREFIXES_MAX


def test_an_unreadable_bundle_is_a_located_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(WardwrightError) as caught:
            tls_context(Provider(name="p", tls_ca_file=str(tmp_path / name)))
        assert caught.value.code == "settings_invalid"
