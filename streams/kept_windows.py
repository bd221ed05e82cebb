"""Rows of closed windows, kept as baselines of later ones: ``TIDEMARK_HOME/baselines/{model}/{run}/{start_ms}_{layout}.parquet``.

A published result is final, so it must not depend on when a worker was killed. Therefore a window's rows are written when it closes, on the
thread that closes windows, before any window of that closing is handed on to be judged; windows of one layout close in the order of their
time, so whatever is judged finds the files of all earlier ones. After a kill the windows without a published result close again, from the
same events, and write the same rows anew; the files of published ones are there, since none is removed while a window that is not yet
published may ask for it.
"""

from __future__ import annotations

import heapq
import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import polars as pl

from config.baselines import windows_back
from monitor.reports.paths import folder_of_id, part_beside
from monitor.window import Baseline
from schemas.event import LIVE_RUN
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.rows import Settled
from streams.windows.state import StreamId, WindowId

logger = logging.getLogger(__name__)
_FILE = re.compile(r"(-?\d+)_[0-9a-f]+\.parquet")
UNFINISHED = -(2**63)  # parts of a writer that was killed: the first to be removed


class KeptWindows:
    """The files, below a folder. All but :meth:`baselines` is called on the thread that alone touches partitions' states."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[StreamId, list[tuple[int, str]]] = {}  # start (ms) and name of each file, a heap

    def baselines(self, window: WindowId, binding: Binding) -> tuple[Baseline, ...]:
        """What a window is judged against besides the reference, whether its rows are there or not. From any thread."""
        return tuple(self._baseline(window, binding, kind) for kind in binding.spec.baselines)

    def closed(self, windows: Sequence[tuple[WindowId, Settled]], unpublished: Collection[WindowId], catalogue: Catalogue) -> None:
        """Windows have closed, in this order. ``unpublished`` are all closed ones, these included, whose results are not committed."""
        for window, settled in windows:
            if catalogue[window.digest].spec.baselines:
                self._keep(window, settled, catalogue[window.digest])
        for stream in {window.stream for window, _ in windows}:
            self._prune(stream, unpublished, catalogue)

    def _keep(self, window: WindowId, settled: Settled, binding: Binding) -> None:
        """Write a closed window's rows, under the spec's names; a window with fewer than ``min_rows`` is no baseline.

        A disk that is full costs later windows this baseline, which their results say, and no more.
        """
        path = self._path(window.stream, window.start_ms, binding)
        try:
            if settled.rows < binding.spec.min_rows:
                path.unlink(missing_ok=True)  # of a closing by silence that a kill has undone
                return
            kept = self._of(window.stream)
            names = {c: n for c, n in binding.names(settled.frame.columns).items() if n in binding.spec.columns}
            with part_beside(path) as part:
                settled.frame.select(pl.col(c).alias(n) for c, n in names.items()).write_parquet(part, compression="lz4", statistics=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            logger.error("the rows of a closed window cannot be kept as a baseline: %s", error)
            return
        heapq.heappush(kept, (window.start_ms, path.name))

    def _prune(self, stream: StreamId, unpublished: Collection[WindowId], catalogue: Catalogue) -> None:
        """Remove a stream's files of windows that begin earlier than any that can be asked for."""
        if not (kept := self._of(stream)):
            return
        first: dict[str, WindowId] = {}
        for window in (w for w in unpublished if w.stream == stream):
            first[window.digest] = min(window, first.get(window.digest, window))
        needed_ms = min(self._earliest(window, catalogue[digest]) for digest, window in first.items())
        while kept and kept[0][0] < needed_ms:
            (self._stream_folder(stream) / heapq.heappop(kept)[1]).unlink(missing_ok=True)

    def restored(self, models: Iterable[str]) -> None:
        """Forget what is known of the files of some models: another worker may have had their partition. Runs are looked for."""
        for model in models:
            self._kept = {stream: kept for stream, kept in self._kept.items() if stream.model != model}
            for folder in (self._folder / folder_of_id(model)).glob("*@*"):
                run, _, offset = folder.name.rpartition("@")
                if offset.isdecimal():
                    self._of(StreamId(model, run, int(offset)))

    def take_ended(self, ours: Callable[[str], bool], running: Collection[StreamId]) -> list[Path]:
        """Folders, to be removed, of replays that are over: of models that are ours, and not among ``running``. They are forgotten here."""
        ended = [s for s in self._kept if s.run != LIVE_RUN and ours(s.model) and s not in running]
        for stream in ended:
            del self._kept[stream]
        return [self._stream_folder(stream) for stream in ended]

    def _of(self, stream: StreamId) -> list[tuple[int, str]]:
        if stream not in self._kept:
            folder = self._stream_folder(stream)
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            kept = [(int(found[1]) if (found := _FILE.fullmatch(name)) else UNFINISHED, name) for name in names]
            heapq.heapify(kept)
            self._kept[stream] = kept
        return self._kept[stream]

    def _earliest(self, window: WindowId, binding: Binding) -> int:
        return min([window.start_ms, *(self._baseline(window, binding, kind).start_ms for kind in binding.spec.baselines)])

    def _baseline(self, window: WindowId, binding: Binding, kind: str) -> Baseline:
        start, end = binding.grid.earlier(window.start_ms, windows_back(kind, binding.spec.window))
        return Baseline(kind, self._path(window.stream, start, binding), start, end)

    def _path(self, stream: StreamId, start_ms: int, binding: Binding) -> Path:
        return self._stream_folder(stream) / f"{start_ms}_{binding.layout}.parquet"

    def _stream_folder(self, stream: StreamId) -> Path:
        run = LIVE_RUN if stream.run == LIVE_RUN else f"{stream.run}@{stream.run_offset}"
        return self._folder / folder_of_id(stream.model) / run


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove folders with what is in them; one that is gone is no error."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
