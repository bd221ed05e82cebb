"""What changed, from the verdict of a whole window: every number in the texts is worked out again from the rows, by other means."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from config.spec import ModelSpec
from monitor.changes import number, percent
from monitor.evaluate import evaluate
from monitor.ranking import ranked
from monitor.reference import load_reference
from monitor.reports.page import header
from monitor.window import WindowData
from schemas.result import ColumnResult, WindowResult

SPEC = ModelSpec.model_validate({
    "model": "m",
    "reference": "r.parquet",
    "features": {
        "delay": {"type": "double"},
        "metres": {"type": "double"},
        "carrier": {"type": "string", "kind": "categorical"},
        "quiet": {"type": "double"},
    },
    "prediction": {"column": "yhat", "type": "double"},
    "window": {"size": "1h"},
})  # fmt: skip


def rows(seed: int, n: int, window: bool) -> pl.DataFrame:
    """Rows; in the window delays are later and a fifth unknown, metres are feet, carriers come and go, the prediction follows."""
    rng = np.random.default_rng(seed)
    delay = rng.gamma(2, 10, n) + 15 * window
    carriers, shares = (["UA", "B6", "ACK", "MVY"], [0.2, 0.6, 0.15, 0.05]) if window else (["UA", "B6", "9E"], [0.5, 0.45, 0.05])
    frame = pl.DataFrame({
        "delay": delay,
        "metres": rng.lognormal(5, 0.4, n) * (3.28084 if window else 1),
        "carrier": rng.choice(carriers, n, p=shares),
        "quiet": rng.normal(0, 1, n),
        "yhat": delay * 1.1 + rng.normal(0, 1, n),
    })  # fmt: skip
    unknown = pl.Series(rng.random(n) < (0.2 if window else 0.02))
    return frame.with_columns(delay=pl.when(~unknown).then("delay"))


Judged = tuple[pl.DataFrame, pl.DataFrame, WindowResult]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Reference, window, and the verdict."""
    reference, window = rows(1, 4_000, False), rows(2, 3_000, True)
    path = tmp_path_factory.mktemp("changes") / "r.parquet"
    reference.write_parquet(path)
    nulls = {c: window[c].null_count() for c in window.columns}
    data = WindowData("m", "live", "live", 0, 3_600_000, "d", 0, ("1",), window, window.height, 0, True, nulls)
    return reference, window, evaluate(data, SPEC, load_reference(SPEC, path))


def column(result: WindowResult, name: str) -> ColumnResult:
    """A column's verdict."""
    return next(c for c in result.columns if c.name == name)


def moved(name: str, judged: Judged) -> list[str]:
    """What the texts about a column of numbers have to say, from pandas and numpy."""
    before, after = (frame[name].drop_nulls().to_pandas() for frame in judged[:2])
    low, mid, high = ([float(np.quantile(s, q, method="inverted_cdf")) for s in (before, after)] for q in (0.05, 0.5, 0.95))
    outside = ((after < before.min()) | (after > before.max())).mean()
    reach = f"{number(before.min())} to {number(before.max())} (now {number(after.min())} to {number(after.max())})"
    texts = [
        f"mean {number(before.mean())} → {number(after.mean())}",
        f"median {number(mid[0])} → {number(mid[1])}",
        f"5–95 % of values {number(low[0])} to {number(high[0])} → {number(low[1])} to {number(high[1])}",
    ]
    return [*texts, *([f"{percent(outside)} of values outside the reference's range {reach}"] if outside else [])]


def test_numbers_and_nulls_from_to(judged: Judged) -> None:
    """Mean, median, the middle 90 %, the range, and the share of nulls of a feature."""
    before, after = (f"{percent(f['delay'].null_count() / f.height)}" for f in judged[:2])
    assert list(column(judged[2], "delay").changes) == [*moved("delay", judged), f"nulls {before} → {after} of rows"]


def test_the_prediction_s_shift_in_the_same_terms(judged: Judged) -> None:
    """The prediction is told as a feature is, in the result and in the report."""
    found = column(judged[2], "yhat")
    assert (found.role, found.drifted) == ("prediction", True)
    assert list(found.changes) == moved("yhat", judged)
    assert f"(prediction): {found.changes[0]}" in header(judged[2])


def test_another_unit_is_told_with_its_factor(judged: Judged) -> None:
    """Metres that became feet: one factor for every quantile, near the true 3.28."""
    texts = column(judged[2], "metres").changes
    assert list(texts[:-1]) == moved("metres", judged)
    ratios = sorted(
        float(np.quantile(judged[1]["metres"], q, method="inverted_cdf") / np.quantile(judged[0]["metres"], q, method="inverted_cdf"))
        for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    assert texts[-1] == f"every quantile ×{number(ratios[2])}, as by another unit"
    assert ratios[2] == pytest.approx(3.28084, rel=0.05)


def test_new_and_vanished_categories_with_their_shares(judged: Judged) -> None:
    """Counted with pandas' value_counts."""
    before, after = (frame["carrier"].to_pandas().value_counts(normalize=True) for frame in judged[:2])
    assert list(column(judged[2], "carrier").changes) == [
        f'2 new categories, {percent(after["ACK"] + after["MVY"])} of rows: "ACK" {percent(after["ACK"])}, "MVY" {percent(after["MVY"])}',
        f'1 vanished category, {percent(before["9E"])} of rows: "9E" {percent(before["9E"])}',
        *(
            f'share of "{c}" {percent(before[c])} → {percent(after[c])}'
            for c in sorted(("UA", "B6"), key=lambda c: -abs(after[c] - before[c]))
        ),
    ]


def test_a_quiet_column_is_not_told_and_the_others_are_ranked(judged: Judged) -> None:
    """Only drifted columns have texts, ranked by how far their scores lie beyond their thresholds."""
    assert column(judged[2], "quiet").changes == ()
    order = ranked(judged[2].columns)
    assert order[-1].name == "quiet"
    ratios = [c.score / c.threshold for c in order if c.score is not None and c.threshold]
    assert ratios == sorted(ratios, reverse=True)
