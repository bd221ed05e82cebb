"""How many bytes each row of a decoded block took: the proof that every record was read from its own first byte to its own last.

The reader starts at the block's first byte. If row after row took just as many bytes as its record has, every record began where the one
before it ended. (A number written longer than need be takes more bytes than counted here; such a batch is read record by record.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

IntArray = npt.NDArray[np.int64]
_FIXED = {pl.Float64: 8, pl.Float32: 4, pl.Boolean: 1}
_STEPS = np.array([2 ** (7 * k) for k in range(1, 10)], dtype=np.uint64)


def encoded_lengths(frame: pl.DataFrame, nullable: frozenset[str]) -> IntArray:
    """Bytes of each row's Avro encoding, shape (rows,); ``nullable`` columns have a byte for the branch of their union."""
    constant = len(nullable)
    varying: list[pl.Expr] = []
    numbers: list[pl.Series] = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        size = next((s for fixed, s in _FIXED.items() if dtype == fixed), None)
        if size is None and dtype == pl.String:
            varying.append(_text_length(column))
        elif size is None:
            numbers.append(frame[name])
        elif frame[name].null_count():
            varying.append(column.is_not_null().cast(pl.Int64) * size)
        else:
            constant += size
    # One query for all columns: each has a fixed cost.
    total = frame.select(pl.sum_horizontal(*varying, pl.lit(constant)).alias("bytes"))["bytes"].to_numpy() if varying else constant
    return np.asarray(sum((_number_length(n) for n in numbers), start=total), dtype=np.int64)


def _text_length(column: pl.Expr) -> pl.Expr:
    """Bytes of a string: its length as a varint and itself; none when it is null."""
    size = column.str.len_bytes().cast(pl.Int64)
    prefix = sum(((size > limit).cast(pl.Int64) for limit in (63, 8191, 1_048_575, 134_217_727)), start=pl.lit(1, pl.Int64))
    return (size + prefix).fill_null(0)


def _number_length(column: pl.Series) -> Any:
    """Bytes of a column of integers; none where it is null."""
    if not column.null_count():
        return _varint(column.cast(pl.Int64).to_numpy())
    return _varint(column.fill_null(0).cast(pl.Int64).to_numpy()) * column.is_not_null().cast(pl.Int64).to_numpy()


def _varint(values: IntArray) -> Any:
    """Bytes of each value as an Avro long (zigzag, seven bits a byte)."""
    if not len(values):
        return 0
    low, high = _varint_of(int(values.min())), _varint_of(int(values.max()))
    if low == high and (values.min() >= 0 or values.max() < 0 or low == 1):
        return low
    zigzag = ((values << 1) ^ (values >> 63)).view(np.uint64)
    return np.searchsorted(_STEPS, zigzag, side="right").astype(np.int64) + 1


def _varint_of(value: int) -> int:
    zigzag = value * 2 if value >= 0 else -value * 2 - 1
    return max(1, (zigzag.bit_length() + 6) // 7)
