"""A batch's values end to end in one buffer, from which numbers of any width are loaded at any byte, many records at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

# Loads near the first and the last byte stay inside: a text's twelve bytes are loaded together with the four before them, and a
# cursor that runs over the end of a bad record reads on until the walk is over.
_BEFORE, _BEHIND = 16, 2048


class Buffer:
    """``starts`` and ``ends``, of shape (records,), say where in ``data``, of shape (bytes,), each value lies."""

    def __init__(self, values: list[bytes]) -> None:
        self.lengths: IntArray = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
        self.ends: IntArray = np.cumsum(self.lengths) + _BEFORE
        self.starts: IntArray = self.ends - self.lengths
        self.data: npt.NDArray[np.uint8] = np.frombuffer(b"".join([bytes(_BEFORE), *values, bytes(_BEHIND)]), dtype=np.uint8)
        self._behind = _BEHIND
        self._windows: dict[str, npt.NDArray[Any]] = {}

    def reach(self, behind: int) -> None:
        """Make sure that loads may begin and end up to so many bytes behind the last value."""
        if behind > self._behind:
            self.data = np.concatenate([self.data, np.zeros(behind - self._behind, dtype=np.uint8)])
            self._behind = behind
            self._windows.clear()

    def load(self, dtype: str, at: IntArray) -> npt.NDArray[Any]:
        """What lies at the given places, in a new array of their shape. ``dtype`` is NumPy's name; places need no alignment."""
        window = self._windows.get(dtype)
        if window is None:
            width = np.dtype(dtype).itemsize
            window = np.ndarray((len(self.data) - width + 1,), dtype=dtype, buffer=self.data, strides=(1,))
            self._windows[dtype] = window
        return window[at]
