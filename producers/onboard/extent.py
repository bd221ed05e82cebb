"""When the rows of a file happened, what of them is the reference, and how long a window should be."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from config.durations import parse_ms, show_ms
from config.errors import UsageError
from config.spec_data import DataFile
from producers.files.read import read_batches
from producers.onboard.options import InitOptions

REFERENCE_SHARE = 0.3
ROWS_A_WINDOW = 500
WINDOWS = 5  # at least, where the span allows it
_SIZES = tuple(parse_ms(text) for text in ("1m", "5m", "15m", "1h", "6h", "1d", "7d", "28d"))


@dataclass(frozen=True, slots=True)
class Extent:
    """All event times of a file, ms since the epoch (UTC), ascending."""

    times_ms: npt.NDArray[np.int64]
    zone: str

    def show(self, time_ms: int) -> str:
        """A time as ``--reference-until`` takes it, in the file's zone."""
        moment = dt.datetime.fromtimestamp(time_ms / 1000, ZoneInfo(self.zone))
        return moment.replace(tzinfo=None).isoformat(timespec="seconds" if time_ms % 1000 == 0 else "milliseconds")


def extent(data: DataFile, home: Path, options: InitOptions) -> Extent:
    """Read every event time.

    Raises:
        UsageError: a row has none, or one of another form.
    """
    parts = [batch.times_ms.to_numpy() for batch in read_batches(data, {}, home)]
    return Extent(np.sort(np.concatenate(parts)), options.time_zone)


def reference_end(span: Extent, options: InitOptions) -> tuple[int, str]:
    """The end of the reference's event times, exclusive, and how it was chosen.

    Raises:
        UsageError: the time given cannot be read, or leaves no row on one side of it.
    """
    times = span.times_ms
    if options.reference_until:
        until = _moment(options.reference_until, span.zone)
        why = "as given"
    else:
        until = int(times[int(REFERENCE_SHARE * len(times))])
        why = f"the first {REFERENCE_SHARE:.0%} of the rows, since --reference-until is not given"
    before = int(np.searchsorted(times, until))
    if before < 2 or before == len(times):
        raise UsageError(
            f"the reference until {span.show(until)} has {before:,} of {len(times):,} rows; "
            f"event times are from {span.show(int(times[0]))} to {span.show(int(times[-1]))}",
            "give --reference-until a time that leaves rows before and after it",
        )
    return until, f"{before:,} rows before {span.show(until)} ({why})"


def _moment(text: str, zone: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--reference-until {text!r} is no time", "write 2024-03-01 or 2024-03-01T12:00:00") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    return round(aware.timestamp() * 1000)


def choose_window(span: Extent, until: int, options: InitOptions) -> tuple[int, int, str]:
    """``(size in ms, min_rows, why)``: the shortest size whose windows usually hold enough rows.

    Raises:
        UsageError: the size given is no duration.
    """
    after = span.times_ms[span.times_ms >= until]
    sizes = {size: _rows(after, size) for size in _SIZES}
    if options.window:
        try:
            size = parse_ms(options.window)
        except ValueError as error:
            raise UsageError(f"--window: {error}", "write a duration such as 1h or 7d") from error
        rows, why = _rows(after, size), "as given"
    else:
        enough = [s for s, (typical, windows) in sizes.items() if typical >= ROWS_A_WINDOW and windows >= WINDOWS]
        several = [s for s, (_, windows) in sizes.items() if windows >= WINDOWS]
        size = enough[0] if enough else several[-1] if several else _SIZES[0]
        rows, why = sizes[size], "since --window is not given"
    typical = rows[0]
    min_rows = max(10, min(100, typical // 4))
    return size, min_rows, f"windows of {show_ms(size)} ({why}): usually {typical:,} rows, {rows[1]:,} windows after the reference"


def _rows(times: npt.NDArray[np.int64], size: int) -> tuple[int, int]:
    """The median number of rows of the windows that hold any, and how many these are."""
    _, counts = np.unique(times // size, return_counts=True)
    return int(np.median(counts)), len(counts)
