"""A window against earlier windows of the same run: the spec, the calendar, the verdicts, the hint and the gauges."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from config.durations import UNIT_MS
from config.errors import SpecError
from config.spec import ModelSpec, read_spec
from config.spec_window import Window
from monitor.baselines import compare, with_season
from monitor.columns import read_columns
from monitor.evaluation.child import Evaluations
from monitor.evaluation.tasks import Judge
from monitor.metrics import Metrics
from monitor.window import Baseline, WindowData
from schemas.result import WindowResult, decode_result, encode_result
from streams.last_results import LastResult, kept_results
from streams.windows.grid import Grid
from tests.support.results import judged_column, window_result

HOUR_MS = UNIT_MS["h"]
GOOD: dict[str, Any] = {
    "model": "m",
    "reference": "m.parquet",
    "features": {"x": {"type": "double"}, "colour": {"type": "string", "kind": "categorical"}},
    "prediction": {"column": "y", "type": "double"},
    "window": {"size": "1h"},
    "baselines": ["previous", "lag:1d"],
}


def spec_of(**fields: Any) -> ModelSpec:
    return ModelSpec.model_validate(GOOD | fields)


# --- the spec --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"baselines": ["last"]}, "baselines (is ['last'])", "'last' is no baseline: write previous, or lag: with a duration"),
        ({"baselines": ["lag:7x"]}, "baselines", "'lag:7x' is no baseline: write previous, or lag: with a duration"),
        ({"baselines": "reference"}, "baselines", "'reference' is always judged: leave it out"),
        ({"baselines": ["lag:90m"]}, "baselines", "'lag:90m', which is no whole number of windows of 1h: write lag:2h"),
        ({"baselines": ["lag:0s"]}, "baselines", "'lag:0ms', which is no whole number of windows of 1h: write lag:2h"),
        ({"baselines": ["lag:1h"]}, "baselines", "'lag:1h', which with windows of 1h is the one before: write previous"),
        ({"baselines": ["lag:24h", "lag:1d"]}, "baselines", "one twice: lag:1d, lag:1d; keep one of them"),
        ({"baselines": ["lag:1000d"]}, "baselines", "'lag:1000d', but windows of 1h are kept for 400d at most: write a shorter lag"),
        ({"baselines": [f"lag:{n}h" for n in range(2, 8)]}, "baselines", "names 6, at most 5 can be"),
        ({"baselines": [7]}, "baselines.0 (is 7)", "valid string"),
        ({"monitors": ["data_quality"]}, "baselines", "need a monitor of drift: add data_drift"),
        ({"window": {"size": "7d", "time_zone": "UTC"}}, "baselines", "'lag:1d', which is no whole number of windows of 7d: write lag:14d"),
    ],
)  # fmt: skip
def test_a_wrong_baseline_is_named(tmp_path: Path, change: dict[str, Any], field: str, said: str) -> None:
    """Each mistake gives one message with the field, the value and what to write."""
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump(GOOD | change))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert field in caught.value.message
    assert said in caught.value.message
    assert caught.value.exit_code == 2


def test_baselines_have_one_spelling_and_are_in_the_digest() -> None:
    """``lag:1w`` and ``lag:168h`` are ``lag:7d``; a spec without baselines has the digest that it had before there were any."""
    assert spec_of(baselines=["lag:1w"]).baselines == spec_of(baselines="lag:168h").baselines == ("lag:7d",)
    plain = {k: v for k, v in GOOD.items() if k != "baselines"}
    assert ModelSpec.model_validate(plain).digest("r") == "9c3fcd25f113229e"  # as the commit before wrote it
    assert ModelSpec.model_validate(plain | {"baselines": []}).digest("r") == "9c3fcd25f113229e"
    assert spec_of().digest("r") != "9c3fcd25f113229e"
    assert ModelSpec.model_validate(spec_of().model_dump(mode="json")) == spec_of()  # as a checkpoint keeps it


def test_the_layout_follows_what_rows_a_window_keeps() -> None:
    """Other thresholds, monitors or baselines leave kept rows usable; another column, size, grace or sample does not."""
    layout = spec_of().layout()
    for same in ({"baselines": ["lag:7d"]}, {"drift": {"share": 0.3}}, {"monitors": ["data_drift"]}, {"reference": "other.parquet"}):
        assert spec_of(**same).layout() == layout, same
    for other in ({"min_rows": 5}, {"max_rows": 500}, {"window": {"size": "1h", "grace": "1m"}}, {"features": {"x": {"type": "double"}}}):
        assert spec_of(**other).layout() != layout, other


# --- the calendar ----------------------------------------------------------------------------------------------------------------------


def ms(zone: str, *date: int) -> int:
    return int(datetime(*date, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[arg-type, misc]


def test_a_lag_follows_the_calendar_over_daylight_saving() -> None:
    """Seven local days before Monday 1 April 2024 in Oslo begins at local midnight, though one day between had 23 hours."""
    oslo = Grid(Window(size="1d", time_zone="Europe/Oslo"))
    monday = ms("Europe/Oslo", 2024, 4, 1)
    assert oslo.earlier(monday, 7) == (ms("Europe/Oslo", 2024, 3, 25), ms("Europe/Oslo", 2024, 3, 26))
    assert monday - oslo.earlier(monday, 7)[0] == 7 * UNIT_MS["d"] - HOUR_MS
    assert oslo.earlier(monday, 1) == (ms("Europe/Oslo", 2024, 3, 31), monday)
    assert monday - oslo.earlier(monday, 1)[0] == 23 * HOUR_MS


def test_a_lag_of_weeks_follows_the_calendar() -> None:
    """Two weeks before a New York week in November begins on a Monday at local midnight, an hour more than 14 days before."""
    weeks = Grid(Window(size="7d", time_zone="America/New_York", week_start="monday"))
    monday = ms("America/New_York", 2013, 11, 11)
    assert weeks.earlier(monday, 2) == (ms("America/New_York", 2013, 10, 28), ms("America/New_York", 2013, 11, 4))
    assert monday - weeks.earlier(monday, 2)[0] == 14 * UNIT_MS["d"] + HOUR_MS


@settings(deadline=None)
@given(
    zone=st.sampled_from([None, "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]),
    days=st.sampled_from([1, 2, 7, 14]),
    offset=st.sampled_from(["0s", "6h", "30h"]),
    time_ms=st.integers(-1_000_000_000_000, 2_500_000_000_000),
    windows=st.integers(1, 60),
)
def test_earlier_is_stepping_back_one_by_one(zone: str | None, days: int, offset: str, time_ms: int, windows: int) -> None:
    """The window n before is the one that n steps to the window directly before lead to, in every zone."""
    grid = Grid(Window(size=f"{days}d", offset=offset, time_zone=zone))
    start, end = grid.window_of(time_ms)
    for _ in range(windows):
        start, end = grid.window_of(start - 1)
    assert grid.earlier(time_ms, windows) == (start, end)


# --- the verdicts ----------------------------------------------------------------------------------------------------------------------


def rows(seed: int, shift: float = 0.0, n: int = 1500) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"x": rng.normal(shift, 1, n), "colour": rng.choice(["red", "blue"], n), "y": rng.normal(size=n)})


def window(frame: pl.DataFrame, spec: ModelSpec, start_ms: int = 240 * HOUR_MS) -> WindowData:
    return WindowData("m", "live", "live", start_ms, start_ms + HOUR_MS, spec.digest("r"), 0, ("1",), frame, frame.height, 0, True, {})


def kept(folder: Path, kind: str, frame: pl.DataFrame | None, hours: int = 239) -> Baseline:
    path = folder / f"{hours * HOUR_MS}_layout.parquet"
    if frame is not None:
        frame.write_parquet(path)
    return Baseline(kind, path, hours * HOUR_MS, (hours + 1) * HOUR_MS)


def against(data: WindowData, spec: ModelSpec, baseline: Baseline) -> WindowResult:
    return compare(data, spec, read_columns(data.frame, spec.columns), baseline)


def test_a_window_is_judged_against_an_earlier_one(tmp_path: Path) -> None:
    """Alike windows are quiet, a moved column drifts; the result has the baseline's kind, its span, and a key of its own."""
    spec = spec_of(segments=["colour"], drift={"thresholds": "calibrated", "share": 0.5}, tests=[{"test": "constant_columns"}])
    same = against(window(rows(1), spec), spec, kept(tmp_path, "previous", rows(2)))
    assert (same.status, same.drifted, same.drift_share, same.kind) == ("ok", False, 0.0, "previous")
    assert (same.baseline_start_ms, same.baseline_end_ms) == (239 * HOUR_MS, 240 * HOUR_MS)
    assert same.key.endswith("|previous")
    assert [c.name for c in same.columns] == ["x", "colour", "y"]
    assert (same.segments, same.tests, same.performance, same.quality, same.thresholds) == ((), (), (), None, "evidently")
    moved = against(window(rows(1, shift=1.0), spec), spec, kept(tmp_path, "lag:1d", rows(2)))
    assert (moved.drifted, moved.drifted_names(), moved.key.rpartition("|")[2]) == (True, ["x"], "lag%3A1d")
    assert decode_result(encode_result(moved)) == moved


def test_a_missing_baseline_is_named(tmp_path: Path) -> None:
    """Without the rows of just that window the status is insufficient_data, and the reason names it; no other one is taken."""
    spec = spec_of()
    kept(tmp_path, "previous", rows(2), hours=238)
    result = against(window(rows(1), spec), spec, kept(tmp_path, "previous", None))
    assert (result.status, result.drifted, result.columns) == ("insufficient_data", False, ())
    assert result.reason.startswith("no rows are kept of the window from 1970-01-10 23:00 to 1970-01-11 00:00 UTC")
    few = against(window(rows(1, n=20), spec), spec, kept(tmp_path, "previous", rows(2)))
    assert (few.status, few.reason) == ("insufficient_data", "20 rows, the spec wants at least 100")


def test_a_column_that_a_baseline_lacks_costs_that_column(tmp_path: Path) -> None:
    """One that no event carried, or without any value, has status error with the reason; the others are judged."""
    spec = spec_of()
    lacking = rows(2).drop("x").with_columns(pl.lit(None, dtype=pl.Float64).alias("y"))
    result = against(window(rows(1), spec), spec, kept(tmp_path, "previous", lacking))
    assert (result.status, [c.status for c in result.columns]) == ("ok", ["error", "ok", "error"])
    assert "1970-01-10 23:00" in result.columns[0].reason
    assert "no event of that window carried it" in result.columns[0].reason
    assert "holds no usable value" in result.columns[2].reason
    assert str(tmp_path) not in encode_result(result).decode()


def test_a_broken_file_costs_that_baseline_only(tmp_path: Path) -> None:
    """A file that is no Parquet gives status error for its baseline; the verdict against the reference and the other one stand."""
    spec = spec_of()
    reference = tmp_path / "m.parquet"
    rows(0, n=3000).write_parquet(reference)
    broken = kept(tmp_path, "previous", None)
    broken.path.write_bytes(b"PAR1 no more")
    data = window(rows(1), spec)
    answer = Evaluations().answer(Judge(spec, reference, data, baselines=(broken, kept(tmp_path, "lag:1d", rows(2), hours=216))))
    assert isinstance(answer, tuple)
    assert [(r.kind, r.status) for r in answer] == [("reference", "ok"), ("previous", "error"), ("lag:1d", "ok")]
    assert str(tmp_path) not in encode_result(answer[1]).decode()


def test_a_slow_method_gives_way_to_the_default(tmp_path: Path) -> None:
    """A method of seconds is for the reference only; a fast one and a threshold of the spec hold for baselines, too."""
    choices = {"x": {"method": "empirical_mmd", "threshold": 0.001}, "y": {"method": "psi", "threshold": 9.0}}
    spec = spec_of(drift={"columns": choices})
    result = against(window(rows(1, shift=1), spec), spec, kept(tmp_path, "previous", rows(2)))
    assert [(c.method, c.threshold) for c in result.columns] == [
        ("Wasserstein distance (normed)", 0.1),
        ("Jensen-Shannon distance", 0.1),
        ("PSI", 9.0),
    ]


# --- the hint --------------------------------------------------------------------------------------------------------------------------


def hints(x: float, reference_hint: str = "population change", **compared: float) -> list[tuple[str, int | None]]:
    """Hint of a column that drifted against the reference, by its scores against baselines (drifted from 0.1 on)."""
    result = window_result(judged_column("x", x, hint=reference_hint))
    others = [
        window_result(judged_column("x", level), kind=kind.replace("_", ":"), baseline_start_ms=at * HOUR_MS)
        for at, (kind, level) in enumerate(compared.items())
    ]
    return [(c.hint, c.like_start_ms) for c in with_season(result, others).columns]


def test_a_drift_that_was_there_a_lag_before_is_seasonal() -> None:
    """The hint is seasonal, with the earlier window's start, where the drifted column did not against a lag; the first such counts."""
    assert hints(0.5, lag_1d=0.05) == [("seasonal", 0)]
    assert hints(0.5, lag_1d=0.2, lag_7d=0.01) == [("seasonal", HOUR_MS)]
    assert hints(0.5, lag_1d=0.2) == [("population change", None)]
    assert hints(0.5, previous=0.0) == [("population change", None)]  # what has just begun to last is no season
    assert hints(0.5, "data break", lag_1d=0.0) == [("data break", None)]
    assert hints(0.05, "", lag_1d=0.0) == [("", None)]


def test_a_lag_that_was_not_judged_says_nothing() -> None:
    """Neither a missing earlier window nor a column that could not be judged makes a season."""
    result = window_result(judged_column("x", 0.5, hint="population change"))
    missing = window_result(kind="lag:1d", status="insufficient_data")
    failed = window_result(judged_column("x", 0.0, status="error", drifted=False), kind="lag:1d", baseline_start_ms=0)
    assert with_season(result, [missing]) is result
    assert with_season(result, [failed]) is result


# --- gauges and readers ----------------------------------------------------------------------------------------------------------------


def exposed(metrics: CollectorRegistry, name: str = "tidemark_baseline") -> list[str]:
    return [line for line in generate_latest(metrics).decode().splitlines() if line.startswith(name)]


def compared_results(*levels: tuple[str, float]) -> list[WindowResult]:
    return [window_result(judged_column("x", level), kind=kind) for kind, level in levels]


def test_gauges_of_baselines() -> None:
    """Each baseline has its share and flag; one that could not be compared keeps the last, one that the spec dropped has none."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    reference = window_result(judged_column("x", 0.0))
    metrics.observe_compared(reference, compared_results(("previous", 0.5), ("lag:1d", 0.0)))
    assert exposed(registry) == [
        'tidemark_baseline_drift_share{baseline="previous",model="m",run_kind="live"} 1.0',
        'tidemark_baseline_drift_share{baseline="lag:1d",model="m",run_kind="live"} 0.0',
        'tidemark_baseline_drifted{baseline="previous",model="m",run_kind="live"} 1.0',
        'tidemark_baseline_drifted{baseline="lag:1d",model="m",run_kind="live"} 0.0',
    ]
    metrics.observe_compared(reference, [window_result(kind="previous", status="insufficient_data")])
    assert exposed(registry) == [
        'tidemark_baseline_drift_share{baseline="previous",model="m",run_kind="live"} 1.0',
        'tidemark_baseline_drifted{baseline="previous",model="m",run_kind="live"} 1.0',
    ]
    metrics.remove_model("m", "live")
    assert exposed(registry) == []


def test_a_comparison_read_back_changes_no_gauge_of_the_reference() -> None:
    """After a restart a drifted comparison sets its own gauges only: windows, columns, alerts and shares are those of the reference."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.show_result(window_result(judged_column("x", 0.0)), 1.0)
    before = [line for line in generate_latest(registry).decode().splitlines() if "baseline" not in line]
    metrics.show_result(compared_results(("previous", 0.5))[0], 1.0)
    assert [line for line in generate_latest(registry).decode().splitlines() if "baseline" not in line] == before
    assert len(exposed(registry)) == 2


def test_what_is_read_back_are_the_last_windows_comparisons() -> None:
    """Drifted comparisons are neither the last drifted nor a judged window of the alert's rule; those of the last window come back."""
    first = window_result(judged_column("x", 0.0), start_ms=0, end_ms=10)
    last = window_result(judged_column("x", 0.0), start_ms=10, end_ms=20)
    read = [replace(r, start_ms=w.start_ms, end_ms=w.end_ms) for w in (first, last) for r in (w, *compared_results(("previous", 0.5)))]
    found = [last.result for last in kept_results(LastResult(r, n) for n, r in enumerate(read))]
    assert [(r.kind, r.start_ms) for r in found] == [("reference", 10), ("previous", 10)]


def test_the_alerts_text_names_the_earlier_window() -> None:
    """Behind what changed in a seasonal column stands which window it was in, as the drift alert shows it."""
    start_ms = int(datetime(2013, 6, 10, 4, tzinfo=UTC).timestamp() * 1000)
    column = judged_column("x", 0.4, excess=4.0, changes=("mean 1 → 2",), hint="seasonal", like_start_ms=start_ms)
    registry = CollectorRegistry()
    Metrics(registry).observe_result(window_result(column), 1.0, 0.0)
    assert (
        'change="mean 1 → 2 [seasonal: as in the window of 2013-06-10 04:00 UTC]"' in exposed(registry, "tidemark_drifted_window_change")[0]
    )
