"""The parts of a replay that need no broker: options, pacing, rows, event ids, encoding, expected windows."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UsageError
from config.settings import ROOT, Settings
from config.spec import ModelSpec, read_spec
from config.spec_window import Window
from producers.replay.encode import EventEncoder
from producers.replay.options import ReplayOptions, parse_speed
from producers.replay.pacing import Pace, Pacer
from producers.replay.run import _send_due, new_run_id
from producers.replay.source import Rows
from producers.replay.windows import window_numbers
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.names import mangle
from streams.windows.grid import Grid
from tests.support.replayed import read_rows

SPEC = read_spec(ROOT / "config" / "models" / "flights.yaml")
ROW = {
    "dep_delay": 1.0,
    "sched_hour": 5.0,
    "distance": 9.0,
    "carrier": "UA",
    "origin": "EWR",
    "dest": "IAH",
    "weekday": "Mon",
    "arr_delay": 2.0,
}
MONDAY = dt.datetime(2013, 6, 10, 4, 0, tzinfo=dt.UTC)  # midnight in New York


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """A sink and a progress at once: notes what was sent when, and lets waiting move the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.sends, self.waits = clock, [], []  # type: ignore[var-annotated]

    def send(self, rows: Rows, start: int, stop: int) -> None:
        self.sends.append((round(self.clock.now - 100, 3), start, stop))

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds

    def finish(self) -> int:
        return sum(stop - start for _, start, stop in self.sends)

    def read(self, count: int) -> None:
        pass

    def opened(self, run: str, total: int) -> None:
        pass

    def sent(self, count: int, event_time_ms: int) -> None:
        pass


def history(tmp_path: Path, minutes: list[int], **changes: Any) -> Path:
    """A Parquet file with a row per minute after Monday midnight."""
    times = pl.Series("event_time", [MONDAY + dt.timedelta(minutes=m) for m in minutes], dtype=pl.Datetime("us", "UTC"))
    frame = pl.DataFrame([ROW] * len(minutes)).insert_column(0, times).with_columns(**changes)
    path = tmp_path / "some, history.parquet"
    frame.write_parquet(path)
    return path


def rows_of(times_ms: list[int]) -> Rows:
    """Rows that have nothing but times."""
    times = np.array(times_ms, dtype=np.int64)
    return Rows("d", pl.DataFrame({"x": times}), times, np.arange(len(times), dtype=np.int64))


def offsets(rows: Rows, speed: float) -> Any:
    """When the rows are due at a speed."""
    return Pace(speed).offsets_ms(rows.times_ms, int(rows.times_ms[0]), 0)


@pytest.mark.parametrize(("text", "speed"), [("7d/5s", 120_960.0), ("1", 1.0), ("0.5", 0.5), ("1h/1m", 60.0), ("max", math.inf)])
def test_a_speed_is_a_factor_a_pair_or_max(text: str, speed: float) -> None:
    """A week in 5 s is the factor 120960."""
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "7d/0s", "7d/", "nan", "7x/5s"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    """The message names the text and says what can be written."""
    with pytest.raises(ValueError, match="is not a speed"):
        parse_speed(text)


def test_rows_are_sent_when_they_are_due() -> None:
    """At 60 times the speed, rows of minutes 0, 1, 1, 3 leave at seconds 0, 1, 1, 3 (within a tick), and none is early."""
    clock = FakeClock()
    rows = rows_of([0, 60_000, 60_000, 180_000])
    recorder = Recorder(clock)
    assert _send_due(rows, offsets(rows, 60.0), Pacer(clock), recorder, recorder, lambda: False) == 4
    assert [(start, stop) for _, start, stop in recorder.sends] == [(0, 1), (1, 3), (3, 4)]
    for (at, _, _), due in zip(recorder.sends, (0.0, 1.0, 3.0), strict=True):
        assert due <= at + 1e-6 < due + 0.03
    assert max(recorder.waits) <= 0.2


def test_a_slow_sink_is_caught_up_with() -> None:
    """The schedule is absolute: after a stall of 10 s all that came due leaves at once."""
    clock = FakeClock()
    due = offsets(rows_of([0, 1000, 2000, 60_000]), 1.0)
    pacer = Pacer(clock)
    clock.now += 10
    assert pacer.due(due) == 3
    assert pacer.wait_s(due[3]) == pytest.approx(50.0)


def test_max_is_unthrottled_and_in_slices() -> None:
    """Everything is due at once, nothing waits, and a slice has at most 5,000 rows."""
    clock = FakeClock()
    rows = rows_of(list(range(12_000)))
    recorder = Recorder(clock)
    assert _send_due(rows, offsets(rows, math.inf), Pacer(clock), recorder, recorder, lambda: False) == 12_000
    assert [(a, b) for _, a, b in recorder.sends] == [(0, 5000), (5000, 10_000), (10_000, 12_000)]
    assert recorder.waits == []


def test_a_stop_is_heard_between_slices() -> None:
    """Nothing is sent after the stop, and the number that was sent is told."""
    clock = FakeClock()
    rows = rows_of(list(range(12_000)))
    recorder = Recorder(clock)
    assert _send_due(rows, offsets(rows, math.inf), Pacer(clock), recorder, recorder, lambda: bool(recorder.sends)) == 5000


def test_a_week_at_120960_is_due_within_five_seconds() -> None:
    """The first row is due at once, one in the middle of the week after 2.5 s, the last after 5 s."""
    week = 7 * 86_400_000
    times = np.array([0, week // 2, week], dtype=np.int64) + 999
    assert Pace(120_960.0).offsets_ms(times, 999, 0).tolist() == [0, 2500, 5000]


def test_a_rate_is_events_a_second_whatever_their_times() -> None:
    """At 200 a second a row is due every 5 ms, on from chunk to chunk; it goes before a speed."""
    times = np.array([0, 0, 10**9], dtype=np.int64)
    assert Pace(1.0, rate=200.0).offsets_ms(times, 0, 0).tolist() == [0, 5, 10]
    assert Pace(1.0, rate=200.0).offsets_ms(times, 0, 3).tolist() == [15, 20, 25]


def test_options_that_mean_nothing_are_refused() -> None:
    """Each names the option and its value."""
    for given_, said in (
        ({"rate": 0.0}, "--rate 0"),
        ({"rate": -5.0}, "--rate -5"),
        ({"loops": -1}, "--loops -1"),
        ({"memory_bytes": 5}, "5 bytes"),
    ):
        with pytest.raises(UsageError, match=said):
            ReplayOptions(**given_)  # type: ignore[arg-type]


def test_rebased_at_max_is_refused() -> None:
    """There is no spacing to follow: the message names the option to give."""
    with pytest.raises(UsageError, match="--speed"):
        ReplayOptions(timing="rebased")


def test_from_not_before_to_is_refused() -> None:
    """An empty span is a mistake, not an empty replay."""
    with pytest.raises(UsageError, match="exclusive"):
        ReplayOptions(start=MONDAY, end=MONDAY)


def test_run_ids_are_unique_ids() -> None:
    """Two runs of the same second differ, and the id tells when."""
    ids = {new_run_id(MONDAY) for _ in range(5)}
    assert len(ids) > 1
    assert all(i.startswith("replay-20130610-040000-") and len(i) == 27 for i in ids)


def test_rows_come_by_event_time_with_ids_of_their_place(tmp_path: Path) -> None:
    """An event's id is its row in the file, whatever is cut off, so the same history gives the same ids in each run."""
    path = history(tmp_path, [5, 3, 9, 3])
    rows = read_rows(Settings(home=tmp_path), SPEC, ReplayOptions(data=path))
    assert rows.event_ids(0, 4) == [f"some__history-00000000{i}" for i in (1, 3, 0, 2)]
    assert np.diff(rows.times_ms).tolist() == [0, 120_000, 240_000]
    start = MONDAY + dt.timedelta(minutes=4)
    part = read_rows(Settings(home=tmp_path), SPEC, ReplayOptions(data=path, start=start, end=start + dt.timedelta(minutes=5)))
    assert part.event_ids(0, len(part)) == ["some__history-000000000"]


def test_from_and_to_are_local_to_the_windows(tmp_path: Path) -> None:
    """``--from 2013-06-10`` is midnight in New York, 04:00 UTC; the end is exclusive."""
    path = history(tmp_path, [-1, 0, 1439, 1440])
    options = ReplayOptions(data=path, start=dt.datetime(2013, 6, 10), end=dt.datetime(2013, 6, 11))  # noqa: DTZ001 - as typed
    assert read_rows(Settings(home=tmp_path), SPEC, options).rows_at.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"event_time": pl.col("event_time").dt.replace_time_zone(None)}, "not a time with a zone"),
        ({"event_time": pl.when(pl.col("dep_delay") < 0).then("event_time")}, "row 1, column 'event_time': has no event time"),
        ({"distance": pl.lit("far")}, "row 1, column 'distance': 'far' is no number"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """One error with the column, what is wrong with it, and the remedy."""
    with pytest.raises(UsageError, match=said) as caught:
        read_rows(Settings(home=tmp_path), SPEC, ReplayOptions(data=history(tmp_path, [0, 1], **changes)))
    assert caught.value.remedy


def test_no_row_left_says_what_there_is(tmp_path: Path) -> None:
    """The message has the first and last event time of the file."""
    options = ReplayOptions(data=history(tmp_path, [0, 60]), start=MONDAY + dt.timedelta(days=1))
    with pytest.raises(UsageError, match=r"2013-06-10T04:00:00.* to 2013-06-10T05:00:00"):
        read_rows(Settings(home=tmp_path), SPEC, options)


MIXED = ModelSpec.model_validate(
    {
        "model": "mixed",
        "reference": "r.parquet",
        "features": {
            "größe (cm)": {"type": "double"},
            "n": {"type": "long"},
            "ok": {"type": "boolean", "kind": "categorical"},
            "text": {"type": "string", "kind": "categorical"},
        },
        "prediction": {"column": "p", "type": "string", "kind": "categorical"},
        "target": {"column": "t", "type": "long"},
        "window": {"size": "1h"},
    }
)
RECORDS = st.lists(
    st.tuples(
        st.integers(-(2**40), 2**45),
        st.none() | st.floats(),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.sampled_from(["a", "b"]),
        st.none() | st.integers(-9, 9),
    ),
    min_size=1,
    max_size=20,
)


@given(RECORDS)
def test_encoding_by_column_is_the_writers_encoding(records: list[tuple[Any, ...]]) -> None:
    """Each record is byte for byte what fastavro writes for it, nulls, NaN, -0.0, extremes and non-ASCII included."""
    dtypes = {"größe (cm)": pl.Float64, "n": pl.Int64, "ok": pl.Boolean, "text": pl.String, "p": pl.String, "t": pl.Int64}
    frame = pl.DataFrame([r[1:] for r in records], schema=dtypes, orient="row")
    rows = Rows("d", frame, np.array([r[0] for r in records], dtype=np.int64), np.arange(len(records), dtype=np.int64))
    writer = WriterSchema.single_object(event_schema(MIXED))
    encoder = EventEncoder(MIXED, writer, "run-1", "v1")
    same = {"run": "run-1", "model": "mixed", "model_version": "v1"}
    for (time_ms, *values, prediction, target), event_id, value in zip(
        records, rows.event_ids(0, len(rows)), encoder.encode(rows, 0, len(rows)), strict=True
    ):
        features = {mangle(name): v for name, v in zip(MIXED.features, values, strict=True)}
        record = {"event_id": event_id, "event_time": time_ms, **same, "prediction": prediction, "target": target, "features": features}
        assert value == writer.encode(record)


def test_an_unknown_target_is_null() -> None:
    """Data without the target column gives events whose target is null, and are whole otherwise."""
    frame = pl.DataFrame({"größe (cm)": [1.0], "n": [1], "ok": [True], "text": ["x"], "p": ["a"]})
    rows = Rows("d", frame, np.array([7], dtype=np.int64), np.array([0], dtype=np.int64))
    writer = WriterSchema.single_object(event_schema(MIXED))
    features = {mangle(n): v for n, v in zip(MIXED.features, (1.0, 1, True, "x"), strict=True)}
    same = {"event_id": "d-000000000", "event_time": 7, "run": "r", "model": "mixed", "model_version": "v"}
    wanted = writer.encode({**same, "prediction": "a", "target": None, "features": features})
    assert EventEncoder(MIXED, writer, "r", "v").encode(rows, 0, 1) == [wanted]


@given(
    st.lists(st.integers(1_300_000_000_000, 1_420_000_000_000), min_size=1, max_size=50),
    st.sampled_from(
        [
            {"size": "7d", "time_zone": "America/New_York", "week_start": "monday"},
            {"size": "7d", "time_zone": "Europe/Berlin", "week_start": "sunday"},
            {"size": "1d", "time_zone": "Asia/Kolkata"},
            {"size": "3d", "time_zone": "America/New_York", "offset": "6h"},
            {"size": "15m", "offset": "7m"},
            {"size": "7d"},
        ]
    ),
)
def test_the_windows_expected_are_the_workers(times: list[int], window: dict[str, Any]) -> None:
    """The summary's count is the number of windows that the worker's grid puts these events in."""
    spec = Window.model_validate(window)
    times_ms = np.array(times, dtype=np.int64)
    assert len(window_numbers(spec, times_ms)) == len(np.unique(Grid(spec).bounds(times_ms)[0]))
