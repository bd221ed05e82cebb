"""Closed windows on their way to a verdict, and results on their way to a cut. On the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from config.errors import TidemarkError
from monitor.reports import ReportProcess
from monitor.window import WindowData
from schemas.result import WindowResult
from streams.early import Early
from streams.judge import ClosedWindow, Judge
from streams.partition import Partition


async def nowhere(*_: Any) -> None:
    """What stands for a callback before the worker is wired."""
    raise TidemarkError("the worker is not wired", "report this: it is a bug")


class Verdicts:
    """Has windows judged, each on the thread that its methods belong to.

    Attributes:
        on_closed: takes a closed window to where :meth:`verdict` is called for it; :meth:`closed` calls it.
        wake: set when a result waits for a cut.
        soon: how many windows are being judged by methods that take milliseconds.
    """

    def __init__(self, judge: Judge, reports: ReportProcess, run_in: Callable[..., Awaitable[Any]]) -> None:
        self.judge = judge
        self.reports = reports
        self.on_closed: Callable[[Partition, ClosedWindow], Awaitable[None]] = nowhere
        self.wake = asyncio.Event()
        self.soon = 0
        self._run_in = run_in

    def ahead(self, partition: Partition, early: Early) -> None:
        """Have a window judged that has not closed yet; :meth:`verdict` takes the answer when it does."""
        early.verdict = asyncio.ensure_future(self._judged(partition, early.closed, slow=False))

    async def closed(self, partition: Partition, closed: ClosedWindow) -> None:
        """Take a closed window. A verdict that is there already waits for the next cut from now on, and not only once its turn comes."""
        early = partition.early.get(closed.id)
        if early is not None and early.closed is closed and early.verdict is not None and early.verdict.done() and partition.valid:
            _, results, took_s = early.verdict.result()
            self._answer(partition, closed, results, took_s)
            early.answered = True
        await self.on_closed(partition, closed)

    async def verdict(self, partition: Partition, closed: ClosedWindow) -> None:
        """Judge a closed window; its result waits for the next cut, and the window goes to those who keep it."""
        judged = await self._verdict(partition, closed)
        if judged is not None:  # off the loop: it writes the first page of a report
            data, result, compared = judged
            binding = self.judge.catalogue[result.spec_digest]
            await self._run_in("aux", self.reports.closed, data, binding.spec, self.judge.reference_path(binding), result, compared)

    async def _verdict(
        self, partition: Partition, closed: ClosedWindow
    ) -> tuple[WindowData, WindowResult, tuple[WindowResult, ...]] | None:
        early = partition.early.pop(closed.id, None)
        known = early.verdict if early is not None and early.closed is closed else None
        if early is not None and known is not None and early.answered:
            data, results, _ = known.result()
            return data, results[0], results[1:]
        if not partition.valid:
            return None
        slow = self.judge.slow(closed.id)
        self.soon += not slow
        try:
            data, results, took_s = await (known or self._judged(partition, closed, slow))
        finally:
            self.soon -= not slow
        if not partition.valid:  # revoked or reset meanwhile: whoever restores it judges again
            return None
        self._answer(partition, closed, results, took_s)
        return data, results[0], results[1:]

    def _answer(self, partition: Partition, closed: ClosedWindow, results: tuple[WindowResult, ...], took_s: float) -> None:
        """Let a window's results wait for the next cut. Once only: what a cut has published must not come back."""
        partition.compared[closed.id] = list(results[1:])  # first: a cut that sees the result takes these along
        partition.results[closed.id] = results[0]
        partition.evaluation_s[closed.id] = took_s
        self.wake.set()

    async def _judged(self, partition: Partition, closed: ClosedWindow, slow: bool) -> tuple[WindowData, tuple[WindowResult, ...], float]:
        """The window's data, its results, and the seconds that they took."""
        began = time.perf_counter()
        data, results = await self._run_in("slow" if slow else "judge", self.judge.judge, closed, partition.number)
        return data, results, time.perf_counter() - began
