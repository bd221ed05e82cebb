"""The thresholds of a calibration against window size, as one page that needs nothing else: a small chart a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from monitor.calibration.calibration import Calibration
from monitor.calibration.law import P_VALUES
from monitor.changes import number
from monitor.statistics.methods import METHODS

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 26, 34, 38
POINTS = 60
STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#1b2a33}
.charts{display:flex;flex-wrap:wrap;gap:14px}svg{background:#fff;border:1px solid #d8e0e5;border-radius:6px}
text{font:11px system-ui,sans-serif;fill:#40525e}.name{font-size:13px;font-weight:600;fill:#1b2a33}
.grid{stroke:#e6ecef}.ours{stroke:#0b6e8a;stroke-width:2;fill:none}.beyond{stroke-dasharray:2 4}.stock{stroke:#c4532d;stroke-dasharray:6 4}
.dot{fill:#0b6e8a}table{border-collapse:collapse;margin:1rem 0}pre{background:#f3f6f8;padding:1rem;overflow:auto;border-radius:6px}
.key span{display:inline-block;width:26px;border-top:2px solid #0b6e8a;vertical-align:middle;margin:0 6px 0 16px}
.key .k2{border-color:#c4532d;border-top-style:dashed}"""


def page(model: str, calibration: Calibration, table: Sequence[str], statements: Sequence[str]) -> str:
    """The HTML page."""
    charts = "\n".join(_chart(calibration, name) for name in calibration.columns)
    items = "\n".join(f"<li>{escape(s)}</li>" for s in statements)
    title = f"Calibrated thresholds of {escape(model)}"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>
<h1>{title}</h1>
<p>{calibration.rate:.3g} false alarms a window. The reference has {calibration.rows:,} rows.
{calibration.draws:,} null windows a size, seed {calibration.seed}.</p>
<ul>{items}</ul>
<p class="key"><span></span>threshold (dots: measured sizes; dotted: beyond them) <span class="k2"></span>Evidently's own</p>
<div class="charts">
{charts}
</div>
<pre>{escape(chr(10).join(table))}</pre>
</html>
"""


def _chart(calibration: Calibration, name: str) -> str:
    column = calibration.columns[name]
    share = column.values / calibration.rows
    low, top = float(calibration.sizes[0]), float(calibration.sizes[-1])
    sizes = np.geomspace(low, calibration.rows, POINTS)
    values = np.array([calibration.threshold(name, n * share) for n in sizes])
    dots = np.array([calibration.threshold(name, n * share) for n in calibration.sizes])
    stock = METHODS[column.method].threshold
    bottom = 10 ** math.floor(math.log10(min(values.min(), dots.min(), stock)))
    ceiling = 10 ** math.ceil(math.log10(max(values.max(), dots.max(), stock)))

    def x(n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(n / low) / math.log(calibration.rows / low)

    def y(v: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(v / bottom) / math.log(ceiling / bottom)

    def line(of: np.ndarray, at: np.ndarray, style: str) -> str:
        points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in zip(at, of, strict=True))
        return f'<polyline class="{style}" points="{points}"/>'

    parts = [f'<svg width="{WIDTH}" height="{HEIGHT}" role="img"><title>{escape(name)}</title>']
    parts.append(f'<text class="name" x="{LEFT}" y="18">{escape(name[:36])}</text>')
    for decade in range(round(math.log10(bottom)), round(math.log10(ceiling)) + 1):
        at = y(10.0**decade)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(10.0**decade)}</text>')
    for n in _ticks(low, calibration.rows):
        parts.append(f'<line class="grid" x1="{x(n):.1f}" x2="{x(n):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{n:,}</text>')
    parts.append(f'<line class="stock" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(stock):.1f}" y2="{y(stock):.1f}"/>')
    inside = sizes <= top
    parts += [line(values[inside], sizes[inside], "ours"), line(values[~inside], sizes[~inside], "ours beyond")]
    parts += [f'<circle class="dot" r="3" cx="{x(n):.1f}" cy="{y(v):.1f}"/>' for n, v in zip(calibration.sizes, dots, strict=True)]
    unit = "p-value, drift below" if column.method in P_VALUES else "distance, drift above"
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 7}" text-anchor="end">rows a window · {column.method} ({unit})</text></svg>')
    return "".join(parts)


def _ticks(low: float, high: float) -> list[int]:
    return [n for power in range(1, 8) for n in (10**power, 3 * 10**power) if low <= n <= high]
