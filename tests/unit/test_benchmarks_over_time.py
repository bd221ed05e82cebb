"""The benchmark of quiet time cuts a stretch as windows are cut, and judges it with and without what time brings."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import polars as pl

from benchmarks.false_alarms_report import PAGE
from benchmarks.over_time import OUT, STRETCHES, Stretch, cut, measure
from benchmarks.over_time_report import inserted
from benchmarks.populations import CATEGORY, NUMBER, Population, spec_of

START = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
STRETCH = Stretch("m", "time", None, START + dt.timedelta(days=30), START + dt.timedelta(days=40), "1d")


def days(count: int, rows: int) -> Population:
    """Days that differ from each other: their mean is drawn anew each day."""
    random = np.random.default_rng(1)
    x = random.normal(np.repeat(random.normal(0, 1, count), rows))
    times = [START + dt.timedelta(seconds=86_400 * at / rows) for at in range(count * rows)]
    columns = {"time": times, "x": x, "c": random.choice(["a", "b"], count * rows), "p": random.normal(size=count * rows)}
    spec = spec_of("m", {"x": NUMBER, "c": CATEGORY}, {"column": "p", **NUMBER}, None)
    return Population(spec, pl.DataFrame(columns).with_columns(pl.col("time").cast(pl.Datetime("ms", "UTC"))))


def test_windows_begin_at_the_split_and_end_with_the_stretch() -> None:
    """Ten days follow a reference of thirty; a last day of few rows is left out, and weeks begin on Monday."""
    rows = STRETCH.rows(days(45, 24))
    assert [w.height for w in cut(rows, STRETCH)] == [24] * 10
    assert [w.height for w in cut(rows.head(39 * 24 + 5), STRETCH)] == [24] * 9
    weeks = replace(STRETCH, window="7d", split=dt.datetime(2024, 3, 18, tzinfo=dt.UTC))
    assert [w["time"][0].weekday() for w in cut(rows, weeks)] == [0, 0, 0]  # of the fourth there are two days


def test_blocks_make_days_quiet_that_random_rows_do_not() -> None:
    """Where each day's mean is its own, thresholds without time flag most quiet days, those with thirty blocks few of them."""
    found = {f.way: f for f in measure(days(40, 200), STRETCH, draws=300)}
    assert found["5%, no time"].flagged >= 0.8
    assert found["1%, blocks"].flagged <= 0.3
    assert found["1%, blocks"].blocks == 30
    assert found["1%, blocks"].windows == 10
    assert found["1%, blocks, floor"].flagged <= found["1%, blocks"].flagged


def test_the_docs_have_the_measured_stretches() -> None:
    """The table of docs/thresholds.md is that of the results, which hold every stretch; so are the text's figures of real days."""
    results = json.loads(OUT.read_text())["results"]
    text = PAGE.read_text(encoding="utf-8")
    assert inserted(text, results) == text
    assert {(line["data"], line["window"]) for line in results} == {(s.data, s.window) for s in STRETCHES}
    found = {(f["data"], f["window"], f["way"]): round(f["flagged"] * f["windows"]) for f in results}
    assert found["flights", "1d", "1%, blocks, floor"] == 1
    assert [found["weather", "1d", f"{rate}%, blocks"] for rate in (1, 5)] == [1, 11]
    assert found["glucose", "1d", "1%, blocks"] == 5
    for data, days in (("flights", 42), ("glucose", 76), ("weather", 105)):
        assert found[data, "1d", "1%, no time"] == found[data, "1d", "Evidently: any column"] == days
    for data, window in {(s.data, s.window) for s in STRETCHES if s.data in {"glucose", "calls", "weather"}}:
        assert all(found[data, window, f"{rate}%, blocks"] == found[data, window, f"{rate}%, blocks, floor"] for rate in (1, 5))
