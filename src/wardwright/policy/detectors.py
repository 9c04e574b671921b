"""What `detector` finds in a text, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wardwright.contracts import secrets
from wardwright.policy.operators import Detector

DETECTORS: Final[Mapping[str, Detector]] = {"secrets": secrets.looks_like}
"""`secrets`: credentials whose issuer gives them a shape."""
