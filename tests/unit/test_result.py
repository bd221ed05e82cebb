"""Window results as records of the results topic."""

from __future__ import annotations

import json

import pytest

from schemas.result import (
    ColumnQuality,
    ColumnResult,
    DataQuality,
    Measure,
    Performance,
    TestResult,
    WindowResult,
    decode_result,
    encode_result,
)


def result() -> WindowResult:
    column = ColumnResult("x", "feature", "numerical", "ok", method="KS", score=0.5, threshold=0.1, drifted=True, changes=("mean 1 -> 2",))
    quality = ColumnQuality("x", "feature", "numerical", 90, 0.1, 5, False, ("a", "b"), quantiles=(0.0, 0.25, 0.5, 0.75, 1.0))
    return WindowResult(
        model="m",
        run="live",
        run_kind="live",
        start_ms=0,
        end_ms=1000,
        spec_digest="0" * 16,
        kind="reference",
        status="ok",
        reason="",
        model_versions=("1", "2"),
        rows=100,
        sampled_rows=100,
        duplicates=0,
        exact=True,
        columns=(column,),
        drifted_columns=1,
        drift_share=1.0,
        share_threshold=0.5,
        drifted=True,
        tests=(TestResult("rows_with_nulls", "FAIL", "10 rows have nulls"),),
        reference_fingerprint="f" * 16,
        source_partition=0,
        quality=DataQuality(10, 0, ("x",), (), (), (quality,)),
        performance=(Performance("regression", 50, "ok", measures=(Measure("mae", 1.5, 1.0), Measure("r2", None))),),
    )


def test_a_result_comes_back_equal() -> None:
    """Every part of a result, nested ones too, is read back as it was written."""
    assert decode_result(encode_result(result())) == result()


def test_older_and_newer_writers_are_read() -> None:
    """A record without the newer parts is read with their defaults; fields that the reader does not know are left out, at any depth."""
    record = json.loads(encode_result(result()))
    del record["quality"], record["performance"], record["run_offset"]
    record["columns"][0]["later"] = record["later"] = 1
    read = decode_result(json.dumps(record).encode())
    assert (read.quality, read.performance, read.run_offset, read.columns) == (None, (), -1, result().columns)


def test_what_is_no_result_is_named() -> None:
    """A record without a field that every result has is refused with the field's name."""
    record = json.loads(encode_result(result()))
    del record["drift_share"]
    with pytest.raises(ValueError, match="drift_share missing"):
        decode_result(json.dumps(record).encode())
