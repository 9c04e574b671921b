"""A bar is met, missed or not measured, and only a measurement meets it."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.bars import bars_of
from benchmarks.loads import LoadName
from benchmarks.results import Cell, Contestant, Figures, Growth, Machine, OpenStreams, Results, RuleTime, Start
from benchmarks.spread import Spread

MACHINE = Machine(
    processor="A processor",
    cores=2,
    gateway_cores=(0,),
    load_cores=(1,),
    memory_gib=8,
    system="A system",
    python="3.11.7",
    busy=0.0,
)


def window(cpu_us: float | None) -> Figures:
    return Figures(
        answers=100,
        cpu_us=cpu_us,
        rate=1_000,
        latency_p50_us=500,
        latency_p99_us=900,
        first_byte_p50_us=400,
        first_byte_p99_us=800,
        own_p50_us=300,
        own_p99_us=700,
        hop_p50_us=None,
        hop_p99_us=None,
    )


def cell(gateway: str, load: LoadName, *cpu_us: float) -> Cell:
    return Cell(gateway, load, tuple(map(window, cpu_us)))


def results(*cells: Cell, peers: tuple[str, ...] = ()) -> Results:
    names = ("nginx", "wardwright", "wardwright-deferred", *peers)
    return Results(
        command="python -m benchmarks",
        date="2026-01-02",
        scale="standard",
        machine=MACHINE,
        contestants=tuple(Contestant(name, f"about {name}") for name in names),
        cells=cells,
    )


def verdicts(found: Results) -> dict[str, str]:
    return {bar.asked.partition(":")[0]: bar.verdict for bar in bars_of(found)}


def test_nothing_measured_meets_nothing() -> None:
    assert set(verdicts(results()).values()) == {"not measured"}


@pytest.mark.parametrize(("ours_us", "verdict"), [(44.0, "met"), (45.0, "met"), (46.0, "missed")])
def test_a_ratio_at_its_bound_is_met(ours_us: float, verdict: str) -> None:
    found = results(cell("nginx", "json-1k", 10), cell("wardwright", "json-1k", ours_us))
    assert verdicts(found)["small call, index kept within a second"] == verdict


def test_the_deferred_index_has_a_bar_of_its_own() -> None:
    found = results(
        cell("nginx", "json-1k", 10), cell("wardwright", "json-1k", 40), cell("wardwright-deferred", "json-1k", 31)
    )
    assert verdicts(found)["small call, index deferred"] == "missed"
    assert verdicts(found)["small call, index kept within a second"] == "met"


def test_a_ratio_compares_medians() -> None:
    found = results(cell("nginx", "json-200k", 10, 10, 99), cell("wardwright", "json-200k", 1, 39, 999))
    assert verdicts(found)["200 KB prompt"] == "met"


def test_a_further_event_is_the_slope_and_not_the_whole_stream() -> None:
    found = results(
        cell("nginx", "sse-50", 50),
        cell("nginx", "sse-1000", 525),
        cell("wardwright", "sse-50", 400),
        cell("wardwright", "sse-1000", 1_800),
    )
    bar = next(bar for bar in bars_of(found) if bar.asked.startswith("a further streamed event"))
    assert (bar.measured, bar.verdict) == ("2.95 × (1.47 against 0.50 µs)", "met")


@pytest.mark.parametrize(("open_kib", "verdict"), [(1_000 + 40_000, "met"), (1_000 + 40_100, "missed")])
def test_an_open_stream_is_what_it_adds(open_kib: int, verdict: str) -> None:
    found = msgspec.structs.replace(results(), open_streams=(OpenStreams("wardwright", 1_000, 1_000, open_kib),))
    assert verdicts(found)["an idle open stream"] == verdict


@pytest.mark.parametrize(("late_kib", "verdict"), [(105, "met"), (95, "met"), (106, "missed"), (94, "missed")])
def test_memory_may_neither_grow_nor_shrink_much(late_kib: int, verdict: str) -> None:
    found = msgspec.structs.replace(results(), growth=(Growth("wardwright", 20_000, 100, 200_000, late_kib),))
    assert verdicts(found)["resident memory between call 20,000 and 200,000"] == verdict


def test_memory_over_fewer_calls_is_shown_and_not_judged() -> None:
    found = msgspec.structs.replace(results(), growth=(Growth("wardwright", 2_000, 100, 10_000, 100),))
    bar = next(bar for bar in bars_of(found) if bar.asked.startswith("resident memory"))
    assert (bar.measured, bar.verdict) == ("+0.0 % between 2,000 and 10,000", "not measured")


def test_a_start_without_a_journal_says_nothing_about_one_with_it() -> None:
    start = Start("wardwright", 210, 0, Spread(0.4, 0.3, 0.5, 5))
    found = verdicts(msgspec.structs.replace(results(), starts=(start,)))
    assert found["start-up with 200 contracts"] == "met"
    assert found["start-up with 200 contracts and a 1 GB journal"] == "not measured"


def test_a_peer_is_beaten_only_where_every_common_load_is() -> None:
    found = results(
        cell("wardwright", "json-1k", 50),
        cell("wardwright", "sse-50", 150),
        cell("fast", "json-1k", 500),
        cell("fast", "sse-50", 149),
        cell("slow", "json-1k", 5_000),
        peers=("fast", "slow"),
    )
    assert verdicts(found)["below fast under every load"] == "missed"
    assert verdicts(found)["below slow under every load"] == "met"


def test_a_load_that_only_the_peer_survives_is_lost() -> None:
    found = results(
        cell("wardwright", "json-1k", 50),
        Cell("wardwright", "slow-1000", voided=("did not finish",)),
        cell("fast", "json-1k", 500),
        cell("fast", "slow-1000", 500),
        peers=("fast",),
    )
    assert verdicts(found)["below fast under every load"] == "missed"


def test_a_peer_that_was_not_measured_is_not_beaten() -> None:
    found = results(cell("wardwright", "json-1k", 50), peers=("ghost",))
    assert verdicts(found)["below ghost under every load"] == "not measured"


def test_figures_of_another_run_are_no_contest() -> None:
    found = results(cell("wardwright", "json-1k", 50), cell("old", "json-1k", 500), peers=("old",))
    old = tuple(
        msgspec.structs.replace(one, kept_from="2026-01-02" if one.name == "old" else None) for one in found.contestants
    )
    kept = msgspec.structs.replace(found, contestants=old)
    assert verdicts(kept)["below old under every load"] == "not measured"


def test_a_ratio_to_figures_of_another_run_is_not_measured() -> None:
    found = results(cell("wardwright", "json-1k", 50), cell("nginx", "json-1k", 25))
    (asked,) = (one for one in verdicts(found) if one.startswith("small call, index kept"))
    assert verdicts(found)[asked] == "met"
    contestants = tuple(
        msgspec.structs.replace(one, kept_from="2026-01-02" if one.name == "nginx" else None)
        for one in found.contestants
    )
    kept = msgspec.structs.replace(found, contestants=contestants)
    assert verdicts(kept)[asked] == "not measured"


def test_a_peer_that_fails_some_loads_is_said_to() -> None:
    found = results(cell("wardwright", "json-1k", 50), cell("frail", "json-1k", 500), peers=("frail",))
    (said,) = (bar.measured for bar in bars_of(found) if bar.asked == "below frail under every load")
    assert "1 of 8 loads; it did not survive the others" in said


def first_byte(gateway: str, first_byte_us: float) -> Cell:
    return Cell(gateway, "latency-8", (msgspec.structs.replace(window(100), first_byte_p50_us=first_byte_us),))


@pytest.mark.parametrize(("governed_us", "verdict"), [(1_399, "met"), (1_401, "missed")])
def test_what_rules_add_before_the_first_byte_is_the_difference_to_ungoverned_calls(
    governed_us: float, verdict: str
) -> None:
    found = results(first_byte("wardwright", 400), first_byte("wardwright-governed", governed_us))
    (asked,) = (one for one in verdicts(found) if one.startswith("rules, before the first byte"))
    assert verdicts(found)[asked] == verdict


def test_rules_by_themselves_are_held_to_the_bars_they_carry() -> None:
    timed = tuple(RuleTime(what=f"took {took}", took=took, bar=10, unit="µs") for took in (10.0, 10.1))
    found = verdicts(msgspec.structs.replace(results(), rules=timed))
    assert (found["took 10.0"], found["took 10.1"]) == ("met", "missed")


def test_the_governed_gateway_is_no_peer() -> None:
    found = results(cell("wardwright", "json-1k", 100), cell("wardwright-governed", "json-1k", 90))
    assert not any("below wardwright" in bar.asked for bar in bars_of(found))
