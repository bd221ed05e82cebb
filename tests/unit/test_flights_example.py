"""The example is reproducible, fits its spec, and drifts when the README says it does."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from config.settings import ROOT, Settings
from config.spec import read_spec
from examples.flights import model
from examples.flights.data import FEATURES, TARGET, ZONE, flights, split
from examples.flights.files import ARTEFACT, HISTORY, REFERENCE, STAMP
from examples.flights.prepare import prepare
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult

SPEC = read_spec(ROOT / "config" / "models" / "flights.yaml")
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def made(flights_home: Path) -> Settings:
    """An installation with the example made once."""
    return Settings(home=flights_home)


@pytest.fixture(scope="module")
def weeks(made: Settings) -> dict[dt.date, WindowResult]:
    """The verdict on each New York week of 2013, by its Monday, as the worker's drift monitor gives it."""
    profile = load_reference(SPEC, made.home / SPEC.reference)
    history = pl.read_parquet(made.home / HISTORY)
    monday = pl.col("event_time").dt.convert_time_zone(ZONE).dt.truncate("1w").dt.date().alias("monday")
    predicted = pl.Series("prediction", model.load(made).predict(history.to_pandas()))
    parts = history.with_columns(monday, predicted).partition_by("monday", as_dict=True)
    return {day: evaluate(window(rows), SPEC, profile) for (day,), rows in parts.items()}


def window(rows: pl.DataFrame) -> WindowData:
    """All rows of a week as a closed window."""
    start = int(rows["event_time"].dt.epoch("ms").min())  # type: ignore[arg-type]
    return WindowData("flights", "r", "replay", start, start + 168 * HOUR_MS, "d", 0, ("v",), rows, rows.height, 0, True, {})


def test_the_table_is_every_flight_with_a_known_delay() -> None:
    """327,346 of 336,776 flights, by event time, no nulls; the first left at 05:15 in New York, a Tuesday, which is 10:15 UTC."""
    table = flights()
    assert table.shape == (327_346, 2 + len(FEATURES))
    assert sum(table.null_count().row(0)) == 0
    assert table["event_time"].is_sorted()
    first = table.row(0, named=True)
    assert first["event_time"] == dt.datetime(2013, 1, 1, 10, 15, tzinfo=dt.UTC)
    assert (first["weekday"], first["sched_hour"], first["carrier"], first["dest"], first[TARGET]) == ("Tue", 5.0, "UA", "IAH", 11.0)


def test_local_hours_follow_daylight_saving() -> None:
    """The scheduled hour is New York's hour of the event time on every row, so summer and winter rows mean the same."""
    table = flights()
    local = table["event_time"].dt.convert_time_zone(ZONE)
    assert (local.dt.hour().cast(pl.Float64) == table["sched_hour"]).all()
    assert (local.dt.strftime("%a") == table["weekday"]).all()


def test_the_split_is_whole_and_fixed() -> None:
    """Training and held-out rows are the flights up to 10 February, 30 % held out; one seed gives one split, another gives another."""
    table = flights()
    training, held_out = split(table)
    assert (training.height, held_out.height) == (23_755, 10_181)
    assert pl.concat([training, held_out]).sort(pl.all()).equals(table.head(33_936).sort(pl.all()))
    assert split(table)[1].equals(held_out)
    assert not split(table, seed=63)[1].equals(held_out)


def test_the_spec_fits_the_data(made: Settings) -> None:
    """The spec's columns and files are the ones that are made, in the reference's types; the reference has the rows' times besides."""
    assert tuple(SPEC.features) == FEATURES
    assert (SPEC.reference, SPEC.artefact) == (REFERENCE, ARTEFACT)
    reference = pl.read_parquet(made.home / REFERENCE)
    assert set(reference.columns) == {*SPEC.columns, "event_time"}
    assert {str(reference.schema[n]) for n, c in SPEC.columns.items() if c.type == "string"} == {"String"}


def test_two_installations_are_equal(made: Settings, tmp_path: Path) -> None:
    """A second home gets the same reference and history byte for byte, and the same model version and error."""
    other = Settings(home=tmp_path)
    prepare(other)
    for path in (REFERENCE, HISTORY):
        assert (made.home / path).read_bytes() == (tmp_path / path).read_bytes()
    first, second = (json.loads((home / STAMP).read_text()) for home in (made.home, tmp_path))
    for name in ("version", "mean_absolute_error_min", "reference_rows", "training_rows"):
        assert first[name] == second[name]
    assert model.load(made).version == model.load(other).version == first["version"]


def test_the_model_is_worth_watching(made: Settings) -> None:
    """Its mean absolute error on the held-out flights is between 11 and 12 minutes; that of always saying the median is above 20."""
    reference = pl.read_parquet(made.home / REFERENCE)
    error = (reference["prediction"] - reference[TARGET]).abs().mean()
    idle = (reference[TARGET] - reference[TARGET].median()).abs().mean()
    assert 11 < error < 12  # type: ignore[operator]
    assert idle > 20  # type: ignore[operator]


def test_what_is_ready_is_left_alone(made: Settings) -> None:
    """A second call writes nothing and does without scikit-learn, whose import alone would take seconds of each `make up`."""
    before = {p: (made.home / p).stat().st_mtime_ns for p in (ARTEFACT, REFERENCE, HISTORY, STAMP)}
    second_call = (
        "import pathlib, sys; from config.settings import Settings; from examples.flights.prepare import prepare; "
        "prepare(Settings(home=pathlib.Path(sys.argv[1])), print); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", second_call, str(made.home)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["flights: model, reference and history are ready", "False"]
    assert before == {p: (made.home / p).stat().st_mtime_ns for p in before}


@pytest.mark.parametrize("path", [ARTEFACT, REFERENCE, HISTORY, STAMP])
def test_a_damaged_file_is_made_again(made: Settings, path: Path) -> None:
    """Half a file, or none, is noticed: all files are whole after the next call, and nothing else is left in their folders."""
    whole = pl.read_parquet(made.home / REFERENCE)
    (made.home / path).write_bytes((made.home / path).read_bytes()[:100])
    prepare(made)
    assert pl.read_parquet(made.home / REFERENCE).equals(whole)
    assert model.load(made).predict(whole.head(1).to_pandas())[0] == pytest.approx(whole["prediction"][0])
    assert list(made.home.rglob("*.part")) == []


def test_it_is_quiet_before_june_and_drifts_from_10_june_to_5_august(weeks: dict[dt.date, WindowResult]) -> None:
    """No week that starts before June reaches the dataset rule; every week that starts from 10 June to 5 August does."""
    flagged = {day for day, result in weeks.items() if result.drifted}
    assert len(weeks) == 53
    assert not {day for day in flagged if day < dt.date(2013, 6, 1)}
    summer = {dt.date(2013, 6, 10) + dt.timedelta(weeks=i) for i in range(9)}
    assert max(summer) == dt.date(2013, 8, 5)
    assert summer <= flagged


def test_the_storms_of_late_june_stand_out(weeks: dict[dt.date, WindowResult]) -> None:
    """The week of 24 June has three drifted features, delays at departure foremost; 12 to 26 August are quiet again."""
    result = weeks[dt.date(2013, 6, 24)]
    assert result.drifted_names() == ["dep_delay", "distance", "dest"]
    assert [weeks[dt.date(2013, 8, day)].drifted for day in (12, 19, 26)] == [False] * 3


def test_the_model_is_worse_in_the_week_of_24_june(made: Settings, weeks: dict[dt.date, WindowResult]) -> None:
    """Mean absolute error: 11 minutes on the reference, 17 in that week, as a plain mean over its rows says too; each week has its own."""
    reference = pl.read_parquet(made.home / REFERENCE)
    (performance,) = weeks[dt.date(2013, 6, 24)].performance
    mae = performance.measure("mae")
    assert mae is not None
    assert mae.value is not None
    assert (performance.kind, performance.status, performance.rows) == ("regression", "ok", weeks[dt.date(2013, 6, 24)].rows)
    assert mae.reference == pytest.approx((reference["prediction"] - reference[TARGET]).abs().mean(), rel=1e-12)
    assert (round(mae.reference), round(mae.value)) == (11, 17)
    assert performance.changes[0] == f"mae {mae.reference:.4g} → {mae.value:.4g}"
    assert {result.performance[0].status for result in weeks.values()} == {"ok"}


def test_summer_airports_fail_their_test(weeks: dict[dt.date, WindowResult]) -> None:
    """The spec's tests of the data pass until the week of 20 May; then Nantucket and Martha's Vineyard make more than half a percent of
    destinations new, in that week and all later ones but two in December. No other such test fails all year: the rest is drift.
    """
    failed = {day: {t.name: t for t in week.tests if t.status != "SUCCESS"} for day, week in weeks.items()}
    new = sorted(day for day, tests in failed.items() if "new_category_share" in tests)
    assert new[0] == dt.date(2013, 5, 20)
    assert len(new) == 33 - 2
    assert '"ACK"' in failed[new[0]]["new_category_share"].description
    assert {name for tests in failed.values() for name in tests} == {"new_category_share", "drifted_columns_share"}
    assert all(("drifted_columns_share" in tests) == weeks[day].drifted for day, tests in failed.items())
