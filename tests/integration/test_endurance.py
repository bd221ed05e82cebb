"""What large windows and long full load cost: memory of the worker process itself, and the way back from a window of many millions."""

from __future__ import annotations

import logging
import os
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xxhash
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult
from streams.partitioner import partition_of
from streams.topics import admin
from tests.support.broker import Broker
from tests.support.feed import Feeder, Template
from tests.support.worker import World, mark

pytestmark = pytest.mark.integration
logger = logging.getLogger(__name__)  # figures: --log-cli-level=INFO shows them
NUMBERS = [f"f{i}" for i in range(10)]
CATEGORIES = [f"c{i}" for i in range(4)]
SPEC = "\n".join(
    [
        "model: MODEL",
        "reference: references/MODEL.parquet",
        "features:",
        *(f"  {n}: {{type: double}}" for n in NUMBERS),
        *(f"  {c}: {{type: string, kind: categorical}}" for c in CATEGORIES),
        "prediction: {column: y, type: double}",
        "window: {size: SIZE}",
        "max_rows: 50000\n",
    ]
)
MILLION = 1_000_000
START_MS = 1_700_000_000_000 // 86_400_000 * 86_400_000
BLOCK = 20_000  # events that a template's values repeat after
MIB = 2**20


def values(count: int, seed: int) -> pl.DataFrame:
    """Random rows of the fourteen features and the prediction."""
    rng = np.random.default_rng(seed)
    numbers = {n: rng.normal(size=count) for n in [*NUMBERS, "y"]}
    return pl.DataFrame({**numbers, **{c: rng.choice([f"v{k}" for k in range(6)], count) for c in CATEGORIES}})


def make(home: Path, broker: Broker, models: list[str], size: str, **more: object) -> World:
    """Models of eighteen fields and more (154 bytes an event) with windows of a size."""
    return World.make(
        home, broker.bootstrap_servers, models, spec=SPEC.replace("SIZE", size), reference=values(10_000, 0), workspace=True, **more
    )


def template(world: World, model: str, run: str = "live") -> Template:
    return Template(world.specs[model], world.writer(model), values(BLOCK, 1), run)


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, as the kernel accounts it, in MiB."""

    resident: float
    peak: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        found = {k: int(v) / 1024 for k, v in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", text)}
        return cls(found["VmRSS"], found["VmHWM"])


def processed(world: World) -> int:
    """Records that the worker has taken into windows."""
    return int(sum(v for k, v in world.metrics().items() if k.startswith("tidemark_records_total{")))


def test_a_window_of_a_million_rows(tmp_path: Path, broker: Broker) -> None:
    """A window of 1,000,000 rows, of which 50,000 are held: the worker process stays under 600 MiB, and a third one costs no more.

    The second is the first that comes while another is judged and archived, so the third is held against it.
    """
    world = make(tmp_path / "home", broker, ["m"], "1000s")
    try:
        worker, results, feed, events = world.start(), world.reader("results"), Feeder(world.settings), template(world, "m", "r")
        feed.send("m", [mark("run_start", "r")])
        memory = []
        for sent in (MILLION, 2 * MILLION, 3 * MILLION):
            feed.send("m", events.values(sent - MILLION, START_MS + np.arange(sent - MILLION, sent)))
            feed.flush()
            world.wait_for(lambda sent=sent: processed(world) == sent, timeout_s=120, why="all records")  # type: ignore[misc]
            memory.append(Memory.of(worker.pid))
        feed.send("m", [mark("run_end", "r")])
        feed.flush()
        world.wait_for(lambda: len(results.results()) >= 3, why="the results")
        memory.append(Memory.of(worker.pid))
        assert [(r.rows, r.sampled_rows, r.exact) for r in results.results()] == [(MILLION, 50_000, False)] * 3
        assert max(m.peak for m in memory) < 600, memory
        assert memory[-1].resident - memory[1].resident < 64, memory
    finally:
        world.stop()


def one_model_per_partition() -> list[str]:
    """Four models, each on a partition of its own."""
    found = {partition_of(f"m{i}".encode(), 4): f"m{i}" for i in range(50)}
    return [found[p] for p in range(4)]


def keep_topics_small(world: World) -> None:
    """Half an hour of events is tens of gigabytes: what was read long ago goes."""
    entries = [("retention.bytes", 256 * MIB), ("segment.bytes", 64 * MIB)]
    changes = [ConfigEntry(k, str(v), incremental_operation=AlterConfigOpType.SET) for k, v in entries]
    resource = ConfigResource(ResourceType.TOPIC, world.settings.predictions_topic, incremental_configs=changes)
    client = admin(world.settings)
    for answer in client.incremental_alter_configs([resource]).values():
        answer.result(30)


def load(world: World, seconds: float, limit: int = 600_000) -> Iterator[tuple[float, int]]:
    """Feed all models, in turns, as fast as the worker takes: at most ``limit`` records ahead. Yields (s, processed) each second."""
    feed, events = Feeder(world.settings), {m: template(world, m) for m in world.models}
    began, looked, sent, done = time.monotonic(), 0.0, 0, 0
    while (now := time.monotonic() - began) < seconds:
        if sent - done < limit:
            first = sent // len(world.models)
            for model in world.models:
                feed.send(model, events[model].values(first, START_MS + np.arange(first, first + BLOCK)))
            sent += BLOCK * len(world.models)
        else:
            feed.flush()
            time.sleep(0.2)  # between two looks at how far the worker is
            done = processed(world)
        if now >= looked + 1:
            looked, done = now, processed(world)
            yield now, done


@pytest.mark.drill
@pytest.mark.timeout(7200)
def test_long_full_load_adds_no_memory(tmp_path: Path, broker: Broker) -> None:
    """``TIDEMARK_ENDURANCE_S`` (30 minutes) of full load, windows closing all the time: the resident set grows by less than 5 MiB.

    It goes up and down by tens of MiB with what is on its way. So the medians of a sample a second are compared: those of the first and of
    the last quarter, after a warm-up of a tenth of the time, and of two minutes where there are four.
    """
    seconds = float(os.environ.get("TIDEMARK_ENDURANCE_S", "1800"))
    world = make(tmp_path / "home", broker, one_model_per_partition(), "60s")
    try:
        keep_topics_small(world)
        worker = world.start()
        world.wait_for(lambda: world.metrics().get("tidemark_restore_seconds_count{}") == 4, 120, "four partitions")
        samples: list[tuple[float, float, int]] = []
        for now, done in load(world, seconds):
            samples.append((now, Memory.of(worker.pid).resident, done))
            if len(samples) % 10 == 0:
                logger.info("%.0f s: %.1f MiB, %d records", now, statistics.median(resident for _, resident, _ in samples[-10:]), done)
        assert worker.poll() is None
        steady = [resident for now, resident, _ in samples if now >= max(seconds / 10, min(120.0, seconds / 2))]
        quarter = len(steady) // 4
        medians = [statistics.median(steady[i * quarter : (i + 1) * quarter]) for i in range(4)]
        logger.info("%.0f records/s; medians of the quarters, MiB: %s", samples[-1][2] / samples[-1][0], [round(m, 1) for m in medians])
        assert medians[-1] - medians[0] < 5, medians
        assert not [k for k, v in world.metrics().items() if k.startswith("tidemark_late_records_total") and v]
    finally:
        world.stop()


def committed(world: World, model: str) -> int:
    """The committed offset of a model's partition."""
    consumer = Consumer({"bootstrap.servers": world.settings.brokers, "group.id": world.settings.group_id})
    try:
        partition = partition_of(model.encode(), world.settings.partitions)
        return int(consumer.committed([TopicPartition(world.settings.predictions_topic, partition)], timeout=20)[0].offset)
    finally:
        consumer.close()


def live_checkpoint(world: World) -> tuple[int, int]:
    """Records and bytes of the checkpoint topic that a restore needs: the last of each key that is no tombstone."""
    reader = world.reader("checkpoint")
    seen = -1
    while seen != len(reader.messages):
        seen = len(reader.messages)
        for _ in range(5):
            reader.poll()
    live = {m.key(): len(m.value() or b"") for m in reader.messages}
    sizes = [size for size in live.values() if size]
    return len(sizes), sum(sizes)


def expected_sample(world: World, events: int, result: WindowResult) -> WindowResult:
    """The result of a window of ``events`` events, from their numbers alone: the 50,000 ids of the smallest xxh64."""
    hashes = np.fromiter((xxhash.xxh64_intdigest(b"e-%09d" % n) for n in range(events)), dtype=np.uint64, count=events)
    numbers = np.sort(np.argpartition(hashes, 50_000)[:50_000])  # ids sort as their numbers do
    frame = values(BLOCK, 1)[numbers % BLOCK].select([*(c for c in world.specs["m"].columns)])
    spec = world.specs["m"]
    profile = load_reference(spec, world.settings.under_home(str(spec.reference)))
    data = WindowData(
        "m", "live", "live", result.start_ms, result.end_ms, result.spec_digest, result.source_partition,
        ("1",), frame, events, 0, False, dict.fromkeys(frame.columns, 0),
    )  # fmt: skip
    return evaluate(data, spec, profile)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_restore_with_an_open_window_of_twenty_million_rows(tmp_path: Path, broker: Broker) -> None:
    """Killed with a window open that has read 20,000,000 rows, the worker goes on within 30 s; the window's result is right in the end."""
    rows = int(os.environ.get("TIDEMARK_RESTORE_ROWS", "20000000"))
    world = make(tmp_path / "home", broker, ["m"], "20000s", idle_timeout=86_400)
    try:
        worker, results, feed, events = world.start(), world.reader("results"), Feeder(world.settings), template(world, "m")
        began = time.monotonic()
        for first in range(0, rows, BLOCK):
            feed.send("m", events.values(first, START_MS + np.arange(first, first + BLOCK)[: rows - first] * 19_000_000 // rows))
            while first % MILLION == 0 and first - processed(world) > MILLION:
                time.sleep(0.2)  # the broker's page cache and the worker need each other's cores; nothing is timed by it
        feed.flush()
        world.wait_for(lambda: committed(world, "m") == rows, timeout_s=900, why="all records committed")
        logger.info("%d rows in %.0f s, %s", rows, time.monotonic() - began, Memory.of(worker.pid))
        logger.info("live checkpoint: %d records, %d bytes", *live_checkpoint(world))
        feed.send("m", events.values(rows, START_MS + 19_500_000 + np.arange(200_000)))
        feed.flush()
        worker.kill()
        worker.wait()
        killed = time.monotonic()
        behind = committed(world, "m")
        assert rows <= behind < rows + 200_000, "the kill must hit unfinished work"
        world.start()
        world.wait_for(lambda: committed(world, "m") > behind, timeout_s=60, why="progress")
        progress_s = time.monotonic() - killed
        logger.info("progress after %.1f s, restored in %.2f s", progress_s, world.metrics()["tidemark_restore_seconds_sum{}"])
        assert progress_s < 30
        feed.send("m", events.values(rows + 200_000, START_MS + 20_000_000 + np.arange(1)))
        feed.flush()
        world.wait_for(lambda: len(results.results()) >= 1, why="the window's result")
        (result,) = results.results()
        assert (result.rows, result.sampled_rows, result.exact) == (rows + 200_000, 50_000, False)
        assert result == expected_sample(world, rows + 200_000, result)
    finally:
        world.stop()
