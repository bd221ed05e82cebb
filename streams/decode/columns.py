"""What a walk found, as Arrow columns. Texts become views (Arrow, "Variable-size Binary View Layout"): sixteen bytes a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.decode.buffer import Buffer, IntArray
from streams.decode.cursor import Present

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


def texts(buffer: Buffer, begin: IntArray, length: IntArray, present: Present) -> pa.Array:
    """A column of texts: of type string when all are ASCII, else of binary, since nobody has looked yet whether they are UTF-8."""
    longest = int(length.max(initial=0))
    if longest <= _INLINE:
        views = _short(buffer, begin, length)
        return _views(views, [], present, ascii_only=_is_ascii(views))  # a length up to 12 has no high bit either
    if longest <= _WIDEST and len(length) * longest <= 4 * int(length.sum()) + 65_536:
        width = -(-longest // 8) * 8
        own = buffer.load(f"V{width}", begin).view("<u8")
        offsets = np.arange(0, len(length) * width, width)
        return _views(_long(buffer, begin, length, offsets), [own], present, ascii_only=_is_ascii(own))
    if len(buffer.data) >= 2**31:
        raise ValueError(f"a batch of {len(buffer.data)} bytes is more than a view can point into")
    return _views(_long(buffer, begin, length, begin), [buffer.data], present, ascii_only=False)


def _views(views: npt.NDArray[Any], blobs: list[npt.NDArray[Any]], present: Present, *, ascii_only: bool) -> pa.Array:
    buffers = [_validity(present), pa.py_buffer(views), *(pa.py_buffer(b) for b in blobs)]
    return pa.Array.from_buffers(pa.string_view() if ascii_only else pa.binary_view(), len(views) // 2, buffers)


def _short(buffer: Buffer, begin: IntArray, length: IntArray) -> npt.NDArray[np.uint64]:
    """Views of texts that lie in their views: the length, and up to twelve bytes. Shape (2 * texts,)."""
    views = buffer.load("V16", begin - 4).view("<u8")
    views &= _MASKS[length].view("<u8")
    views.view("<u4")[::4] = length
    return views


def _long(buffer: Buffer, begin: IntArray, length: IntArray, offsets: IntArray) -> npt.NDArray[np.uint64]:
    """Views of texts of any length: the length, four bytes, which buffer the text lies in, and where in it. Shape (2 * texts,)."""
    views = np.empty((len(length), 4), dtype="<u4")
    views[:, 0], views[:, 1], views[:, 2], views[:, 3] = length, buffer.load("<u4", begin), 0, offsets
    inline = np.flatnonzero(length <= _INLINE)
    if len(inline):
        views[inline] = _short(buffer, begin[inline], length[inline]).view("<u4").reshape(-1, 4)
    return views.view("<u8").reshape(-1)


def _is_ascii(words: npt.NDArray[np.uint64]) -> bool:
    return not np.bitwise_or.reduce(words) & _HIGH_BITS


def _validity(present: Present) -> pa.Buffer | None:
    return None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
