"""Reads the bodies of many records of one schema to columns, and tells which records are whole."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from polars.exceptions import ComputeError

from streams.decode import columns
from streams.decode.buffer import Buffer, IntArray
from streams.decode.cursor import BoolArray, Cursor, Present
from streams.decode.layout import DOUBLES, EventLayout, Scalar
from streams.decode.native import library, read


def read_columns(layout: EventLayout, buffer: Buffer, starts: IntArray, ends: IntArray) -> tuple[pl.DataFrame, BoolArray]:
    """The columns of the whole records, and which of the records, of shape (records,), are whole: exactly one body and all of it.

    ``starts`` and ``ends`` say where in the buffer each body lies. What a record's own bytes say never changes another's row.
    """
    code = library()
    found, whole = stepwise(layout, buffer, starts, ends) if code is None else read(code, layout, buffer, starts, ends)
    frame = pl.from_arrow(pa.RecordBatch.from_arrays(list(found.values()), names=list(found)))
    assert isinstance(frame, pl.DataFrame)
    if not whole.all():
        frame = frame.filter(pl.Series(whole))
    frame, readable = _texts(frame)
    whole[whole] = readable
    return frame[layout.columns], whole


def stepwise(layout: EventLayout, buffer: Buffer, starts: IntArray, ends: IntArray) -> tuple[dict[str, pa.Array], BoolArray]:
    """The columns by name and which of the records are whole, but for texts in columns of bytes: nobody has looked at those."""
    buffer.reach(10 * len(layout.scalars) + 512)  # a number has at most ten bytes; a text's column is loaded as wide as its longest
    cursor = Cursor(buffer, starts, ends)
    found: dict[str, pa.Array] = {}
    for scalar in layout.scalars:
        column = _read(cursor, scalar)
        if scalar.column is not None:
            found[scalar.column] = column
        elif column.type == pa.binary_view():  # nobody has looked at these texts yet
            found[f"?{scalar.name}"] = column
    return found, cursor.whole


def _read(cursor: Cursor, scalar: Scalar) -> pa.Array:
    present: Present = None if scalar.value_branch is None else cursor.branch(scalar.value_branch)
    if scalar.kind == "string":
        column, wrong = columns.texts(cursor.buffer, *cursor.text(present), present)
        cursor.refuse(wrong)
        return column
    if scalar.kind == DOUBLES:
        return columns.doubles(cursor.buffer, cursor.arrays(present), present)
    if scalar.kind == "boolean":
        return columns.booleans(cursor.boolean(present), present)
    if scalar.kind == "int":
        return columns.numbers(pa.int32(), cursor.integer(32, present).astype(np.int32), present)
    if scalar.kind == "long":
        return columns.numbers(pa.int64(), cursor.integer(64, present), present)
    dtype, arrow = ("<f4", pa.float32()) if scalar.kind == "float" else ("<f8", pa.float64())
    return columns.numbers(arrow, cursor.fixed(dtype, present), present)


def _texts(frame: pl.DataFrame) -> tuple[pl.DataFrame, BoolArray]:
    """The frame with its columns of bytes as strings, without the rows in which one is not UTF-8; and which rows stay."""
    unseen = [name for name, dtype in frame.schema.items() if dtype == pl.Binary]
    everything = np.ones(frame.height, dtype=np.bool_)
    try:
        return (frame.with_columns(pl.col(unseen).cast(pl.String)) if unseen else frame), everything
    except ComputeError:  # it does not say where
        readable = everything
    for name in unseen:
        readable &= np.array(
            [value is None or value.isascii() or columns.is_utf8(value) for value in frame[name].to_list()], dtype=np.bool_
        )
    return frame.filter(pl.Series(readable)).with_columns(pl.col(unseen).cast(pl.String)), readable
