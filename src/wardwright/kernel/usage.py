"""Tokens by class, and what they cost in nano-USD."""

from __future__ import annotations

from typing import Final

import msgspec

NANO_USD: Final = 1_000_000_000
"""nano-USD in one USD."""

TOKENS_MAX: Final = 2**31 - 1
"""More than any call can have. What says more is no count, and past 2^53 no receipt could hold it."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tokens of one attempt by the classes that providers bill apart. The classes do not overlap."""

    cache_write: int = 0
    """Input tokens that were written to the provider's cache."""
    cached_input: int = 0
    """Input tokens that the provider read from its cache."""
    input: int = 0
    """Input tokens that were neither read from nor written to a cache."""
    output: int = 0
    """Output tokens the client can see."""
    reasoning: int = 0
    """Output tokens spent on reasoning."""

    @property
    def input_total(self) -> int:
        return self.input + self.cached_input + self.cache_write

    @property
    def output_total(self) -> int:
        return self.output + self.reasoning

    @property
    def is_plausible(self) -> bool:
        """Whether a call can have had so many."""
        taken = self.input + self.cached_input + self.cache_write
        return taken <= TOKENS_MAX and self.output + self.reasoning <= TOKENS_MAX

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            cache_write=self.cache_write + other.cache_write,
            cached_input=self.cached_input + other.cached_input,
            input=self.input + other.input,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in nano-USD per million tokens, one a class."""

    cache_write: int
    cached_input: int
    input: int
    output: int
    reasoning: int


def cost_nano_usd(usage: Usage, rates: Rates) -> int:
    """What the tokens cost, summed exactly over the classes and rounded half up once.

    >>> rates = Rates(input=250_000_000, cached_input=25_000_000, cache_write=0, output=2_000_000_000, reasoning=0)
    >>> cost_nano_usd(Usage(input=1000, output=100), rates)
    450000
    """
    micro = (
        usage.input * rates.input
        + usage.cached_input * rates.cached_input
        + usage.cache_write * rates.cache_write
        + usage.output * rates.output
        + usage.reasoning * rates.reasoning
    )
    return (micro + 500_000) // 1_000_000
