"""What is within a scope, host by host and address by address."""

from __future__ import annotations

import pytest

from wardwright.harness.core.hands import Scope
from wardwright.harness.core.reach import address_within, host_within, is_public


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("example.com:443", "example.com", 443),
        ("example.com:*", "example.com", 8443),
        ("example.com:443", "EXAMPLE.com.", 443),
        ("*.example.com:443", "a.b.example.com", 443),
        ("[::1]:80", "::1", 80),
        ("example.com:443", "example.com", None),
    ],
)
def test_a_scope_names_a_host(pattern: str, host: str, port: int | None) -> None:
    assert host_within(Scope(hosts=(pattern,)), host, port)
    assert host_within(Scope(public_hosts=(pattern,)), host, port)


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("example.com:443", "example.com", 80),
        ("example.com:443", "example.com.evil.net", 443),
        ("*.example.com:443", "example.com", 443),
        ("*.example.com:443", "evil-example.com", 443),
        ("*.example.com:443", ".example.com", 443),
        ("*:443", "example.com", 443),
        (":443", "", 443),
        ("example.com", "example.com", 443),
    ],
)
def test_a_scope_does_not_name_a_host_that_only_looks_like_it(pattern: str, host: str, port: int) -> None:
    assert not host_within(Scope(hosts=(pattern,)), host, port)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "", "example.com",
    ],
)  # fmt: skip
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)


def test_a_private_address_is_within_reach_of_the_host_that_the_scope_writes_out_alone() -> None:
    private = "10.0.0.7"
    assert address_within(Scope(hosts=("db.example:5432",)), "db.example", 5432, private)
    assert not address_within(Scope(hosts=("*.example:5432",)), "db.example", 5432, private)
    assert not address_within(Scope(public_hosts=("db.example:5432",)), "db.example", 5432, private)
    assert not address_within(Scope(hosts=("other.example:5432",)), "db.example", 5432, private)


def test_a_public_address_is_within_reach_wherever_the_host_is() -> None:
    for scope in (Scope(hosts=("*.example:443",)), Scope(public_hosts=("a.example:443",))):
        assert address_within(scope, "a.example", 443, "1.1.1.1")
        assert not address_within(scope, "b.other", 443, "1.1.1.1")
