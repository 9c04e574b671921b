"""Where the example contracts lie: in a wheel beside the code, in a checkout at its root."""

from __future__ import annotations

from pathlib import Path

import wardwright
from wardwright.kernel.errors import WardwrightError


def examples() -> Path:
    """The folder of examples. Raises `not_found`."""
    package = Path(wardwright.__file__).parent
    for folder in (package / "examples", package.parent.parent / "examples"):
        if (folder / "providers.yaml").is_file():
            return folder
    raise WardwrightError("not_found", "the examples are not installed here", hint="run it from a checkout")
