"""Calibrated thresholds: the rate they keep, what they find, and what they say when they cannot."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.false_alarms import measure
from config.errors import ReferenceDataError, SpecError, UsageError
from config.spec import ModelSpec
from monitor.calibration import fit
from monitor.calibration.blocks import blocks_of
from monitor.calibration.confirm import confirmed
from monitor.calibration.null_share import null_p_value
from monitor.evaluate import evaluate
from monitor.profile_store import stored_reference
from monitor.reference import load_reference
from monitor.statistics.profiles import fit_counts
from monitor.window import WindowData
from schemas.result import WindowResult, decode_result, encode_result

DAY_MS = 86_400_000


def spec_of(**drift: Any) -> ModelSpec:
    """Three features, a prediction; windows of a day."""
    return ModelSpec.model_validate(
        {
            "model": "m",
            "reference": "r.parquet",
            "features": {"x": {"type": "double"}, "y": {"type": "double"}, "c": {"type": "string", "kind": "categorical"}},
            "prediction": {"column": "p", "type": "double"},
            "window": {"size": "1d"},
            "min_rows": 20,
            "drift": {"thresholds": "calibrated", "rate": 0.05, **drift},
        }
    )


def rows(count: int, seed: int = 0, nulls: float = 0.1) -> pl.DataFrame:
    """Rows in which nothing drifts; y has nulls and goes with x."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, count)
    y = np.where(random.random(count) < nulls, np.nan, x + random.exponential(1, count))
    c = random.choice([*"abcdef"], count, p=[0.5, 0.2, 0.1, 0.1, 0.07, 0.03])
    return pl.DataFrame({"x": x, "y": y, "c": c, "p": random.normal(5, 2, count)}).with_columns(pl.col("y").fill_nan(None))


def judged(spec: ModelSpec, path: Path, frame: pl.DataFrame) -> WindowResult:
    """A window's result against the reference in that file."""
    profile = stored_reference(spec, path)
    nulls = {name: frame[name].null_count() for name in frame.columns}
    window = WindowData("m", "live", "live", 0, DAY_MS, spec.digest(profile.fingerprint), 0, ("1",), frame, frame.height, 0, True, nulls)
    return evaluate(window, spec, profile)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A reference of 3,000 rows."""
    rows(3000).write_parquet(tmp_path / "r.parquet")
    return tmp_path / "r.parquet"


@pytest.mark.parametrize(("reference_rows", "windows", "least", "most"), [(800, 60, 0.017, 0.083), (2000, 150, 0.028, 0.072)])
def test_the_false_alarm_rate_is_the_configured_one(reference_rows: int, windows: int, least: float, most: float) -> None:
    """Of windows that are disjoint from their references, six times as many as that, 5 % alarm within three standard errors; with
    Evidently's thresholds most do. References of up to 1,000 rows are judged by p-values.
    """
    population = rows(40_000, nulls=0 if reference_rows <= 1000 else 0.1)  # exact p-values of many different sizes take long
    found = measure(spec_of(), population, reference_rows, (80,), (0.05,), references=6, windows=windows, draws=500)
    assert least <= found[0].measured <= most
    if reference_rows > 1000:
        assert found[0].stock > 0.9


def test_the_same_input_gives_the_same_calibration() -> None:
    """Another seed gives another one, whose thresholds differ by little; progress is told from the first step to the last."""
    told: list[tuple[int, int]] = []
    first = fit(spec_of(), rows(3000), seed=1, draws=400, progress=lambda done, steps: told.append((done, steps)))
    again, other = (fit(spec_of(), rows(3000), seed=seed, draws=400) for seed in (1, 2))
    assert [first.threshold("x", n) for n in (70, 500)] == [again.threshold("x", n) for n in (70, 500)]
    assert first.threshold("x", 70) != other.threshold("x", 70) == pytest.approx(first.threshold("x", 70), rel=0.3)
    assert told == [(i, 32) for i in range(1, 33)]


def test_a_threshold_falls_with_the_square_root_of_the_window_and_rises_as_the_rate_falls() -> None:
    """Four times the rows halve a distance's threshold; one in a hundred lies above one in twenty."""
    plain, strict = (fit(spec_of(), rows(6000), rate=rate, draws=800) for rate in (0.05, 0.01))
    for column in ("x", "c"):
        assert plain.threshold(column, 200) == pytest.approx(plain.threshold(column, 50) / 2, rel=0.2)
        assert strict.threshold(column, 200) > plain.threshold(column, 200)


def test_what_cannot_be_calibrated_is_named() -> None:
    """Too few rows, windows that are too large for the reference, an unknown time column, and a column without a threshold."""
    with pytest.raises(ReferenceDataError, match="has 50 rows: calibrated thresholds need 60"):
        fit(spec_of(), rows(50))
    large = ModelSpec.model_validate({**spec_of().model_dump(mode="json", exclude_defaults=True), "min_rows": 1501})
    with pytest.raises(ReferenceDataError, match=r"min_rows, 1501, need twice as many.*\n?.*3002 rows or more.*min_rows to 1500 or less"):
        fit(large, rows(3000))
    with pytest.raises(SpecError, match=r"drift\.reference_time is 'when', which the reference has not"):
        fit(spec_of(reference_time="when"), rows(3000))
    mixed = fit(spec_of(columns={"x": {"threshold": 0.3}, "y": {"method": "anderson"}}), rows(3000), draws=100)
    assert set(mixed.columns) == {"c", "p"}
    with pytest.raises(UsageError, match=r"column 'x' has no calibrated threshold: the spec sets its threshold, 0\.3"):
        mixed.threshold("x", 100)
    every = {name: {"threshold": 0.1} for name in ("x", "y", "c", "p")}
    with pytest.raises(SpecError, match="no column of m can be calibrated"):
        fit(spec_of(columns=every), rows(3000))


def test_both_verdicts_are_in_the_result(reference: Path) -> None:
    """In a window of 50 random rows Evidently's thresholds flag columns and calibrated ones do not; a shift is flagged by both. The
    result says which rule counted, and is read back as it was written.
    """
    spec = spec_of(floor=False, share=0.25)
    quiet = judged(spec, reference, rows(50, 9))
    assert (quiet.thresholds, quiet.false_alarm_rate, quiet.drifted, quiet.evidently_drifted) == ("calibrated", 0.05, False, True)
    assert quiet.share_threshold == 0.25
    assert any(c.evidently_drifted and not c.drifted for c in quiet.columns)
    assert all(c.threshold is not None and c.evidently_threshold == 0.1 < c.threshold for c in quiet.columns)
    shifted = judged(spec, reference, rows(100, 9).with_columns(pl.col("x") + 1))
    column = next(c for c in shifted.columns if c.name == "x")
    assert shifted.drifted
    assert column.drifted
    assert column.excess == pytest.approx(column.score / column.threshold)  # type: ignore[operator]
    assert shifted.severity == max(c.excess for c in shifted.columns if c.excess)
    assert decode_result(encode_result(shifted)) == shifted


def test_the_floor_keeps_trifles_quiet(reference: Path) -> None:
    """A shift of a twentieth of a deviation in a large window is no chance, and flagged only with the floor off."""
    window = pl.concat([rows(3000)] * 5).with_columns(pl.col("p") + 0.18)
    strict, usual = (judged(spec_of(floor=floor), reference, window) for floor in (False, True))
    assert (strict.drifted, usual.drifted) == (True, False)
    assert [c.name for c in strict.columns if c.drifted] == ["p"]


def test_nulls_alarm_though_the_values_are_as_they_were(reference: Path) -> None:
    """Twice the nulls, and a column that lost all of them, are a data break; the scores of the values see nothing."""
    doubled = judged(spec_of(), reference, rows(400, 5, nulls=0.25))
    column = next(c for c in doubled.columns if c.name == "y")
    assert (column.drifted, column.nulls_drifted, column.hint, column.excess) == (True, True, "data break", None)
    assert column.score < column.threshold  # type: ignore[operator]
    assert any(text.startswith("nulls 9.9") or text.startswith("nulls 10") for text in column.changes)
    lost = judged(spec_of(), reference, rows(400, 5).with_columns(pl.lit(None, dtype=pl.Float64).alias("y")))
    column = next(c for c in lost.columns if c.name == "y")
    assert (column.status, column.method, column.score, column.drifted) == ("ok", "share of nulls", 1.0, True)
    assert lost.drifted
    assert not judged(spec_of(), reference, rows(400, 6)).drifted


def test_the_null_share_is_tested_exactly() -> None:
    """Four nulls among ten rows against none of ten: twice 210 of 4,845 choices (hypergeometric)."""
    assert null_p_value(10, 0, 10, 4) == pytest.approx(2 * 210 / 4845)
    assert null_p_value(100, 10, 100, 10) == 1.0


def test_rare_values_are_confirmed_by_permutation() -> None:
    """A value that the reference has twice among 10,000 and the window three times among 1,000 is chance at one in a hundred, though the
    distance is far beyond what the reference's own windows show; twelve times is not.
    """
    fitted = fit_counts({"0": 9998, "1": 2})
    assert not confirmed("jensenshannon", 0.02, fitted, {"0": 997, "1": 3}, 0.001, 0)
    assert confirmed("jensenshannon", 0.053, fitted, {"0": 988, "1": 12}, 0.001, 0)


def test_a_first_value_of_another_kind_is_no_alarm(tmp_path: Path) -> None:
    """A column of zeros alone in the reference, with a single one in 90 rows: one in eleven choices has it, so nothing has drifted; with
    ten of them it has.
    """
    spec = spec_of(floor=False, columns={"y": {"threshold": 0.5}})
    rows(900).with_columns(pl.lit(0.0).alias("x")).write_parquet(tmp_path / "r.parquet")
    window = rows(90, 3).with_columns(pl.lit(0.0).alias("x")).with_row_index()
    for ones, drifted in ((0, False), (1, False), (10, True)):
        frame = window.with_columns(pl.when(pl.col("index") < ones).then(1.0).otherwise(0.0).alias("x")).drop("index")
        result = judged(spec, tmp_path / "r.parquet", frame)
        assert next(c for c in result.columns if c.name == "x").drifted is drifted


def test_numbers_in_bins_need_no_confirmation(tmp_path: Path) -> None:
    """PSI of a continuous column is of bins, so its values are not taken one by one for rare ones: a shift alarms."""
    rows(3000).write_parquet(tmp_path / "r.parquet")
    spec = spec_of(floor=False, columns={"x": {"method": "psi"}})
    result = judged(spec, tmp_path / "r.parquet", rows(300, 3).with_columns(pl.col("x") + 0.4))
    assert next(c for c in result.columns if c.name == "x").drifted
    calibration = load_reference(spec, tmp_path / "r.parquet").calibration
    assert calibration is not None
    assert not calibration.columns["x"].rare


def test_blocks_allow_for_what_quiet_days_differ_by(tmp_path: Path) -> None:
    """Where each day has a mean of its own, thresholds of random rows flag most quiet days; with the reference's time few, and a shift
    beyond all days is still found.
    """
    random = np.random.default_rng(4)
    levels = random.normal(0, 0.5, 80)
    days = [
        rows(200, day).with_columns(pl.col("x") + level, pl.lit(day * DAY_MS, dtype=pl.Int64).alias("at"))
        for day, level in enumerate(levels)
    ]
    pl.concat(days[:40]).write_parquet(tmp_path / "r.parquet")
    plain, timed = spec_of(floor=False), spec_of(floor=False, reference_time="at")
    random_rows, over_time = (sum(judged(spec, tmp_path / "r.parquet", day).drifted for day in days[40:]) for spec in (plain, timed))
    assert random_rows > 25
    assert over_time < 8
    assert judged(timed, tmp_path / "r.parquet", days[50].with_columns(pl.col("x") + 3)).drifted
    profile = load_reference(timed, tmp_path / "r.parquet")
    assert profile.calibration is not None
    assert profile.calibration.blocks == 40
    assert profile.fingerprint != load_reference(plain, tmp_path / "r.parquet").fingerprint
    assert profile.frame().columns == ["x", "y", "c", "p"]


def test_blocks_are_whole_windows_of_the_models_own_days() -> None:
    """Weeks begin on Monday midnight in New York, whatever daylight saving does; the half week at the beginning is left out."""
    window = replace_window(size="7d", time_zone="America/New_York", week_start="monday")
    start = dt.datetime(2013, 2, 28, 5, tzinfo=dt.UTC)  # a Thursday
    times = pl.Series([start + dt.timedelta(hours=i) for i in range(24 * 25)])
    blocks = blocks_of(times, window)
    assert [len(b) for b in blocks] == [167, 168, 168]  # the clock is put forward on 10 March
    assert times[int(blocks[0][0])] == dt.datetime(2013, 3, 4, 5, tzinfo=dt.UTC)
    assert times[int(blocks[1][0])] == dt.datetime(2013, 3, 11, 4, tzinfo=dt.UTC)


def replace_window(**fields: Any) -> Any:
    """A spec's window."""
    return ModelSpec.model_validate({**spec_of().model_dump(mode="json", exclude_defaults=True), "window": fields}).window


def test_the_digest_names_all_that_thresholds_follow_from() -> None:
    """Rate, floor, seed, time and the version of the calibration are part of it; a spec with Evidently's thresholds keeps its digest."""
    base = spec_of()
    others = [spec_of(rate=0.01), spec_of(floor=False), spec_of(seed=1), spec_of(reference_time="t"), spec_of(thresholds="evidently")]
    assert len({base.digest("r"), *(spec.digest("r") for spec in others)}) == 6


def test_a_stored_profile_keeps_its_calibration(reference: Path) -> None:
    """What is read back from the disk judges to the byte as what was fitted."""
    spec = spec_of()
    first, second = (encode_result(judged(spec, reference, rows(200, 3))) for _ in range(2))
    assert first == second
    assert json.loads(first)["thresholds"] == "calibrated"
    assert replace(stored_reference(spec, reference)).calibration is not None
