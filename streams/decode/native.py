"""The walk through a batch in machine code (``walk.c``), without the interpreter's lock: records are taken from the broker meanwhile.

Where it cannot be compiled NumPy does the same, see ``cursor.py``; a test holds the two equal.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.decode import columns
from streams.decode.buffer import Buffer, IntArray
from streams.decode.cursor import BoolArray
from streams.decode.layout import DOUBLES, EventLayout
from streams.decode.machine_code import folders, library_file

logger = logging.getLogger(__name__)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled walk; None where it cannot be had, which the log says."""
    try:
        return _declared(ctypes.CDLL(str(library_file(folders())))) if sys.byteorder == "little" else None
    except OSError as error:
        logger.warning("batches are decoded by NumPy, which takes up to twice the time: %s", error)
        return None


def _declared(code: ctypes.CDLL) -> ctypes.CDLL:
    at, count = ctypes.c_void_p, ctypes.c_int64
    code.tidemark_walk.argtypes = [at, count, at, at, count, *[at] * 8]
    code.tidemark_gather_texts.argtypes = [at, count, at, at, at]
    code.tidemark_gather_doubles.argtypes = [at, count, count, at, at, at]
    for function in (code.tidemark_walk, code.tidemark_gather_texts, code.tidemark_gather_doubles):
        function.restype = None
    return code


def read(code: ctypes.CDLL, layout: EventLayout, buffer: Buffer, starts: IntArray, ends: IntArray) -> tuple[dict[str, pa.Array], BoolArray]:
    """The columns by name, and which of the records are whole; see ``walk.read_columns``. What others have in their rows means nothing."""
    walked = _Walked(layout, len(starts))
    whole = np.zeros(len(starts), dtype=np.uint8)
    data, records = _address(buffer.data), len(starts)
    kinds, branches = _address(layout.kinds), _address(layout.branches)
    arrays = [_address(a) for a in (*walked.tables, walked.missing, walked.far, whole)]
    code.tidemark_walk(data, records, _address(starts), _address(ends), len(layout.scalars), kinds, branches, *arrays)
    found = {s.column: walked.column(code, buffer, field) for field, s in enumerate(layout.scalars) if s.column is not None}
    return found, whole.view(np.bool_)


class _Walked:
    """What the walk writes, by field.

    Attributes:
        values: texts' views (Arrow, "Variable-size Binary View Layout"), or the place of one that no view holds, shape (2 * records,);
            numbers' bits and arrays' places, shape (records,); empty for a field that no column is made of.
        lengths: bytes of texts that no view holds, items of arrays, else 0; shape (records,), or empty.
        present: 1 where a union with null has a value, shape (records,), or empty.
        missing: records without one, shape (fields,).
        far: sums of ``lengths``, shape (fields,).
    """

    def __init__(self, layout: EventLayout, records: int) -> None:
        self.layout = layout
        scalars = layout.scalars
        self.values = [_zeros(np.uint64, (1 + (s.kind == "string")) * records * (s.column is not None)) for s in scalars]
        self.lengths = [_zeros(np.int64, records * (s.column is not None and s.kind in ("string", DOUBLES))) for s in scalars]
        self.present = [_zeros(np.uint8, records * (s.value_branch is not None)) for s in scalars]
        self.missing, self.far = _zeros(np.int64, len(scalars)), _zeros(np.int64, len(scalars))
        self.tables = [np.array([_address(a) for a in part], dtype=np.uint64) for part in (self.values, self.lengths, self.present)]

    def column(self, code: ctypes.CDLL, buffer: Buffer, field: int) -> pa.Array:
        """A field's column."""
        kind, values, lengths = self.layout.scalars[field].kind, self.values[field], self.lengths[field]
        present = self.present[field].view(np.bool_) if self.missing[field] else None
        far, data = int(self.far[field]), _address(buffer.data)
        if kind == "string":
            if far >= 2**31:
                raise ValueError(f"a batch with {far} bytes of one column is more than a view can point into")
            blob = np.empty(far, dtype=np.uint8)
            if far:
                code.tidemark_gather_texts(data, len(lengths), _address(lengths), _address(values), _address(blob))
            return columns.views(values, [blob] if far else [], present)
        if kind == DOUBLES:
            items = np.empty(far, dtype=np.float64)
            if far:
                code.tidemark_gather_doubles(data, len(buffer.data), len(lengths), _address(values), _address(lengths), _address(items))
            return columns.lists(lengths, items, present)
        return (
            columns.booleans(values.astype(np.uint8), present) if kind == "boolean" else columns.numbers(*_NUMBERS[kind](values), present)
        )


_NUMBERS: dict[str, Callable[[npt.NDArray[np.uint64]], tuple[pa.DataType, npt.NDArray[Any]]]] = {
    "int": lambda words: (pa.int32(), words.astype(np.int32)),
    "long": lambda words: (pa.int64(), words),
    "float": lambda words: (pa.float32(), words.astype(np.uint32)),
    "double": lambda words: (pa.float64(), words),
}


def _zeros(dtype: Any, size: int) -> npt.NDArray[Any]:
    return np.zeros(size, dtype=dtype)


def _address(array: npt.NDArray[Any]) -> int:
    """Where an array's first item lies; 0 for an empty one. Whoever passes it on keeps the array alive."""
    return int(array.__array_interface__["data"][0]) if array.size else 0
