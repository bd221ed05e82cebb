"""The domain classifier: drift of all features together, deterministic, quiet where there is none, and no one's share."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from config.spec import ModelSpec
from monitor import domain
from monitor.domain import spaced, tell_apart
from monitor.drift import evidently_snapshot
from monitor.evaluate import evaluate
from monitor.profile_store import stored_reference
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult, decode_result, encode_result


def spec_of(**fields: Any) -> ModelSpec:
    """A spec of numbers, categories, a boolean, a text and an embedding, that asks for the classifier."""
    base: dict[str, Any] = {
        "model": "m",
        "reference": "r.parquet",
        "features": {
            "x": {"type": "double"},
            "y": {"type": "double"},
            "count": {"type": "long"},
            "city": {"type": "string", "kind": "categorical"},
            "code": {"type": "long", "kind": "categorical"},
            "flag": {"type": "boolean"},
            "note": {"type": "string", "kind": "text"},
            "vector": {"type": "doubles", "kind": "embedding"},
        },
        "prediction": {"column": "prediction", "type": "double"},
        "monitors": ["data_drift"],
        "window": {"size": "1h"},
        "min_rows": 10,
        "drift": {"domain_classifier": True},
    }
    return ModelSpec.model_validate({**base, **fields})


def rows(n: int, sign: float = 1.0, seed: int = 0) -> pl.DataFrame:
    """Rows in which y goes with x, or against it; each column by itself is the same either way. With nulls and infinities."""
    rng = np.random.default_rng([n, seed])
    x = rng.normal(size=n)
    return pl.DataFrame(
        {
            "x": x,
            "y": sign * x + 0.3 * rng.normal(size=n),
            "count": pl.Series(rng.poisson(9, n)).set(pl.Series(rng.random(n) < 0.1), None),
            "city": pl.Series(rng.choice(["a", "b", "ç"], n)).set(pl.Series(rng.random(n) < 0.2), None),
            "code": rng.integers(0, 7, n),
            "flag": rng.random(n) < 0.4,
            "note": rng.choice(["one text", "another"], n),
            "vector": pl.Series(rng.normal(size=(n, 2)).tolist(), dtype=pl.List(pl.Float64)),
            "prediction": rng.normal(size=n),
        }
    ).with_columns(x=pl.when(pl.Series(rng.random(n) < 0.01)).then(float("inf")).otherwise(pl.col("x")))


def judge(folder: Path, window: pl.DataFrame, spec: ModelSpec | None = None, given_up: str = "", reference: int = 2000) -> WindowResult:
    """The result of a window of these rows; it survives its encoding."""
    spec = spec or spec_of()
    rows(reference, seed=9).write_parquet(folder / "r.parquet")
    profile = load_reference(spec, folder / "r.parquet")
    data = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), window, window.height, 0, True, {})
    result = evaluate(data, spec, profile, given_up)
    assert decode_result(encode_result(result)) == result
    evidently_snapshot(data, spec, profile, result.columns)
    return result


def test_drift_that_no_column_shows_is_found(tmp_path: Path) -> None:
    """Two columns that no longer go together: each is quiet by itself, the classifier tells the window apart and says by which."""
    result = judge(tmp_path, rows(1000, -1.0))
    together = result.columns[-1]
    assert not any(c.drifted for c in result.columns[:-1])
    assert (together.name, together.role, together.status, together.drifted) == (domain.NAME, "dataset", "ok", True)
    assert (together.threshold, together.rows, together.method) == (0.55, 1000, "domain classifier ROC AUC")
    assert together.score is not None
    assert together.score > 0.9
    assert {change.split('"')[1] for change in together.changes} == {"x", "y"}
    assert f"ROC AUC {together.score:.4g} → 0." in together.changes[0]


def test_it_counts_in_no_share(tmp_path: Path) -> None:
    """The dataset's verdict is no feature's: drifted columns, share and the window's verdict are those of the columns."""
    result = judge(tmp_path, rows(1000, -1.0))
    assert (result.drifted_columns, result.drift_share, result.drifted, result.drifted_names()) == (0, 0.0, False, [])
    assert result.drifted_names("dataset") == [domain.NAME]


@pytest.mark.parametrize(("n", "windows"), [(60, 4), (1000, 1)])
def test_quiet_windows_are_quiet(tmp_path: Path, n: int, windows: int) -> None:
    """Rows of the reference's distribution are not told apart, whatever the window's size: at few rows the threshold is what chance
    reaches in one window of twenty.
    """
    found = [judge(tmp_path, rows(n, seed=seed)).columns[-1] for seed in range(windows)]
    assert sum(c.drifted for c in found) <= 1
    assert all(c.threshold is not None and c.threshold >= 0.55 for c in found)
    assert all((c.threshold == 0.55) == (n == 1000) for c in found)


def test_the_threshold_of_few_rows_is_what_chance_reaches() -> None:
    """The closed form is the 95 % quantile of the ROC AUC of random scores."""
    truth = np.repeat([0, 1], [500, 40])
    ranks = np.random.default_rng(0).random((2000, 540)).argsort(axis=1).argsort(axis=1)[:, 500:]
    drawn = (ranks.sum(axis=1) - 40 * 39 / 2) / (500 * 40)  # of Mann-Whitney's statistic
    assert domain._chance(truth) == pytest.approx(np.quantile(drawn, 0.95), abs=0.005)


def test_the_same_window_has_the_same_result(tmp_path: Path) -> None:
    """No clock, no random state: twice the same bytes; NumPy's random state does not matter and is left alone."""
    np.random.seed(1)
    first = encode_result(judge(tmp_path, rows(300)))
    np.random.seed(2)
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    assert encode_result(judge(tmp_path, rows(300))) == first
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


def test_a_chosen_threshold_is_held_against(tmp_path: Path) -> None:
    """The spec's threshold takes the place of ours."""
    column = judge(tmp_path, rows(1000, -1.0), spec_of(drift={"domain_classifier": {"threshold": 0.999}})).columns[-1]
    assert (column.threshold, column.drifted, column.changes) == (0.999, False, ())


def test_columns_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    """A missing column and one of another type are named; the classifier goes by the others. Without any it says so."""
    window = rows(300, -1.0).drop("city").with_columns(pl.col("count").cast(pl.String))
    column = judge(tmp_path, window).columns[-1]
    assert (column.status, column.drifted) == ("ok", True)
    assert column.reason == 'without "count", "city", which cannot be read'
    nothing = judge(tmp_path, window.select("prediction", "note")).columns[-1]
    assert (nothing.status, nothing.reason) == ("error", "no feature of this window can be read")


def test_all_null_columns_and_new_categories_are_told_apart(tmp_path: Path) -> None:
    """An all-null column and categories that the reference never had are values like others."""
    for odd in (pl.lit(None, dtype=pl.Float64), pl.lit(float("-inf"))):
        assert judge(tmp_path, rows(300).with_columns(x=odd)).columns[-1].drifted
    assert judge(tmp_path, rows(300).with_columns(city=pl.lit("<new>"))).columns[-1].drifted


def test_too_few_rows_say_nothing(tmp_path: Path) -> None:
    """Below min_rows there is no verdict; from there up to 20 rows an error."""
    assert judge(tmp_path, rows(9)).columns[-1].status == "insufficient_data"
    assert judge(tmp_path, rows(19)).columns[-1].reason.startswith("19 rows against 2000 of the reference: the domain classifier needs 20")


def test_it_is_given_up_alone(tmp_path: Path) -> None:
    """Where the caller has given up on slow methods the columns are judged all the same."""
    result = judge(tmp_path, rows(300), given_up="it took longer than 3 s")
    assert (result.columns[-1].status, result.columns[-1].reason) == ("error", "it took longer than 3 s")
    assert all(c.status == "ok" for c in result.columns[:-1])
    assert result.status == "ok"


def test_a_spec_without_it_has_no_such_column(tmp_path: Path) -> None:
    """false is the default, and the digest of a spec that does not ask is what it was."""
    plain = spec_of(drift={})
    assert spec_of(drift={"domain_classifier": False}).digest("f") == plain.digest("f") != spec_of().digest("f")
    assert judge(tmp_path, rows(50), plain).column("dataset") is None


@pytest.mark.parametrize("fields", [{"monitors": ["prediction_drift"]}, {"features": {"note": {"type": "string", "kind": "text"}}}])
def test_a_spec_that_gives_it_nothing_to_see_is_refused(fields: dict[str, Any]) -> None:
    """It needs data_drift and a numerical or categorical feature."""
    with pytest.raises(ValueError, match="domain_classifier needs monitor data_drift and a numerical or categorical feature"):
        spec_of(**fields)


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most MOST_ROWS of either side, evenly spaced, first and last included."""
    monkeypatch.setattr(domain, "MOST_ROWS", 11)
    assert spaced(pl.DataFrame({"x": range(101)}))["x"].to_list() == list(range(0, 101, 10))
    assert spaced(pl.DataFrame({"x": range(11)})).height == 11


def test_a_stored_profile_judges_as_a_fresh_one(tmp_path: Path) -> None:
    """Texts, embeddings and the classifier's rows survive storing and mapping: the result has the same bytes."""
    spec, window = spec_of(), rows(200, -1.0)
    rows(500, seed=9).write_parquet(tmp_path / "r.parquet")
    data = WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), window, window.height, 0, True, {})
    first, again = (encode_result(evaluate(data, spec, stored_reference(spec, tmp_path / "r.parquet"))) for _ in range(2))
    assert first == again == encode_result(evaluate(data, spec, load_reference(spec, tmp_path / "r.parquet")))


def test_categories_are_codes_by_frequency() -> None:
    """The most frequent category of both sides is 0, all beyond 254 share one code, null stays unknown; numbers stay, infinities do not."""
    reference = pl.Series("c", [*[f"c{i:03d}" for i in range(300)] * 2, None])
    found = domain._encoded(reference, pl.Series("c", ["c299", "c299", "new", None]), categorical=True)
    assert found[601:].tolist() == [0.0, 0.0, 254.0, pytest.approx(float("nan"), nan_ok=True)]
    assert np.isnan(found[600])
    assert (np.nanmax(found), len(np.unique(found[:300]))) == (254.0, 255)
    numbers = domain._encoded(pl.Series("x", [1.5, None]), pl.Series("x", [float("inf"), -2.0]), categorical=False)
    assert numbers.tolist() == pytest.approx([1.5, float("nan"), float("nan"), -2.0], nan_ok=True)


def test_a_wide_table_is_not_explained_column_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shuffling hundreds of columns one by one would take longer than the verdict."""
    monkeypatch.setattr(domain, "MOST_EXPLAINED", 1)
    spec = spec_of()
    frame = rows(300, -1.0).select(list(spec.classified))
    told = tell_apart(rows(500).select(list(spec.classified)), spec.classified, _read(frame, spec), None)
    assert (told.drifted, told.changes) == (True, ())


def _read(frame: pl.DataFrame, spec: ModelSpec) -> Any:
    from monitor.columns import read_columns

    return read_columns(frame, spec.classified)
