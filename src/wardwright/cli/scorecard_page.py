"""A scorecard as one SVG page: bars with their intervals, every figure in words beside them. Pure; no script, no link.

Rule 1: no meaning rests on colour: what a bar shows stands in figures at its end.
Rule 2: names are hostile text: they are escaped, cut, and never markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from wardwright.cli.figures import counted, duration, instant, usd
from wardwright.harness.core.scorecard import Line, Scorecard
from wardwright.limits.prediction import PPM
from wardwright.limits.scoring import Report

WIDTH: Final = 1040
ROWS_MAX: Final = 30
"""Names of one table; the page says how many were left out."""
NAME_CHARS_MAX: Final = 24

_ROW: Final = 30
_LEFT: Final = 24
_BAR: Final = 210
_BAR_WIDTH: Final = 200
_COLUMNS: Final = (
    ("calls", 620),
    ("p50", 690),
    ("p95", 760),
    ("cost", 850),
    ("denied", 910),
    ("Brier", 965),
    ("unsure", 1020),
)
_PLOT: Final = 240

_STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 20px; font-weight: 600; }
.head { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; }
.end { text-anchor: end; }
.track { fill: #eaeef2; }
.good { fill: #0b63b0; }
.range { stroke: #1f2328; stroke-width: 1.5; }
.grid { stroke: #d1d9e0; stroke-width: 1; fill: none; }
.ideal { stroke: #59636e; stroke-width: 1; stroke-dasharray: 4 4; }
"""


def page(card: Scorecard) -> str:
    """The whole page."""
    parts: list[str] = []
    y = 92
    for title, lines in (("Tools", card.tools), ("Houses", card.houses), ("Models", card.models)):
        if lines:
            parts += _table(title, lines, y)
            y += 58 + _ROW * min(len(lines), ROWS_MAX) + (_ROW if len(lines) > ROWS_MAX else 0)
    if card.all.predictions.bins:
        parts += _calibration(card.all.predictions, y)
        y += _PLOT + 110
    height = y + 20
    span = f"{instant(card.since_us)} to {instant(card.until_us)}"
    return "\n".join(
        (
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title about"',
            f'  width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
            '<title id="title">Scorecard of tools, houses and models</title>',
            f'<desc id="about">{escape(_about(card, span))}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(_LEFT, 40, "Scorecard", "title"),
            _text(_LEFT, 64, f"{span}: {counted(card.all.calls, 'call')}, {usd(card.all.cost_nano_usd)}", "quiet"),
            *parts,
            "</svg>",
            "",
        )
    )


def _about(card: Scorecard, span: str) -> str:
    told = [f"{span}, {counted(card.all.calls, 'call')}."]
    for title, lines in (("Tools", card.tools), ("Houses", card.houses), ("Models", card.models)):
        if lines:
            said = "; ".join(f"{_name(line)} {_rate(line)} of {line.calls:,}" for line in lines[:ROWS_MAX])
            told.append(f"{title}: {said}.")
    if (report := card.all.predictions).bins:
        told.append(f"Predictions: {_quality(report)}.")
    return " ".join(told)


def _table(title: str, lines: tuple[Line, ...], y: int) -> Iterator[str]:
    yield _text(_LEFT, y, title, "head")
    yield _text(_BAR, y, "succeeded, and where 90 % of it lies", "quiet")
    for name, x in _COLUMNS:
        yield _text(x, y, name, "quiet end")
    for place, line in enumerate(lines[:ROWS_MAX]):
        yield from _line(line, y + 14 + _ROW * place)
    if len(lines) > ROWS_MAX:
        yield _text(_LEFT, y + 34 + _ROW * ROWS_MAX, f"and {len(lines) - ROWS_MAX:,} more", "quiet")


def _line(line: Line, y: int) -> Iterator[str]:
    yield f"<g><title>{escape(_name(line))}: {_rate(line)} of {line.calls:,} calls succeeded</title>"
    yield _text(_LEFT, y + 18, _name(line), "")
    x, width = _BAR, _BAR_WIDTH
    yield f'<rect class="track" x="{x}" y="{y + 6}" width="{width}" height="16" rx="2"/>'
    if line.success_ppm is not None and line.low_ppm is not None and line.high_ppm is not None:
        yield f'<rect class="good" x="{x}" y="{y + 6}" width="{_share(line.success_ppm, width)}" height="16" rx="2"/>'
        low, high = x + _share(line.low_ppm, width), x + _share(line.high_ppm, width)
        yield f'<path class="range" d="M{low} {y + 10}v8M{low} {y + 14}H{high}M{high} {y + 10}v8"/>'
    yield _text(x + width + 8, y + 18, _rate(line), "")
    report = line.predictions
    figures = (
        f"{line.calls:,}",
        duration(line.p50_us),
        duration(line.p95_us),
        usd(line.cost_nano_usd) if line.cost_nano_usd else "-",
        str(line.denied),
        "-" if report.brier_ppm is None else f"{report.brier_ppm / PPM:.3f}",
        "-" if report.abstained_ppm is None else _percent(report.abstained_ppm),
    )
    for (_, at), figure in zip(_COLUMNS, figures, strict=True):
        yield _text(at, y + 18, figure, "end")
    yield "</g>"


def _calibration(report: Report, y: int) -> Iterator[str]:
    """What was foretold against what came true; on the dashed line both agree."""
    yield _text(_LEFT, y, "Predictions", "head")
    yield _text(_LEFT, y + 22, _quality(report), "quiet")
    x, top = _LEFT + 44, y + 44
    bottom = top + _PLOT
    yield f'<rect class="grid" x="{x}" y="{top}" width="{_PLOT}" height="{_PLOT}"/>'
    yield f'<path class="ideal" d="M{x} {bottom}L{x + _PLOT} {top}"/>'
    for ppm in (0, 500_000, 1_000_000):
        yield _text(x - 8, bottom - _share(ppm, _PLOT) + 4, _percent(ppm), "quiet end")
    yield _text(x, bottom + 20, "foretold 0 % to 100 %; upright: how often it came true, with its interval", "quiet")
    for one in report.bins:
        at = x + _share(one.predicted_ppm, _PLOT)
        low, high = bottom - _share(one.low_ppm, _PLOT), bottom - _share(one.high_ppm, _PLOT)
        seen = bottom - _share(one.observed_ppm, _PLOT)
        told = f"foretold {_percent(one.predicted_ppm)}, came true {_percent(one.observed_ppm)} of {one.count:,}"
        yield f"<g><title>{told}</title>"
        yield f'<path class="range" d="M{at} {low}V{high}"/><circle class="good" cx="{at}" cy="{seen}" r="5"/></g>'
    for place, one in enumerate(report.bins):
        told = (
            f"foretold {_percent(one.predicted_ppm)}: came true {_percent(one.observed_ppm)} "
            f"({_percent(one.low_ppm)} to {_percent(one.high_ppm)}) of {one.count:,}"
        )
        yield _text(x + _PLOT + 40, top + 20 + 22 * place, told, "")


def _quality(report: Report) -> str:
    told = [f"{report.count:,} scored"]
    if report.brier_ppm is not None:
        told.append(f"Brier score {report.brier_ppm / PPM:.3f}")
    if report.skill_ppm is not None:
        told.append(f"skill {report.skill_ppm / PPM:+.2f}")
    if report.calibration_error_ppm is not None:
        told.append(f"off by {_percent(report.calibration_error_ppm)} on average")
    if report.abstained_ppm is not None:
        told.append(f"{_percent(report.abstained_ppm)} abstained")
    if (found := report.velocity) is not None:
        between = f"{found.low_ppm / PPM:+.3f} to {found.high_ppm / PPM:+.3f}"
        told.append(f"learning: {found.trend.replace('_', ' ')}, {between} for a thousand")
    return ", ".join(told)


def _rate(line: Line) -> str:
    if line.success_ppm is None or line.low_ppm is None or line.high_ppm is None:
        return "none tried"
    return f"{_percent(line.success_ppm)} ({_percent(line.low_ppm)} to {_percent(line.high_ppm)})"


def _name(line: Line) -> str:
    name = "".join(one if one.isprintable() else "·" for one in line.name) or "(none)"
    return name if len(name) <= NAME_CHARS_MAX else name[: NAME_CHARS_MAX - 1] + "…"


def _percent(ppm: int) -> str:
    return f"{ppm * 100 / PPM:.0f} %"


def _share(ppm: int, width: int) -> int:
    return (2 * ppm * width + PPM) // (2 * PPM)


def _text(x: int, y: int, text: str, kind: str) -> str:
    marked = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{marked}>{escape(text)}</text>'
