"""How many of the small units that records count in make one of those that people use."""

from __future__ import annotations

from typing import Final

PPM: Final = 1_000_000
"""Parts per million in all of something."""
SECOND_US: Final = 1_000_000
"""µs in a second."""
