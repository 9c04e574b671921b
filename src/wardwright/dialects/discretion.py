"""What an upstream said about a failure, made fit for a caller's eyes.

An upstream's message helps ("maximum context length is 8192 tokens") and betrays (addresses of private hosts, pieces
of our credentials, account names). What looks like one of those is replaced, the rest is kept, cut to one short line.
Credentials and personal data are what the kernel's detectors find; upstreams also cut and mask keys, and those pieces,
hosts and paths are guessed at here.
"""

from __future__ import annotations

import re
from typing import Final

from wardwright.kernel.detectors.finding import find
from wardwright.kernel.detectors.redaction import Cover, cover, covered

MESSAGE_CHARS_MAX: Final = 300
_SCANNED_CHARS_MAX: Final = 2000

_GUESSED: Final = re.compile(
    r"""
    (?P<address>
        \b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'"<>)\]}]+           # a URL
      | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b                  # IPv4
      | \[?\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b\]?  # IPv6
      | (?<![\w.])(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*\.(?:local|internal|lan|corp|svc))(?::\d+)?\b
      | (?<![\w:])(?:/[\w.-]+){2,}                            # a path on a disk
    )
    | (?P<secret>
        (?i:\bbearer)\s+\S+
      | \b(?:sk|pk|rk|org|proj|key|api|gsk|xai|hf|AIza|ghp|AKIA)[-_]?[A-Za-z0-9*_-]{12,}
      | \b[A-Za-z0-9+/_*-]*(?:\d[A-Za-z0-9+/_*-]*){6,}(?<=[A-Za-z0-9+/_*-]{32})
    )
    """,
    re.VERBOSE,
)


def presentable(message: str) -> str:
    """The message in one line of at most MESSAGE_CHARS_MAX characters, without addresses, paths and credentials.

    >>> presentable("cannot reach http://10.0.0.7:8000/v1 with sk-abcdefghijklmnop1234")
    'cannot reach [address] with [secret]'
    """
    line = " ".join(message[:_SCANNED_CHARS_MAX].split())
    guessed = [Cover(match.start(), match.end(), f"[{match.lastgroup}]") for match in _GUESSED.finditer(line)]
    line = covered(line, [*guessed, *(cover(found, "family") for found in find(line))])
    line = "".join(char for char in line if char.isprintable())
    return line if len(line) <= MESSAGE_CHARS_MAX else line[: MESSAGE_CHARS_MAX - 1] + "…"
