"""The words in which transports fail, the same for all of them.

Rule 1: a message names no host, address, path or credential: it may travel to a caller.
Rule 2: one kind of trouble has one value, whichever transport met it.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from wardwright.dialects.exchange import Failure

CONNECT_TIMEOUT: Final = Failure(kind="connect_timeout", message="no connection was made in time")
FIRST_BYTE_TIMEOUT: Final = Failure(kind="first_byte_timeout", message="the answer did not begin in time")
BETWEEN_BYTES_TIMEOUT: Final = Failure(kind="between_bytes_timeout", message="the answer stalled")
TOTAL_TIMEOUT: Final = Failure(kind="total_timeout", message="the exchange did not end in time")
POOL_FULL: Final = Failure(kind="pool_full", message="every connection is busy and the queue for one is full")
POOL_BUSY: Final = Failure(kind="pool_full", message="every connection stayed busy for too long")
CLOSED: Final = Failure(kind="reset", message="the transport was closed")
NOT_OPEN: Final = Failure(kind="connect", message="the transport is not open")
RESET: Final = Failure(kind="reset", message="the connection broke before an answer")
RESET_IN_BODY: Final = Failure(kind="reset", message="the connection broke within the answer")
TRUNCATED: Final = Failure(kind="truncated", message="the answer ended before its declared end")
NOT_HTTP: Final = Failure(kind="protocol", message="the answer is not HTTP/1.1")
HEAD_TOO_LARGE: Final = Failure(kind="protocol", message="the head of the answer is too large")
FRAMING_TOO_LARGE: Final = Failure(kind="protocol", message="the answer holds too much between its body bytes")
BODY_TOO_LARGE: Final = Failure(kind="protocol", message="the body of the answer is too large")

_REFUSED: Final = Failure(kind="connect", message="the connection was refused")
_NO_NAME: Final = Failure(kind="connect", message="the provider's name does not resolve")
_UNREACHABLE: Final = Failure(kind="connect", message="the provider cannot be reached")
_HANDSHAKE: Final = Failure(kind="connect", message="the TLS handshake failed")
_CERTIFICATES: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "comes from an authority that is not trusted",
    20: "comes from an authority that is not trusted",
    21: "comes from an authority that is not trusted",
    23: "was revoked",
    62: "is for another name",
    64: "is for another address",
}
"""OpenSSL's X509_V_ERR codes (x509_vfy.h), without the names its own messages carry."""


def connect_failure(error: BaseException) -> Failure:
    """What kept a connection from being made."""
    match error:
        case ssl.SSLCertVerificationError():
            why = _CERTIFICATES.get(error.verify_code, "was refused")
            return Failure(kind="connect", message=f"the provider's certificate {why}")
        case ssl.SSLError():
            return _HANDSHAKE
        case ConnectionRefusedError():
            return _REFUSED
        case socket.gaierror():
            return _NO_NAME
        case _:
            return _UNREACHABLE
