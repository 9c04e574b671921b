"""Where a provider lives and how a request to it begins: everything that can be known before the first request.

Rule 1: names a transport owns (`host`, lengths, connection control, the credential) never come from a request.
Rule 2: what a request brings replaces a default of the same name; it never stands beside it.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wardwright.contracts.provider import Dialect, Provider
from wardwright.dialects.exchange import HttpRequest
from wardwright.kernel.errors import Place, WardwrightError

PREFIXES_MAX: Final = 128
"""Rendered beginnings kept per provider; past it they are rendered anew."""

_OWNED: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade"}
)
_DEFAULTS: Final = (
    (b"user-agent", b"wardwright"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"identity"),
    (b"content-type", b"application/json"),
)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A base URL, taken apart."""

    tls: bool
    host: str
    """Without brackets, as a certificate would name it."""
    port: int
    authority: str
    """What the `host` header says."""
    path: str
    """The base path, without a slash at its end."""


def parse_base_url(provider: Provider) -> Endpoint:
    """Take `base_url` apart.

    Raises `contract_invalid` for anything but an http or https URL without credentials, query or fragment.

    >>> parse_base_url(Provider(name="p", base_url="https://api.example.com/v1/")).path
    '/v1'
    """

    def refuse(why: str) -> WardwrightError:
        return WardwrightError(
            "contract_invalid", f"provider `{provider.name}`: `base_url` {why}", place=Place(path="base_url")
        )

    if provider.base_url is None:
        raise refuse(f"is required for the transport `{provider.transport}`")
    try:
        parts = urlsplit(provider.base_url)
        port = parts.port
        host = (parts.hostname or "").encode("ascii" if ":" in parts.netloc else "idna").decode()
    except (ValueError, UnicodeError):
        raise refuse("is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise refuse("starts with neither http:// nor https://")
    if not host or not _is_plain(provider.base_url):
        raise refuse("is not a URL")
    if parts.username is not None or parts.password is not None:
        raise refuse("holds a credential; put it under `credential`")
    if parts.query or parts.fragment:
        raise refuse("ends in a query or fragment")
    tls = parts.scheme == "https"
    default = 443 if tls else 80
    named = f"[{host}]" if ":" in host else host
    return Endpoint(
        tls=tls,
        host=host,
        port=port or default,
        authority=named if port in (None, default) else f"{named}:{port}",
        path=parts.path.rstrip("/"),
    )


def tls_context(provider: Provider) -> ssl.SSLContext:
    """Verify the name and the chain, against the provider's own bundle where it names one.

    Raises `settings_invalid` if the bundle cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=provider.tls_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise WardwrightError(
            "settings_invalid",
            f"provider `{provider.name}`: `tls_ca_file` cannot be read as a PEM bundle",
            place=Place(path="tls_ca_file"),
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def credential_header(dialect: Dialect, credential: bytes) -> tuple[bytes, bytes]:
    """How the dialect presents a credential."""
    match dialect:
        case "openai":
            return b"authorization", b"Bearer " + credential
        case "anthropic":
            return b"x-api-key", credential


class Heads:
    """Renders the heads of requests to one provider."""

    def __init__(
        self, endpoint: Endpoint, dialect: Dialect, credential: bytes | None, extra: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        """`extra` are the provider's own headers, their values resolved. Raises `invalid_header`."""
        self._endpoint = endpoint
        fixed = {name.lower(): value for name, value in extra}
        if credential is not None:
            name, value = credential_header(dialect, credential)
            fixed[name] = value
        self._owned = _OWNED | fixed.keys()
        self._fixed = tuple(fixed.items())
        for name, value in self._fixed:
            _require_header(name, value)
        self._defaults = tuple(pair for pair in _DEFAULTS if pair[0] not in fixed)
        self._prefixes: dict[tuple[object, ...], bytes] = {}

    def render(self, request: HttpRequest) -> bytes:
        """The head of a request, up to and with its empty line.

        Raises `invalid_header` for a header or path that would break out of its line.
        """
        key = (request.method, request.path, request.headers)
        prefix = self._prefixes.get(key)
        if prefix is None:
            prefix = self._line(request) + _lines(self._merged(request)) + b"content-length: "
            if len(self._prefixes) >= PREFIXES_MAX:
                self._prefixes.clear()
            self._prefixes[key] = prefix
        return b"%b%d\r\n\r\n" % (prefix, len(request.body))

    def pairs(self, request: HttpRequest) -> list[tuple[bytes, bytes]]:
        """The same headers as pairs, for a client that renders them itself: `host` first, no length."""
        return [(b"host", self._endpoint.authority.encode()), *self._merged(request)]

    def target(self, path: str) -> str:
        """What stands in the request line. Raises `invalid_header` for a path that would break out of it."""
        if not path.startswith("/") or not _is_plain(path):
            raise WardwrightError("invalid_header", "a request path holds what a request line cannot")
        return self._endpoint.path + path

    def _merged(self, request: HttpRequest) -> list[tuple[bytes, bytes]]:
        own = [pair for pair in request.headers if pair[0] not in self._owned]
        for name, value in own:
            _require_header(name, value)
        brought = {name for name, _ in own}
        return [*self._fixed, *(pair for pair in self._defaults if pair[0] not in brought), *own]

    def _line(self, request: HttpRequest) -> bytes:
        method = request.method
        if not (method.isascii() and method.isalpha()):
            raise WardwrightError("invalid_header", "a request method holds what a request line cannot")
        return f"{method} {self.target(request.path)} HTTP/1.1\r\nhost: {self._endpoint.authority}\r\n".encode()


def _lines(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in pairs])


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


_NAME_SPECIALS: Final = b"!#$%&'*+-.^_`|~"


def _require_header(name: bytes, value: bytes) -> None:
    """RFC 9110 §5.1 and §5.5: a token, and no CR, LF or NUL."""
    if not name or not name.translate(None, _NAME_SPECIALS).isalnum():
        raise WardwrightError("invalid_header", "a header name towards an upstream is not a token")
    if b"\r" in value or b"\n" in value or b"\0" in value:
        raise WardwrightError("invalid_header", f"the header {name.decode()} holds a line break")
