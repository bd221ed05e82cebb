"""The false-alarm benchmark judges many windows at once as the worker judges them one by one."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import polars as pl
import pytest

from benchmarks.false_alarms import DATA_SETS, OUT, measure, windows_for
from benchmarks.false_alarms_report import PAGE, inserted
from benchmarks.many_windows import Coded, judged, profile_of
from benchmarks.populations import CATEGORY, NUMBER, spec_of
from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.calibration.fit import fit, fits


def spec() -> ModelSpec:
    """Numbers of many and of few values, frequent and rare categories, nulls."""
    features = {"x": NUMBER, "heavy": NUMBER, "few": NUMBER, "c": CATEGORY, "gaps": NUMBER}
    return spec_of("m", features, {"column": "p", **NUMBER}, {"column": "t", **CATEGORY})


def rows(count: int, seed: int = 0) -> pl.DataFrame:
    """Rows of one law; a few outliers decide ``heavy``, some values of ``c`` come once in a thousand rows."""
    random = np.random.default_rng(seed)
    shares = np.array([0.6, 0.3, 0.095, *[0.001] * 5])
    x = random.normal(size=count)
    frame = pl.DataFrame(
        {
            "x": x,
            "heavy": random.standard_cauchy(count),
            "few": random.integers(0, 4, count).astype(float),
            "c": random.choice([*"abcdefgh"], count, p=shares / shares.sum()),
            "gaps": np.where(random.random(count) < 0.05, np.nan, np.round(x, 1)),
            "p": x + random.normal(size=count),
            "t": random.choice(["yes", "no"], count),
        }
    )
    return frame.with_columns(pl.col("gaps").fill_nan(None))


@pytest.mark.parametrize("n", [40, 700])
def test_many_windows_at_once_are_judged_as_one_by_one(n: int) -> None:
    """Alarms by two rates and Evidently's verdicts are the same, of quiet windows and of windows with a drift in each column."""
    population = rows(6000)
    plain = rows(500, seed=1).with_columns(pl.col("x") + 0.3, few=pl.lit(1.0), gaps=pl.lit(None, pl.Float64), t=pl.lit("yes"))
    rare = rows(500, seed=2).with_columns(c=pl.lit("h"))  # what a permutation test is asked about
    both = pl.concat([population, plain, rare])
    order = np.random.default_rng(3).permutation(6000)
    reference = both[order[:2000]]
    profile, calibrations = profile_of(spec(), reference), fits(spec(), reference, [0.01, 0.2], draws=300)
    random = np.random.default_rng(4)
    changed = [[], [], random.choice(500, 2), random.choice(500, 8), 500 + random.choice(500, 1), 500 + random.choice(500, 4)]
    mixed = [np.append(random.choice(order[2000:], n - len(c), replace=False), 6000 + np.array(c, int)) for c in changed * 4]
    windows = np.stack(mixed).astype(np.int32)
    found = Coded(spec(), both).reference(order[:2000], profile).judge(windows, calibrations)
    single = [judged(spec(), profile, calibrations, both[window]) for window in windows]
    assert found.alarms.T.tolist() == [flags for flags, _ in single]
    assert found.stock == pytest.approx([np.mean([s.drifted for s in scores.values()]) for _, scores in single])
    assert 0 < found.alarms[1].sum() < len(windows)
    assert found.confirmations > 0


def test_several_rates_at_once_give_the_calibrations_of_each() -> None:
    """Thresholds at two rates from the same null windows are those that each rate gets by itself."""
    reference = rows(1500)
    for rate, both in zip((0.01, 0.05), fits(spec(), reference, (0.01, 0.05), draws=200), strict=True):
        alone = fit(spec(), reference, rate=rate, draws=200)
        assert both.rate == rate
        assert {n: c.thresholds.tolist() for n, c in both.columns.items()} == {n: c.thresholds.tolist() for n, c in alone.columns.items()}


def test_a_difference_from_the_workers_way_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows at once are checked against the worker's way in the same run: a score that is off by a tenth is an error, not a figure."""
    from monitor.calibration import batched

    right = batched.wasserstein
    measured = measure(spec(), rows(6000), 2000, (50,), (0.05,), references=1, windows=5, draws=100)
    assert measured[0].checked == 3
    monkeypatch.setattr(batched, "wasserstein", lambda column, windows: right(column, windows) * 10)
    with pytest.raises(TidemarkError, match="the worker's way gives"):
        measure(spec(), rows(6000), 2000, (50,), (0.05,), references=1, windows=5, draws=100)


def test_windows_are_shared_by_the_references() -> None:
    """40,000 windows a cell, 10,000 beyond a tenth of the reference."""
    assert windows_for(1000, 10_000, 25, 1.0) * 25 == 40_000
    assert windows_for(1001, 10_000, 25, 1.0) * 25 == 10_000


def test_the_docs_have_the_measured_rates() -> None:
    """The table of docs/thresholds.md is that of the results; each cell of up to a tenth of the reference, from 40,000 windows and 25
    references or more on three data sets, is within a fifth of its rate.
    """
    results = json.loads(OUT.read_text())["results"]
    text = PAGE.read_text(encoding="utf-8")
    assert inserted(text, results) == text
    kept = [cell for cell in results if 10 * cell["window_rows"] <= cell["reference_rows"]]
    assert {(cell["data"], cell["window_rows"]) for cell in kept} == set(product(DATA_SETS, (50, 100, 500, 1000)))
    for cell in kept:
        assert cell["windows"] >= 40_000
        assert cell["references"] >= 25
        assert cell["checked"] >= 75
        assert abs(cell["measured"] / cell["configured"] - 1) <= 0.2
