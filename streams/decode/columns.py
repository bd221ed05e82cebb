"""What a walk found, as Arrow columns. Texts become views (Arrow, "Variable-size Binary View Layout"): sixteen bytes a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.decode.blocks import DOUBLE
from streams.decode.buffer import Buffer, IntArray
from streams.decode.cursor import Arrays, Present

_INLINE = 12  # bytes; a text up to here lies in its view itself
_WIDEST = 256  # bytes; texts up to here are gathered into a buffer of their own, so that a window's rows do not keep the whole batch
_HIGH_BITS = np.uint64(0x8080808080808080)
_MASKS = np.zeros((_INLINE + 1, 16), dtype=np.uint8)  # by length: what of the sixteen loaded bytes stays
for _length in range(_INLINE + 1):
    _MASKS[_length, : 4 + _length] = 0xFF
_MASKS = _MASKS.view("V16")[:, 0]


def numbers(dtype: pa.DataType, values: npt.NDArray[Any], present: Present) -> pa.Array:
    """A column of numbers."""
    return pa.Array.from_buffers(dtype, len(values), [_validity(present), pa.py_buffer(values)])


def booleans(values: npt.NDArray[np.uint8], present: Present) -> pa.Array:
    """A column of truth values, from bytes that are 0 or 1."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(present), pa.py_buffer(np.packbits(values, bitorder="little"))])


def texts(buffer: Buffer, begin: IntArray, length: IntArray, present: Present) -> tuple[pa.Array, list[int]]:
    """A column of texts, and the rows in which a text is found not to be UTF-8, empty in the column.

    The column is of type string when all its texts are known to be UTF-8, else of binary: then nobody has looked yet.
    """
    found, blobs, doubtful = _views(buffer, begin, length)
    few = len(doubtful) <= len(length) // 16
    wrong = [row for row in doubtful.tolist() if not is_utf8(_bytes(buffer, begin[row], length[row]))] if few else []
    for row in wrong:
        found[2 * row : 2 * row + 2] = 0
    return views(found, blobs, present, pa.string_view() if few else pa.binary_view()), wrong


def views(found: npt.NDArray[np.uint64], blobs: list[npt.NDArray[Any]], present: Present, dtype: pa.DataType | None = None) -> pa.Array:
    """A column of texts from their views, of shape (2 * texts,), and the bytes that these point into."""
    buffers = [_validity(present), pa.py_buffer(found), *map(pa.py_buffer, blobs)]
    return pa.Array.from_buffers(dtype or pa.string_view(), len(found) // 2, buffers)


def _views(buffer: Buffer, begin: IntArray, length: IntArray) -> tuple[npt.NDArray[np.uint64], list[npt.NDArray[Any]], IntArray]:
    """The views, of shape (2 * texts,), the buffer that they point into, if any, and the rows in which a text may not be ASCII."""
    far = np.flatnonzero(length > _INLINE)
    if not len(far):
        views = _inline(buffer, begin, length)
        return views, [], _not_ascii(views, len(length))
    doubtful = far[:0]
    if len(far) < len(length):
        views = _inline(buffer, begin, length)
        doubtful = _not_ascii(views, len(length))
    else:
        views = np.empty(2 * len(length), dtype="<u8")
    blob, offsets = _gather(buffer, begin[far], length[far])
    _point(views, far, length[far], buffer.load("<u4", begin[far]), offsets)
    return views, [blob], np.union1d(doubtful, far if blob is buffer.data else far[_not_ascii(blob, len(far))])


def doubles(buffer: Buffer, arrays: Arrays, present: Present) -> pa.Array:
    """A column of lists of numbers. The numbers are copied: a window's rows do not keep the whole batch."""
    return lists(arrays.lengths, _items(buffer, arrays), present)


def lists(lengths: IntArray, values: npt.NDArray[np.float64], present: Present) -> pa.Array:
    """A column of lists of numbers from their lengths, of shape (lists,), and all their items."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    items = pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
    return pa.Array.from_buffers(pa.large_list(pa.float64()), len(lengths), [_validity(present), pa.py_buffer(offsets)], children=[items])


def _items(buffer: Buffer, arrays: Arrays) -> npt.NDArray[np.float64]:
    """The numbers of all arrays one after the other, of shape (items,). Vectors of one model mostly have one length."""
    there = arrays.count > 0
    begin, count = arrays.begin[there], arrays.count[there]
    if not len(count):
        return np.zeros(0, dtype="<f8")
    if (count == count[0]).all():
        return buffer.load(f"V{DOUBLE * count[0]}", begin).view("<f8")
    shift = begin - DOUBLE * (np.cumsum(count) - count)  # from an item's place among all to its place in the buffer
    return buffer.load("<f8", np.repeat(shift, count) + DOUBLE * np.arange(count.sum()))


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _inline(buffer: Buffer, begin: IntArray, length: IntArray) -> npt.NDArray[np.uint64]:
    """Views of texts that lie in their views: the length, and up to twelve bytes. Shape (2 * texts,)."""
    views = buffer.load("V16", begin - 4).view("<u8")
    length = np.minimum(length, _INLINE)
    views &= _MASKS[length].view("<u8")
    views.view("<u4")[::4] = length
    return views


def _gather(buffer: Buffer, begin: IntArray, length: IntArray) -> tuple[npt.NDArray[Any], IntArray]:
    """Bytes that hold the texts, and where in them each begins."""
    width = -(-int(length.max()) // 8) * 8
    if width <= _WIDEST and len(length) * width <= 4 * int(length.sum()) + 65_536:
        return buffer.load(f"V{width}", begin).view("<u8"), np.arange(0, len(length) * width, width)
    if len(buffer.data) >= 2**31:
        raise ValueError(f"a batch of {len(buffer.data)} bytes is more than a view can point into")
    return buffer.data, begin


def _point(views: npt.NDArray[np.uint64], rows: IntArray, length: IntArray, prefix: npt.NDArray[np.uint32], offsets: IntArray) -> None:
    """Make some rows views of texts elsewhere: the length, the first four bytes, which buffer, and where in it."""
    far = np.empty((len(rows), 4), dtype="<u4")
    far[:, 0], far[:, 1], far[:, 2], far[:, 3] = length, prefix, 0, offsets
    views.reshape(-1, 2)[rows] = far.view("<u8")


def _not_ascii(words: npt.NDArray[np.uint64], rows: int) -> IntArray:
    """Rows that have a byte above 0x7F in their words, which may hold more than the text."""
    if not np.bitwise_or.reduce(words) & _HIGH_BITS:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.flatnonzero(words & _HIGH_BITS) // (len(words) // rows))


def _bytes(buffer: Buffer, begin: int, length: int) -> bytes:
    return buffer.data[begin : begin + length].tobytes()


def _validity(present: Present) -> pa.Buffer | None:
    return None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
