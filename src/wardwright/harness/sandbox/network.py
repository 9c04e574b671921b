"""Hosts within a scope: looked up once, judged by name and by address, and connected to at that very address.

Rule 1: what was judged is what is connected to. A name that answers differently the next time changes nothing.
Rule 2: nothing of the environment takes part: no proxies, no netrc, no redirects, no cookies.
Rule 3: a body is counted as it arrives, before anything is unpacked: what is past the bound is not read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx2

from wardwright.harness.core.hands import Answer, Request, Scope, out_of_scope
from wardwright.harness.core.reach import PORT_MAX, address_within, host_within
from wardwright.kernel.errors import WardwrightError

ADDRESSES_MAX: Final = 8
"""Of one host that are tried."""
_PORTS: Final = {"http": 80, "https": 443}


class Network:
    """The hosts of one scope."""

    def __init__(self, scope: Scope, trust: ssl.SSLContext | None = None) -> None:
        """`trust` says whose certificates count; by default those that this system trusts."""
        self._scope = scope
        self._trust = trust

    async def resolve(self, host: str) -> tuple[str, ...]:
        """All addresses of a host, whether or not they may be connected to."""
        if not host_within(self._scope, host, None):
            raise out_of_scope(f"the host `{host}`")
        return await look_up(host, 0)

    async def connect(self, host: str, port: int, *, timeout_s: float) -> str:
        try:
            async with asyncio.timeout(timeout_s):
                connected, address = await connected_to(self._scope, host, port)
        except TimeoutError as cause:
            raise _late(host, port, timeout_s) from cause
        connected.close()
        return address

    async def exchange(self, request: Request) -> Answer:
        parts, host, port = _parts(request.url)
        try:
            async with asyncio.timeout(request.timeout_s):
                addresses = await reachable(self._scope, host, port)
                return await self._exchanged(request, parts, host, port, addresses)
        except TimeoutError as cause:
            raise _late(host, port, request.timeout_s) from cause

    async def _exchanged(
        self, request: Request, parts: SplitResult, host: str, port: int, addresses: tuple[str, ...]
    ) -> Answer:
        if any(name.lower() == "host" for name, _ in request.headers):
            raise WardwrightError("tool_failed", "the host of a request is said by its URL, not by a header")
        async with httpx2.AsyncHTTPTransport(verify=self._trusted(parts.scheme), trust_env=False) as transport:
            failure: Exception | None = None
            for address in addresses:
                try:
                    response = await transport.handle_async_request(_pinned(request, parts, host, port, address))
                except httpx2.ConnectError as error:
                    failure = error
                    continue
                except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
                    raise _broken(host, port, error) from error
                try:
                    return await _bounded(response, request.body_bytes_max)
                except (httpx2.HTTPError, httpx2.StreamError) as error:
                    raise _broken(host, port, error) from error
                finally:
                    await response.aclose()
        assert failure is not None
        raise _broken(host, port, failure) from failure

    def _trusted(self, scheme: str) -> ssl.SSLContext | bool:
        if scheme != "https":
            return False  # reading the system's certificates takes longer than the rest
        if self._trust is None:
            self._trust = ssl.create_default_context()
        return self._trust


async def reachable(scope: Scope, host: str, port: int) -> tuple[str, ...]:
    """The addresses at which a scope lets a host be reached, at least one. Raises `scope_denied`, `tool_failed`."""
    if not 0 < port <= PORT_MAX or not host_within(scope, host, port):
        raise out_of_scope(f"the host `{host}:{port}`")
    every = await look_up(host, port)
    within = tuple(address for address in every if address_within(scope, host, port, address))
    if not within:
        raise out_of_scope(
            f"the private address {every[0]} of `{host}:{port}`", hint="private addresses must be named by the scope"
        )
    return within[:ADDRESSES_MAX]


async def look_up(host: str, port: int) -> tuple[str, ...]:
    """Every address of a host, in the resolver's order. Raises `tool_failed` where there is none."""
    plain = host.removeprefix("[").removesuffix("]")
    try:
        return (str(ip_address(plain)),)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(plain, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: what is no name at all, such as one with a zero byte
        raise WardwrightError("tool_failed", f"the host {host!r} has no address") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


async def connected_to(scope: Scope, host: str, port: int) -> tuple[socket.socket, str]:
    """A connection to a host of the scope, and its address. Raises `scope_denied`, `tool_failed`."""
    failure: OSError | None = None
    for address in await reachable(scope, host, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection, address
    raise WardwrightError("tool_failed", f"nobody answers at `{host}:{port}`") from failure


def _parts(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as cause:
        raise out_of_scope(f"`{url}`") from cause
    if parts.scheme not in _PORTS or port is None or not 0 < port <= PORT_MAX or not parts.hostname:
        raise out_of_scope(f"`{url}`", hint="only http:// and https:// lead anywhere")
    if parts.username is not None or parts.password is not None:
        raise WardwrightError("tool_failed", "a URL carries no credentials", hint="send them in a header")
    return parts, parts.hostname, port


def _pinned(request: Request, parts: SplitResult, host: str, port: int, address: str) -> httpx2.Request:
    """The request, to that address, under the host's own name for the server and for its certificate."""
    written = f"[{host}]" if ":" in host else host
    authority = written if port == _PORTS[parts.scheme] else f"{written}:{port}"
    at = f"[{address}]" if ":" in address else address
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    headers = [("host", authority), *request.headers]
    given = {name.lower() for name, _ in request.headers}
    if "accept-encoding" not in given:
        headers.append(("accept-encoding", "identity"))
    if "content-length" not in given and (request.body or request.method in ("POST", "PUT", "PATCH")):
        headers.append(("content-length", str(len(request.body))))
    return httpx2.Request(
        request.method,
        f"{parts.scheme}://{at}:{port}{target}",
        headers=headers,
        content=request.body,
        extensions={"sni_hostname": host},
    )


async def _bounded(response: httpx2.Response, bytes_max: int) -> Answer:
    body = bytearray()
    truncated = False
    async for chunk in response.aiter_raw():
        room = bytes_max - len(body)
        body += chunk[:room]
        if len(chunk) > room:
            truncated = True
            break
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    return Answer(status=response.status_code, headers=headers, body=bytes(body), truncated=truncated)


def _late(host: str, port: int, timeout_s: float) -> WardwrightError:
    return WardwrightError("tool_timeout", f"`{host}:{port}` did not answer within {timeout_s:g} s")


def _broken(host: str, port: int, error: Exception) -> WardwrightError:
    reason = str(error) or type(error).__name__
    return WardwrightError("tool_failed", f"the exchange with `{host}:{port}` failed: {reason}")
