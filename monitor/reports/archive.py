"""The judged rows of each window, one Parquet file a window: what a full report is made from later, long after the stream has passed.

``TIDEMARK_HOME/archive/{model}/{run_kind}/{run}/{start_s}-{end_s}.parquet``. The window's result, its spec and the name of its reference
dataset are in the file's own metadata, so a sample is whole or not there at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.reports.paths import part_beside, path_of_result, window_files
from monitor.window import WindowData
from schemas.result import WindowResult, decode_result, encode_result

_RESULT, _SPEC, _REFERENCE, _COMPARED = "tidemark.result", "tidemark.spec", "tidemark.reference", "tidemark.compared"
SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class Sample:
    """One archived window: its rows, and all that a full report needs besides."""

    window: WindowData
    spec: ModelSpec
    reference_path: Path
    result: WindowResult
    compared: tuple[WindowResult, ...] = ()  # against earlier windows


def sample_path(home: Path, result: WindowResult) -> Path:
    """The file of a window's sample."""
    return path_of_result(home / "archive", result).with_suffix(SUFFIX)


def write_sample(
    home: Path,
    window: WindowData,
    spec: ModelSpec,
    reference_path: Path,
    result: WindowResult,
    compared: tuple[WindowResult, ...] = (),
) -> Path:
    """Write a window's sample; a reader sees the whole file or none. A reference below ``home`` is named relative to it.

    Raises:
        OSError: the disk is full or cannot be written to.
    """
    path = sample_path(home, result)
    reference = reference_path.relative_to(home) if reference_path.is_relative_to(home) else reference_path
    metadata = {_RESULT: encode_result(result).decode(), _SPEC: spec.model_dump_json(), _REFERENCE: str(reference)}
    metadata |= {_COMPARED: json.dumps([encode_result(c).decode() for c in compared])} if compared else {}
    with part_beside(path) as part:
        window.frame.write_parquet(part, compression="zstd", compression_level=3, metadata=metadata)
    return path


def read_sample(home: Path, path: Path) -> Sample:
    """Read a sample.

    Raises:
        TidemarkError: the file is no sample, or was written by another version with another spec.
    """
    try:
        metadata = pl.read_parquet_metadata(path)
        result = decode_result(metadata[_RESULT].encode())
        compared = tuple(decode_result(text.encode()) for text in json.loads(metadata.get(_COMPARED, "[]")))
        spec = ModelSpec.model_validate_json(metadata[_SPEC])
        frame = pl.read_parquet(path, glob=False)
    except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise TidemarkError(f"{path} is no sample of a window: {error or type(error).__name__}", "remove the file") from error
    return Sample(_window(result, frame), spec, home / metadata[_REFERENCE], result, compared)


def _window(result: WindowResult, frame: pl.DataFrame) -> WindowData:
    nulls: Mapping[str, int] = {c.name: c.nulls for c in result.columns}
    return WindowData(
        model=result.model,
        run=result.run,
        run_kind=result.run_kind,
        run_offset=result.run_offset,
        start_ms=result.start_ms,
        end_ms=result.end_ms,
        spec_digest=result.spec_digest,
        source_partition=result.source_partition,
        model_versions=result.model_versions,
        frame=frame,
        rows=result.rows,
        duplicates=result.duplicates,
        exact=result.exact,
        nulls=nulls,
    )


def samples_of(home: Path, model: str) -> Iterator[Path]:
    """Every sample of a model, of all runs, in no order."""
    return window_files(home / "archive", model, SUFFIX)
