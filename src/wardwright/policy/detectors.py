"""What `detector` finds in a text, by name: a row of the kernel's table, a family of rows, or `any`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from wardwright.kernel.detectors.finding import Found, choice
from wardwright.kernel.detectors.table import NAMES
from wardwright.policy.operators import Detector


def _detect(name: str, text: str) -> Found | None:
    return choice((name,)).first(text)


DETECTORS: Final[Mapping[str, Detector]] = {name: partial(_detect, name) for name in NAMES}
"""Every name that a rule may give."""
