"""A closed window's result waits for a cut as soon as its verdict is known, and exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from config.settings import Settings
from monitor.reports import ReportProcess
from monitor.window import WindowData
from schemas.result import WindowResult
from streams.early import Early, EarlyWindows
from streams.judge import ClosedWindow, Judge
from streams.partition import Partition
from streams.verdicts import Verdicts
from streams.windows.core import WindowCore
from streams.windows.state import PartitionState
from tests.unit.test_windows import FAR, Event, S, batch_of

SPEC = """
model: m
reference: m.parquet
features: {x: {type: double}}
prediction: {column: p, type: double}
window: {size: 10s, grace: 4s}
min_rows: 1
"""
OPEN: list[Event] = [(1 * S, "a"), (2 * S, "b"), (12 * S, "c")]  # [0 s, 10 s) is judged early now
CLOSES: list[Event] = [(14 * S, "d")]


class World:
    """One partition's windows, with the real judge. ``handed_on``: those that closed, and how many results waited for a cut then."""

    def __init__(self, judge: Judge, reports: ReportProcess) -> None:
        self.core = WindowCore(judge.catalogue, partitions=1, future_tolerance_ms=FAR, max_open_runs=3)
        self.partition = Partition(0, state=PartitionState(0))
        self.windows = EarlyWindows(judge.catalogue, judge.slow, lambda _: None)
        self.verdicts = Verdicts(judge, reports, self.run_in)
        self.verdicts.on_closed = self.on_closed
        self.handed_on: list[tuple[ClosedWindow, int]] = []
        self.judged: list[ClosedWindow] = []
        self.reported: list[tuple[WindowData, WindowResult]] = []

    async def run_in(self, thread: str, work: Callable[..., Any], *arguments: Any) -> Any:
        if thread == "judge":
            self.judged.append(arguments[0])
        done = await asyncio.to_thread(work, *arguments)
        if work == self.verdicts.reports.closed:
            self.reported.append((arguments[0], arguments[3]))
        return done

    async def on_closed(self, partition: Partition, closed: ClosedWindow) -> None:
        self.handed_on.append((closed, len(partition.results)))

    async def feed(self, events: list[Event]) -> list[Early]:
        """Take events in as the worker does; returns the windows that are being judged early."""
        state = self.partition.state
        assert state is not None
        windows = self.core.ingest(state, batch_of(events, state.position))
        closed = [self.windows.closed(state.pending[w], self.partition.early) for w in windows]
        early = self.windows.due(state, self.partition.early)
        for window in early:
            self.verdicts.ahead(self.partition, window)
        for window in closed:
            await self.verdicts.closed(self.partition, window)
        return early

    def cut(self) -> list[WindowResult]:
        """The results that a cut takes along."""
        self.verdicts.wake.clear()
        taken = list(self.partition.results.values())
        self.partition.results.clear()
        return taken


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with a reference of its own; nothing of it is archived."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "m.yaml").write_text(SPEC, encoding="utf-8")
    values = [float(i) for i in range(50)]
    pl.DataFrame({"x": values, "p": values}).write_parquet(tmp_path / "m.parquet")
    settings = Settings(home=tmp_path, specs_dir=tmp_path / "specs", archive=False, workspace=False, report_every=0)
    judge, reports = Judge(settings), ReportProcess(settings)
    judge.load()
    yield World(judge, reports)
    reports.close()
    judge.evaluator.close()


async def test_known_at_the_closing(world: World) -> None:
    """A verdict that is there when the window closes waits for the cut at once: before the window's turn comes, and not again then."""
    (early,) = await world.feed(OPEN)
    assert early.verdict is not None
    await early.verdict
    assert world.cut() == []
    await world.feed(CLOSES)
    ((closed, waiting),) = world.handed_on
    assert waiting == 1
    assert world.verdicts.wake.is_set()
    (result,) = world.cut()
    assert (result.start_ms, result.rows) == (0, 2)
    await world.verdicts.verdict(world.partition, closed)
    assert world.cut() == []
    assert not world.verdicts.wake.is_set()
    assert len(world.judged) == 1
    assert [(data.rows, reported) for data, reported in world.reported] == [(2, result)]


async def test_not_yet_known_at_the_closing(world: World) -> None:
    """A verdict that is still on its way when the window closes is waited for in the window's turn; the window is judged once."""
    (early,) = await world.feed(OPEN)
    await world.feed(CLOSES)
    assert early.verdict is not None
    assert not early.verdict.done()
    ((closed, waiting),) = world.handed_on
    assert waiting == 0
    await world.verdicts.verdict(world.partition, closed)
    assert world.verdicts.wake.is_set()
    assert [(r.start_ms, r.rows) for r in world.cut()] == [(0, 2)]
    assert len(world.judged) == 1
    assert len(world.reported) == 1


async def test_another_row(world: World) -> None:
    """A verdict that a row came after is not taken: the window is judged anew in its turn, with all of its rows."""
    (early,) = await world.feed(OPEN)
    assert early.verdict is not None
    await early.verdict
    await world.feed([(3 * S, "e"), *CLOSES])
    ((closed, waiting),) = world.handed_on
    assert waiting == 0
    await world.verdicts.verdict(world.partition, closed)
    assert [(r.start_ms, r.rows) for r in world.cut()] == [(0, 3)]
    assert len(world.judged) == 2


async def test_of_a_partition_that_was_lost(world: World) -> None:
    """What was judged early for a partition that is another worker's by now waits for no cut, is not judged again and has no report."""
    (early,) = await world.feed(OPEN)
    assert early.verdict is not None
    await early.verdict
    world.partition.valid = False
    await world.feed(CLOSES)
    ((closed, waiting),) = world.handed_on
    await world.verdicts.verdict(world.partition, closed)
    assert (waiting, world.cut(), len(world.judged), world.reported) == (0, [], 1, [])
