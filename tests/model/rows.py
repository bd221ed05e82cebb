"""A window's rows as chunks of a checkpoint: which are held, and what is counted, whatever the order, the cuts and the crashes.

``Held`` accepts rows, drops duplicates by id (the smallest content stays) and, beyond ``max_rows``, all but the rows with the smallest
hashes. The rows accepted since the last cut are written as a chunk; a restore folds the chunks, in whatever order compaction left them.
``streams/windows/rows.py`` is the real thing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Parts = frozenset[str]
FULL: Parts = frozenset({"smallest content", "smallest hashes", "counts"})


class Row(NamedTuple):
    """A row: the hash of its id, the id, its content."""

    hash: int
    id: str
    content: int


class Settled(NamedTuple):
    """What a window comes to: rows held, the number of rows, whether that number is without duplicates."""

    held: frozenset[Row]
    rows: int
    exact: bool


@dataclass
class Held:
    """A window's rows. ``chunks`` are on the checkpoint, ``fresh`` are not yet; both in the order of arrival."""

    max_rows: int
    parts: Parts = FULL
    chunks: list[list[Row]] = field(default_factory=list)
    fresh: list[Row] = field(default_factory=list)
    arrived: int = 0
    overflowed: bool = False

    def add(self, row: Row) -> None:
        """Accept a row."""
        self.arrived += 1
        self.fresh.append(row)
        self._compact()

    def _compact(self) -> None:
        kept = self._fold([*itertools.chain(*self.chunks), *self.fresh])
        stored = [r for chunk in self.chunks for r in chunk]
        self.fresh = [r for r in kept if r not in stored]

    def _fold(self, rows: Sequence[Row]) -> list[Row]:
        unique: dict[str, Row] = {}
        for row in rows:
            known = unique.get(row.id)
            if known is None or ("smallest content" in self.parts and row.content < known.content):
                unique[row.id] = row
        kept = list(unique.values())
        if len(kept) > self.max_rows:
            self.overflowed = True
            kept = sorted(kept)[: self.max_rows] if "smallest hashes" in self.parts else kept[: self.max_rows]
        return kept

    def cut_and_restore(self, order: Sequence[int] = ()) -> Held:
        """Write a chunk, crash, and fold all chunks in the given order (by default newest first)."""
        chunks = [*self.chunks, *([self.fresh] if self.fresh else [])]
        folded = [chunks[i] for i in order] if order else chunks[::-1]
        if "counts" in self.parts:
            return Held(self.max_rows, self.parts, folded, [], self.arrived, self.overflowed)
        rows = self._fold([*itertools.chain(*folded)])  # counted anew from what is held
        return Held(self.max_rows, self.parts, folded, [], len(rows), len(rows) > self.max_rows)

    def settle(self) -> Settled:
        """The window's final rows and their number."""
        held = frozenset(self._fold([*itertools.chain(*self.chunks), *self.fresh]))
        return Settled(held, self.arrived if self.overflowed else len(held), not self.overflowed)


ROWS = (Row(3, "a", 0), Row(3, "a", 1), Row(1, "b", 0), Row(2, "c", 0), Row(2, "d", 0))  # a twice with two contents; c and d share a hash


def histories(length: int) -> Iterator[tuple[tuple[Row, ...], tuple[bool, ...]]]:
    """Every sequence of rows of a length, with every choice of the places where a cut and a crash follow a row."""
    yield from itertools.product(itertools.product(ROWS, repeat=length), itertools.product((False, True), repeat=length))


def play(rows: Sequence[Row], crashes: Sequence[bool], max_rows: int, parts: Parts) -> Settled:
    """Accept rows with crashes between."""
    held = Held(max_rows, parts)
    for row, crash in zip(rows, crashes, strict=True):
        held.add(row)
        held = held.cut_and_restore() if crash else held
    return held.settle()


def first_difference(length: int, max_rows: int, parts: Parts) -> str | None:
    """The first history up to a length that differs from the same rows in sorted order without a crash; None when there is none."""
    for n in range(1, length + 1):
        for rows, crashes in histories(n):
            found, expected = play(rows, crashes, max_rows, parts), play(sorted(rows), (False,) * n, max_rows, parts)
            if found != expected:
                steps = " ".join(f"{r.id}{r.content}{'|' if crash else ''}" for r, crash in zip(rows, crashes, strict=True))
                return f"rows {steps} (| is a cut and a crash) with max_rows {max_rows}: {_show(found)}; in order: {_show(expected)}"
    return None


def _show(settled: Settled) -> str:
    held = " ".join(sorted(f"{r.id}{r.content}" for r in settled.held))
    return f"holds {held}, counts {settled.rows}{'' if settled.exact else ' (raw)'}"
