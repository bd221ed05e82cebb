"""What the measures of one kind are made of: their names and values, where each is of the window or of the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Key = tuple[str, str]  # a measure's name, and the class it is of ("" for all)
Side = Literal["window", "reference"]


class NotKnown(Exception):
    """Nothing can be measured yet: no target, no prediction. The message says what is not known."""


class NotUsable(Exception):
    """The values are there and are none that can be measured; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Measures of some rows.

    Attributes:
        rows: how many rows they are of.
        values: value by name and class; None where it is not defined (no row of that class, a division by zero).
        classes: the classes with measures of their own, at most 20; empty for regression.
        notes: why a value is None, or which rows are left out.
        confusion: rows by actual (down) and predicted class (across), in the order of ``classes``; one more of each where there are others.
    """

    rows: int
    values: Mapping[Key, float | None]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = field(default=())


def finite(value: float | np.floating) -> float | None:
    """The value, or None where it is not finite: JSON has no infinity."""
    return float(value) if math.isfinite(value) else None
