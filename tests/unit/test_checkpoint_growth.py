"""A slow model's window of a day: tens of thousands of cuts with a few rows each, which must stay cheap in memory, writes and restores."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from config.spec import ModelSpec
from streams import checkpoint
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.rows import MAX_PIECES, HeldRows
from streams.windows.state import PartitionState, Stream, StreamId, WindowId, WindowState

SPEC = {
    "model": "m",
    "reference": Path("r.parquet"),
    "features": {"x": {"type": "double"}},
    "prediction": {"column": "y", "type": "double"},
    "window": {"size": "1d"},
}


def rows_from(first: int, count: int) -> pl.DataFrame:
    """Rows number ``first`` and on; their ids come in no order."""
    numbers = range(first, first + count)
    ids = [f"id-{(n * 7919) % 1_000_003}" for n in numbers]
    return pl.DataFrame({"@id": ids, "@version": ["1"] * count, "f:x": [float(n) for n in numbers]})


class SlowWindow:
    """One open window that gets a few rows at each cut, and what the checkpoint topic holds of it."""

    def __init__(self, max_rows: int = 50_000) -> None:
        binding = Binding(ModelSpec.model_validate({**SPEC, "max_rows": max_rows}), "reference")
        self.catalogue = Catalogue()
        self.catalogue.add(binding)
        stream = Stream(StreamId("m", "live"), time_ms=0)
        self.id = WindowId(stream.id, 0, 86_400_000, binding.digest)
        stream.windows[self.id] = WindowState(self.id, HeldRows(max_rows))
        self.state = PartitionState(0, streams={stream.id: stream}, timeline={"m": [(0, binding.digest)]})
        self.topic: dict[bytes, pl.DataFrame] = {}
        self.head = b""
        self.accepted = self.written = 0

    @property
    def window(self) -> WindowState:
        return self.state.streams[self.id.stream].windows[self.id]

    def cut(self, rows: int) -> None:
        """Accept some rows and cut."""
        self.window.add(rows_from(self.accepted, rows))
        self.accepted += rows
        self.state.changed = True
        draft = checkpoint.take(self.state, {}, self.catalogue)
        assert draft is not None
        for key in draft.tombstones:
            del self.topic[key]
        assert not self.topic.keys() & {k for k, _ in draft.chunks}, "a key comes once"
        self.topic |= dict(draft.chunks)
        self.written += sum(frame.height for _, frame in draft.chunks)
        self.head = draft.head
        assert set(self.topic) == set(checkpoint.live_chunks(draft.head))

    def restored(self) -> WindowState:
        """The window as a restore gives it from the topic."""
        values = {k: checkpoint.encode_chunk(f) for k, f in self.topic.items()}
        state = checkpoint.restore(self.head, values, self.catalogue, 0)
        return state.streams[self.id.stream].windows[self.id]


@pytest.mark.parametrize("max_rows", [50_000, 500])
def test_a_slow_window_is_not_written_again_and_again(max_rows: int) -> None:
    """Over 1,200 cuts of three rows, with a crash here and there, few chunks live, rows are written few times, and a restore is exact."""
    slow, whole = SlowWindow(max_rows), HeldRows(max_rows)
    for cut in range(1200):
        slow.cut(3)
        whole.add(rows_from(3 * cut, 3))
        assert len(slow.window.chunks) <= checkpoint.MAX_CHUNKS + 1
        if cut % 500 == 450:
            slow.state.streams[slow.id.stream].windows[slow.id] = slow.restored()
    assert slow.written < 6 * slow.accepted
    found, wanted = slow.restored().rows.settle(), whole.settle()
    assert found.frame.equals(wanted.frame)
    assert (found.rows, found.duplicates, found.exact) == (wanted.rows, wanted.duplicates, wanted.exact)
    assert dict(found.nulls) == dict(wanted.nulls)


def test_rows_of_many_cuts_lie_in_few_pieces() -> None:
    """A window's rows lie in few pieces of memory however many cuts it has seen: each piece costs every later look at them."""
    slow = SlowWindow()
    for _ in range(300):
        slow.cut(1)
        assert slow.window.rows.stored is not None
        assert slow.window.rows.stored.n_chunks() <= MAX_PIECES
