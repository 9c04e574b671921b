"""The page and the chart say what was found, and what was not."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec

from benchmarks.chart import chart_of
from benchmarks.report import CHART, PAGE, page_of, published, write
from benchmarks.results import (
    Absent,
    Cell,
    Contestant,
    Figures,
    Growth,
    Machine,
    OpenStreams,
    Results,
    RuleTime,
    Start,
    with_kept,
)
from benchmarks.spread import Spread

SVG = "{http://www.w3.org/2000/svg}"


def window(cpu_us: float | None, own_us: float = 300) -> Figures:
    return Figures(
        answers=100,
        cpu_us=cpu_us,
        rate=20_000,
        latency_p50_us=500,
        latency_p99_us=900,
        first_byte_p50_us=400,
        first_byte_p99_us=800,
        own_p50_us=own_us,
        own_p99_us=own_us * 2,
        hop_p50_us=120,
        hop_p99_us=480,
    )


RESULTS = Results(
    command="python -m benchmarks --peers",
    date="2026-01-02",
    scale="standard",
    machine=Machine(
        processor="A processor",
        cores=2,
        gateway_cores=(0,),
        load_cores=(1,),
        memory_gib=8,
        system="A system",
        python="3.11.7",
        busy=0.1,
    ),
    contestants=(
        Contestant("nginx", "1.22, plain proxy"),
        Contestant("wardwright", "0.1.0"),
        Contestant("other", "a peer"),
    ),
    cells=(
        Cell("floor", "json-1k", (window(None), window(None))),
        Cell("nginx", "json-1k", (window(20), window(22), window(21))),
        Cell("wardwright", "json-1k", (window(60), window(63), window(90))),
        Cell("other", "json-1k", voided=("status 500: <b>no</b> | pipe",)),
        Cell("nginx", "sse-50", (window(50),)),
        Cell("nginx", "sse-1000", (window(525),)),
        Cell("floor", "latency-8", (window(None, own_us=200),)),
        Cell("wardwright", "latency-8", (window(100, own_us=1_000),)),
        Cell("wardwright", "slow-100", (window(1_500),)),
    ),
    open_streams=(OpenStreams("wardwright", 1_000, 30_000, 62_000),),
    growth=(Growth("wardwright", 20_000, 50_000, 200_000, 51_000),),
    starts=(Start("wardwright", 210, 1_000_000_000, Spread(0.41, 0.39, 0.52, 5)),),
    absent=(Absent("portkey", "npm is not installed"),),
)


def test_the_page_names_its_command_its_date_and_its_machine() -> None:
    page = page_of(RESULTS)
    assert "Made by `python -m benchmarks --peers` on 2026-01-02 (standard run, 3 rounds)." in page
    assert "A processor, 2 cores (gateway on core 0, upstream and load on core 1), 8 GiB, A system" in page


def test_a_figure_stands_with_its_ratio_and_its_extremes() -> None:
    assert "63 (3.00 ×), 60–90" in page_of(RESULTS)


def test_added_latency_is_what_the_floor_does_not_have() -> None:
    assert "| wardwright | 0.80 / 1.60 |" in page_of(RESULTS)


def test_every_bar_has_a_row_with_its_verdict() -> None:
    page = page_of(RESULTS)
    kept = "small call, index kept within a second: at most 4.5 × nginx | 3.00 × (63 against 21 µs) | **met**"
    assert kept in page
    assert "an idle open stream: at most 40 KiB | 32.0 KiB over 1,000 streams | **met**" in page
    assert "200 KB prompt: at most 4 × nginx | - | **not measured**" in page


def test_what_is_missing_is_listed_with_its_reason_and_cannot_break_the_table() -> None:
    page = page_of(RESULTS)
    assert "| portkey | npm is not installed |" in page
    assert "| other, json-1k | status 500: &lt;b>no&lt;/b> \\| pipe |" in page


def test_a_voided_load_reads_void_and_an_unmeasured_one_a_dash() -> None:
    assert "| other | void | - | - | - |" in page_of(RESULTS)


def test_a_load_that_no_one_was_given_has_no_column() -> None:
    assert "1,000 slow streams" not in page_of(RESULTS)
    assert "Not part of this run." in page_of(msgspec.structs.replace(RESULTS, cells=()))


def test_every_row_of_a_table_has_the_columns_of_its_head() -> None:
    for table in page_of(RESULTS).split("\n\n"):
        rows = [line.replace("\\|", "") for line in table.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, table


def test_a_busy_machine_is_owned_up_to() -> None:
    machine = msgspec.structs.replace(RESULTS.machine, busy=1.5)
    assert "at other work" not in page_of(RESULTS)
    assert "at other work too** (load average 1.50" in page_of(msgspec.structs.replace(RESULTS, machine=machine))


def test_the_same_results_give_the_same_bytes() -> None:
    again = msgspec.json.decode(msgspec.json.encode(RESULTS), type=Results)
    assert page_of(again) == page_of(RESULTS)
    assert chart_of(again) == chart_of(RESULTS)


def test_the_chart_is_well_formed_and_has_a_bar_a_figure() -> None:
    drawing = ElementTree.fromstring(chart_of(RESULTS))
    bars = drawing.findall(f"{SVG}rect")
    assert [bar.get("class") for bar in bars] == ["plain", "ours", "plain", "plain", "ours"]
    assert all(float(bar.get("width", "0")) >= 2 for bar in bars)


def test_nothing_in_the_chart_lies_outside_it() -> None:
    drawing = ElementTree.fromstring(chart_of(RESULTS))
    width, height = float(drawing.get("width", "0")), float(drawing.get("height", "0"))
    for element in (*drawing.findall(f"{SVG}text"), *drawing.findall(f"{SVG}rect")):
        assert 0 <= float(element.get("x", "0")) <= width
        assert 0 <= float(element.get("y", "0")) <= height


def test_a_longer_time_has_a_longer_bar() -> None:
    bars = ElementTree.fromstring(chart_of(RESULTS)).findall(f"{SVG}rect")
    widths = [float(bar.get("width", "0")) for bar in bars]
    assert widths[0] < widths[2] < widths[1] < widths[3] < widths[4]


def test_the_chart_has_colours_for_dark_pages_and_words_for_those_who_do_not_see_it() -> None:
    chart = chart_of(RESULTS)
    assert "prefers-color-scheme: dark" in chart
    assert "small call: nginx 21 µs, wardwright 63 µs" in chart


def test_a_chart_without_figures_is_still_a_chart() -> None:
    empty = msgspec.structs.replace(RESULTS, cells=())
    assert ElementTree.fromstring(chart_of(empty)).findall(f"{SVG}rect") == []


def test_all_are_written_side_by_side(tmp_path: Path) -> None:
    write(RESULTS, tmp_path / "docs")
    assert {path.name for path in (tmp_path / "docs").iterdir()} == {PAGE, CHART, "benchmarks.json"}
    assert f"({CHART})" in (tmp_path / "docs" / PAGE).read_text()


def test_a_written_page_agrees_with_the_results_beside_it(tmp_path: Path) -> None:
    write(RESULTS, tmp_path)
    assert published(tmp_path) == {name: (tmp_path / name).read_text() for name in (PAGE, CHART)}


def test_governed_calls_stand_beside_ungoverned_ones() -> None:
    cells = (
        Cell("wardwright", "json-1k", (window(100),)),
        Cell("wardwright-governed", "json-1k", (msgspec.structs.replace(window(150), first_byte_p50_us=650),)),
    )
    timed = (RuleTime(what="100 request rules", took=40.5, bar=60, unit="µs"),)
    page = page_of(msgspec.structs.replace(RESULTS, cells=cells, rules=timed))
    assert "| small call | 150 against 100 (1.50 ×) | +0.25 |" in page
    assert "| 100 request rules | 40.50 µs | 60 µs |" in page


def test_who_is_not_measured_now_keeps_its_figures_with_their_date() -> None:
    earlier = msgspec.structs.replace(
        RESULTS,
        date="2025-12-24",
        contestants=(Contestant("nginx", "old"), Contestant("peer", "a peer")),
        cells=(Cell("nginx", "json-1k", (window(1),)), Cell("peer", "json-1k", (window(77),))),
        absent=(Absent("peer, memory of open streams", "it fell over"), Absent("gone", "not installed")),
    )
    now = msgspec.structs.replace(RESULTS, cells=(Cell("nginx", "json-1k", (window(20),)),), absent=())
    found = with_kept(now, earlier)
    assert (found.cpu_us("nginx", "json-1k"), found.cpu_us("peer", "json-1k")) == (20, 77)
    assert [one.what for one in found.absent] == ["peer, memory of open streams"]
    assert "a peer; measured in a run of 2025-12-24" in page_of(found)
    again = with_kept(now, msgspec.structs.replace(found, date="2026-06-01"))
    assert again.contestants[-1].kept_from == "2025-12-24"
