"""How long to wait before the next attempt: twice as long each time, spread so that those who wait do not return as
one.
"""

from __future__ import annotations

from typing import Final

SPREAD_BITS: Final = 32
"""Random bits that a draw takes."""


def delay_s(failures: int, draw: int, *, first_s: float, longest_s: float) -> float:
    """The wait after so many failures in a row, from 1 on: between half and the whole of `first_s` doubled each time.

    `draw` is SPREAD_BITS of luck.

    >>> [delay_s(count, 0, first_s=1, longest_s=60) for count in (1, 2, 3, 9)]
    [0.5, 1.0, 2.0, 30.0]
    >>> round(delay_s(1, 2**SPREAD_BITS - 1, first_s=1, longest_s=60), 6)
    1.0
    """
    doublings = min(failures - 1, 63)
    whole = min(first_s * (1 << doublings), longest_s)
    return whole * (0.5 + draw / (1 << SPREAD_BITS) / 2)
