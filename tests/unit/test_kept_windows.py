"""Rows kept as baselines: what a window is judged against depends on the set of events only, not on batching, order of judging or kills."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.spec import ModelSpec
from schemas.control import Control
from streams import checkpoint
from streams.kept_windows import KeptWindows, remove_folders
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.core import WindowCore
from streams.windows.state import PartitionState, StreamId, WindowId
from tests.unit.test_windows import FAR, Event, batch_of

S = 1000
Seen = dict[str, list[float] | None]  # by baseline: the values of its rows, None where it is missing


def binding_of(min_rows: int = 1, baselines: Sequence[str] = ("previous", "lag:30s"), **more: Any) -> Binding:
    fields = {
        "model": "m",
        "reference": "r.parquet",
        "features": {"x": {"type": "double"}},
        "prediction": {"column": "p", "type": "double"},
        "window": {"size": "10s", "grace": "5s"},
        "max_rows": 100,
    }
    return Binding(ModelSpec.model_validate(fields | {"min_rows": min_rows, "baselines": baselines} | more), "ref")


class Worker:
    """What a worker does about baselines, by the real parts: closings, cuts, kills; windows are judged when it is told to."""

    def __init__(self, home: Path, *bindings: Binding) -> None:
        self.home, self.bindings = home, bindings or (binding_of(),)
        self.published: dict[WindowId, Seen] = {}
        self.chunks: dict[bytes, bytes] = {}
        self.cut: tuple[bytes, int] | None = None
        self.start()

    def start(self) -> None:
        """A process begins, from the last cut."""
        catalogue = Catalogue()
        catalogue.add(self.bindings[0])
        self.core = WindowCore(catalogue, partitions=1, future_tolerance_ms=FAR, max_open_runs=3)
        self.kept = KeptWindows(self.home)
        self.results: dict[WindowId, Seen] = {}
        self.uncommitted: set[WindowId] = set()
        self.state = PartitionState(0)
        if self.cut:
            self.state = checkpoint.restore(self.cut[0], self.chunks, catalogue, self.cut[1])
        self.kept.restored(["m"])
        self.close(list(self.state.pending))

    def feed(self, log: Sequence[Event], size: int) -> None:
        """Take in the next events of the log, as one batch."""
        part = log[self.state.position : self.state.position + size]
        if part:
            self.close(self.core.ingest(self.state, batch_of(part, self.state.position)))

    def close(self, windows: Sequence[WindowId]) -> None:
        self.uncommitted |= set(windows)
        settled = [(w, self.state.pending[w].rows.settle()) for w in windows]
        self.kept.closed(settled, self.uncommitted | set(self.state.pending), self.core.catalogue)

    def judge(self, which: int) -> None:
        """Judge one of the closed windows: here only what the files say."""
        waiting = [w for w in self.state.pending if w not in self.results]
        if waiting:
            window = waiting[which % len(waiting)]
            self.results[window] = self.look(window)

    def look(self, window: WindowId) -> Seen:
        baselines = self.kept.baselines(window, self.core.catalogue[window.digest])
        return {b.kind: pl.read_parquet(b.path)["x"].to_list() if b.path.exists() else None for b in baselines}

    def commit(self, fails: bool = False) -> None:
        """A cut; one that fails is as a kill: the state comes back from the last one."""
        results: Any = self.results
        draft = checkpoint.take(self.state, results, self.core.catalogue)
        if fails:
            self.start()
        elif draft is not None:
            self.chunks = {k: v for k, v in self.chunks.items() if k not in draft.tombstones}
            self.chunks |= {k: checkpoint.encode_chunk(f) for k, f in draft.chunks}
            self.cut = (draft.head, draft.position)
            for window in draft.published:
                assert window not in self.published
                self.published[window] = self.results.pop(window)
                self.uncommitted.discard(window)

    def sweep(self) -> None:
        """Remove what ended replays have left."""
        running = {*self.state.streams, *(w.stream for w in self.uncommitted | set(self.state.pending))}
        remove_folders(self.kept.take_ended(lambda model: model == "m", running))

    def finish(self, log: Sequence[Event]) -> None:
        """Read the rest, judge and publish everything."""
        self.feed(log, len(log))
        while [w for w in self.state.pending if w not in self.results]:
            self.judge(0)
        self.commit()
        self.sweep()

    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.home)) for p in self.home.rglob("*") if p.is_file())


def by_time(published: dict[WindowId, Seen]) -> dict[tuple[str, int], Seen]:
    return {(w.stream.run, w.start_ms // S): seen for w, seen in published.items()}


def replayed(events: Sequence[Event], run: str = "r") -> list[Event]:
    """The events as a run, between its marks."""
    start, end = (Control(kind, "m", run, "t", 0, 10**9) for kind in ("run_start", "run_end"))
    return [start, *((e[0], e[1], run) for e in events if not isinstance(e, Control)), end]


actions = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), st.integers(1, 12)),
        st.tuples(st.just("judge"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["commit", "kill", "failed cut", "sweep"]), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(times=st.lists(st.integers(0, 120), min_size=5, max_size=40), actions=actions, replay=st.booleans())
def test_what_a_window_is_judged_against_follows_from_the_events(times: list[int], actions: list[tuple[str, int]], replay: bool) -> None:
    """However events are batched, in whatever order closed windows are judged and whenever the worker is killed or a cut fails: each window
    sees the rows of exactly the window before and of the one three before, where these have two rows or more, and None otherwise."""
    events: list[Event] = [(t * S, f"e{n:03}") for n, t in enumerate(sorted(times, key=lambda t: t // 8))]
    log = replayed(events) if replay else [*events, (10_000 * S, "last")]
    with tempfile.TemporaryDirectory() as home:
        worker = Worker(Path(home), binding_of(min_rows=2))
        for action, n in actions:
            if action == "feed":
                worker.feed(log, n)
            elif action == "judge":
                worker.judge(n)
            elif action == "kill":
                worker.start()
            elif action == "sweep":
                worker.sweep()
            else:
                worker.commit(fails=action == "failed cut")
        worker.finish(log)
        rows: dict[int, list[float]] = {}
        accepted = [(t, i) for t, i in ((e[0], e[1]) for e in events if not isinstance(e, Control))]
        for time_ms, _ in on_time(accepted):
            rows.setdefault(time_ms // S // 10 * 10, []).append(float(time_ms))
        expected = {
            start: {"previous": enough(rows.get(start - 10)), "lag:30s": enough(rows.get(start - 30))} for start in rows if start < 9_000
        }
        assert {start: seen for (_, start), seen in by_time(worker.published).items()} == expected
        if replay:
            assert worker.files() == []
            assert not list(Path(home).glob("m/r@*"))


def on_time(events: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those that are not late, in the order of their ids, as windows keep them: their window's end and grace lie beyond stream time."""
    kept, highest = [], -1
    for time_ms, event_id in events:
        if time_ms // 10_000 * 10_000 + 15_000 > highest:
            kept.append((time_ms, event_id))
        highest = max(highest, time_ms)
    return kept


def enough(rows: list[float] | None) -> list[float] | None:
    return rows if rows is not None and len(rows) >= 2 else None


def test_windows_that_close_together_see_each_other(tmp_path: Path) -> None:
    """Three windows of one batch: each sees the one before, also when they are judged in the reverse order."""
    worker = Worker(tmp_path)
    worker.feed([(n * 10 * S, f"e{n}") for n in range(5)], 5)
    for which in (2, 1, 0):
        worker.judge(which)
    worker.commit()
    assert by_time(worker.published) == {
        ("live", 0): {"previous": None, "lag:30s": None},
        ("live", 10): {"previous": [0.0], "lag:30s": None},
        ("live", 20): {"previous": [10_000.0], "lag:30s": None},
    }


def test_a_run_sees_itself_only(tmp_path: Path) -> None:
    """The same times live and in two replays: each window's baselines hold its own run's rows."""
    events = [(n * 10 * S + 1, f"e{n}") for n in range(3)]
    live = [(n * 10 * S, f"l{n}") for n in range(3)]
    log: list[Event] = [*live, *replayed(events[1:]), *replayed(events, "r2")]
    worker = Worker(tmp_path)
    worker.finish(log)
    found = by_time(worker.published)
    assert found["r", 10]["previous"] is None
    assert found["r", 20]["previous"] == [10_001.0]
    assert found["r2", 10]["previous"] == [1.0]
    assert worker.files() == ["m/live/0_" + binding_of().layout + ".parquet"]  # the runs' are gone


def test_files_are_kept_for_the_longest_lag(tmp_path: Path) -> None:
    """Of a hundred windows those of the last lag stay; while a window waits for its result, what it asks for stays, too."""
    worker = Worker(tmp_path)
    log: list[Event] = [(n * 10 * S, f"e{n}") for n in range(102)]
    worker.feed(log, 7)  # [0, 10) to [40, 50) have closed and wait
    waiting = next(w for w in worker.state.pending if w.start_ms == 40 * S)
    worker.feed(log, 95)
    assert worker.look(waiting) == {"previous": [30_000.0], "lag:30s": [10_000.0]}
    assert len(worker.files()) == 100
    worker.finish(log)
    worker.feed([*log, (1030 * S, "one more")], 1)
    starts = sorted(int(name.split("/")[-1].split("_")[0]) // S for name in worker.files())
    assert starts == [970, 980, 990, 1000, 1010]  # [1000, 1010) closed with the one after and waits


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """A part of a file that was never finished goes with the next window that closes."""
    (tmp_path / "m" / "live").mkdir(parents=True)
    (tmp_path / "m" / "live" / ".part-ab_cd").write_bytes(b"half")
    worker = Worker(tmp_path)
    worker.feed([(n * 10 * S, f"e{n}") for n in range(4)], 4)
    assert worker.files() == [f"m/live/{start}_{binding_of().layout}.parquet" for start in (0, 10_000)]


def test_a_window_that_shrank_leaves_no_file(tmp_path: Path) -> None:
    """Where a kill undid a closing by silence and the window closes anew, the file is the one of the last closing, or none."""
    worker = Worker(tmp_path, binding_of(min_rows=2))
    worker.feed([(0, "a"), (1, "b"), (11 * S, "c")], 3)
    window = WindowId(StreamId("m", "live"), 0, 10 * S, binding_of(min_rows=2).digest)
    worker.close(worker.core.advance(worker.state, worker.state.streams[window.stream], 15 * S))
    assert len(worker.files()) == 1
    worker.start()  # nothing of it was committed
    worker.feed([(0, "a"), (11 * S, "c"), (25 * S, "d")], 3)
    assert worker.files() == []


def test_kept_rows_outlive_a_change_of_thresholds(tmp_path: Path) -> None:
    """The first window under a spec with another drift share sees the last one of the old; under other windows' columns it does not."""
    share, column = binding_of(drift={"share": 0.3}), binding_of(features={"x": {"type": "double"}, "z": {"type": "double"}})
    for changed, seen in ((share, [10_000.0]), (column, None)):
        worker = Worker(tmp_path / changed.digest)
        worker.feed([(0, "a"), (10 * S, "b")], 2)
        worker.core.catalogue.add(changed)
        worker.core.change_spec(worker.state, "m")
        worker.feed([*[(0, "")] * 2, (20 * S, "c"), (30 * S, "d"), (40 * S, "e")], 3)
        window = next(w for w in worker.state.pending if w.start_ms == 20 * S)
        assert window.digest == changed.digest
        assert worker.look(window)["previous"] == seen


def test_a_full_disk_costs_the_baseline_not_the_stream(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the folder cannot be written, closing goes on, the log says so, and the next window's baseline is missing."""
    (tmp_path / "m").write_text("a file where the folder should be")
    worker = Worker(tmp_path)
    worker.feed([(n * 10 * S, f"e{n}") for n in range(4)], 4)
    worker.judge(1)
    worker.commit()
    assert by_time(worker.published) == {("live", 10): {"previous": None, "lag:30s": None}}
    assert "cannot be kept as a baseline" in caplog.text


def test_a_spec_without_baselines_keeps_nothing(tmp_path: Path) -> None:
    """No file and no folder; and files of an earlier spec that had some are removed."""
    worker = Worker(tmp_path, binding_of(baselines=()))
    (tmp_path / "m" / "live").mkdir(parents=True)
    (tmp_path / "m" / "live" / f"-100_{binding_of().layout}.parquet").write_bytes(b"")
    worker.feed([(n * 10 * S, f"e{n}") for n in range(4)], 4)
    assert worker.files() == []


@pytest.mark.parametrize("model", ["..", ".", "m"])
def test_files_lie_below_the_folder(tmp_path: Path, model: str) -> None:
    """A model's id may be two dots; its files stay in the folder of baselines all the same."""
    binding = binding_of(model=model)
    window = WindowId(StreamId(model, "..", 3), 0, 10_000, binding.digest)
    for baseline in KeptWindows(tmp_path).baselines(window, binding):
        assert tmp_path in baseline.path.resolve().parents
        assert baseline.path.resolve().parent.name == "..@3"
        assert len(baseline.path.resolve().relative_to(tmp_path).parts) == 3
