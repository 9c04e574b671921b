"""Credentials that stand where they must not: in a document.

The detectors of the kernel know the shapes of issuers' keys. They are a net under `env:` and `file:`, not a proof: a
secret of no known shape passes it.
"""

from __future__ import annotations

import re
from typing import Final

from wardwright.kernel.detectors.finding import choice
from wardwright.kernel.detectors.table import BY_NAME, rows_of

_SHAPED: Final = tuple(row.name for row in rows_of("secrets") if row.name != "keyed_secret")
"""Without the guess at values under telling names: prompts and rules speak of passwords."""

_CREDENTIAL_HEADER: Final = re.compile(r"auth|key|token|secret|cookie|credential|password", re.IGNORECASE)

_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*")


def looks_like(text: str) -> str | None:
    """What kind of credential a text seems to hold, or None.

    >>> looks_like("Bearer abcdefghijklmnop1234"), looks_like("Answer in one sentence.")
    ('a bearer token', None)
    """
    found = choice(_SHAPED).first(text)
    return None if found is None else BY_NAME[found.name].says


def is_reference(text: str) -> bool:
    """Whether a text says where a credential lies: `env:NAME` or `file:PATH`."""
    return _REFERENCE.fullmatch(text) is not None


def carries_credential(header: str) -> bool:
    """Whether a header of this name commonly carries one.

    >>> carries_credential("x-api-key"), carries_credential("anthropic-version")
    (True, False)
    """
    return _CREDENTIAL_HEADER.search(header) is not None
