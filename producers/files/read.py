"""A file in batches: the event times and the wanted columns, in the types of the wire, in the file's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from config.errors import UsageError
from config.spec import AvroType
from config.spec_data import DataFile
from producers.files.convert import Unfit, to_times, to_type
from producers.files.dvc import located
from producers.files.where import place, undecodable, uneven
from producers.files.where import rows as csv_rows

BLOCK_BYTES = 8 * 1024 * 1024  # of CSV at once; one row has to fit
BATCH_ROWS = 50_000
_UTF8 = {"utf-8", "utf-8-sig", "utf_8_sig", "ascii"}  # pyarrow passes over a byte order mark by itself


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in the file's order. ``first_row`` is the number of the first (from 0, header and blank lines not counted).

    ``times_ms`` (Int64, no nulls) are ms since the epoch, UTC; ``frame`` has the wanted columns, in their order.
    """

    first_row: int
    times_ms: pl.Series
    frame: pl.DataFrame


def read_batches(data: DataFile, types: Mapping[str, AvroType], home: Path, rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """Read a file's event times and columns; ``types`` gives the wanted ones (name to type of the wire), ``rows`` bounds a batch.

    ``home`` is what a relative ``data.path`` is below. A wanted column that the file lacks is an error: ask ``column_names`` first.

    Raises:
        UsageError: the file is missing or cannot be read, lacks a column, or a value does not fit; with line and column where known.
    """
    path = located(home / data.path)
    there = set(column_names(data, home))
    lacking = [name for name in (*data.time.columns, *types) if name not in there]
    if lacking:
        raise UsageError(f"{path} lacks column {', '.join(map(repr, lacking))}", "add it to the file, or correct the spec")
    first = 0
    for frame in raw_batches(path, data, [*dict.fromkeys((*data.time.columns, *types))], rows):
        yield _typed(path, data, types, frame, first)
        first += frame.height


def _typed(path: Path, data: DataFile, types: Mapping[str, AvroType], frame: pl.DataFrame, first: int) -> Batch:
    remedy = "correct the value, or name the form of the times (--time-format, data.time.format)"
    columns = [frame[name] for name in data.time.columns]
    times = _fit(path, data, first, " ".join(data.time.columns), lambda: to_times(columns, data.time), remedy)
    remedy = "correct the value, name it as null (--null, data.nulls), or change the column's type (--type)"
    made = [_fit(path, data, first, name, _to(frame[name], wanted, data), remedy) for name, wanted in types.items()]
    return Batch(first, times, pl.DataFrame(made))


def _to(series: pl.Series, wanted: AvroType, data: DataFile) -> Callable[[], pl.Series]:
    return lambda: to_type(series, wanted, data.decimal)


def _fit(path: Path, data: DataFile, first: int, name: str, make: Callable[[], pl.Series], remedy: str) -> pl.Series:
    try:
        return make()
    except Unfit as error:
        where = place(path, data, first + error.row)
        raise UsageError(f"{where}, column {name!r}: {error}", remedy) from error


def column_names(data: DataFile, home: Path) -> list[str]:
    """The names of the file's columns, in its order.

    Raises:
        UsageError: the file is missing or cannot be read.
    """
    path = located(home / data.path)
    if data.format == "parquet":
        return [str(name) for name in parquet(path).schema_arrow.names]
    return next(csv_rows(path, data), (0, list[str]()))[1]


def parquet(path: Path) -> pa_parquet.ParquetFile:
    """The file, opened.

    Raises:
        UsageError: it is missing, or no Parquet file.
    """
    try:
        return pa_parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}", "name a whole Parquet or CSV file") from error


def raw_batches(path: Path, data: DataFile, columns: list[str], rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
    """The columns as the file holds them (CSV: all text, with nulls), in batches of at most ``rows`` rows.

    Raises:
        UsageError: rows of several lengths, or bytes that are no text of the encoding, with line and column.
    """
    batches = _parquet_batches(path, columns, rows) if data.format == "parquet" else _csv_batches(path, data, columns)
    for batch in batches:
        frame = _frame(batch)
        for start in range(0, frame.height, rows):
            yield frame.slice(start, rows)


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    made = pl.from_arrow(batch)
    assert isinstance(made, pl.DataFrame)  # of a record batch always
    return made


def _parquet_batches(path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    try:
        yield from parquet(path).iter_batches(batch_size=rows, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}", "write it again") from error


def _csv_batches(path: Path, data: DataFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    encoding = "utf8" if data.encoding in _UTF8 else data.encoding
    try:
        yield from pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, encoding=encoding),
            parse_options=pa_csv.ParseOptions(delimiter=data.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=columns,
                null_values=list(data.nulls),
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise _explained(path, data, error) from error


def _explained(path: Path, data: DataFile, error: Exception) -> UsageError:
    """pyarrow's error, with the line that it does not tell."""
    if broken := undecodable(path, data.encoding):
        return UsageError(broken, "save the file as UTF-8, or name its encoding with --encoding")
    if wrong := uneven(path, data):
        return UsageError(wrong, f"quote fields that hold {data.delimiter!r}, or name the delimiter with --delimiter")
    return UsageError(f"{path} cannot be read as CSV: {error}", "correct the file, or give Parquet")
