"""Latencies as buckets: contiguous, within an eighth, with quantiles counted by hand."""

from __future__ import annotations

from collections import Counter
from math import exp
from random import Random
from statistics import NormalDist

import pytest

from wardwright.limits.sketch import CUT, LATENCY_US_MAX, bucket_of, quantile_us, ranks_ppm, upper_us


def test_buckets_follow_one_another_without_gap() -> None:
    buckets = [bucket_of(us) for us in range(100_000)]
    assert sorted(set(buckets)) == list(range(max(buckets) + 1))
    assert buckets == sorted(buckets)


@pytest.mark.parametrize("us", [0, 1, 7, 8, 9, 1000, 123_456, 10**7, LATENCY_US_MAX])
def test_the_edge_of_a_bucket_is_not_below_its_latencies_and_an_eighth_above_at_most(us: int) -> None:
    edge = upper_us(bucket_of(us))
    assert us <= edge <= us + us // 8
    assert bucket_of(edge) == bucket_of(us) < bucket_of(edge + 1) or us == LATENCY_US_MAX


def test_what_passes_the_longest_latency_counts_as_it() -> None:
    assert bucket_of(10**15) == bucket_of(LATENCY_US_MAX) < CUT


def test_a_latency_below_nought_counts_as_none() -> None:
    assert bucket_of(-5) == 0


def test_quantiles_are_those_of_the_weights() -> None:
    buckets = [(bucket_of(1), 50), (bucket_of(4), 40), (bucket_of(7), 10)]
    assert [quantile_us(buckets, ppm) for ppm in (0, 500_000, 500_001, 900_000, 990_000)] == [1, 1, 4, 4, 7]


def test_a_quantile_among_tries_that_were_cut_off_is_not_known() -> None:
    buckets = [(bucket_of(5), 95), (CUT, 5)]
    assert quantile_us(buckets, 950_000) == 5
    assert quantile_us(buckets, 990_000) is None


def test_the_ranks_of_a_quantile_are_binomial() -> None:
    assert ranks_ppm(500_000, 100, 1.0) == (450_000, 550_000)
    assert ranks_ppm(10_000, 4, 2.0)[0] == 0


def test_a_quantile_that_may_lie_above_all_observations_has_no_upper_rank() -> None:
    assert ranks_ppm(990_000, 4, 2.0)[1] is None


def test_nine_of_ten_intervals_hold_the_quantile_that_drew_the_latencies() -> None:
    """Of 400 independent intervals 360 hold it on average, with a deviation of 6; the buckets' width adds some."""
    luck, held = Random(2), 0
    true_us = round(exp(9 + NormalDist().inv_cdf(0.99)))
    low_ppm, high_ppm = ranks_ppm(990_000, 1000, 1.645)
    assert high_ppm is not None
    for _ in range(400):
        seen = sorted(Counter(bucket_of(round(luck.lognormvariate(9, 1))) for _ in range(1000)).items())
        low, high = quantile_us(seen, low_ppm), quantile_us(seen, high_ppm)
        assert low is not None
        assert high is not None
        held += bucket_of(low) <= bucket_of(true_us) <= bucket_of(high)
    assert held >= 345
