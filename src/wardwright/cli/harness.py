"""`wardwright harness scorecard|predict|patterns`: how calls fared, and what is expected of the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, get_args

import click
import msgspec

from wardwright.cli import tool_words
from wardwright.cli.figures import counted, duration, instant, instant_of, usd
from wardwright.cli.options import json_option, state_option
from wardwright.cli.output import Output, columns
from wardwright.cli.scorecard_page import page
from wardwright.cli.tools import (
    arg_option,
    arguments_of,
    arguments_option,
    caller_of,
    contracts_option,
    house_option,
    opened_shop,
)
from wardwright.harness.core.scope import scope_of
from wardwright.harness.core.scorecard import By, Line, Scorecard, Scoring
from wardwright.harness.core.shelf import Served
from wardwright.harness.core.tool import decoded
from wardwright.harness.run import target_of
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.observed import LEVELS, Key, Level, key_of
from wardwright.limits.prediction import PPM, Prediction
from wardwright.limits.shapes import shape_of
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.offline import StoredJournal, require_state
from wardwright.runtime.tool_records import in_time, learned

PATTERNS_MAX: Final = 4096


class Foretold(msgspec.Struct, frozen=True, kw_only=True):
    """What one level of a key expects."""

    level: Level
    value: str
    """What the level is, such as `tool file.read`."""
    prediction: Prediction


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of a call."""

    tool: str
    levels: tuple[Foretold, ...]
    """From the tenant down to the most particular; the last is what the call's receipt would say."""


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """One learned key."""

    key: Key
    prediction: Prediction


class PatternRows(msgspec.Struct, frozen=True, kw_only=True):
    """Learned keys, those with the most evidence first."""

    patterns: tuple[Pattern, ...]
    more: int
    """How many were left out."""


@click.command("scorecard")
@click.option("--since", default="7d", show_default=True, metavar="WHEN", help="An instant, or how long ago.")
@click.option("--until", metavar="WHEN", help="An instant, or how long ago.  [default: now]")
@click.option("--by", type=click.Choice(get_args(By)), help="Only this table.  [default: tools, houses, models]")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write a page for people here too.")
@state_option
@json_option
def scorecard(since: str, until: str | None, by: By | None, svg: Path | None, state: Path, out: Output) -> None:
    """Tell how calls fared: success, latency, cost, and how good predictions of them were.

    Everything is read from the journal, calls of models and tools of all who wrote it. Rates have Wilson's interval at
    nine tenths' confidence; latencies are those of successes.
    """
    now_us = SystemClock().now_us()
    require_state(state)
    scoring = Scoring(instant_of(since, now_us), now_us if until is None else instant_of(until, now_us))
    for record in in_time(StoredJournal(state).reader):
        scoring.step(record)
    card = scoring.card()
    if svg is not None:
        try:
            svg.write_text(page(card))
        except OSError as cause:
            raise WardwrightError("usage", f"`{svg}` cannot be written: {cause.strerror}") from cause
        out.note(f"wrote {svg}")
    out.answer(card, lambda: _card(card, by))


@click.command()
@click.argument("name", metavar="NAME")
@arg_option
@arguments_option
@house_option
@contracts_option
@state_option
@json_option
def predict(
    name: str,
    pairs: tuple[str, ...],
    file: Path | None,
    house: str,
    paths: tuple[Path, ...],
    state: Path,
    out: Output,
) -> None:
    """Tell what would be foretold of a call now, level by level, without making it.

    Without arguments: what is known of the tool alone.
    """
    require_state(state)
    served = opened_shop(paths).shelf.get(name)
    key = _key(served, pairs, file, house)
    patterns = learned(StoredJournal(state).reader)
    now_us = SystemClock().now_us()
    found = Forecast(
        levels=tuple(
            Foretold(
                level=LEVELS[length - 1],
                prediction=patterns.predict(key[:length], now_us),
                value=key[length - 1],
            )
            for length in range(1, len(key) + 1)
        ),
        tool=served.name,
    )
    out.table(
        found,
        ("LEVEL", "SUCCESS", "90 % LIES IN", "CALLS", "HALF WITHIN", "9 OF 10 WITHIN", "OF"),
        ((one.level, *_figures(one.prediction, one.level), one.value or "-") for one in found.levels),
    )
    if not out.as_json:
        last = found.levels[-1].prediction
        out.note(f"foretold  {tool_words.foretold(last)}")


@click.command()
@click.option("--tool", metavar="GLOB", help="Of these tools.")
@click.option("--model", metavar="GLOB", help="Of these models.")
@click.option(
    "--limit", type=click.IntRange(1, PATTERNS_MAX), default=50, show_default=True, help="How many, at the most."
)
@state_option
@json_option
def patterns(tool: str | None, model: str | None, limit: int, state: Path, out: Output) -> None:
    """List what was learned from calls, by key, those with the most evidence first."""
    require_state(state)
    book = learned(StoredJournal(state).reader)
    now_us = SystemClock().now_us()
    found = [Pattern(key=key, prediction=book.predict(key, now_us)) for key in book.known() if _meant(key, tool, model)]
    found.sort(key=lambda one: (-_evidence(one), one.key))
    rows = PatternRows(patterns=tuple(found[:limit]), more=max(len(found) - limit, 0))
    if not found and not out.as_json:
        out.note("nothing was learned that is like that")
        return
    out.table(
        rows,
        ("SUCCESS", "90 % LIES IN", "CALLS", "HALF WITHIN", "9 OF 10 WITHIN", "LEVEL", "OF"),
        (
            (*_figures(one.prediction, level), level, _said(one.key))
            for one in rows.patterns
            for level in (LEVELS[len(one.key) - 1],)
        ),
    )
    if rows.more and not out.as_json:
        out.note(f"{rows.more:,} with less evidence were left out: raise `--limit`")


# Words


HEADERS: Final = (
    "CALLS",
    "SUCCESS",
    "90 % LIES IN",
    "P50",
    "P95",
    "P99",
    "COST",
    "DENIED",
    "WAITING",
    "CACHED",
    "RETRIES",
    "BRIER",
    "SKILL",
    "ABSTAINED",
    "LEARNING",
)


def _card(card: Scorecard, by: By | None) -> Iterator[str]:
    yield f"{instant(card.since_us)} to {instant(card.until_us)}: {counted(card.all.calls, 'call')}"
    tables: tuple[By, ...] = ("tool", "house", "model") if by is None else (by,)
    for table in tables:
        lines = card.of(table)
        if not lines:
            continue
        yield ""
        yield from columns([(table.upper(), *HEADERS), *((line.name or "-", *_line(line)) for line in lines)])
    bins = card.all.predictions.bins
    if bins and by is None:
        yield ""
        rows = [
            (
                f"{tool_words.percent(one.from_ppm)} to {tool_words.percent(one.until_ppm)}",
                str(one.count),
                tool_words.percent(one.predicted_ppm),
                tool_words.percent(one.observed_ppm),
                _between(one.low_ppm, one.high_ppm),
            )
            for one in bins
        ]
        yield from columns([("FORETOLD", "CALLS", "MEAN", "CAME TRUE", "90 % LIES IN"), *rows])


def _line(line: Line) -> tuple[str, ...]:
    report = line.predictions
    return (
        f"{line.calls:,}",
        "-" if line.success_ppm is None else tool_words.percent(line.success_ppm),
        "-" if line.low_ppm is None or line.high_ppm is None else _between(line.low_ppm, line.high_ppm),
        duration(line.p50_us),
        duration(line.p95_us),
        duration(line.p99_us),
        usd(line.cost_nano_usd),
        str(line.denied),
        str(line.waiting),
        str(line.cached),
        str(line.retries),
        "-" if report.brier_ppm is None else f"{report.brier_ppm / PPM:.3f}",
        "-" if report.skill_ppm is None else f"{report.skill_ppm / PPM:+.2f}",
        "-" if report.abstained_ppm is None else tool_words.percent(report.abstained_ppm),
        learning(line),
    )


def learning(line: Line) -> str:
    """How fast the error of predictions falls, in a few words."""
    found = line.predictions.velocity
    if found is None:
        return "-"
    between = f"{found.low_ppm / PPM:+.3f} to {found.high_ppm / PPM:+.3f}"
    return f"{found.trend.replace('_', ' ')} ({between} for 1,000)"


def _figures(prediction: Prediction, level: Level) -> tuple[str, ...]:
    """Evidence is counted below the tenant alone."""
    latency = prediction.latency
    return (
        tool_words.percent(prediction.success_ppm) + (" (unsure)" if prediction.abstained else ""),
        _between(prediction.low_ppm, prediction.high_ppm),
        "-" if level == "tenant" else f"{prediction.evidence_milli / 1000:.1f}",
        duration(None if latency is None else latency.p50_us),
        duration(None if latency is None else latency.p90_us),
    )


def _between(low_ppm: int, high_ppm: int) -> str:
    return f"{low_ppm * 100 / PPM:.0f} to {tool_words.percent(high_ppm)}"


def _said(key: Key) -> str:
    return " / ".join(part or "-" for part in (key[1:] or key))


def _evidence(one: Pattern) -> int:
    return one.prediction.evidence_milli


def _meant(key: Key, tool: str | None, model: str | None) -> bool:
    if tool is None and model is None:
        return True
    if len(key) < 2:
        return False
    kind, _, name = key[1].partition(" ")
    wanted: Iterable[tuple[str, str | None]] = (("tool", tool), ("model", model))
    return any(kind == word and glob is not None and fnmatchcase(name, glob) for word, glob in wanted)


def _key(served: Served, pairs: tuple[str, ...], file: Path | None, house: str) -> Key:
    """As far as it is known: a call whose arguments nobody gave has no form."""
    tenant = caller_of().tenant.value
    if not pairs and file is None and any(_required(served)):
        return key_of(tenant, kind="tool", name=served.name)
    arguments = decoded(served.arguments, arguments_of(served, pairs, file))
    return key_of(
        tenant,
        kind="tool",
        name=served.name,
        shape=shape_of(msgspec.to_builtins(arguments)),
        house=house,
        target=target_of(scope_of(served.contract, arguments)),
    )


def _required(served: Served) -> Iterator[bool]:
    given = arguments_of(served, (), None)
    return (field.required and field.name not in given for field in msgspec.structs.fields(served.arguments))
