"""Latencies as buckets: contiguous, within an eighth, with quantiles counted by hand."""

from __future__ import annotations

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
    assert ranks_ppm(990_000, 4, 2.0)[1] == 1_000_000
