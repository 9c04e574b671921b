"""What is within a scope: hosts by their names, then by the addresses that the names lead to.

Rule 1: a name says nothing of where it leads. So the address that is about to be connected to is judged too, and what
was judged is what is connected to.
Rule 2: addresses that are not of the public internet are within reach of a host only where `Scope.hosts` writes that
very host; neither `*.` nor `Scope.public_hosts` reaches them.
Rule 3: an address that hides another in itself (IPv4 mapped into IPv6, 6to4, NAT64) is judged by the one it hides.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from wardwright.harness.core.hands import Scope

PORT_MAX: Final = 65_535

_NAT64: Final = IPv6Network("64:ff9b::/96")


def host_within(scope: Scope, host: str, port: int | None) -> bool:
    """Whether the scope names a host, at any of its addresses. Without a port: at any port.

    >>> host_within(Scope(hosts=("*.example.com:443",)), "api.example.com", 443)
    True
    >>> host_within(Scope(hosts=("*.example.com:443",)), "example.com", 443)
    False
    """
    return any(_names(pattern, host, port) for pattern in (*scope.hosts, *scope.public_hosts))


def address_within(scope: Scope, host: str, port: int | None, address: str) -> bool:
    """Whether a host may be reached at this address.

    >>> address_within(Scope(public_hosts=("db.example:*",)), "db.example", 5432, "10.0.0.7")
    False
    >>> address_within(Scope(hosts=("db.example:*",)), "db.example", 5432, "10.0.0.7")
    True
    """
    if is_public(address):
        return host_within(scope, host, port)
    return any(_names(pattern, host, port) for pattern in scope.hosts if not pattern.startswith("*."))


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; what is no address is not.

    >>> [is_public(one) for one in ("1.1.1.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a00:1", "nonsense")]
    [True, False, False, False, False]
    """
    try:
        given = ip_address(address)
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in _meant(given))


def _meant(given: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The address, or the one that it hides."""
    if isinstance(given, IPv4Address):
        yield given
    elif given.ipv4_mapped is not None:
        yield given.ipv4_mapped
    elif given.sixtofour is not None:
        yield given.sixtofour
    elif given in _NAT64:
        yield IPv4Address(int(given) & 0xFFFF_FFFF)
    else:
        yield given


def _names(pattern: str, host: str, port: int | None) -> bool:
    """Whether one `host:port` of a scope means this host."""
    named, _, named_port = pattern.rpartition(":")
    if named_port != "*" and port is not None and named_port != str(port):
        return False
    named, asked = _plain(named), _plain(host)
    if named.startswith("*."):
        return asked.endswith(named[1:]) and len(asked) > len(named) - 1
    return bool(named) and named == asked


def _plain(host: str) -> str:
    """A host without what means nothing: case, the brackets of IPv6, the dot at the end."""
    return host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
