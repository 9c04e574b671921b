"""Learned patterns by hand: what they predict, what they forget, what they keep between runs."""

from __future__ import annotations

import pytest

from wardwright.kernel.units import SECOND_US
from wardwright.limits.history import Row
from wardwright.limits.observed import Key, Observation, Outcome, key_of
from wardwright.limits.patterns import COST_NANO_USD_MAX, WRITERS_MAX, Patterns
from wardwright.testing.state import MemoryStateStore

HALF_LIFE_S = 64
NOW = 1_800_000_000 * SECOND_US
HOST_A = key_of("t", kind="tool", name="read", target="a")
HOST_B = key_of("t", kind="tool", name="read", target="b")


class Told:
    """Patterns, and the orders of one writer."""

    def __init__(self, patterns: Patterns | None = None, order: int = 0) -> None:
        self.patterns = Patterns(half_life_s=HALF_LIFE_S) if patterns is None else patterns
        self.order = order

    def tries(
        self, *outcomes: Outcome, key: Key = HOST_A, at: int = NOW, latency_us: int | None = None,
        cost: int | None = None, writer: str = "w",
    ) -> Told:  # fmt: skip
        for outcome in outcomes:
            self.order += 1
            self.patterns.learn(
                Observation(
                    at_us=at, cost_nano_usd=cost, key=key, latency_us=latency_us, order=self.order, outcome=outcome,
                    writer=writer,
                )
            )  # fmt: skip
        return self


def good(count: int) -> list[Outcome]:
    return ["succeeded"] * count


def bad(count: int) -> list[Outcome]:
    return ["failed"] * count


def cut(count: int) -> list[Outcome]:
    return ["cut"] * count


# What is expected


def test_nothing_seen_is_a_coin_and_an_abstention() -> None:
    told = Patterns().predict(HOST_A, NOW)
    assert (told.success_ppm, told.low_ppm, told.high_ppm) == (500_000, 50_000, 950_000)
    assert (told.abstained, told.level, told.evidence_milli, told.latency, told.cost_nano_usd) == (
        True, "tenant", 0, None, None,
    )  # fmt: skip


def test_eight_of_ten_is_three_quarters() -> None:
    """All knowledge is the key's own, so it stands on Beta(1, 1): 9 of 12."""
    told = Told().tries(*good(8), *bad(2)).patterns.predict(HOST_A, NOW)
    assert told.success_ppm == 750_000
    assert told.low_ppm < 750_000 < told.high_ppm
    assert (told.abstained, told.level, told.evidence_milli) == (False, "target", 10_000)


def test_a_new_target_borrows_from_the_others_of_its_tool() -> None:
    told = Told().tries(*good(98)).patterns.predict(HOST_B, NOW)
    assert (told.success_ppm, told.level) == (990_000, "house")
    assert told.low_ppm < 800_000


def test_little_evidence_abstains_and_is_a_number_all_the_same() -> None:
    told = Told().tries(*good(7)).patterns.predict(HOST_A, NOW)
    assert (told.abstained, told.level, told.evidence_milli) == (True, "tenant", 7000)
    assert told.success_ppm == 888_889


def test_what_the_tenant_knows_of_other_tools_is_no_evidence() -> None:
    told = Told().tries(*good(50), key=key_of("t", kind="tool", name="write")).patterns.predict(HOST_A, NOW)
    assert (told.abstained, told.evidence_milli) == (True, 0)
    assert told.success_ppm > 900_000


def test_no_tenant_learns_from_another() -> None:
    told = Told().tries(*good(50), key=("u", *HOST_A[1:])).patterns.predict(HOST_A, NOW)
    assert told.success_ppm == 500_000


def test_after_a_half_life_evidence_is_half() -> None:
    patterns = Told().tries(*good(20)).patterns
    later = [patterns.predict(HOST_A, NOW + seconds * SECOND_US).evidence_milli for seconds in (0, 64, 128)]
    assert later == [20_000, 10_000, 5000]


def test_an_instant_before_the_last_observation_counts_as_that_one() -> None:
    patterns = Told().tries(*good(20)).patterns
    assert patterns.predict(HOST_A, 0) == patterns.predict(HOST_A, NOW)


def test_what_is_twelve_half_lives_old_is_gone() -> None:
    patterns = Told().tries(*good(4000)).patterns
    assert patterns.predict(HOST_A, NOW + 11 * 64 * SECOND_US).evidence_milli > 0
    assert patterns.predict(HOST_A, NOW + 13 * 64 * SECOND_US).success_ppm == 500_000


def test_an_old_try_that_is_told_late_weighs_as_if_it_had_been_told_in_time() -> None:
    at = [NOW, NOW - 3 * 64 * SECOND_US, NOW - 90 * SECOND_US, NOW - 100 * 64 * SECOND_US]
    late, timely = Told(), Told()
    for one in at:
        late.tries(*good(3), at=one)
    for one in sorted(at):
        timely.tries(*good(3), at=one)
    assert late.patterns.rows() == timely.patterns.rows()


def test_latency_is_that_of_success() -> None:
    told = Told().tries(*good(98), latency_us=7).tries(*good(2), latency_us=1000)
    latency = told.tries(*bad(50), latency_us=9_000_000).patterns.predict(HOST_A, NOW).latency
    assert latency is not None
    assert (latency.p50_us, latency.p90_us, latency.p99_us) == (7, 7, 1023)
    assert (latency.evidence_milli, latency.p99_low_us) == (100_000, 7)


def test_a_hundred_tries_do_not_bound_the_99th_percentile_from_above() -> None:
    told = [Told().tries(*good(count), latency_us=7).patterns.predict(HOST_A, NOW).latency for count in (100, 300)]
    assert [one and one.p99_high_us for one in told] == [None, 7]


def test_a_try_that_was_cut_off_would_have_taken_longer_than_all() -> None:
    told = Told().tries(*good(85), latency_us=7).tries(*cut(15), latency_us=30_000_000)
    prediction = told.patterns.predict(HOST_A, NOW)
    assert prediction.latency is not None
    assert (prediction.latency.p50_us, prediction.latency.p90_us) == (7, None)
    assert prediction.success_ppm < 900_000


def test_cost_is_the_mean_of_tries_whose_cost_is_known() -> None:
    told = Told().tries(*good(5), *bad(5), cost=100).tries(*good(10), cost=200).tries(*good(30))
    assert told.patterns.predict(HOST_A, NOW).cost_nano_usd == 150


def test_the_cost_of_little_evidence_is_that_of_the_level_above() -> None:
    told = Told().tries(*good(20), cost=100).tries(*good(1), key=HOST_B, cost=310)
    assert told.patterns.predict(HOST_B, NOW).cost_nano_usd == 110


def test_no_try_is_dearer_than_the_dearest() -> None:
    told = Told().tries(*good(8), cost=10**18)
    assert told.patterns.predict(HOST_A, NOW).cost_nano_usd == COST_NANO_USD_MAX


# What is told twice, what has no room


def test_an_observation_told_again_changes_nothing() -> None:
    told = Told().tries(*good(3))
    before = told.patterns.rows()
    told.order = 0
    assert told.tries(*bad(3)).patterns.rows() == before


def test_writers_have_orders_of_their_own() -> None:
    told = Told().tries(*good(8))
    told.order = 0
    assert told.tries(*bad(8), writer="v").patterns.predict(HOST_A, NOW).evidence_milli == 16_000


def test_nothing_is_learned_of_more_writers_than_can_be_told_apart() -> None:
    told = Told()
    for number in range(WRITERS_MAX):
        told.tries("succeeded", writer=f"w{number}")
    assert told.patterns.predict(HOST_A, NOW).evidence_milli == WRITERS_MAX * 1000
    assert told.tries("succeeded", writer="one more").patterns.predict(HOST_A, NOW).evidence_milli == WRITERS_MAX * 1000


def test_what_has_the_least_evidence_makes_room_and_stays_known_above() -> None:
    told = Told(Patterns(half_life_s=HALF_LIFE_S, keys_max=48))
    kept = [key_of("t", kind="tool", name="read", shape=f"s{number}") for number in range(40)]
    for key in kept:
        told.tries(*good(2), key=key)
    for number in range(40):
        told.tries("failed", key=key_of("t", kind="tool", name="read", shape=f"new{number}"))
        assert len(told.patterns) <= 48
    assert all(told.patterns.predict(key, NOW).success_ppm > 700_000 for key in kept)
    assert told.patterns.predict(("t",), NOW).success_ppm == round(1e6 * 81 / 122)


def test_a_sixteenth_goes_at_once() -> None:
    told = Told(Patterns(half_life_s=HALF_LIFE_S, keys_max=48))
    sizes = [len(told.tries("succeeded", key=("t", f"tool {number}")).patterns) for number in range(52)]
    assert sizes[45:] == [47, 48, 45, 46, 47, 48, 45]


def test_a_crowd_in_one_tenant_takes_no_room_from_another() -> None:
    told = Told(Patterns(half_life_s=HALF_LIFE_S, keys_max=48)).tries(*good(10))
    for number in range(200):
        told.tries(*good(20), key=("u", f"tool {number}"))
    assert told.patterns.predict(HOST_A, NOW).level == "target"


@pytest.mark.parametrize("key", [(), ("t",) * 7])
def test_a_key_has_as_many_parts_as_there_are_levels_at_most(key: Key) -> None:
    with pytest.raises((ValueError, IndexError)):
        Told().tries("succeeded", key=key)


def test_a_half_life_and_room_are_not_nothing() -> None:
    with pytest.raises(ValueError, match="a half-life is at least 1 second"):
        Patterns(half_life_s=0)
    with pytest.raises(ValueError, match="room for 6 keys"):
        Patterns(keys_max=5)


# Between runs


def stored(rows: tuple[Row, ...], store: dict[str, bytes]) -> None:
    for row in rows:
        if row.value is None:
            store.pop(row.key, None)
        else:
            store[row.key] = row.value


def test_rows_that_were_stored_as_they_changed_are_all_there_is() -> None:
    told, store = Told(Patterns(half_life_s=HALF_LIFE_S, keys_max=16)), dict[str, bytes]()
    for number in range(30):
        told.tries(
            "succeeded", key=("t", f"tool {number}"), at=NOW + number * 50 * SECOND_US, cost=3, latency_us=number
        )
        if number % 7 == 0:
            stored(told.patterns.changes(), store)
    stored(told.patterns.changes(), store)
    assert store == {row.key: row.value for row in told.patterns.rows()}
    again = Patterns(half_life_s=HALF_LIFE_S, keys_max=16)
    again.restore(store.items())
    assert again.rows() == told.patterns.rows()


def test_a_store_of_projections_keeps_them() -> None:
    told, store = Told().tries(*good(9), *bad(1), latency_us=50, cost=7), MemoryStateStore()
    store.save(told.patterns.name, {row.key: row.value for row in told.patterns.changes()}, ())
    again = Patterns(half_life_s=HALF_LIFE_S)
    again.restore(store.load(again.name).rows.items())
    assert again.rows() == told.patterns.rows()
    assert again.predict(HOST_A, NOW) == told.patterns.predict(HOST_A, NOW)


def test_what_was_asked_for_changed_no_more_until_it_was_not_stored() -> None:
    patterns = Told().tries("succeeded").patterns
    rows = patterns.changes()
    assert len(rows) == 1 + len(HOST_A)
    assert patterns.changes() == ()
    patterns.unsaved(rows)
    assert patterns.changes() == rows


def test_another_half_life_is_another_projection() -> None:
    assert Patterns(half_life_s=1).name != Patterns(half_life_s=2).name


def test_a_foreign_row_is_refused() -> None:
    with pytest.raises(ValueError, match="no row of patterns"):
        Patterns().restore([('["past"]', b"[]")])
