"""The chart: CPU time per answer as bars on a logarithmic scale, one panel a load.

Rule 1: pure: results in, SVG text out; the same results give the same bytes.
Rule 2: readable on light and dark pages: no background, colours that follow the reader's scheme.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from benchmarks.gateways import DEFERRED, GOVERNED, NGINX, WARDWRIGHT
from benchmarks.loads import LOADS, Load, LoadName
from benchmarks.results import Results

WIDTH: Final = 880
_NAME_WIDTH: Final = 170
_VALUE_WIDTH: Final = 170
_PLOT_WIDTH: Final = WIDTH - _NAME_WIDTH - _VALUE_WIDTH
_BAR: Final = 15
_ROW: Final = 21
_PANEL_HEAD: Final = 30
_PANEL_GAP: Final = 14
_TOP: Final = 84
_TICKS: Final = 70

CHARTED: Final[frozenset[LoadName]] = frozenset({"json-1k", "json-200k", "sse-50", "sse-1000", "slow-100", "slow-1000"})

_SCALE: Final = "microseconds, logarithmic, less is better; × is the ratio to nginx as plain proxy in the same run"
_STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.load { font-weight: 600; }
.quiet { fill: #59636e; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.one { stroke: #59636e; stroke-width: 1; stroke-dasharray: 3 3; }
.ours { fill: #0969da; }
.plain { fill: #818b98; }
.peer { fill: #bc4c00; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .one { stroke: #9198a1; }
  .ours { fill: #4493f8; }
  .plain { fill: #9198a1; }
  .peer { fill: #f0883e; }
}"""


def chart_of(results: Results) -> str:
    """The SVG document; panels without any figure are left out."""
    panels = [(load, bars) for load in LOADS if load.name in CHARTED and (bars := _bars(results, load))]
    values = [value for _, bars in panels for _, value in bars]
    low, high = _decades(values)
    height = _TOP + sum(_PANEL_HEAD + len(bars) * _ROW + _PANEL_GAP for _, bars in panels)
    frame = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame} role="img" aria-labelledby="title about">',
        '<title id="title">CPU time per answer</title>',
        f'<desc id="about">{escape(_words(panels))}</desc>',
        f"<style>{_STYLE}</style>",
        '<text class="title" x="0" y="20">CPU time per answer</text>',
        f'<text class="quiet" x="0" y="42">{_SCALE}</text>',
    ]
    for decade in range(low, high + 1):
        x = _place(10.0**decade, low, high)
        lines.append(f'<text class="quiet" x="{x:.1f}" y="{_TICKS}" text-anchor="middle">{_tick(decade)}</text>')
    top = _TOP
    for load, bars in panels:
        plain = dict(bars).get(NGINX)
        lines += _panel(load, bars, plain, top, low, high)
        top += _PANEL_HEAD + len(bars) * _ROW + _PANEL_GAP
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _bars(results: Results, load: Load) -> list[tuple[str, float]]:
    found = ((one.name, results.cpu_us(one.name, load.name)) for one in results.contestants)
    return [(name, value) for name, value in found if value is not None]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten that enclose all values."""
    if not values:
        return 0, 1
    low, high = math.floor(math.log10(max(min(values), 0.001))), math.ceil(math.log10(max(*values, 0.002)))
    return low, max(high, low + 1)


def _place(value: float, low: int, high: int) -> float:
    share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
    return _NAME_WIDTH + share * _PLOT_WIDTH


def _panel(
    load: Load, bars: Sequence[tuple[str, float]], plain: float | None, top: int, low: int, high: int
) -> Iterator[str]:
    bottom = top + _PANEL_HEAD + len(bars) * _ROW
    yield f'<text class="load" x="0" y="{top + 18}">{escape(load.title)}</text>'
    for decade in range(low, high + 1):
        x = _place(10.0**decade, low, high)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top + _PANEL_HEAD - 4}" x2="{x:.1f}" y2="{bottom}"/>'
    for row, (name, value) in enumerate(bars):
        y = top + _PANEL_HEAD + row * _ROW
        end = _place(value, low, high)
        ratio = f" ({ratio_text(value / plain)})" if plain else ""
        yield f'<text x="{_NAME_WIDTH - 10}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
        yield (
            f'<rect class="{_kind(name)}" x="{_NAME_WIDTH}" y="{y}" width="{max(2.0, end - _NAME_WIDTH):.1f}" '
            f'height="{_BAR}" rx="2"/>'
        )
        yield f'<text x="{end + 8:.1f}" y="{y + 12}">{value:,.0f} µs{ratio}</text>'
    if plain:
        x = _place(plain, low, high)
        yield f'<line class="one" x1="{x:.1f}" y1="{top + _PANEL_HEAD - 4}" x2="{x:.1f}" y2="{bottom}"/>'


def ratio_text(ratio: float) -> str:
    """Two decimals where they mean something.

    >>> ratio_text(2.345), ratio_text(591.06)
    ('2.35 ×', '591 ×')
    """
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def _tick(decade: int) -> str:
    return f"{10.0**decade:,.0f}" if decade >= 0 else f"{10.0**decade:g}"


def _kind(name: str) -> str:
    if name in (WARDWRIGHT, DEFERRED, GOVERNED):
        return "ours"
    return "plain" if name == NGINX else "peer"


def _words(panels: Sequence[tuple[Load, Sequence[tuple[str, float]]]]) -> str:
    """The chart for who does not see it."""
    return "; ".join(
        f"{load.title}: " + ", ".join(f"{name} {value:,.0f} µs" for name, value in bars) for load, bars in panels
    )
