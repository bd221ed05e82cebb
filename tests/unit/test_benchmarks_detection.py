"""What `bench-detection` computes: sizes of injected drifts, thresholds at an equal rate, delays, PSI, the same windows for all tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.detection_figures import Outcome, better, cell, delays, null_threshold, outcomes, rates
from benchmarks.detection_judges import TIDEMARK, by_engine, by_psi
from benchmarks.detection_methods import METHODS, measure
from benchmarks.detection_report import DEFAULTS, METHODS_OUT, OUT, PAGE, SHORT, page
from benchmarks.detection_sources import RUN, Cell, Plan, Source, write_windows
from benchmarks.drifts import Drift, correlation, mean_shift, mix, nulls, scale, unit
from benchmarks.populations import CATEGORY, NUMBER, spec_of
from benchmarks.psi import psi_column
from benchmarks.windows_file import Verdicts, digests, read_manifest, read_verdicts, windows, write_verdicts

ROWS = 20_000


def rows() -> pl.DataFrame:
    """Whole and broken numbers that go together, three categories."""
    random = np.random.default_rng(1)
    x = random.normal(50, 10, ROWS)
    c = random.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1])
    return pl.DataFrame({"x": x, "whole": np.round(x + random.normal(0, 1, ROWS)), "c": c, "p": x})


def drifted(drift: Drift) -> pl.DataFrame:
    """All rows, drifted."""
    return drift.apply(rows(), np.random.default_rng(2))


@pytest.mark.parametrize("column", ["x", "whole"])
def test_a_mean_shift_and_a_scale_have_their_size(column: str) -> None:
    """A quarter of a standard deviation moves the mean by that, and a factor of 1.5 makes the spread half as large again around the same
    mean; whole numbers stay whole.
    """
    plain = rows()[column].to_numpy()
    moved = drifted(mean_shift(rows(), column, 0.25))[column].to_numpy()
    wider = drifted(scale(rows(), column, 1.5))[column].to_numpy()
    assert (moved.mean() - plain.mean()) / plain.std() == pytest.approx(0.25, abs=0.002)
    assert wider.std() / plain.std() == pytest.approx(1.5, rel=0.002)
    assert wider.mean() == pytest.approx(plain.mean(), rel=0.002)
    if column == "whole":
        assert np.array_equal(moved, np.round(moved))
        assert np.array_equal(wider, np.round(wider))


def test_a_share_of_the_rows_drifts_and_the_others_do_not() -> None:
    """A fifth of the rows: other categories (of those that had another one), nulls, another unit."""
    plain = rows()
    mixed = drifted(mix(plain, "c", 0.2))
    assert (mixed["c"] != plain["c"]).mean() == pytest.approx(0.2 * 0.7, abs=0.01)
    assert set(mixed.filter(mixed["c"] != plain["c"])["c"]) == {"b"}
    assert drifted(nulls("x", 0.2))["x"].null_count() / ROWS == pytest.approx(0.2, abs=0.01)
    changed = drifted(unit("x", 60.0, 0.2))["x"] / plain["x"]
    assert (changed > 59).mean() == pytest.approx(0.2, abs=0.01)
    assert (changed == 1).mean() == pytest.approx(0.8, abs=0.01)


def test_correlation_only_leaves_each_column_as_it_is() -> None:
    """The same values in another order: the columns' correlation goes, their distributions stay."""
    plain, half, whole = rows(), drifted(correlation("x", 0.5)), drifted(correlation("x", 1.0))
    assert sorted(whole["x"]) == sorted(half["x"]) == sorted(plain["x"])
    assert np.corrcoef(plain["x"], plain["whole"])[0, 1] > 0.99
    assert np.corrcoef(half["x"], half["whole"])[0, 1] == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef(whole["x"], whole["whole"])[0, 1] == pytest.approx(0, abs=0.03)


def test_the_null_threshold_alarms_at_its_rate() -> None:
    """Five of a hundred quiet windows lie beyond it, and about five of a hundred others; where windows tie, fewer."""
    random = np.random.default_rng(3)
    limit = null_threshold(list(range(100)), 0.05)
    assert [value for value in range(100) if value > limit] == [95, 96, 97, 98, 99]
    found = null_threshold(random.exponential(size=4000).tolist(), 0.05)
    assert np.mean(random.exponential(size=4000) > found) == pytest.approx(0.05, abs=0.012)
    assert null_threshold([1.0] * 50 + [2.0] * 50, 0.05) == 2.0
    assert null_threshold([1.0, 2.0], 0.0) == 2.0
    with pytest.raises(ValueError, match="needs quiet windows"):
        null_threshold([], 0.05)


def test_a_delay_counts_windows_up_to_the_first_alarm() -> None:
    """An alarm in the first window after the change is a delay of one; a run without any is one longer than it lasts."""
    assert delays(np.array([[True, True, False], [False, False, True], [False, False, False]])).tolist() == [1, 3, 4]


def test_figures_are_of_their_own_windows() -> None:
    """Rates are of the quiet windows that set no threshold; power and delay of a drift's own runs; what has no score has no equal rate."""
    plan = Plan(references=2, reference_rows=100, sizes=(10,), nulls=20, runs=1)
    quiet = [False] * 19 + [True]
    ours = Verdicts([*quiet, *quiet, *[True] * RUN, *[False] * (RUN - 2), True, True], None)
    loud = [float(i) for i in range(20)]
    other = Verdicts([True] * (40 + 2 * RUN), [*loud, *loud, *[100.0] * RUN, *[0.0] * RUN])
    found = outcomes({TIDEMARK: [ours, ours], "other": [other, other]}, plan)
    assert rates(found, plan) == {
        TIDEMARK: {"false_alarms": 0.05, "false_alarms_equal": 0.05},
        "other": {"false_alarms": 1.0, "false_alarms_equal": 0.05},
    }
    first, second = cell(found, plan, 0, 10), cell(found, plan, 1, 10)
    assert (first[TIDEMARK]["power"], first["other"]["power"], first["other"]["power_equal"]) == (1.0, 1.0, 1.0)
    assert (second[TIDEMARK]["power"], second["other"]["power"], second["other"]["power_equal"]) == (0.1, 1.0, 0.0)
    assert (second[TIDEMARK]["delay_windows"], second[TIDEMARK]["delay_rows"], second[TIDEMARK]["found"]) == (19.0, 190, 1.0)
    assert (second["other"]["delay_windows_equal"], second["other"]["found_equal"]) == (20.0, 0.0)
    assert better(second, 40) == []
    assert better({TIDEMARK: {"power_equal": 0.5}, "a": {"power_equal": 0.6}, "b": {"power_equal": 0.9}}, 40) == ["b"]
    assert Outcome(np.ones((1, 1), bool), None, None).equal is None


def test_the_page_names_where_another_method_is_better() -> None:
    """A cell in which another method's power is clearly higher is in the list with both figures; the sentence counts the cells."""
    methods = {key: {"power": 0.4, "power_equal": 0.4, "delay_rows_equal": 100} for key in [*SHORT, *DEFAULTS, "PSI > 0.25"]}
    figures = methods | {"PSI > 0.1": {"power": 0.9, "power_equal": 0.9, "delay_rows_equal": 50}}
    drift = {"data": "d", "rows": 10, "kind": "nulls", "grade": "5%", "column": "x", "windows": 100}
    lines = [drift | {"better": better(f, 100), "methods": f} for f in (figures, methods)]
    quiet = {"data": "d", "rows": 10, "windows": 200, "methods": {key: {"false_alarms": 0.051} for key in methods}}
    results = {"machine": {"evidently": "1"}, "peers": {}, "reference_rows": 5, "references": 1, "nulls": [quiet], "drifts": lines}
    shares = [{"rows": n, "kind": "scale", "grade": "x", "method": m, "windows": 9, "alarms": 0.5} for n in (1, 2) for m in METHODS]
    found = page(results, {"references": 1, "results": shares})
    assert "| scale x | 50 / 50 | 50 / 50 | 9 |" in found
    assert "clearly higher than that of the best other method in 0, clearly lower in 1, and within two standard errors in 1" in found
    assert "| d | 10 | nulls 5% (`x`) | 40 | PSI, deciles: 90 |  |" in found
    assert found.count("5.1") == len(DEFAULTS)


def test_ranks_see_what_long_tails_hide() -> None:
    """Of a column with a long tail whose many small values move, Kolmogorov-Smirnov finds each window and the default method hardly one;
    quiet windows are four times as many, of the same ones for both.
    """
    random = np.random.default_rng(5)
    tail = np.where(random.random(ROWS) < 0.02, random.exponential(1000, ROWS), random.normal(0, 1, ROWS))
    frame = pl.DataFrame({"x": tail, "p": random.normal(size=ROWS)})
    shift = mean_shift(frame, "x", 0.01)
    cell = Cell("mean shift", "small", "x", lambda quiet, run, step, random: shift.apply(quiet, random))
    source = Source("m", spec_of("m", {"x": NUMBER}, {"column": "p", **NUMBER}, None), frame, [cell])
    found = {(s.kind, s.method): s for s in measure(source, 2000, (200,), references=1, windows=10, draws=200)}
    assert found["mean shift", "ks"].alarms >= 0.9
    assert found["mean shift", "default"].alarms <= 0.4
    assert found["no drift", "ks"].windows == 40
    assert found["no drift", "ks"].alarms <= 0.2


def test_the_page_is_that_of_the_results() -> None:
    """docs/detection.md holds the figures of the results as they are."""
    assert PAGE.read_text(encoding="utf-8") == page(json.loads(OUT.read_text()), json.loads(METHODS_OUT.read_text()))


def test_psi_keeps_its_rate_where_it_is_sized_and_sees_new_categories() -> None:
    """Of 500 quiet windows about a twentieth is beyond the chi-square limit, of numbers and of categories; a window of a category that the
    reference has not is far beyond 0.25, and values without a bin are not counted.
    """
    random = np.random.default_rng(4)
    for series in (pl.Series("x", random.normal(size=400_000)), pl.Series("c", random.choice([*"abcde"], 400_000))):
        column = psi_column(series[:10_000], series.dtype == pl.String)
        scores, values = column.psi(series[10_000 : 10_000 + 500 * 500], 500)
        assert np.mean(scores > column.limit(values, 0.05)) == pytest.approx(0.05, abs=0.03)
    column = psi_column(pl.Series("c", ["a", "b"] * 500), categorical=True)
    scores, values = column.psi(pl.Series("c", ["a", "b", "new", "new", "a", "b", None, None]), 2)
    assert scores[0] > 0.25
    assert scores[1] < 0.01
    assert values.tolist() == [4, 2]


def test_all_tools_judge_the_same_windows(tmp_path: Path) -> None:
    """Windows come back from the files as they were made, run after run; verdicts on other windows are refused; Tidemark, Evidently and PSI
    find a large drift and stock Evidently agrees with our engine.
    """
    spec = spec_of("m", {"x": NUMBER, "whole": NUMBER, "c": CATEGORY}, {"column": "p", **NUMBER}, None)
    shift = mean_shift(rows(), "x", 2.0)
    source = Source("m", spec, rows(), [Cell("mean shift", "2 sd", "x", lambda quiet, run, step, random: shift.apply(quiet, random))])
    plan = Plan(references=1, reference_rows=2000, sizes=(50,), nulls=5, runs=1)
    manifest = write_windows(source, plan, tmp_path)
    assert read_manifest(tmp_path) == manifest
    found = list(windows(tmp_path, manifest.files[0]))
    assert [w.height for w in found] == [50] * (10 + RUN)
    assert np.mean([w["x"].mean() for w in found[:10]]) == pytest.approx(50, abs=2)
    assert np.mean([w["x"].mean() for w in found[10:]]) == pytest.approx(70, abs=2)
    verdicts = by_engine(spec, tmp_path, manifest.files[0]) | by_psi(manifest, tmp_path, manifest.files[0])
    assert all(all(v.alarms[10:]) for name, v in verdicts.items() if "half" not in name)
    out = tmp_path / "out.json"
    write_verdicts(out, tmp_path, {"tool": "1"}, {"method": {manifest.files[0].file: verdicts[TIDEMARK]}})
    assert read_verdicts(out, digests(tmp_path)) == ({"tool": "1"}, {"method": {manifest.files[0].file: verdicts[TIDEMARK]}})
    pl.read_parquet(tmp_path / manifest.files[0].file).reverse().write_parquet(tmp_path / manifest.files[0].file)
    with pytest.raises(ValueError, match="other windows"):
        read_verdicts(out, digests(tmp_path))
    assert json.loads(out.read_text())["versions"] == {"tool": "1"}
