"""Credentials that stand where they must not: in a document.

A pattern here names the shape of one issuer's keys. It is a net under `env:` and `file:`, not a proof: a secret of no
known shape passes it.
"""

from __future__ import annotations

import re
from typing import Final

_SHAPES: Final = (
    ("an API key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")),
    ("a bearer token", re.compile(r"\b[Bb]earer\s+[A-Za-z0-9._~+/=-]{16,}")),
    ("basic credentials", re.compile(r"\bBasic\s+[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/])")),
    ("an access key of AWS", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("an API key of Google", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("a token of GitHub", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})")),
    ("a token of GitLab", re.compile(r"\bglpat-[A-Za-z0-9_-]{18,}")),
    ("a token of Slack", re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{10,}")),
    ("a token of Hugging Face", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("an API key", re.compile(r"\b(?:gsk|xai|pplx|nvapi|r8)[-_][A-Za-z0-9_-]{28,}")),
    ("a JSON Web Token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a password inside an address", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/@:]+:[^\s/@]+@")),
)

_CREDENTIAL_HEADER: Final = re.compile(r"auth|key|token|secret|cookie|credential|password", re.IGNORECASE)

_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*")


def looks_like(text: str) -> str | None:
    """What kind of credential a text seems to hold, or None.

    >>> looks_like("Bearer abcdefghijklmnop1234"), looks_like("Answer in one sentence.")
    ('a bearer token', None)
    """
    return next((kind for kind, shape in _SHAPES if shape.search(text)), None)


def is_reference(text: str) -> bool:
    """Whether a text says where a credential lies: `env:NAME` or `file:PATH`."""
    return _REFERENCE.fullmatch(text) is not None


def carries_credential(header: str) -> bool:
    """Whether a header of this name commonly carries one.

    >>> carries_credential("x-api-key"), carries_credential("anthropic-version")
    (True, False)
    """
    return _CREDENTIAL_HEADER.search(header) is not None
