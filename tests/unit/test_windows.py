"""Windows depend on the set of events and their offsets' order in time only: not on batching, on crashes, nor on what lies beside them."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.spec import ModelSpec
from config.spec_window import Window
from schemas.control import Control
from streams import checkpoint
from streams.partitioner import murmur2, partition_of
from streams.windows.batch import DecodedBatch, EventRows, RawBatch
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.core import WindowCore
from streams.windows.grid import Grid
from streams.windows.rows import HeldRows, Settled
from streams.windows.state import PartitionState, StreamId, WindowId

S = 1000
FAR = 10**15


def spec_of(model: str = "m", **window: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": model,
            "reference": "r.parquet",
            "features": {"x": {"type": "double"}},
            "prediction": {"column": "p", "type": "double"},
            "window": {"size": "10s", **window},
            "max_rows": 100,
        }
    )


def core_of(*specs: ModelSpec, tolerance_ms: int = FAR) -> WindowCore:
    catalogue = Catalogue()
    for spec in specs:
        catalogue.add(Binding(spec, "ref"))
    return WindowCore(catalogue, partitions=1, future_tolerance_ms=tolerance_ms, max_open_runs=3)


Event = tuple[int, str] | tuple[int, str, str] | tuple[int, str, str, str] | Control


def batch_of(events: Sequence[Event], first: int) -> DecodedBatch:
    """Events ``(time_ms, id[, run[, model]])`` and controls at offsets from ``first`` on."""
    n = len(events)
    full = [e if isinstance(e, Control) else (*e, *("live", "m")[len(e) - 2 :]) for e in events]
    keys: list[bytes | None] = [(e.model if isinstance(e, Control) else e[3]).encode() for e in full]
    raw = RawBatch(0, [b"raw%d" % (first + i) for i in range(n)], keys, np.arange(first, first + n), np.zeros(n, dtype=np.int64))
    rows = [(i, *e) for i, e in enumerate(full) if not isinstance(e, Control)]
    batch = DecodedBatch(raw, controls=[(i, e) for i, e in enumerate(full) if isinstance(e, Control)])
    if rows:
        index, times, ids, runs, models = zip(*rows, strict=True)
        columns = {
            "@id": ids,
            "@time": times,
            "@run": runs,
            "@model": models,
            "@version": ["1"] * len(ids),
            "@prediction": [0.0] * len(ids),
        }
        frame = pl.DataFrame({**columns, "f:x": [float(t) for t in times]}, schema_overrides={"@time": pl.Int64})
        batch.events.append(EventRows(np.array(index), frame))
    return batch


class Run:
    """Feeds events to a core and keeps what came out."""

    def __init__(self, core: WindowCore) -> None:
        self.core, self.state = core, PartitionState(0)
        self.windows: dict[WindowId, Settled] = {}
        self.late: list[int] = []
        self.dead: list[tuple[int, str]] = []

    def feed(self, events: Sequence[Event], sizes: Sequence[int] = (), crash: bool = False) -> Run:
        events, sizes = list(events), list(sizes)
        while events:
            size = max(1, sizes.pop(0)) if sizes else len(events)
            self.core.ingest(self.state, batch_of(events[:size], self.state.position))
            self.publish(crash)
            events = events[size:]
        return self

    def publish(self, crash: bool = False) -> None:
        """What a cut does, without a broker: the head and the chunks go through their bytes when a crash is to follow."""
        results: Any = {w: w for w in self.state.pending}
        self.windows |= {w: s.rows.settle() for w, s in self.state.pending.items()}
        draft = checkpoint.take(self.state, results, self.core.catalogue)
        if draft is None:
            return
        self.late += [o.offset for o in draft.late]
        self.dead += [(o.offset, o.reason) for o in draft.dead]
        if crash:
            self.kept = {k: v for k, v in getattr(self, "kept", {}).items() if k not in draft.tombstones}
            self.kept |= {k: checkpoint.encode_chunk(f) for k, f in draft.chunks}
            assert set(checkpoint.live_chunks(draft.head)) == set(self.kept)
            self.state = checkpoint.restore(draft.head, self.kept, self.core.catalogue, draft.position)

    def ids(self) -> dict[tuple[str, int, int], list[str]]:
        return {(w.stream.run, w.start_ms // S, w.end_ms // S): s.frame["@id"].to_list() for w, s in self.windows.items()}


def test_windows_are_half_open_and_wait_for_grace() -> None:
    """Draws the intervals: an event on the boundary is in the later window, and a window closes when stream time reaches end + grace.

    |--- [0,10) ---|--- [10,20) ---|   a window's end + grace of 5 s
    a         b    c              d e
    """
    run = Run(core_of(spec_of(grace="5s"))).feed([(0, "a"), (9_999, "b"), (10_000, "c"), (14_999, "d")])
    assert run.ids() == {}
    run.feed([(15_000, "e")])
    assert run.ids() == {("live", 0, 10): ["a", "b"]}


def test_within_grace_is_included_and_after_it_late() -> None:
    """A record behind stream time joins its window until end + grace, and is late from then on."""
    run = Run(core_of(spec_of(grace="5s"))).feed([(1_000, "a"), (14_999, "b"), (2_000, "in"), (15_000, "c"), (3_000, "late")])
    assert run.ids() == {("live", 0, 10): ["a", "in"]}
    assert run.late == [4]


EVENTS = st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 30).map(str)), min_size=1, max_size=60)
SIZES = st.lists(st.integers(1, 9), max_size=40)


@given(events=EVENTS, sizes=SIZES, crash=st.booleans(), grace=st.sampled_from(["0s", "3s", "30s"]))
@settings(max_examples=300, deadline=None)
def test_batching_and_crashes_change_nothing(events: list[tuple[int, str]], sizes: list[int], crash: bool, grace: str) -> None:
    """Cut into any batches, with a crash and a restore from the checkpoint after each: the same windows, late records, counts."""
    one = Run(core_of(spec_of(grace=grace))).feed(events, [1] * len(events))
    other = Run(core_of(spec_of(grace=grace))).feed(events, sizes, crash)
    assert {w: _plain(s) for w, s in one.windows.items()} == {w: _plain(s) for w, s in other.windows.items()}
    assert one.late == other.late
    assert one.state.streams[StreamId("m", "live")].time_ms == other.state.streams[StreamId("m", "live")].time_ms


def _plain(settled: Settled) -> Any:
    return settled.frame.to_dicts(), settled.rows, settled.duplicates, settled.exact, dict(settled.nulls)


@given(events=EVENTS, seed=st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_order_in_which_nothing_is_late(events: list[tuple[int, str]], seed: Any) -> None:
    """With a grace over the whole span, any permutation of the events gives the same windows."""
    shuffled = list(events)
    seed.shuffle(shuffled)
    end: list[Event] = [(200_000, "end")]
    one, other = (Run(core_of(spec_of(grace="60s"))).feed([*order, *end]) for order in (events, shuffled))
    assert {w: _plain(s) for w, s in one.windows.items()} == {w: _plain(s) for w, s in other.windows.items()}
    assert not other.late


@given(
    rows=st.lists(st.tuples(st.integers(0, 40), st.none() | st.integers(0, 3)), min_size=1, max_size=200),
    seed=st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_the_sample_is_the_smallest_hashes_in_any_order(rows: list[tuple[int, int | None]], seed: Any) -> None:
    """Held rows, counts and nulls depend on the set of arrivals only, whether the window overflows its ``max_rows`` or not."""
    outcomes = []
    for _ in range(3):
        held, order = HeldRows(max_rows=15), list(rows)
        seed.shuffle(order)
        while order:
            n = seed.randint(1, 12)
            part, order = order[:n], order[n:]
            held.add(pl.DataFrame({"@id": [f"e{i}" for i, _ in part], "v": [v for _, v in part]}, schema={"@id": pl.String, "v": pl.Int64}))
            if seed.random() < 0.3:
                held.take_fresh()
        outcomes.append(_plain(held.settle()))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    ids = {i for i, _ in rows}
    assert len(outcomes[0][0]) == min(len(ids), 15)
    assert outcomes[0][1] == (len(ids) if len(ids) <= 15 else len(rows))


def test_one_clock_ten_years_ahead_closes_nothing() -> None:
    """A live event beyond the broker's time plus the tolerance is a dead letter; stream time stays."""
    run = Run(core_of(spec_of(), tolerance_ms=60_000)).feed([(1_000, "a"), (10 * 365 * 86_400_000, "x"), (2_000, "b"), (11_000, "c")])
    assert run.ids() == {("live", 0, 10): ["a", "b"]}
    assert run.dead == [(1, "future_event_time")]


def mark(kind: Any, run: str, token: str = "t", model: str = "m", span: tuple[int, int] = (0, 100_000)) -> Control:
    return Control(kind, model, run, token, *span)


def test_replays_run_beside_live_traffic() -> None:
    """The same history twice beside a live stream on one partition: three right sets of windows, nothing late."""
    history = [(t * 1000, f"h{t}") for t in range(25)]
    now = 1_700_000_000_000
    mixed: list[Event] = [mark("run_start", "r1"), mark("run_start", "r2", "t2")]
    for i, (t, name) in enumerate(history):
        mixed += [(t, name, "r1"), (now + i * 1000, f"live{i}"), (t, name, "r2")]
    mixed += [mark("run_end", "r1"), mark("run_end", "r2", "t2")]
    run = Run(core_of(spec_of())).feed(mixed, [3, 1, 7, 2, 30])
    ids = run.ids()
    for r in ("r1", "r2"):
        windows = {k[1]: v for k, v in ids.items() if k[0] == r}
        assert {start: sorted(v) for start, v in windows.items()} == {
            s: sorted(f"h{t}" for t in range(s, min(s + 10, 25))) for s in (0, 10, 20)
        }
    assert sum(len(v) for k, v in ids.items() if k[0] == "live") == 20
    assert not run.late
    assert not run.dead


def test_marks_that_do_not_fit_are_dead_letters() -> None:
    """Events of no open run, wrong token, outside the span, second start, too many runs: dead letters by name, nothing else lost."""
    events: list[Event] = [(1, "a", "r1"), mark("run_start", "r1", span=(0, 50_000)), mark("run_start", "r1", "other")]
    events += [(60_000, "b", "r1"), mark("run_end", "r1", "wrong"), (5, "c", "r1"), mark("run_end", "r1"), (6, "d", "r1")]
    events += [mark("run_start", f"n{i}", f"k{i}") for i in range(4)]
    run = Run(core_of(spec_of())).feed(events, [2, 1, 1, 3])
    reasons = [
        (0, "unknown_run"),
        (2, "run_is_open"),
        (3, "outside_run_span"),
        (4, "wrong_token"),
        (7, "unknown_run"),
        (11, "too_many_runs"),
    ]
    assert run.dead == reasons
    assert run.ids() == {("r1", 0, 10): ["c"]}


def test_a_run_name_may_come_again() -> None:
    """A run is its id and the offset of its start: the same name later is another run with windows of its own."""
    once: list[Event] = [mark("run_start", "r"), (1, "a", "r"), mark("run_end", "r")]
    run = Run(core_of(spec_of())).feed([*once, *once], [2])
    assert sorted(w.stream.run_offset for w in run.windows) == [0, 3]


def test_unknown_models_and_foreign_keys() -> None:
    """A model without a spec, and an event under another model's key, are dead letters; the neighbours count."""
    batch = batch_of([(1, "a"), (2, "b", "live", "other"), (3, "c")], 0)
    batch.raw.keys[2] = b"else"
    run = Run(core_of(spec_of()))
    run.core.ingest(run.state, batch)
    run.publish()
    assert sorted(run.dead) == [(1, "unknown_model"), (2, "key_mismatch")]


def test_a_key_on_the_wrong_partition() -> None:
    """A record on a partition that its key does not belong to is a dead letter: the model's windows would be split."""
    core = core_of(spec_of())
    core.partitions = 4
    wrong = PartitionState((partition_of(b"m", 4) + 1) % 4)
    batch = batch_of([(1, "a")], 0)
    core.ingest(
        wrong,
        DecodedBatch(RawBatch(wrong.partition, *[getattr(batch.raw, f) for f in ("values", "keys", "offsets", "broker_ms")]), batch.events),
    )
    assert [o.reason for o in wrong.dead] == ["wrong_partition"]


@pytest.mark.parametrize(("key", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)])
def test_murmur2_is_kafkas(key: bytes, hashed: int) -> None:
    """The values are those of Apache Kafka's own UtilsTest."""
    assert murmur2(key) == hashed % 2**32


def test_weeks_follow_daylight_saving() -> None:
    """New York weeks start on Monday at local midnight; the week in which summer time begins has 167 hours."""
    grid = Grid(Window(size="7d", time_zone="America/New_York", week_start="monday"))  # type: ignore[arg-type]
    when = dt.datetime(2013, 3, 10, 12, tzinfo=dt.UTC)
    start, end = grid.window_of(int(when.timestamp() * 1000))
    assert dt.datetime.fromtimestamp(start / 1000, dt.UTC) == dt.datetime(2013, 3, 4, 5, tzinfo=dt.UTC)
    assert (end - start) / 3_600_000 == 167


@given(
    st.lists(st.integers(-(10**12), 4 * 10**12), min_size=1, max_size=20),
    st.sampled_from(["1d", "3d", "7d"]),
    st.sampled_from(["Asia/Kolkata", "Pacific/Apia", "America/New_York"]),
)
@settings(max_examples=60, deadline=None)
def test_windows_tile_time(times: list[int], size: str, zone: str) -> None:
    """In any zone each moment lies in exactly one window, whose neighbours begin where it ends."""
    grid = Grid(Window(size=size, time_zone=zone))  # type: ignore[arg-type]
    starts, ends = grid.bounds(np.array(times))
    for t, start, end in zip(times, starts.tolist(), ends.tolist(), strict=True):
        assert start <= t < end
        assert grid.window_of(end)[0] == end
        assert grid.window_of(end - 1) == (start, end)


def test_a_changed_spec_holds_from_a_common_boundary() -> None:
    """After a change, open windows end as they were; the new size holds from the first boundary of both grids behind them."""
    run = Run(core_of(spec_of()))
    run.feed([(1_000, "a"), (12_000, "b")])
    run.core.catalogue.add(Binding(spec_of(size="20s"), "ref"))
    run.core.change_spec(run.state, "m")
    run.feed([(15_000, "c"), (20_000, "d"), (39_000, "e"), (41_000, "f")])
    assert run.ids() == {("live", 0, 10): ["a"], ("live", 10, 20): ["b", "c"], ("live", 20, 40): ["d", "e"]}


def test_grids_that_share_no_boundary() -> None:
    """From UTC days to New York days: the change comes at the next boundary of the old grid, and no two windows overlap."""
    day = 86_400_000
    run = Run(core_of(spec_of(size="1d")))
    run.feed([(20_000 * day + 1, "a")])
    run.core.catalogue.add(Binding(spec_of(size="1d", time_zone="America/New_York"), "ref"))
    run.core.change_spec(run.state, "m")
    run.feed([(20_000 * day + h * 3_600_000, f"h{h:02}") for h in range(1, 60)])
    run.feed([(20_010 * day, "end")])
    spans = sorted((w.start_ms, w.end_ms) for w in run.windows)
    assert spans[0] == (20_000 * day, 20_001 * day)
    assert spans[1][0] == 20_001 * day
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert sum(s.rows for s in run.windows.values()) == 60


def test_weeks_without_a_zone_start_on_their_day() -> None:
    """``week_start: monday`` without a time zone gives UTC weeks from Monday, not the epoch's Thursday."""
    grid = Grid(Window(size="7d", week_start="monday"))  # type: ignore[arg-type]
    start, _ = grid.window_of(1_700_000_000_000)
    assert dt.datetime.fromtimestamp(start / 1000, dt.UTC).strftime("%a %H:%M") == "Mon 00:00"


def test_the_head_is_small_and_readable() -> None:
    """The head names streams, windows and specs as JSON; rows are in the chunks only."""
    run = Run(core_of(spec_of())).feed([(1, f"id-{i}") for i in range(50)], [25])
    run.core.ingest(run.state, batch_of([(2, "z")], 50))
    draft = checkpoint.take(run.state, {}, run.core.catalogue)
    assert draft is not None
    head = json.loads(draft.head)
    assert head["windows"][0]["arrived"] == 51
    assert b"id-7" not in draft.head
    assert len(draft.head) < 2000
