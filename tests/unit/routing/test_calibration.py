from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wardwright.routing.calibration import RATIO_PPM_MAX, RATIO_PPM_MIN, REPORT_TOKENS_MAX, Calibration


def taught(raw: int, reported: int, calls: int) -> Calibration:
    calibration = Calibration()
    for _ in range(calls):
        said = raw * calibration.ppm // 1_000_000
        calibration = calibration.learn(said, reported, calibration.ppm)
    return calibration


def test_it_starts_by_believing_the_heuristic() -> None:
    assert Calibration().ppm == 1_000_000


def test_it_comes_to_the_ratio_that_the_provider_reports() -> None:
    assert abs(taught(1000, 1300, calls=100).ppm - 1_300_000) < 15_000


def test_its_own_correction_does_not_feed_back() -> None:
    assert abs(taught(1000, 1300, 2000).ppm - taught(1000, 1300, 200).ppm) < 5_000


def test_one_small_call_hardly_moves_it() -> None:
    assert taught(50, 100, calls=1).ppm < 1_030_000


def test_it_follows_a_model_that_changes() -> None:
    calibration = taught(1000, 1500, calls=300)
    for _ in range(300):
        calibration = calibration.learn(1000 * calibration.ppm // 1_000_000, 800, calibration.ppm)
    assert abs(calibration.ppm - 800_000) < 15_000


def test_a_report_that_cannot_be_is_ignored() -> None:
    before = taught(1000, 1200, calls=10)
    assert before.learn(1000, 0, before.ppm) == before
    assert before.learn(1000, REPORT_TOKENS_MAX + 1, before.ppm) == before


@given(st.lists(st.tuples(st.integers(-5, 10**8), st.integers(-5, 10**8)), max_size=40))
def test_whatever_is_reported_the_correction_stays_within_a_factor_of_two(reports: list[tuple[int, int]]) -> None:
    calibration = Calibration()
    for estimated, reported in reports:
        calibration = calibration.learn(estimated, reported, calibration.ppm)
        assert RATIO_PPM_MIN <= calibration.ppm <= RATIO_PPM_MAX
        assert calibration.estimated < 64 * 2 * REPORT_TOKENS_MAX * 2 + 10**6
