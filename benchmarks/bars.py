"""What was asked of this gateway, and whether one run met it.

Rule 1: pure: results in, verdicts out. A bar without its measurement is `not measured`, never met.
Rule 2: a ratio compares medians of the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from benchmarks.gateways import DEFERRED, FLOOR, GOVERNED, NGINX, WARDWRIGHT
from benchmarks.loads import GROWTH_CALLS, LOADS
from benchmarks.results import Results

Verdict: TypeAlias = Literal["met", "missed", "not measured"]

SMALL_CALL_DEFERRED_MAX: Final = 3.0
SMALL_CALL_MAX: Final = 4.5
FURTHER_EVENT_MAX: Final = 3.0
LONG_PROMPT_MAX: Final = 4.0
STREAM_KIB_MAX: Final = 40.0
START_S_MAX: Final = 1.0
GROWTH_PERCENT_MAX: Final = 5.0
RULES_FIRST_TOKEN_MS_MAX: Final = 1.0
"""What rules may add to the time before the first byte, when nothing is held."""


class Bar(msgspec.Struct, frozen=True):
    """One thing asked and what was found."""

    asked: str
    measured: str
    verdict: Verdict


def bars_of(results: Results) -> tuple[Bar, ...]:
    """Every bar in the order in which they are asked."""
    results = _of_this_run(results)
    return (
        _ratio(
            results,
            f"small call, index deferred: at most {SMALL_CALL_DEFERRED_MAX:g} × nginx",
            lambda gateway: results.cpu_us(DEFERRED if gateway == WARDWRIGHT else gateway, "json-1k"),
            SMALL_CALL_DEFERRED_MAX,
        ),
        _ratio(
            results,
            f"small call, index kept within a second: at most {SMALL_CALL_MAX:g} × nginx",
            lambda gateway: results.cpu_us(gateway, "json-1k"),
            SMALL_CALL_MAX,
        ),
        _ratio(
            results,
            f"a further streamed event: at most {FURTHER_EVENT_MAX:g} × nginx",
            results.further_event_us,
            FURTHER_EVENT_MAX,
        ),
        _ratio(
            results,
            f"200 KB prompt: at most {LONG_PROMPT_MAX:g} × nginx",
            lambda gateway: results.cpu_us(gateway, "json-200k"),
            LONG_PROMPT_MAX,
        ),
        _open_stream(results, WARDWRIGHT, "an idle open stream"),
        _open_stream(results, GOVERNED, "the same with 50 stream rules and a held tail"),
        *_starts(results),
        _growth(results),
        *_rules(results),
        *_peers(results),
    )


def _of_this_run(results: Results) -> Results:
    """Without the figures kept from an earlier run: machines have their days. Who took part is still listed."""
    kept = {one.name for one in results.contestants if one.kept_from is not None}
    return msgspec.structs.replace(
        results,
        cells=tuple(one for one in results.cells if one.gateway not in kept),
        growth=tuple(one for one in results.growth if one.gateway not in kept),
        open_streams=tuple(one for one in results.open_streams if one.gateway not in kept),
        starts=tuple(one for one in results.starts if one.gateway not in kept),
    )


def _ratio(results: Results, asked: str, cost_us: Callable[[str], float | None], most: float) -> Bar:
    ours, plain = cost_us(WARDWRIGHT), cost_us(NGINX)
    if ours is None or plain is None or plain <= 0:
        return Bar(asked, "-", "not measured")
    ratio = ours / plain
    return Bar(asked, f"{ratio:.2f} × ({_us(ours)} against {_us(plain)} µs)", _verdict(ratio <= most))


def _us(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _verdict(holds: bool) -> Verdict:
    return "met" if holds else "missed"


def _rules(results: Results) -> Iterator[Bar]:
    """What rules take by themselves, and what they add before the first byte where callers need not wait."""
    if not results.rules:
        yield Bar("rules by themselves", "-", "not measured")
    for one in results.rules:
        asked = f"{one.what}: at most {one.bar:g} {one.unit}"
        yield Bar(asked, f"{one.took:.2f} {one.unit}", _verdict(one.took <= one.bar))
    asked = f"rules, before the first byte (20 ms upstream, 8 callers): at most {RULES_FIRST_TOKEN_MS_MAX:g} ms more"
    governed, plain = results.first_byte_us(GOVERNED, "latency-8"), results.first_byte_us(WARDWRIGHT, "latency-8")
    if governed is None or plain is None:
        yield Bar(asked, "-", "not measured")
    else:
        added_ms = (governed - plain) / 1_000
        yield Bar(asked, f"{added_ms:+.2f} ms (p50)", _verdict(added_ms <= RULES_FIRST_TOKEN_MS_MAX))


def _open_stream(results: Results, gateway: str, what: str) -> Bar:
    asked = f"{what}: at most {STREAM_KIB_MAX:g} KiB"
    found = next((one for one in results.open_streams if one.gateway == gateway), None)
    if found is None:
        return Bar(asked, "-", "not measured")
    held = found.kib_per_stream
    return Bar(asked, f"{held:.1f} KiB over {found.streams:,} streams", _verdict(held <= STREAM_KIB_MAX))


def _starts(results: Results) -> Iterator[Bar]:
    """Without a journal and with one: what was not measured is still listed."""
    for wants_journal, words in ((False, "200 contracts"), (True, "200 contracts and a 1 GB journal")):
        asked = f"start-up with {words}: at most {START_S_MAX:g} s"
        found = next(
            (
                one
                for one in results.starts
                if one.gateway == WARDWRIGHT and one.contracts >= 200 and (one.journal_bytes > 0) == wants_journal
            ),
            None,
        )
        if found is None:
            yield Bar(asked, "-", "not measured")
        else:
            yield Bar(asked, f"{found.seconds.median:.2f} s", _verdict(found.seconds.median <= START_S_MAX))


def _growth(results: Results) -> Bar:
    asked = f"resident memory between call 20,000 and 200,000: ± {GROWTH_PERCENT_MAX:g} %"
    found = next((one for one in results.growth if one.gateway == WARDWRIGHT), None)
    if found is None:
        return Bar(asked, "-", "not measured")
    measured = f"{found.percent:+.1f} % between {found.early_calls:,} and {found.late_calls:,}"
    if (found.early_calls, found.late_calls) != GROWTH_CALLS:
        return Bar(asked, measured, "not measured")
    return Bar(asked, measured, _verdict(abs(found.percent) <= GROWTH_PERCENT_MAX))


def _peers(results: Results) -> Iterator[Bar]:
    """Less CPU than every peer under every load. A load that the peer alone does not survive is no contest; one that
    this gateway does not survive is lost."""
    ours = {WARDWRIGHT, DEFERRED, GOVERNED, NGINX, FLOOR}
    for contestant in results.contestants:
        if contestant.name in ours:
            continue
        ratios: list[tuple[float, str]] = []
        for load in LOADS:
            mine, theirs = results.cpu_us(WARDWRIGHT, load.name), results.cpu_us(contestant.name, load.name)
            if theirs is not None:
                ratios.append((theirs / mine if mine is not None else 0.0, load.name))
        asked = f"below {contestant.name} under every load"
        if not ratios or results.cpu_us(WARDWRIGHT, "json-1k") is None:
            yield Bar(asked, "-", "not measured")
            continue
        least, where = min(ratios)
        loads = f"{len(LOADS)} loads"
        if len(ratios) < len(LOADS):
            loads = f"{len(ratios)} of {loads}; it did not survive the others"
        measured = f"it takes {least:.1f} times as much or more (least on {where}; {loads})"
        yield Bar(asked, measured, _verdict(least > 1))
