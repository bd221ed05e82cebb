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
    total = np.zeros(frame.height, dtype=np.int64)
    for column in frame.get_columns():
        if column.name in nullable:
            total += 1
        total += _lengths(column)
    return total


def _lengths(column: pl.Series) -> Any:
    fixed = next((size for dtype, size in _FIXED.items() if column.dtype == dtype), None)
    if fixed is not None and not column.null_count():
        return fixed
    present: Any = column.is_not_null().cast(pl.Int64).to_numpy() if column.null_count() else 1
    if fixed is not None:
        return np.multiply(present, fixed, dtype=np.int64)
    lengths: Any
    if column.dtype == pl.String:
        size = column.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy()
        lengths = size + _varint(size)
    else:
        lengths = _varint(column.fill_null(0).cast(pl.Int64).to_numpy())
    return lengths * present


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
