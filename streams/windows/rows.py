"""The rows that a window holds: all of them up to ``max_rows``, beyond that the ones with the smallest xxh64 of their id (bottom-k).

The outcome depends on the set of accepted events only, never on their order, on batching, or on where a checkpoint was taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import xxhash
from polars.exceptions import SchemaError, ShapeError

ID = "@id"
HASH = "@hash"
MAX_PIECES = 32  # of memory that the stored rows lie in


@dataclass(slots=True)
class Counts:
    """Counts of rows that are no longer held.

    ``present`` counts values that are not null, by column: a column that some events do not carry is null there, whenever it is met first.
    """

    rows: int = 0
    present: Counter[str] = field(default_factory=Counter)

    def add(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame."""
        self.rows += frame.height
        for column in frame.columns:
            if column != HASH:
                self.present[column] += frame.height - frame[column].null_count()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a window comes to. ``rows`` and ``nulls`` are without duplicates where ``exact``, else of all that arrived."""

    frame: pl.DataFrame
    rows: int
    duplicates: int
    exact: bool
    nulls: Mapping[str, int]


class HeldRows:
    """Rows of one window. ``arrived`` counts every accepted row; ``dropped`` those not held any more (duplicates, or beyond the sample)."""

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self.arrived = 0
        self.overflowed = False
        self.dropped = Counts()
        self.fresh: list[pl.DataFrame] = []  # accepted since the last checkpoint
        self.stored: pl.DataFrame | None = None  # on the checkpoint topic already
        self._fresh_rows = 0
        self._limit_hash = 2**64  # once overflowed: hash of the largest row held

    def add(self, frame: pl.DataFrame) -> None:
        """Accept rows; columns may differ from earlier ones (a newer schema)."""
        self.arrived += frame.height
        if self.overflowed:
            frame = self._below_limit(with_hash(frame))
        self.fresh.append(frame)
        self._fresh_rows += frame.height
        held = self._fresh_rows + (0 if self.stored is None else self.stored.height)
        if held > 2 * self.max_rows:
            self.compact()

    @property
    def held(self) -> int:
        """Rows in memory now."""
        return self._fresh_rows + (0 if self.stored is None else self.stored.height)

    @property
    def held_bytes(self) -> int:
        """Estimated bytes of the rows in memory."""
        return int(sum(f.estimated_size() for f in self.fresh) + (0 if self.stored is None else self.stored.estimated_size()))

    def _below_limit(self, frame: pl.DataFrame) -> pl.DataFrame:
        keep = frame[HASH] <= self._limit_hash
        if keep.all():
            return frame
        self.dropped.add(frame.filter(~keep))
        return frame.filter(keep)

    def compact(self) -> None:
        """Take duplicates out, and what lies beyond the sample. Rows keep their place: stored ones stay stored."""
        if not self.fresh:  # what is stored has been compacted before
            return
        fresh = concat(self.fresh, rechunk=True)  # few pieces make whatever follows fast, and let go of the batches that they come from
        if not self.overflowed and self.held <= self.max_rows and not _repeats([fresh, *([] if self.stored is None else [self.stored])]):
            self.fresh = [fresh]
            return
        frames = [fresh.with_columns(pl.lit(False).alias("@stored"))]
        if self.stored is not None:
            frames.append(self.stored.with_columns(pl.lit(True).alias("@stored")))
        kept = self._sample(self._unique(concat(frames)))
        stored = kept.filter(pl.col("@stored")).drop("@stored")
        fresh = kept.filter(~pl.col("@stored")).drop("@stored")
        self.stored = stored if stored.height else None
        self.fresh = [fresh] if fresh.height else []
        self._fresh_rows = fresh.height

    def _unique(self, rows: pl.DataFrame) -> pl.DataFrame:
        """One row an id. Among different contents the smallest by its values stays, in whatever order; the others count as dropped."""
        twice = rows[ID].is_duplicated()
        if not twice.any():
            return rows
        values = sorted(c for c in rows.columns if c not in {"@stored", HASH})
        # Stored first among equal contents: a row that is on the checkpoint topic already need not be written again.
        ordered = rows.filter(twice).sort([*values, "@stored"], descending=[*[False] * len(values), True], nulls_last=True)
        first = ordered[ID].is_first_distinct()
        self.dropped.add(ordered.filter(~first).drop("@stored"))
        return pl.concat([rows.filter(~twice), ordered.filter(first)], how="vertical")

    def _sample(self, rows: pl.DataFrame) -> pl.DataFrame:
        """At most ``max_rows`` rows: the smallest hashes, ties by id."""
        if rows.height <= self.max_rows:
            return rows
        self.overflowed = True
        rows = with_hash(rows).sort([HASH, ID])
        self.dropped.add(rows[self.max_rows :].drop("@stored"))
        self._limit_hash = int(rows[HASH][self.max_rows - 1])
        return rows[: self.max_rows]

    def take_fresh(self) -> pl.DataFrame | None:
        """The rows to write to the checkpoint now, which then count as stored; None when there are none."""
        self.compact()
        if not self.fresh:
            return None
        fresh = self.fresh[0]
        stored = fresh if self.stored is None else concat([self.stored, fresh])
        # A slow model's window of a day gets a few rows at each of 86,400 cuts: as many pieces would make every look at them slow.
        self.stored = stored.rechunk() if stored.n_chunks() > MAX_PIECES else stored
        self.fresh, self._fresh_rows = [], 0
        return fresh

    def restore(self, chunks: Iterable[pl.DataFrame], arrived: int, overflowed: bool, dropped: Counts) -> None:
        """Fold the chunks of a checkpoint: they hold every row accepted until the cut that was in the sample then."""
        self.fresh = list(chunks)
        self._fresh_rows = sum(f.height for f in self.fresh)
        self.compact()
        self.stored = self.fresh[0] if self.fresh else None
        self.fresh, self._fresh_rows = [], 0
        self.arrived, self.overflowed, self.dropped = arrived, overflowed, dropped
        if overflowed and self.stored is not None:
            self.stored = with_hash(self.stored)
            self._limit_hash = int(self.stored[HASH].max())  # type: ignore[arg-type]

    def settle(self) -> Settled:
        """The window's final rows, sorted by id, with its counts. Call once nothing is added any more."""
        self.compact()
        rows = [f for f in (self.stored, *self.fresh) if f is not None]
        frame = concat(rows) if rows else pl.DataFrame()
        if HASH in frame.columns:
            frame = frame.drop(HASH)
        frame = frame.sort(ID) if frame.height else frame
        exact = not self.overflowed
        total = frame.height if exact else self.arrived
        present = Counter({c: frame.height - frame[c].null_count() for c in frame.columns})
        if not exact:
            present.update(self.dropped.present)
        nulls = {c: total - present[c] for c in present}
        return Settled(frame, total, self.arrived - frame.height if exact else 0, exact, nulls)


def with_hash(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with xxh64 of each id (unsigned 64 bit); unchanged where it has one throughout."""
    if HASH in frame.columns and not frame[HASH].has_nulls():
        return frame
    digest = xxhash.xxh64_intdigest
    hashes = np.fromiter((digest(i) for i in frame[ID].cast(pl.Binary).to_list()), dtype=np.uint64, count=frame.height)
    return frame.with_columns(pl.Series(HASH, hashes, dtype=pl.UInt64))


def concat(frames: list[pl.DataFrame], rechunk: bool = False) -> pl.DataFrame:
    """The frames' rows as one; columns that one of them lacks are null in its rows."""
    if len(frames) == 1:
        return frames[0]
    try:  # the usual case; to compare a hundred frames' schemas first would take longer than a cut's other work on them
        return pl.concat(frames, how="vertical", rechunk=rechunk)
    except (SchemaError, ShapeError):
        return pl.concat(frames, how="diagonal_relaxed", rechunk=rechunk)


def _repeats(frames: list[pl.DataFrame]) -> bool:
    ids = frames[0][ID] if len(frames) == 1 else pl.concat([f[ID] for f in frames])
    return ids.n_unique() < len(ids)
