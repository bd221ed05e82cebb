"""A batch of one partition, decoded to columns: what the window core takes in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from config.errors import InvalidEvent
from schemas.control import Control

IntArray = npt.NDArray[np.int64]

# Columns of an event frame besides the features, which are named FEATURE + true name, and probabilities: PROBABILITY + class label.
ID, TIME, RUN, MODEL, VERSION, PREDICTION, TARGET = "@id", "@time", "@run", "@model", "@version", "@prediction", "@target"
FEATURE = "f:"
PROBABILITY = "p:"


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Records of one partition in offset order, as the broker gave them; lists and arrays of one length.

    ``follows`` is the position behind the batch before it, so that a batch that goes missing is noticed; None: nobody looks.
    """

    partition: int
    values: list[bytes]
    keys: list[bytes | None]
    offsets: IntArray
    broker_ms: IntArray
    follows: int | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class EventRows:
    """Events of one writer's schema. ``index`` is each row's place in its batch, ascending; shape (rows,)."""

    index: IntArray
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch sorted out: events as columns, control records, and what is neither. Every record is in exactly one of them."""

    raw: RawBatch
    events: list[EventRows] = field(default_factory=list)
    controls: list[tuple[int, Control]] = field(default_factory=list)
    invalid: list[tuple[int, InvalidEvent]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcast:
    """A record that is in no window: late, or a dead letter. Forwarded as it came, with the reason as a header."""

    offset: int
    key: bytes | None
    value: bytes
    reason: str
    message: str
    model: str = ""
    run_kind: str = "live"


def take(rows: EventRows, mask: npt.NDArray[np.bool_]) -> EventRows:
    """The rows where the mask, of shape (rows,), is true."""
    return EventRows(rows.index[mask], rows.frame.filter(pl.Series(mask)))


def partition_rows(rows: EventRows, by: list[str]) -> Iterator[tuple[tuple[object, ...], EventRows]]:
    """The rows by the values of some columns, each part in its old order."""
    frame = rows.frame
    if all((frame[c] == frame[c][0]).all() for c in by):  # the usual case: one model, one run
        yield tuple(frame[c][0] for c in by), rows
        return
    parts = frame.with_columns(pl.Series("@place", rows.index)).partition_by(by, maintain_order=True, as_dict=True)
    for key, part in parts.items():
        yield key, EventRows(part["@place"].to_numpy(), part.drop("@place"))


def runs_of_equal(frame: pl.DataFrame, starts: IntArray, ends: IntArray) -> Iterator[tuple[int, int, pl.DataFrame]]:
    """``(start, end, rows)`` of each window; ``starts`` and ``ends`` have the shape (rows,).

    Event times mostly rise, so rows of a window mostly lie together and are cut out without a copy.
    """
    if not len(starts):
        return
    edges = np.flatnonzero(np.diff(starts)) + 1
    if len(edges) > 256:
        order = np.argsort(starts, kind="stable")
        frame, starts, ends = frame[order], starts[order], ends[order]
        edges = np.flatnonzero(np.diff(starts)) + 1
    cuts = [0, *edges.tolist(), len(starts)]
    for low, high in itertools.pairwise(cuts):
        yield int(starts[low]), int(ends[low]), frame[low:high]
