"""What is read from a request to the way out."""

from __future__ import annotations

import pytest

from wardwright.harness.sandbox.egress import wanted


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"GET https://example.com/ HTTP/1.1\r\n\r\n",
        b"GET ftp://example.com/ HTTP/1.1\r\n\r\n",
        b"GET http://user@example.com/ HTTP/1.1\r\n\r\n",
        b"GET http://example.com:0/ HTTP/1.1\r\n\r\n",
        b"GET http://example.com:99999/ HTTP/1.1\r\n\r\n",
        b"CONNECT example.com HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:443/path HTTP/1.1\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:443\r\n\r\n",
        b"CONNECT ex\xc3\xa4mple.com:443 HTTP/1.1\r\n\r\n",
    ],
)
def test_anything_else_is_refused(head: bytes) -> None:
    assert wanted(head) is None


def test_an_address_of_ipv6_is_read() -> None:
    assert wanted(b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n") == ("::1", 443, None)


def test_what_is_meant_for_the_proxy_is_not_sent_on() -> None:
    head = b"POST http://h:8/p HTTP/1.1\r\nHost: h:8\r\nProxy-Authorization: x\r\nConnection: keep-alive\r\n\r\n"
    assert wanted(head) == ("h", 8, b"POST /p HTTP/1.1\r\nHost: h:8\r\nConnection: close\r\n\r\n")
