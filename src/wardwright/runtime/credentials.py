"""Credentials by reference: `env:NAME` and `file:PATH`, read when a provider is opened and never written down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wardwright.kernel.errors import Place, WardwrightError

CREDENTIAL_BYTES_MAX = 65_536


def credential_of(reference: str, environment: Mapping[str, str]) -> bytes:
    """The credential behind a reference, blanks around it removed. Raises `credential_unreadable`."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = environment.get(name, "").strip().encode()
        if not value:
            raise WardwrightError(
                "credential_unreadable",
                f"the environment has no `{name}`",
                hint=f"export {name} before the gateway starts",
            )
        return value
    path = Path(name).expanduser()
    try:
        value = path.read_bytes()[:CREDENTIAL_BYTES_MAX].strip()
    except OSError as error:
        raise WardwrightError(
            "credential_unreadable", f"cannot be read: {error.strerror}", place=Place(file=str(path))
        ) from error
    if not value:
        raise WardwrightError("credential_unreadable", "the file is empty", place=Place(file=str(path)))
    return value
