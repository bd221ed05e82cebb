"""Drawing a view for the terminal. Pure functions; names are shown literally, whatever they hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitor.watch.values import DriftedColumn, FiringAlert, StreamState, View

BARS = "▁▂▃▄▅▆▇█"
WIDE = 110
SHOWN_COLUMNS = 6
NONE = "–"


def visible(name: str) -> str:
    """A name with nothing in it that a terminal would obey: control characters and the like are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def sparkline(shares: Sequence[float], threshold: float | None, width: int) -> Text:
    """One bar a window for the last ``width`` shares (0 to 1), oldest first; those at or above the threshold are red."""
    text = Text()
    for share in shares[-width:]:
        bar = BARS[min(len(BARS) - 1, int(max(0.0, share) * len(BARS)))]
        text.append(bar, style="red" if threshold is not None and share >= threshold else "green")
    return text


def count(value: float | None) -> str:
    """A whole number with thousands separators, or a dash."""
    return NONE if value is None or not math.isfinite(value) else f"{value:,.0f}"


def event_time(seconds: float | None) -> str:
    """An event time (s since the epoch) in UTC to the minute, or a dash."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):  # outside the years 1 to 9999
        return f"{seconds:.0f} s"


def render(view: View, width: int) -> RenderableType:
    """The whole screen for a view: a line about source and lag, the table of streams, the alerts."""
    parts: list[RenderableType] = [_heading(view)]
    if view.note:
        parts.append(Text(visible(view.note), style="yellow"))
    parts += [Text(f"worker {visible(w)} is down: Prometheus cannot scrape it", style="bold red") for w in view.down]
    parts.append(_table(view.streams, width) if view.streams else Text("No records yet: the worker has seen no stream.", style="dim"))
    parts.append(_alerts(view.alerts))
    return Group(*parts)


def _heading(view: View) -> Text:
    partitions = f" records over {view.partitions} partition{'s' * (view.partitions != 1)}" if view.partitions else ""
    return Text.assemble(("Tidemark", "bold"), f" · {visible(view.source)} · lag {count(view.lag_records)}{partitions}")


def _table(streams: Sequence[StreamState], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0))
    wide = width >= WIDE
    table.add_column("model", ratio=2, overflow="fold", min_width=8)
    table.add_column("last window, UTC", no_wrap=True)
    table.add_column("events/s", justify="right", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("drift share", no_wrap=True, min_width=24 if wide else 14)
    table.add_column("drifted columns", ratio=4, overflow="fold", min_width=16)
    for state in streams:
        table.add_row(*_cells(state, 40 if wide else 14))
    return table


def _cells(state: StreamState, bars: int) -> tuple[Text, ...]:
    kind_style = "cyan" if state.run_kind == "live" else "magenta"
    model = Text.assemble((visible(state.model), "bold"), "\n", (visible(state.run_kind), kind_style))
    window = Text(f"{event_time(state.window_start_s)}\n{event_time(state.window_end_s)}")
    window.append(f"\nat {event_time(state.stream_time_s)}", style="dim")
    return (
        model,
        window,
        Text(count(state.events_per_s)),
        Text(count(state.rows)),
        _share(state, bars),
        _drifted(state.drifted),
    )


def _share(state: StreamState, bars: int) -> Text:
    if state.share is None:
        return Text("none judged" if state.window_end_s is not None else NONE, style="dim")
    over = state.threshold is not None and state.share >= state.threshold
    text = Text.assemble((f"{state.share:.0%}", "bold red" if over else "bold green"))
    if state.threshold is not None:
        text.append(f" {'≥' if over else '<'} {state.threshold:.0%}", style="dim")
    text.append("\n").append_text(sparkline(state.shares, state.threshold, bars))
    if not state.judged:
        text.append("\nlast not judged", style="yellow")
    return text


def _drifted(columns: Sequence[DriftedColumn]) -> Text:
    lines = [Text.assemble((visible(c.name), "red"), f" {_score(c)}") for c in columns[:SHOWN_COLUMNS]]
    if len(columns) > SHOWN_COLUMNS:
        lines.append(Text(f"… {len(columns) - SHOWN_COLUMNS} more", style="dim"))
    return Text("\n").join(lines) if lines else Text("none", style="dim")


def _score(column: DriftedColumn) -> str:
    score = NONE if column.score is None else f"{column.score:.3g}"
    return score if column.role == "feature" else f"{score} ({visible(column.role)})"


def _alerts(alerts: Sequence[FiringAlert] | None) -> Text:
    if alerts is None:
        return Text("Alerts: unknown without Prometheus", style="yellow")
    if not alerts:
        return Text("No alert is firing", style="green")
    return Text("\n").join([Text(f"Firing: {len(alerts)}", style="bold red"), *map(_alert, alerts)])


def _alert(alert: FiringAlert) -> Text:
    style = "bold red" if alert.severity == "critical" else "yellow"
    about = " ".join(visible(part) for part in (alert.model, alert.run_kind) if part)
    text = Text.assemble("  ", (visible(alert.name), style), f" {about}" if about else "")
    text.append(f": {visible(alert.summary)}" if alert.summary else "")
    return text.append(f" (since {visible(alert.since[11:19])} UTC)" if alert.since else "")
