"""Whether the official SDK is here: it is loaded by what needs it, when that is used."""

from __future__ import annotations

from importlib.util import find_spec

from wardwright.kernel.errors import WardwrightError


def require_sdk() -> None:
    """Raises `extra_missing`."""
    if find_spec("mcp") is None or find_spec("mcp_types") is None:
        raise WardwrightError(
            "extra_missing",
            "the Model Context Protocol needs the extra `mcp`",
            hint="`pip install 'wardwright[mcp]'`",
        )
