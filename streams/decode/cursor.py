"""Steps through many Avro records at once: one position a record, moved on field by field with NumPy (Avro 1.11, "Binary Encoding").

A record is whole when its position ends exactly at its own end and nothing on the way was wrong. Positions only ever move on, so one
that ran over its end never comes back to it. No record's bytes are looked at to judge another one. A record that is found to be bad is
parked: it goes on through the zeros behind the last value, so that what follows in the buffer makes no work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.decode.blocks import DOUBLE, blocks
from streams.decode.buffer import Buffer, IntArray

BoolArray = npt.NDArray[np.bool_]
Present = BoolArray | None  # which records have a value; None for all

_STOPS = np.uint64(0x8080808080808080)
_ONE = np.uint64(1)
_FAR = 2**40  # bytes; no position is near it, and adding it to one does not overflow
# Squeezing the top bit out of each byte: pairs of bytes, of 14 bits, of 28 bits.
_SQUEEZE = [
    (np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00), np.uint64(1)),
    (np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000), np.uint64(2)),
    (np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000), np.uint64(4)),
]


@dataclass(frozen=True, slots=True)
class Arrays:
    """Arrays of doubles. ``lengths``, of shape (records,), is 0 where there is none or the record is bad.

    ``begin`` and ``count``, of shape (blocks,), say where the items lie, in the records' order: a block a record, unless one has several.
    """

    lengths: IntArray
    begin: IntArray
    count: IntArray


class Cursor:
    """Positions in ``buffer``, one a record, from ``starts`` on; ``bad`` says which records are known not to be whole."""

    def __init__(self, buffer: Buffer, starts: IntArray, ends: IntArray) -> None:
        self.buffer = buffer
        self.at = starts.copy()
        self.ends = ends
        self.bad: BoolArray = np.zeros(len(starts), dtype=np.bool_)

    @property
    def whole(self) -> BoolArray:
        """After the last field: which records end where they should and were right all the way."""
        right: BoolArray = (self.at == self.ends) & ~self.bad
        return right

    def branch(self, value_branch: int) -> Present:
        """Step over the branch of a union of null and one type; which records have a value there."""
        code = self.buffer.load("u1", self.at)
        odd = code & 0xFD
        self.at += 1
        if odd.any():  # neither 0 nor 1 in one byte
            self._long_branches(code, np.flatnonzero(odd), value_branch)
        present: BoolArray = code == 2 * value_branch
        return None if present.all() or (present | self.bad).all() else present  # what a bad record has does not matter

    def fixed(self, dtype: str, present: Present) -> npt.NDArray[Any]:
        """Values of a fixed width."""
        values = self.buffer.load(dtype, self.at)
        self._move(values.dtype.itemsize, present)
        return values

    def boolean(self, present: Present) -> npt.NDArray[np.uint8]:
        """Bytes that are 0 or 1."""
        values = self.fixed("u1", present)
        if values.max(initial=0) > 1:
            self._refuse_values(values > 1, present)
            values &= 1
        return values

    def integer(self, bits: int, present: Present) -> IntArray:
        """Numbers of 32 or 64 bits."""
        raw, size, overlong = self._varint(self.at)
        self._move(size, present)
        raw = raw.astype(np.uint64)
        values = (raw >> _ONE).view(np.int64) ^ -(raw & _ONE).view(np.int64)
        if overlong is not None:
            self._refuse_values(overlong, present)
        if bits == 32 and raw.max(initial=0) >> np.uint64(32):
            self._refuse_values(raw >> np.uint64(32) != 0, present)
        return values

    def text(self, present: Present) -> tuple[IntArray, IntArray]:
        """Where each text begins, and its length in bytes, 0 where there is none or the record is bad. What it says is not looked at."""
        raw, size, overlong = self._varint(self.at)
        wrong = (raw & raw.dtype.type(1)).astype(np.bool_)  # a length below 0
        if overlong is not None:
            wrong |= overlong
        length = np.minimum(raw >> raw.dtype.type(1), _FAR).astype(np.int64) if raw.itemsize > 1 else (raw >> 1).astype(np.int64)
        if present is not None:
            length *= present
        self._move(size, present)
        begin = self.at
        self.at = begin + length
        wrong = (wrong if present is None else wrong & present) | (self.at > self.ends)
        if wrong.any():
            length[wrong] = 0
            begin[wrong] = self.ends[wrong]
            self.refuse(wrong)
        return begin, length

    def arrays(self, present: Present) -> Arrays:
        """Arrays of doubles. Those written as writers usually do, in one block or as an empty one, are all looked at together."""
        start = self.at.copy()
        raw, size, overlong = self._varint(start)
        self._move(size, present)
        negative = (raw & raw.dtype.type(1)).astype(np.bool_)  # the count, of a block that says its size too
        count = np.minimum((raw >> raw.dtype.type(1)).astype(np.int64), _FAR)
        if present is not None:
            count *= present
            negative &= present
        count[negative] = 0
        begin = self.at
        self.at = begin + DOUBLE * count + (count > 0)  # the items, and the 0 that ends them
        wrong = self.at > self.ends
        if overlong is not None:
            wrong |= overlong
        if present is not None:
            wrong &= present
        last = self.buffer.load("u1", np.where((count > 0) & ~wrong, self.at - 1, 0))  # the first bytes of the buffer are 0
        odd = np.flatnonzero((negative | (last != 0)) & ~wrong)
        count[wrong] = 0
        self.refuse(wrong)
        return self._several_blocks(Arrays(count, begin, count), start, odd) if len(odd) else Arrays(count, begin, count)

    def _several_blocks(self, arrays: Arrays, start: IntArray, places: IntArray) -> Arrays:
        """The arrays of some records read one by one: several blocks, or counts below zero, or wrong. ``start`` is where arrays begin."""
        lengths = arrays.lengths.copy()
        found: list[tuple[int, int, int]] = []  # place, begin, count
        for place in places.tolist():
            at, end = int(start[place]), int(self.ends[place])
            lengths[place] = 0
            try:
                parts, size = blocks(self.buffer.data[at:end].tobytes(), 0)
            except (IndexError, ValueError):
                self.refuse([place])
                continue
            self.at[place] = at + size
            lengths[place] = sum(count for _, count in parts)
            found += [(place, at + begin, count) for begin, count in parts]
        usual = np.delete(np.arange(len(lengths)), places)
        records, begin, count = np.array(found, dtype=np.int64).reshape(-1, 3).T
        order = np.argsort(np.concatenate([usual, records]), kind="stable")
        return Arrays(lengths, np.concatenate([arrays.begin[usual], begin])[order], np.concatenate([arrays.count[usual], count])[order])

    def _move(self, size: Any, present: Present) -> None:
        self.at += size if present is None else size * present

    def _refuse_values(self, wrong: BoolArray, present: Present) -> None:
        self.refuse(wrong if present is None else wrong & present)

    def refuse(self, wrong: BoolArray | IntArray | list[int]) -> None:
        """Take records, by a mask or their places, for bad from here on."""
        self.bad[wrong] = True
        self.at[wrong] = self.buffer.ends[-1]

    def _long_branches(self, code: npt.NDArray[np.uint8], places: IntArray, value_branch: int) -> None:
        """Branches written with more bytes than need be, which Avro does not forbid, and wrong ones; corrects ``code`` in place."""
        raw, size, overlong = self._varint(self.at[places] - 1)
        wrong = (raw != 0) & (raw != 2)
        if overlong is not None:
            wrong |= overlong
        code[places] = raw
        self.at[places] += size - 1
        self.refuse(places[wrong])

    def _varint(self, at: IntArray) -> tuple[npt.NDArray[Any], Any, BoolArray | None]:
        """Unsigned numbers of seven bits a byte, lowest first; how many bytes each takes; which take more than 64 bits hold."""
        first = self.buffer.load("u1", at)
        longer = first >= 0x80
        if not longer.any():
            return first, 1, None
        if longer.all():
            return self._words(at)
        raw, size = first.astype(np.uint64), np.ones(len(at), dtype=np.int64)
        places = np.flatnonzero(longer)
        raw[places], size[places], wrong = self._words(at[places])
        if wrong is None:
            return raw, size, None
        overlong = np.zeros(len(at), dtype=np.bool_)
        overlong[places] = wrong
        return raw, size, overlong

    def _words(self, at: IntArray) -> tuple[npt.NDArray[np.uint64], IntArray, BoolArray | None]:
        """The same for numbers of up to ten bytes, eight of them at a time."""
        word = self.buffer.load("<u8", at)
        stop = ~word & _STOPS
        stop &= -stop  # the lowest byte without a continuation bit
        mask = stop ^ (stop - _ONE)  # it and what is below; all eight when none stops
        raw = word & mask & ~_STOPS
        for low, high, shift in _SQUEEZE:
            raw = (raw & low) | ((raw & high) >> shift)
        size = (np.bitwise_count(mask) >> 3).astype(np.int64)
        return raw, size, self._ninth(at, raw, size, np.flatnonzero(stop == 0))

    def _ninth(self, at: IntArray, raw: npt.NDArray[np.uint64], size: IntArray, places: IntArray) -> BoolArray | None:
        """The ninth and tenth byte of those numbers that have them; completes ``raw`` and ``size`` in place."""
        if not len(places):
            return None
        ninth, tenth = (self.buffer.load("u1", at[places] + k).astype(np.uint64) for k in (8, 9))
        ten = ninth >= 0x80
        raw[places] |= (ninth & np.uint64(0x7F)) << np.uint64(56)
        raw[places[ten]] |= (tenth[ten] & _ONE) << np.uint64(63)
        size[places] = np.where(ten, 10, 9)
        overlong = np.zeros(len(raw), dtype=np.bool_)
        overlong[places[ten & (tenth > 1)]] = True
        return overlong
