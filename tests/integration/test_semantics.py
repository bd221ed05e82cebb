"""What becomes of poison, late records, silence, replays beside live traffic and a changed spec: one worker on the real broker.

Each test has models of its own; what is expected is computed from the events alone.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from config.errors import DEAD_LETTER_REASONS
from producers.emitter import Emitter
from schemas.framing import WriterSchema
from schemas.result import WindowResult
from schemas.store import CONTROL
from streams.partitioner import partition_of
from tests.support.broker import Broker
from tests.support.feed import Feeder, Template
from tests.support.worker import World, event, mark

pytestmark = pytest.mark.integration
SIZE_MS, GRACE_MS, IDLE_S = 4000, 1000, 1.5
LIVE = [next(f"a{i}" for i in range(99) if partition_of(f"a{i}".encode(), 4) == 2), "late-runner", "poisoned", "reloaded", "sparse"]
NEIGHBOUR = next(f"b{i}" for i in range(99) if partition_of(f"b{i}".encode(), 4) == 2)  # on the partition of LIVE[0]
SPEC = """
model: MODEL
reference: references/MODEL.parquet
features:
  x: {type: double}
  colour: {type: string, kind: categorical}
prediction: {column: y, type: double}
window: {size: 4s, grace: 1s}
min_rows: 20
"""
VECTORS = """
model: vectors
reference: references/vectors.parquet
features:
  x: {type: double}
  vector (ü): {type: doubles, kind: embedding}
  note: {type: string, kind: text}
prediction: {column: y, type: double}
window: {size: 4s, grace: 1s}
min_rows: 20
"""
YEAR_MS = 365 * 86_400_000
OF_2013_MS = 1_356_998_400_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[World]:
    """One worker for all tests here; it must be the same process, with the same partitions, in the end."""
    home = tmp_path_factory.mktemp("semantics") / "home"
    settings: dict[str, Any] = {"idle_timeout": IDLE_S, "future_tolerance": 3600, "max_record_bytes": 10_000}
    made = World.make(home, broker.bootstrap_servers, [*LIVE, NEIGHBOUR], spec=SPEC, **settings)
    (home / "specs" / "vectors.yaml").write_text(VECTORS)
    vectors(2000, 0).with_columns(y=pl.lit(0.5)).write_parquet(home / "references" / "vectors.parquet")
    try:
        made.start()
        made.wait_for(lambda: made.metrics().get("tidemark_restore_seconds_count{}") == 4, 120, "four partitions")
        yield made
    finally:
        made.stop()


def vectors(rows: int, seed: int, shift: float = 0.0, words: int = 5) -> pl.DataFrame:
    """Rows of the model ``vectors``: of eight components, each moved by ``shift``; notes of so many different words."""
    rng = np.random.default_rng(seed)
    known = ["late", "plane", "storm", "gate", "crew", "fuel", "runway", "fog", "strike"][:words]
    columns = {"x": rng.normal(size=rows), "vector (ü)": rng.normal(shift, 1.0, (rows, 8))}
    return pl.DataFrame({**columns, "note": [" ".join(rng.choice(known, 7)) for _ in range(rows)]}).cast(
        {"vector (ü)": pl.List(pl.Float64)}
    )


def still_the_same(world: World) -> bool:
    """True while the worker neither ended nor gave up and restored a partition."""
    return world.processes[0].poll() is None and world.metrics()["tidemark_restore_seconds_count{}"] == 4


def of_model(world: World, model: str, count: int, timeout_s: float = 60) -> list[WindowResult]:
    """The model's results, once there are ``count``."""
    reader = world.reader("results")
    world.wait_for(lambda: sum(r.model == model for r in reader.results()) >= count, timeout_s, f"{count} results of {model}")
    return [r for r in reader.results() if r.model == model]


def rows_by_window(times_ms: Iterable[int], size_ms: int = SIZE_MS) -> dict[int, int]:
    """How many of the event times lie in each window, by its start."""
    return dict(Counter(t // size_ms * size_ms for t in times_ms))


def shown(results: Iterable[WindowResult]) -> dict[int, int]:
    """Rows by window start; fails when a window comes twice."""
    results = list(results)
    assert len({r.key for r in results}) == len(results)
    return {r.start_ms: r.rows for r in results}


class Poison:
    """Bad records of many kinds for a model, each with the reason it must be a dead letter for."""

    def __init__(self, writer: WriterSchema, model: str) -> None:
        self.writer, self.model, self.made = writer, model, 0
        self.home = partition_of(model.encode(), 4)
        now_ms = int(time.time() * 1000)
        self.kinds: list[tuple[str, Callable[[bytes], bytes]]] = [
            ("no_framing", lambda g: b""),
            ("no_framing", lambda g: b"junk" + g[-9:]),
            ("undecodable", lambda g: g[:-3]),
            ("undecodable", lambda g: g + b"tail"),
            ("undecodable", lambda g: self._colour(g, b"\x02\x06\xff\xfe\xfd")),  # no UTF-8
            ("undecodable", lambda g: self._colour(g, b"\x06\x06red")),  # a branch that the union does not have
            ("undecodable", lambda g: self._colour(g, b"\x01\x06red")),  # branch -1, which is the last one in Python
            ("undecodable", lambda g: g[:10] + b"\xfe\xff\xff\xff\x0f" + g[11:]),  # an id longer than the record
            ("unknown_schema", lambda g: b"\xc3\x01" + b"?" * 8 + g[10:]),
            ("too_large", lambda g: g + bytes(10_000)),
            ("empty_event_id", lambda g: g[:10] + b"\x00" + g[21:]),
            ("future_event_time", lambda g: self._event(run="live", time_ms=now_ms + 10 * YEAR_MS)),
            ("outside_run_span", lambda g: self._event(time_ms=OF_2013_MS + YEAR_MS)),
            ("unknown_run", lambda g: self._event(run="never-opened")),
            ("key_mismatch", lambda g: g),
            ("wrong_partition", lambda g: g),
            ("unknown_model", lambda g: self._event(model="nobody")),
            ("wrong_token", lambda g: mark("run_end", "r", model, token=f"another-{self.made}")),
            ("run_is_open", lambda g: mark("run_start", "r", model, token=f"another-{self.made}")),
            ("bad_id", lambda g: self._control(f"no id {self.made}")),
        ]

    def _event(self, run: str = "r", time_ms: int = OF_2013_MS, model: str = "") -> bytes:
        return event(self.writer, 900_000_001 + 2 * self.made, time_ms, model or self.model, run)  # odd numbers are red

    @staticmethod
    def _colour(good: bytes, encoded: bytes) -> bytes:
        assert good.endswith(b"\x02\x06red")
        return good[:-5] + encoded

    def _control(self, run: str) -> bytes:
        fields = {"control_id": run, "kind": "run_start", "model": self.model, "run": run, "token": "t", "span_start": 0, "span_end": 1}
        return CONTROL.encode(fields)

    def next(self) -> tuple[str, str, bytes, int]:
        """``(reason, key, value, partition)`` of one more; the kinds take turns."""
        reason, spoil = self.kinds[self.made % len(self.kinds)]
        value = spoil(self._event())
        self.made += 1
        key = {"key_mismatch": "somebody", "unknown_model": "nobody"}.get(reason, self.model)
        where = {"wrong_partition": (self.home + 1) % 4, "unknown_model": partition_of(b"nobody", 4)}.get(reason, self.home)
        return reason, key, value, where


def test_poison_among_good_records(world: World) -> None:
    """50,000 good records with 1 % poison of 20 kinds: each poison is one dead letter with its reason, every good one is in its window."""
    model, count = "poisoned", 50_000
    writer, feed = world.writer(model), Feeder(world.settings)
    rows = pl.DataFrame({"x": np.random.default_rng(1).normal(size=1000), "colour": ["red", "two"] * 500, "y": [0.5] * 1000})
    times = OF_2013_MS + 2 * np.arange(count)
    good = Template(world.specs[model], writer, rows, "r").values(0, times)
    poison = Poison(writer, model)
    span = (OF_2013_MS, OF_2013_MS + YEAR_MS // 2)
    feed.send(model, [mark("run_start", "r", model, span=span)])
    injected: Counter[tuple[str, bytes]] = Counter()
    rng = random.Random(1)
    for low in range(0, count, 100):  # one somewhere in each hundred
        at = low + rng.randrange(100)
        reason, key, value, where = poison.next()
        injected[reason, value] += 1
        feed.send(model, good[low:at])
        feed.send(key, [value], where)
        feed.send(model, good[at : low + 100])
    feed.send(model, [mark("run_end", "r", model, span=span)])
    after_end = event(writer, 899_999_999, OF_2013_MS, model, "r")
    feed.send(model, [after_end])
    injected["unknown_run", after_end] += 1
    feed.flush()

    wanted = rows_by_window(times.tolist())
    assert shown(of_model(world, model, len(wanted))) == wanted
    dead = world.reader("dead_letter")
    world.wait_for(lambda: len(dead.poll()) >= injected.total(), why="the dead letters")
    found = Counter((dict(m.headers() or [])["tidemark.reason"].decode(), m.value() or b"") for m in dead.poll())
    assert found == injected
    metrics = world.metrics()
    by_reason = {reason: sum(n for (r, _), n in injected.items() if r == reason) for reason in DEAD_LETTER_REASONS}
    assert {k: v for k, v in metrics.items() if k.startswith("tidemark_dead_letters_total{")} == {
        f'tidemark_dead_letters_total{{reason="{reason}"}}': n for reason, n in by_reason.items()
    }
    assert still_the_same(world)


def sorted_out(times_ms: list[int]) -> tuple[list[int], list[int]]:
    """Numbers of the events in time and of the late ones: late is what comes when stream time is at its window's end plus grace already."""
    in_time: list[int] = []
    late: list[int] = []
    stream_time = times_ms[0]
    for n, t in enumerate(times_ms):
        (late if t // SIZE_MS * SIZE_MS + SIZE_MS + GRACE_MS <= stream_time else in_time).append(n)
        stream_time = max(stream_time, t)
    return in_time, late


def test_late_records(world: World) -> None:
    """Out of order: what is within grace is all in its windows, the rest is all on the late topic, once, as it came, and counted."""
    model, rng = "late-runner", np.random.default_rng(2)
    back = np.where(rng.random(20_000) < 0.2, rng.integers(0, 9000, 20_000), rng.integers(0, 300, 20_000))
    times = (OF_2013_MS + 60_000 + 3 * np.arange(20_000) - back).tolist()
    in_time, late = sorted_out(times)
    behind = sum(times[n] // SIZE_MS < max(times[:n], default=0) // SIZE_MS for n in in_time[:5000])
    assert len(late) > 1000
    assert behind > 50, "some must use the grace period"
    writer = world.writer(model)
    values = [event(writer, n, t, model, "r") for n, t in enumerate(times)]
    world.send((model, v) for v in [mark("run_start", "r", model), *values, mark("run_end", "r", model)])
    wanted = rows_by_window(times[n] for n in in_time)
    assert shown(of_model(world, model, len(wanted))) == wanted
    reader = world.reader("late")
    world.wait_for(lambda: len(reader.poll()) >= len(late), why="the late records")
    assert [m.value() for m in reader.poll()] == [values[n] for n in late]
    assert world.metrics()[f'tidemark_late_records_total{{model="{model}",run_kind="replay"}}'] == len(late)
    assert still_the_same(world)


def wait_until(wall_ms: int) -> None:
    """Let the wall clock come to a time: live traffic is paced by it."""
    time.sleep(max(0.0, wall_ms / 1000 - time.time()))


def interleave(rng: random.Random, *sequences: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The records of all sequences in a random order that keeps each one's own."""
    turns = [i for i, s in enumerate(sequences) for _ in s]
    rng.shuffle(turns)
    sources = [iter(s) for s in sequences]
    return [next(sources[i]) for i in turns]


def test_live_models_and_replays_side_by_side(world: World) -> None:
    """Live models on the wall clock and two replays of 2013 of one of them, on one partition: every window right, nothing late.

    Models that stop: their window closes after grace and idle timeout, within 5 s, though one event came with a date in ten years. A model
    whose events come further apart than the idle timeout has them in one window.
    """
    model, start = LIVE[0], int(time.time() * 1000) // SIZE_MS * SIZE_MS + SIZE_MS
    writers = {m: world.writer(m) for m in (model, NEIGHBOUR, "sparse")}
    live = [(m, event(writers[m], n, start + 10 * n, m)) for n in range(300) for m in (model, NEIGHBOUR)]
    ahead = event(writers[model], 300, start + 10 * YEAR_MS, model)
    live.insert(150, (model, ahead))
    history = [OF_2013_MS + 40 * n for n in range(1000)]
    replays = [
        (model, value)
        for run in ("r1", "r2")
        for value in [
            mark("run_start", run, model),
            *(event(writers[model], n, t, model, run) for n, t in enumerate(history)),
            mark("run_end", run, model),
        ]
    ]
    wait_until(start)
    world.send([("sparse", event(writers["sparse"], 0, start + 1, "sparse")), *interleave(random.Random(3), live, replays)])
    wait_until(start + 3400)  # longer than the idle timeout, in the same window
    world.send([("sparse", event(writers["sparse"], 1, start + 3399, "sparse"))])

    reader, due_ms = world.reader("results"), start + SIZE_MS + GRACE_MS + int(IDLE_S * 1000)
    for name, rows in ((model, 300), (NEIGHBOUR, 300), ("sparse", 2)):
        world.wait_for(lambda name=name: any(r.model == name and r.run == "live" for r in reader.results()), 20, f"the window of {name}")  # type: ignore[misc]
        found = [
            (r, m.timestamp()[1]) for r, m in zip(reader.results(), reader.messages, strict=True) if r.model == name and r.run == "live"
        ]
        assert [(r.start_ms, r.rows) for r, _ in found] == [(start, rows)]
        assert due_ms <= found[0][1] <= due_ms + 5000, f"closed {found[0][1] - due_ms} ms after it was due"
    results = of_model(world, model, 21)
    for run in ("r1", "r2"):
        assert shown(r for r in results if r.run == run) == rows_by_window(history)
    assert not [k for k, v in world.metrics().items() if k.startswith("tidemark_late") and v and "late-runner" not in k]
    dead = world.reader("dead_letter")
    world.wait_for(lambda: any(m.value() == ahead for m in dead.poll()), why="the event of the future")
    assert still_the_same(world)


def test_a_spec_changes_while_events_flow(world: World) -> None:
    """``reload`` amid live events: windows of the old spec up to one boundary, of the new one from there on, no row lost or late."""
    model, step_ms, block = "reloaded", 4, 100
    writer, results, feed = world.writer(model), world.reader("results"), Feeder(world.settings)
    start = int(time.time() * 1000) // 20_000 * 20_000 + 60_000  # ahead of the clock: silence closes nothing here
    sent = 0

    def flow() -> list[WindowResult]:
        nonlocal sent
        feed.send(model, [event(writer, n, start + n * step_ms, model) for n in range(sent, sent + block)])
        feed.flush()
        sent += block
        assert sent * step_ms < 3_000_000, f"no window of the new spec\n{world.logs()}"
        return sorted((r for r in results.results() if r.model == model), key=lambda r: r.start_ms)

    while len(flow()) < 2:
        pass
    old = world.specs[model]
    (world.settings.specs_dir / f"{model}.yaml").write_text(SPEC.replace("MODEL", model).replace("size: 4s", "size: 2s"))
    commands = Feeder(world.settings.model_copy(update={"predictions_topic": world.settings.commands_topic, "partitions": 1}))
    while len({r.spec_digest for r in flow()}) < 2:  # a worker listens for commands once it has joined: say it again until it was heard
        commands.send("", [b"reload"])
        commands.flush()
    while len({r.start_ms for r in flow() if r.end_ms - r.start_ms == 2000}) < 3:
        pass
    found = flow()
    sizes = [r.end_ms - r.start_ms for r in found]
    assert set(sizes) == {old.window.size, 2000}
    assert sizes == sorted(sizes, reverse=True), "one change, at one boundary"
    assert len({(r.spec_digest, r.end_ms - r.start_ms) for r in found}) == 2
    assert [r.end_ms for r in found[:-1]] == [r.start_ms for r in found[1:]]
    assert found[0].start_ms == start
    assert [r.rows for r in found] == [(r.end_ms - r.start_ms) // step_ms for r in found]
    assert world.metrics()[f'tidemark_late_records_total{{model="{model}",run_kind="live"}}'] == 0
    assert still_the_same(world)


def test_vectors_and_texts(world: World) -> None:
    """The emitter's vectors and texts get a verdict in each window: the first is as the reference, in the second both have changed."""
    model, rows = "vectors", 1500
    writer, feed = world.writer(model), Feeder(world.settings)
    feed.send(model, [mark("run_start", "r", model)])
    feed.flush()
    frames = [vectors(rows, 1), vectors(rows, 2, shift=1.0, words=9)]
    where = {"bootstrap_servers": world.settings.brokers, "topic": world.settings.predictions_topic}
    with Emitter(model=model, model_version="1", schema=writer.schema, metrics=False, strict=True, **where) as emitter:
        for n, row in enumerate(pl.concat(frames).iter_rows(named=True)):
            vector = None if n % 10 == 0 else np.array(row["vector (ü)"], dtype=np.float32)
            ids = {"event_id": f"v{n:05d}", "event_time": OF_2013_MS + n // rows * SIZE_MS + n % rows, "run": "r"}
            emitter.emit({**row, "vector (ü)": vector}, 0.5, **ids)
        assert emitter.flush(30)
        assert emitter.counters().delivered == 2 * rows
    feed.send(model, [mark("run_end", "r", model)])
    feed.flush()
    results = sorted(of_model(world, model, 2), key=lambda r: r.start_ms)
    columns = [{c.name: c for c in r.columns if c.role == "feature"} for r in results]
    assert [r.rows for r in results] == [rows, rows]
    assert [{name: (c.status, c.drifted) for name, c in found.items()} for found in columns] == [
        {"x": ("ok", False), "vector (ü)": ("ok", False), "note": ("ok", False)},
        {"x": ("ok", False), "vector (ü)": ("ok", True), "note": ("ok", True)},
    ]
    assert [(found["vector (ü)"].rows, found["vector (ü)"].nulls) for found in columns] == [(rows * 9 // 10, rows // 10)] * 2
    assert still_the_same(world)
