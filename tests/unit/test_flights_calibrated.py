"""The example by calibrated thresholds: quiet months stay quiet, the summer is flagged, and what is told names its new airports."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from config.settings import ROOT, Settings
from config.spec import ModelSpec, read_spec
from examples.flights import model
from examples.flights.data import ZONE
from examples.flights.files import HISTORY
from monitor.calibration.command import fit_spec
from monitor.calibration.power import Shift
from monitor.evaluate import evaluate
from monitor.metrics import Metrics
from monitor.profile_store import stored_reference
from monitor.window import WindowData
from schemas.result import WindowResult

PLAIN = read_spec(ROOT / "config" / "models" / "flights.yaml")
CHANGES = {"thresholds": "calibrated", "reference_time": "event_time"}
SPEC = PLAIN.model_copy(update={"drift": PLAIN.drift.model_copy(update=CHANGES), "tests": ()})
WEEK_MS = 7 * 86_400_000
SUMMER = {"ABQ", "ACK", "MVY"}  # Albuquerque, Nantucket, Martha's Vineyard; the three most frequent new ones are named


@pytest.fixture(scope="module")
def made(flights_home: Path) -> Settings:
    """An installation with the example made once, its specs those of this test."""
    settings = Settings(home=flights_home, specs_dir=flights_home / "specs")
    settings.specs_dir.mkdir()
    (settings.specs_dir / "flights.yaml").write_text(_yaml(SPEC))
    return settings


def _yaml(spec: ModelSpec) -> str:
    return spec.model_dump_json(exclude_defaults=True)  # JSON is YAML


@pytest.fixture(scope="module")
def weeks(made: Settings) -> dict[dt.date, WindowResult]:
    """The verdict on each New York week up to July, by its Monday."""
    profile = stored_reference(SPEC, made.home / SPEC.reference)
    history = pl.read_parquet(made.home / HISTORY).filter(pl.col("event_time") < dt.datetime(2013, 7, 29, 4, tzinfo=dt.UTC))
    monday = pl.col("event_time").dt.convert_time_zone(ZONE).dt.truncate("1w").dt.date().alias("monday")
    predicted = pl.Series("prediction", model.load(made).predict(history.to_pandas()))
    parts = history.with_columns(monday, predicted).partition_by("monday", as_dict=True)
    return {day: evaluate(_window(rows), SPEC, profile) for (day,), rows in parts.items()}


def _window(rows: pl.DataFrame) -> WindowData:
    start = int(rows["event_time"].dt.epoch("ms").min())  # type: ignore[arg-type]
    return WindowData("flights", "r", "replay", start, start + WEEK_MS, "d", 0, ("v",), rows, rows.height, 0, True, {})


def test_quiet_months_stay_quiet(weeks: dict[dt.date, WindowResult]) -> None:
    """No week of January to 26 May alarms, at one false alarm in a hundred windows: twenty-one weeks."""
    quiet = [day for day in weeks if day < dt.date(2013, 5, 27)]
    assert len(quiet) == 21
    assert [day for day in quiet if weeks[day].drifted] == []


def test_the_summer_is_flagged_with_its_new_airports(weeks: dict[dt.date, WindowResult]) -> None:
    """Each week from 10 June on alarms by its destinations; what an alert tells names airports that are new, and the cause is a change of
    the population and no data break.
    """
    summer = {day: result for day, result in weeks.items() if day >= dt.date(2013, 6, 10)}
    assert len(summer) == 7
    named = set()
    for result in summer.values():
        dest = next(c for c in result.columns if c.name == "dest")
        assert result.drifted
        assert dest.drifted
        assert dest.hint == "population change"
        registry = CollectorRegistry()
        Metrics(registry).observe_result(result, 1.0, 0.0)
        told = [line for line in generate_latest(registry).decode().splitlines() if 'change="' in line and 'column="dest"' in line]
        assert len(told) == 1
        assert "new categories" in told[0]
        named |= (found := {airport for airport in SUMMER if airport in told[0]})
        assert len(found) >= 2
    assert named == SUMMER


def test_fit_prints_a_table_and_writes_a_plot(made: Settings) -> None:
    """A row a column, the number of independent blocks, what is not promised, suggested rows; the page has a chart a column."""
    fitted = fit_spec(made, "flights", Shift())
    assert [line.split()[0] for line in fitted.table[1:]] == [*PLAIN.features, "prediction", "arr_delay"]
    text = "\n".join(fitted.statements)
    assert "Promised: of windows whose rows are drawn as the reference's were, 1 % alarm" in text
    assert "5 independent blocks (whole windows) of the reference" in text
    assert "Suggested min_rows: " in text
    page = fitted.plot.read_text(encoding="utf-8")
    assert page.count("<svg ") == 9
    assert "http" not in page.replace("http://www.w3.org", "")
