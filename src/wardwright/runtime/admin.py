"""The admin credential: made at the first start, read by the command line from the state directory.

Being on this machine is no credential: a proxy beside the gateway would make everyone an admin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wardwright.gateway.core.keys import TOKEN_LUCK_BITS, token_of
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.ids import Luck
from wardwright.storage.files import create

VARIABLE: Final = "WARDWRIGHT_ADMIN_TOKEN"
FILE: Final = "admin-token"
PREFIX: Final = "wwa_"
TOKEN_CHARS_MIN: Final = 16


def admin_token(state: Path, environment: Mapping[str, str], luck: Luck) -> str:
    """The admin token: the environment's, else the state directory's, made where there is none.

    Raises `credential_unreadable` for one that is too short, or that others may read.
    """
    token = environment.get(VARIABLE)
    if token is None:
        path = state / FILE
        if not path.exists():
            create(path, (token_of(luck.bits(TOKEN_LUCK_BITS), PREFIX) + "\n").encode())
        if path.stat().st_mode & 0o077:
            raise WardwrightError(
                "credential_unreadable",
                "others than its owner may read the admin token",
                place=Place(file=str(path)),
                hint=f"chmod 600 {path}",
            )
        token = path.read_text().strip()
    if len(token) < TOKEN_CHARS_MIN:
        raise WardwrightError("credential_unreadable", f"the admin token has fewer than {TOKEN_CHARS_MIN} characters")
    return token


def known_token(state: Path, environment: Mapping[str, str]) -> str | None:
    """The token where there is one and this user may read it."""
    token = environment.get(VARIABLE)
    if token is not None:
        return token
    try:
        return (state / FILE).read_text().strip()
    except OSError:
        return None


def hash_of(token: str) -> str:
    """Hex SHA-256: what the running gateway keeps of it."""
    return hashlib.sha256(token.encode()).hexdigest()
