"""Statistics of many windows at once are those of one window, and null windows are what the theory wants them to be."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from monitor.calibration import batched
from monitor.calibration.judged import judged_column
from monitor.statistics.methods import METHODS
from monitor.statistics.profiles import fit_counts, fit_numbers, sample
from monitor.statistics.score import category_score, number_score
from monitor.values import category_counts

ROWS = 700
RANDOM = np.random.default_rng(3)
NUMBERS = {
    "continuous": RANDOM.normal(3, 2, ROWS),
    "few": RANDOM.integers(0, 4, ROWS).astype(float),
    "tied": RANDOM.gamma(0.5, 30, ROWS).round(),
    "nulls": np.where(RANDOM.random(ROWS) < 0.2, np.nan, RANDOM.normal(0, 1, ROWS)),
}
CATEGORIES = pl.Series("c", RANDOM.choice([*"abcdefg", None], ROWS, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.02, 0.01, 0.02]).tolist())


def windows(m: int) -> batched.Rows:
    """Five windows of m rows."""
    return np.stack([np.random.default_rng([m, i]).choice(ROWS, m, replace=False) for i in range(5)]).astype(np.int32)


@pytest.mark.parametrize("m", [9, 60, 340])
@pytest.mark.parametrize("method", ["wasserstein", "ks", "ed", "t_test", "jensenshannon", "psi", "kl_div", "hellinger"])
@pytest.mark.parametrize("values", NUMBERS)
def test_a_number_scores_as_in_a_window_of_its_own(values: str, method: str, m: int) -> None:
    """Drawn from the reference and held against the rest of it, each window's score is that of monitor.statistics within 1e-9."""
    series = pl.Series("x", NUMBERS[values]).fill_nan(None)
    column = judged_column(series, "numerical", method)
    found = batched.scores(method, column.binned(0), windows(m))  # 0: the rest and the window together are as many as the reference
    for rows, score in zip(windows(m), found.tolist(), strict=True):
        inside = np.zeros(ROWS, dtype=bool)
        inside[rows] = True
        rest, window = (series.filter(pl.Series(mask)).drop_nulls().to_numpy() for mask in (~inside, inside))
        profile = fit_numbers(rest)
        expected = number_score(profile, sample(window), METHODS[method])
        if method == "wasserstein":
            expected *= profile.norm / column.coded.norm  # the whole reference's norm, as a real window has it
        assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("m", [9, 60, 340])
@pytest.mark.parametrize("method", ["jensenshannon", "psi", "kl_div", "hellinger", "chisquare", "z"])
def test_a_category_scores_as_in_a_window_of_its_own(method: str, m: int) -> None:
    """The same for categories, nulls left out."""
    column = judged_column(CATEGORIES, "categorical", method)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = batched.scores(method, column.binned(0), windows(m))
    for rows, score in zip(windows(m), found.tolist(), strict=True):
        inside = np.zeros(ROWS, dtype=bool)
        inside[rows] = True
        rest, window = (category_counts(CATEGORIES.filter(pl.Series(mask))) for mask in (~inside, inside))
        assert score == pytest.approx(category_score(fit_counts(rest), window, METHODS[method]), abs=1e-9)


@pytest.mark.parametrize("values", ["continuous", "nulls"])
def test_p_values_of_many_windows_are_interpolated_within_a_hundredth(values: str) -> None:
    """Those of 300 windows at once differ from those of one window after another by less than 1 %, whatever their sizes are."""
    column = judged_column(pl.Series("x", NUMBERS[values]).fill_nan(None), "numerical", "ks").coded
    rows = np.stack([np.random.default_rng([7, i]).choice(ROWS, 90, replace=False) for i in range(300)]).astype(np.int32)
    together = batched.ks(column, rows)
    apart = np.concatenate([batched.ks(column, rows[i : i + 50]) for i in range(0, 300, 50)])
    assert together == pytest.approx(apart, rel=0.01)


@pytest.mark.parametrize("n", [50, 500, 3333])
def test_a_null_window_weighs_as_much_as_a_real_one(n: int) -> None:
    """1/m + 1/(N - m) = 1/n + 1/N within half a row, so scores of both have the same law."""
    m = batched.effective(10_000, n)
    assert 1 / (m + 0.5) + 1 / (10_000 - m - 0.5) <= 1 / n + 1 / 10_000 <= 1 / (m - 0.5) + 1 / (10_000 - m + 0.5)
    assert batched.effective(10_000, 9000) == 5000
