"""Embeddings: Evidently's embedding drift methods on list columns, our fast forms equal to them, odd vectors counted and named."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from evidently import Dataset, Report
from evidently.legacy.metrics.data_drift.embedding_drift_methods import (
    DistanceDriftMethod,
    DriftMethod,
    MMDDriftMethod,
    ModelDriftMethod,
    RatioDriftMethod,
)
from evidently.metrics import EmbeddingsDrift

from config.errors import ReferenceDataError, SpecError
from config.spec import ModelSpec
from monitor import embeddings
from monitor.drift import components, data_definition, evidently_snapshot, expanded
from monitor.embeddings import distances, fit_vectors, vectors
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.statistics.continuous import wasserstein
from monitor.statistics.methods import METHODS
from monitor.statistics.profiles import fit_numbers, sample
from monitor.window import WindowData
from schemas.event import event_schema
from schemas.result import ColumnResult

STOCK: dict[str, type[DriftMethod]] = {
    "ratio": RatioDriftMethod,
    "distance": DistanceDriftMethod,
    "model": ModelDriftMethod,
    "mmd": MMDDriftMethod,
}
LENGTH = 12
Matrix = npt.NDArray[np.float64]


def spec_of(method: str | None = None, threshold: float | None = None) -> ModelSpec:
    """A spec with one embedding."""
    return ModelSpec.model_validate(
        {
            "model": "m",
            "reference": "r.parquet",
            "features": {"vector (ü)": {"type": "doubles", "kind": "embedding"}},
            "prediction": {"column": "prediction", "type": "double"},
            "monitors": ["data_drift", "data_quality"],
            "window": {"size": "1h"},
            "min_rows": 1,
            "drift": {"columns": {"vector (ü)": {"method": method, "threshold": threshold}}},
        }
    )


def column_of(rows: Any) -> pl.Series:
    """A list column."""
    return pl.Series("vector (ü)", rows if isinstance(rows, list) else rows.tolist(), dtype=pl.List(pl.Float64))


def matrix(rows: int, shift: float = 0.0, seed: int = 0) -> Matrix:
    """Vectors whose components are on several scales, one of them constant and one of few values; ``shift`` moves every third."""
    rng = np.random.default_rng([rows, seed])
    found = rng.normal(0, 1, (rows, LENGTH)) * np.logspace(-2, 1, LENGTH)
    found[:, 4], found[:, 5] = 7.0, rng.integers(0, 3, rows)
    found[:, ::3] += shift * np.logspace(-2, 1, LENGTH)[::3]
    return found


def judge(
    folder: Path, reference: Any, window: Any, method: str | None = None, threshold: float | None = None, given_up: str = ""
) -> ColumnResult:
    """The verdict on a window of vectors, through Parquet; data quality and an Evidently Snapshot can be made of it."""
    spec, rows = spec_of(method, threshold), column_of(reference)
    rows.to_frame().with_columns(prediction=pl.lit(0.0)).write_parquet(folder / "r.parquet")
    profile = load_reference(spec, folder / "r.parquet")
    frame = column_of(window).to_frame()
    data = WindowData(
        "m", "live", "live", 0, 1, "d", 0, ("1",), frame, frame.height, 0, True, {"vector (ü)": frame["vector (ü)"].null_count()}
    )
    result = evaluate(data, spec, profile, given_up)
    assert result.quality is not None
    assert result.quality.columns[0].status == "ok"
    column = result.columns[0]
    assert len(evidently_snapshot(data, spec, profile, result.columns).dict()["metrics"]) == 2 * (column.status == "ok")
    return column


def stock(method: str, reference: Matrix, window: Matrix, **fields: Any) -> tuple[float, bool, str]:
    """What Evidently's own method says."""
    names = [f"c{i}" for i in range(reference.shape[1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score, drifted, name = STOCK[method](**fields)(pd.DataFrame(window, columns=names), pd.DataFrame(reference, columns=names))
    return float(score), bool(drifted), name


@pytest.mark.parametrize("method", STOCK)
@pytest.mark.parametrize("shift", [0.0, 0.05, 1.0])
@pytest.mark.parametrize(("rows", "window_rows"), [(100, 40), (800, 400), (300, 900)])
def test_every_method_has_evidently_s_verdict(method: str, shift: float, rows: int, window_rows: int, tmp_path: Path) -> None:
    """Score within 1e-9, verdict, name and default threshold are those of Evidently's embedding drift methods."""
    reference, window = matrix(rows), matrix(window_rows, shift, seed=1)
    column = judge(tmp_path, reference, window, method)
    score, drifted, name = stock(method, reference, window)
    assert (column.status, column.method, column.drifted) == ("ok", name, drifted)
    assert column.score == pytest.approx(score, abs=1e-9)
    assert column.threshold == STOCK[method]().threshold == METHODS[method].threshold


@pytest.mark.parametrize("method", STOCK)
def test_a_chosen_threshold_is_held_against_as_evidently_does(method: str, tmp_path: Path) -> None:
    """At a threshold equal to the score nothing has drifted, just below it it has: ``>``."""
    reference, window = matrix(200), matrix(100, 0.5, seed=1)
    score, _, _ = stock(method, reference, window)
    for threshold in (score, float(np.nextafter(score, -np.inf))):
        ours = judge(tmp_path, reference, window, method, threshold)
        assert (ours.threshold, ours.drifted) == (threshold, stock(method, reference, window, threshold=threshold)[1])


def test_the_default_method_is_the_ratio_of_drifted_components(tmp_path: Path) -> None:
    """Evidently's ratio, with a fast form; what changed says how many components drifted and how far the mean moved."""
    reference, window = matrix(2000), matrix(1000, 1.0, seed=1)
    column = judge(tmp_path, reference, window)
    moved = np.linalg.norm(reference.mean(axis=0) - window.mean(axis=0))
    assert column.score == pytest.approx(4 / LENGTH)
    assert (column.method, column.drifted) == ("ratio", True)
    assert column.changes[0] == f"4 of {LENGTH} components drifted (33.3 %)"
    assert column.changes[1].endswith(f"moved by {moved:.4g}")
    assert judge(tmp_path, reference, matrix(1000, seed=1)).changes == ()


def test_components_are_judged_as_numerical_columns_are() -> None:
    """Components that share counts give the distances of profiles fitted one by one, ties included."""
    reference, window = matrix(500), matrix(300, 0.2, seed=1)
    found = distances(fit_vectors(reference, None), window)
    one_by_one = [wasserstein(fit_numbers(reference[:, i].copy()), sample(window[:, i].copy())) for i in range(LENGTH)]
    assert found == pytest.approx(np.array(one_by_one), abs=1e-12)


def test_odd_vectors_are_left_out_and_named(tmp_path: Path) -> None:
    """Vectors of another length, with a null or with no finite number are counted; the verdict is that on the others."""
    reference, window = matrix(400), matrix(200, 1.0, seed=1)
    odd = [[], [1.0] * (LENGTH + 1), [*[1.0] * (LENGTH - 1), None], [float("nan")] * LENGTH, [float("inf")] * LENGTH, None, None]
    column = judge(tmp_path, reference, [*odd, *window.tolist()])
    plain = judge(tmp_path, reference, window)
    assert column.reason == f"5 of 205 vectors left out: 2 not of length {LENGTH}, 3 with a null or a number that is not finite"
    assert (column.score, column.rows, column.nulls) == (plain.score, 200, 2)
    assert plain.reason == ""


def test_a_window_without_a_usable_vector_is_that_column_s_error(tmp_path: Path) -> None:
    """All null, all of another length: the reason says so."""
    nothing = judge(tmp_path, matrix(50), [None] * 9)
    assert (nothing.status, nothing.reason) == ("error", "no usable vector: all 9 rows are null")
    other = judge(tmp_path, matrix(50), [[1.0, 2.0]] * 9)
    assert other.reason == f"no usable vector: 9 of 9 vectors left out: 9 not of length {LENGTH}"


def test_narrower_types_are_the_same_vectors(tmp_path: Path) -> None:
    """Fixed-size arrays, floats of 32 bits and integers are read as doubles; other lists are refused."""
    spec = spec_of()
    column_of(matrix(100)).to_frame().with_columns(prediction=pl.lit(0.0)).write_parquet(tmp_path / "r.parquet")
    profile = load_reference(spec, tmp_path / "r.parquet")

    def judged(series: pl.Series) -> ColumnResult:
        frame = series.alias("vector (ü)").to_frame()
        return evaluate(WindowData("m", "live", "live", 0, 1, "d", 0, ("1",), frame, frame.height, 0, True, {}), spec, profile).columns[0]

    whole = np.round(matrix(60, seed=1)).tolist()
    plain = judged(pl.Series(whole, dtype=pl.List(pl.Float64)))
    assert plain.status == "ok"
    for dtype in (pl.Array(pl.Float64, LENGTH), pl.List(pl.Float32), pl.List(pl.Int16)):
        assert judged(pl.Series(whole).cast(dtype)) == plain
    assert judged(pl.Series([["a"]] * 9)).reason == "the column holds List(String), the spec says doubles (arrays of numbers)"
    assert judged(pl.Series([1.0] * 9)).reason == "the column holds Float64, the spec says doubles (arrays of numbers)"


def test_a_reference_of_several_lengths_is_refused(tmp_path: Path) -> None:
    """Vectors of two models cannot be compared; nor can a reference without any."""
    with pytest.raises(ReferenceDataError, match=f"several lengths: most have {LENGTH} numbers, 3 have not"):
        judge(tmp_path, [*matrix(50).tolist(), *[[1.0]] * 3], matrix(50))
    nothings: tuple[list[Any], ...] = ([None] * 5, [[]] * 5, [[float("nan")] * 3] * 5)
    for nothing in nothings:
        with pytest.raises(ReferenceDataError, match="no usable vector in 5 rows"):
            judge(tmp_path, nothing, matrix(50))


def test_fingerprints_follow_the_vectors(tmp_path: Path) -> None:
    """The same vectors in another type have the same fingerprint; one other number, length or null has another."""

    def fingerprint(rows: Any, dtype: pl.DataType) -> str:
        pl.DataFrame({"vector (ü)": pl.Series(rows).cast(dtype)}).with_columns(prediction=pl.lit(0.0)).write_parquet(tmp_path / "r.parquet")
        return load_reference(spec_of(), tmp_path / "r.parquet").fingerprint

    rows: list[Any] = [[1.0, 2.0], [3.0, 4.0], None]
    doubles = pl.List(pl.Float64())
    first = fingerprint(rows, doubles)
    assert fingerprint(rows, pl.Array(pl.Float32(), 2)) == first
    others = ([[1.0, 2.0], [3.0, 5.0], None], [[1.0, 2.0], None, [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0], [3.0, 4.0]])
    assert len({first, *(fingerprint(other, doubles) for other in others)}) == 4


def test_a_large_reference_is_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than MOST_NUMBERS numbers evenly spaced rows are used, so memory is bounded."""
    monkeypatch.setattr(embeddings, "MOST_NUMBERS", 10 * LENGTH)
    rows = matrix(100)
    profile = fit_vectors(rows, METHODS["model"])
    assert profile.matrix is not None
    assert (profile.size, profile.components) == (10, ())
    assert profile.matrix.tolist() == rows[::11].tolist()


def test_mmd_is_of_a_bounded_number_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel matrix has rows² numbers: at most MMD_ROWS of either side are taken, evenly spaced."""
    monkeypatch.setattr(embeddings, "MMD_ROWS", 50)
    reference, window = matrix(442), matrix(50, 0.5, seed=1)
    assert judge(tmp_path, reference, window, "mmd").score == pytest.approx(stock("mmd", reference[::9], window)[0], abs=1e-9)


def test_slow_methods_are_given_up(tmp_path: Path) -> None:
    """model and mmd are for the slow lane, ratio and distance are not."""
    reasons = {m: judge(tmp_path, matrix(50), matrix(50), m, given_up="it took longer than 3 s").reason for m in STOCK}
    assert reasons == {
        "ratio": "",
        "distance": "",
        "model": "model: it took longer than 3 s",
        "mmd": "mmd: it took longer than 3 s",
    }


def test_methods_for_numbers_are_refused(tmp_path: Path) -> None:
    """A method for another kind of column is refused with those that can be used."""
    with pytest.raises(SpecError, match="is not for embedding columns") as caught:
        judge(tmp_path, matrix(50), matrix(50), "wasserstein")
    assert caught.value.remedy.startswith("use one of: ratio, distance, model, mmd;")


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ({"type": "doubles"}, "kind: embedding goes with type: doubles"),
        ({"type": "double", "kind": "embedding"}, "kind: embedding goes with type: doubles"),
        ({"type": "long", "kind": "text"}, "kind: text is for a string column"),
        ({"type": "string"}, "set kind: categorical, or kind: text"),
    ],
)
def test_a_kind_that_does_not_suit_its_type_is_refused(column: dict[str, str], why: str) -> None:
    """The spec says what goes together."""
    with pytest.raises(ValueError, match=why):
        ModelSpec.model_validate({**spec_of().model_dump(), "features": {"x": column}, "drift": {}})


def test_an_embedding_is_a_nullable_array_on_the_wire() -> None:
    """The event's schema has an array of doubles for it."""
    features = event_schema(spec_of())["fields"][-1]["type"]["fields"]
    assert features[0]["type"] == ["null", {"type": "array", "items": "double"}]


def test_evidently_finds_the_components_of_an_expanded_frame() -> None:
    """Stock ``EmbeddingsDrift`` on the expanded frame and our DataDefinition gives our score; odd vectors become nulls."""
    spec, lengths = spec_of(), {"vector (ü)": LENGTH}
    reference, window = matrix(22), matrix(20, 1.0, seed=1)  # Evidently draws them by t-SNE, which takes its time
    definition = data_definition(spec, lengths)
    assert definition.embeddings == {"vector (ü)": components("vector (ü)", LENGTH)}
    assert data_definition(spec).list_columns == ["vector (ü)"]
    sets = [
        Dataset.from_pandas(expanded(column_of(m).to_frame(), lengths).with_columns(prediction=0.0).to_pandas(), definition)
        for m in (window, reference)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = Report([EmbeddingsDrift(embeddings_name="vector (ü)", drift_method=RatioDriftMethod())]).run(*sets)
    profile = fit_vectors(reference, None)
    assert report.dict()["metrics"][0]["value"] == pytest.approx(embeddings.ratio(profile, window))
    short = expanded(column_of([[1.0] * LENGTH, [2.0], None]).to_frame(), lengths)
    assert short.null_count().row(0) == (2,) * LENGTH


def test_vectors_are_read_in_row_order() -> None:
    """The matrix has the rows that can be used, as they lie in the column."""
    found = vectors(column_of([[1.0, 2.0], None, [3.0], [4.0, 5.0], [float("nan"), 0.0]]), 2)
    assert found.matrix.tolist() == [[1.0, 2.0], [4.0, 5.0]]
    assert (found.other_length, found.not_finite) == (1, 1)
