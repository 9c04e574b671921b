"""What a model's own usage reports teach about the estimate: a running ratio per model, in integers.

Each report adds the tokens that the provider counted to one sum and those that the raw heuristic said to another, and
both forget a share of the past; their ratio corrects the next estimates. Long requests count for more, as they should:
that is where the window matters. It starts from PRIOR_TOKENS worth of belief that the heuristic is right, and whatever
providers report, it never corrects beyond a factor of two.
"""

from __future__ import annotations

from typing import Final

import msgspec

RATIO_PPM_MIN: Final = 500_000
RATIO_PPM_MAX: Final = 2_000_000
PRIOR_TOKENS: Final = 2_000
"""The weight of the start, in tokens: two or three small calls."""
MEMORY: Final = 64
"""Of each sum, 1/MEMORY is forgotten at each report: the ratio follows some 64 calls."""
REPORT_TOKENS_MAX: Final = 10_000_000
"""A larger report is taken for a mistake and changes nothing."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The running ratio of reported to estimated tokens of one model."""

    estimated: int = PRIOR_TOKENS
    """Tokens of the raw heuristic, decayed."""
    reported: int = PRIOR_TOKENS
    """Tokens that the provider counted, decayed."""

    @property
    def ppm(self) -> int:
        """The `calibration_ppm` of the next estimate."""
        ratio = self.reported * 1_000_000 // max(1, self.estimated)
        return min(max(ratio, RATIO_PPM_MIN), RATIO_PPM_MAX)

    def learn(self, estimated: int, reported: int, ppm: int) -> Calibration:
        """After a call: what was estimated under `ppm`, and the input that the provider reported.

        The estimate must be one of text alone: the flat sums for pictures and sound would teach the wrong thing.
        """
        if not (0 < estimated <= REPORT_TOKENS_MAX and 0 < reported <= REPORT_TOKENS_MAX):
            return self
        raw = max(1, estimated * 1_000_000 // ppm)
        bounded = min(max(reported, raw * RATIO_PPM_MIN // 1_000_000), raw * RATIO_PPM_MAX // 1_000_000)
        return Calibration(
            estimated=self.estimated - self.estimated // MEMORY + raw,
            reported=self.reported - self.reported // MEMORY + bounded,
        )
