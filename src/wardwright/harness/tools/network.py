"""http.fetch, http.send, dns.lookup, port.check.

Rule 1: the hands judge the address of every exchange (`harness.core.reach`); this file judges what is asked of them.
Rule 2: a redirect is another request: it is followed at most REDIRECTS_MAX times, only by `http.fetch`, never from
`https` to `http`, and the caller's headers stay behind where it leads to another scheme, host or port.
Rule 3: an address holds no user name or password: it would stand in every record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.hands import Answer, Request
from wardwright.harness.core.payload import Payload, fitting, fitting_items, is_text, told, untold, whole_chars
from wardwright.harness.core.reach import is_public
from wardwright.harness.core.scope import PORTS
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.harness.tools.words import URL_CHARS_MAX, HostName, Port, Url
from wardwright.kernel.errors import Place, WardwrightError

REDIRECTS_MAX: Final = 5
HEADERS_MAX: Final = 64
"""Headers of a request."""
HEADER_CHARS_MAX: Final = 4096
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of an answer."""

_WRITTEN: Final = re.compile(f"[!-~]{{1,{URL_CHARS_MAX}}}")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_ANYWHERE: Final = frozenset({"accept", "accept-language", "user-agent"})
"""Headers that say nothing of who asks, and may follow a redirect anywhere."""
_OURS: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that belong to the connection."""

HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$(?!\n)")]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[\x20-\x7e]*$(?!\n)", max_length=HEADER_CHARS_MAX)]
Headers = Annotated[dict[HeaderName, HeaderValue], msgspec.Meta(max_length=HEADERS_MAX)]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answered."""

    url: str
    """Where the answer came from, redirects followed."""
    status: int
    redirects: tuple[str, ...]
    """The addresses on the way, without the last."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, without cookies."""
    kind: Literal["text", "binary"]
    body: Payload | None
    """None where the body is binary and that was not asked for."""
    bytes: int
    """Of the body, as far as it was read."""
    truncated: bool


# http.fetch


class FetchArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to fetch."""

    url: Url
    method: Literal["GET", "HEAD"] = "GET"
    headers: Headers = {}
    """Sent with the request, and with redirects that stay at the same host."""
    bytes_max: Annotated[int, msgspec.Meta(ge=1, le=BODY_BYTES_MAX)] = 512 * 1024
    """The most bytes of the body to read."""
    binary: bool = False
    """Give a body that is not text, too, in base64."""


async def fetch(arguments: FetchArguments, context: Context) -> Answered:
    """Fetch an address, following redirects within the scope. Any status is an answer."""
    url, headers = arguments.url, _lowered(arguments.headers)
    parts = _parts(url, "url")
    redirects: list[str] = []
    while True:
        answer = await context.hands.exchange(
            Request(
                method=arguments.method,
                url=url,
                headers=tuple(sorted(headers.items())),
                body_bytes_max=arguments.bytes_max,
                timeout_s=context.timeout_s,
            )
        )
        onward = _location(answer)
        if onward is None:
            return _answered(url, answer, tuple(redirects), context, binary=arguments.binary)
        redirects.append(url)
        if len(redirects) > REDIRECTS_MAX:
            raise WardwrightError("tool_failed", f"more than {REDIRECTS_MAX} redirects, the last to `{_shown(onward)}`")
        url = _joined(url, onward)
        before, parts = parts, _parts(url)
        if before.scheme == "https" and parts.scheme == "http":
            raise WardwrightError(
                "tool_failed", f"the answer leads from https to `{_shown(url)}`, which is not followed"
            )
        if _origin(before) != _origin(parts):
            headers = {name: value for name, value in headers.items() if name in _ANYWHERE}


# http.send


class SendArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to send."""

    url: Url
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Headers = {}
    body: str = ""
    """The text, or the bytes in base64."""
    encoding: Literal["utf-8", "base64"] = "utf-8"
    """What `body` is."""
    bytes_max: Annotated[int, msgspec.Meta(ge=1, le=BODY_BYTES_MAX)] = 512 * 1024
    """The most bytes of the answer's body to read."""
    binary: bool = False
    """Give a body of the answer that is not text, too, in base64."""


async def send(arguments: SendArguments, context: Context) -> Answered:
    """Send a body to an address. Redirects are told and not followed: nobody asked for a second act."""
    _parts(arguments.url, "url")
    answer = await context.hands.exchange(
        Request(
            method=arguments.method,
            url=arguments.url,
            headers=tuple(sorted(_lowered(arguments.headers).items())),
            body=untold(Payload(encoding=arguments.encoding, text=arguments.body), "body"),
            body_bytes_max=arguments.bytes_max,
            timeout_s=context.timeout_s,
        )
    )
    return _answered(arguments.url, answer, (), context, binary=arguments.binary)


def _parts(url: str, argument: str | None = None) -> SplitResult:
    """The parts of an address that may be asked. Raises `tool_arguments`, or for a redirect `tool_failed`."""
    code = "tool_arguments" if argument else "tool_failed"
    place = Place(path=argument) if argument else None
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname or port is None or not _WRITTEN.fullmatch(url):
        raise WardwrightError(code, f"`{_shown(url)}` is not an address of `http` or `https`", place=place)
    if parts.username is not None or parts.password is not None:
        hint = "put credentials into a header"
        raise WardwrightError(code, "the address holds a user name or password", place=place, hint=hint)
    return parts


def _joined(url: str, onward: str) -> str:
    try:
        return urljoin(url, onward.strip())
    except ValueError as cause:
        raise WardwrightError("tool_failed", f"the answer leads to `{_shown(onward)}`, which is no address") from cause


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    lowered: dict[str, str] = {}
    for name, value in headers.items():
        low = name.lower()
        if low in _OURS or low in lowered:
            message = f"the header `{name}` is written by the connection" if low in _OURS else f"`{low}` stands twice"
            raise WardwrightError("tool_arguments", message, place=Place(path=f"headers.{name}"))
        lowered[low] = value
    return lowered


def _location(answer: Answer) -> str | None:
    if answer.status not in _REDIRECTS:
        return None
    return next((value for name, value in answer.headers if name.lower() == "location" and value.strip()), None)


def _answered(url: str, answer: Answer, redirects: tuple[str, ...], context: Context, *, binary: bool) -> Answered:
    data = whole_chars(answer.body) if answer.truncated else answer.body
    text = is_text(data)
    data = fitting(data if text else answer.body, context.output_bytes_max * 3 // 8)
    headers = [
        (name.lower(), value) for name, value in answer.headers if name.lower() not in ("set-cookie", "set-cookie2")
    ]
    return Answered(
        url=url,
        status=answer.status,
        redirects=redirects,
        headers=fitting_items(headers, context.output_bytes_max // 8),
        kind="text" if text else "binary",
        body=told(data) if text or binary else None,
        bytes=len(data),
        truncated=answer.truncated or len(data) < len(answer.body),
    )


def _shown(url: str) -> str:
    short = url if len(url) <= 200 else f"{url[:199]}…"
    return short if short.isprintable() else ascii(short)[1:-1]


# dns.lookup


class LookupArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which host."""

    host: HostName


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address of a host."""

    address: str
    family: Literal["IPv4", "IPv6"]
    public: bool
    """Of the public internet."""


class LookedUp(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of a host."""

    host: str
    addresses: tuple[Address, ...]


ADDRESSES_MAX: Final = 64
"""Of one host, that are told."""


async def lookup(arguments: LookupArguments, context: Context) -> LookedUp:
    """Look up the addresses of a host, as this machine sees them."""
    found = await context.hands.resolve(arguments.host)
    addresses = tuple(
        Address(address=one, family="IPv6" if ip_address(one).version == 6 else "IPv4", public=is_public(one))
        for one in found[:ADDRESSES_MAX]
    )
    return LookedUp(host=arguments.host, addresses=addresses)


# port.check


class CheckArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which port."""

    host: HostName
    port: Port
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=30)] = 5
    """How long to wait for an answer."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody listens."""

    host: str
    port: int
    open: bool
    address: str | None
    """The one that answered."""
    reason: str | None
    """Why nobody did."""


async def check(arguments: CheckArguments, context: Context) -> Checked:
    """See whether somebody listens at a TCP port. A closed port is an answer; one that is out of scope is refused."""
    timeout_s = min(float(arguments.timeout_s), context.timeout_s)
    host, port = arguments.host, arguments.port
    try:
        address = await context.hands.connect(host, port, timeout_s=timeout_s)
    except WardwrightError as error:
        if error.code not in ("tool_failed", "tool_timeout"):
            raise
        return Checked(host=host, port=port, open=False, address=None, reason=error.message)
    return Checked(host=host, port=port, open=True, address=address, reason=None)


# Contracts

FETCH: Final = Tool(
    contract=ToolContract(
        name="http.fetch",
        effect="read",
        reversal="T0",
        implements="http.fetch",
        timeout_s=30,
        output_bytes_max=8 * 1024 * 1024,
        scope=ToolScope(hosts=("{url}",)),
    ),
    arguments=FetchArguments,
    result=Answered,
    run=fetch,
)

SEND: Final = Tool(
    contract=ToolContract(
        name="http.send",
        effect="write-remote",
        reversal="T4",
        implements="http.send",
        timeout_s=30,
        output_bytes_max=8 * 1024 * 1024,
        scope=ToolScope(hosts=("{url}",)),
    ),
    arguments=SendArguments,
    result=Answered,
    run=send,
)

LOOKUP: Final = Tool(
    contract=ToolContract(
        name="dns.lookup",
        effect="read",
        reversal="T0",
        implements="dns.lookup",
        timeout_s=10,
        scope=ToolScope(hosts=("{host}:*",)),
    ),
    arguments=LookupArguments,
    result=LookedUp,
    run=lookup,
)

CHECK: Final = Tool(
    contract=ToolContract(
        name="port.check",
        effect="read",
        reversal="T0",
        implements="port.check",
        timeout_s=35,
        scope=ToolScope(hosts=("{host}:{port}",)),
    ),
    arguments=CheckArguments,
    result=Checked,
    run=check,
)

TOOLS: Final[tuple[AnyTool, ...]] = (FETCH, SEND, LOOKUP, CHECK)
