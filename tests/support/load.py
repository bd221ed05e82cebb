"""A steady load on all four partitions, its right answer (known from its numbers alone), and the group's progress through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult
from streams.partitioner import partition_of
from streams.windows.catalogue import Binding
from tests.support.worker import World, event, mark

PARTITIONS = 4
RUN = "r1"
START_MS = 1_700_000_000_000 // 10_000 * 10_000
STEP_MS = 10  # of event time between two events of a model: 1,000 events a window of 10 s
SIZE_MS, GRACE_MS = 10_000, 2_000  # as in the spec of tests.support.worker
FIRST_LATE = 1300  # from this event on a record at the very beginning is late: window end and grace have passed
LATE_EVERY, POISON_EVERY = 97, 89
LATE_NUMBER = 500_000_000  # added to the number of a late record, so that its id is its own


def models() -> list[str]:
    """Four models, the first on partition 0, and so on."""
    found: dict[int, str] = {}
    for i in range(1000):
        found.setdefault(partition_of(f"m{i}".encode(), PARTITIONS), f"m{i}")
    return [found[p] for p in range(PARTITIONS)]


def make_world(home: Path, bootstrap_servers: str, **settings: object) -> World:
    """A world with the four models, whose references have the distributions of the load: no window drifts, so no report is drawn."""
    reference = _rows(np.random.default_rng(0).integers(0, 10**9, 2000))
    return World.make(home, bootstrap_servers, models(), reference=reference, **settings)  # type: ignore[arg-type]


def event_times(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Event times (ms) of a model's events, shape (n,): up to one second out of order, which is less than the grace."""
    return START_MS + numbers * STEP_MS - numbers * 7919 % 100 * STEP_MS


@dataclass
class Load:
    """Sends events of four models in turn, at a steady rate, until ``finish``: three live models and one replay.

    Every 97th event of a model is followed by a late record, every 89th by one that cannot be decoded.

    Attributes:
        sent: events of each model that belong into windows.
        late, poison: values of the other records, by model.
    """

    world: World
    events_per_s: int
    sent: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    late: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    poison: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])

    def __post_init__(self) -> None:
        names = self.world.models
        assert names == models(), "the world's models are to be those of models()"
        self.runs = ["live", "live", "live", RUN]
        self._writers = [self.world.writer(m) for m in names]
        self._errors: list[object] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="load")
        self._producer = Producer(
            {
                "bootstrap.servers": self.world.settings.brokers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "on_delivery": self._delivered,
            }
        )

    def _delivered(self, error: object, _: Message) -> None:
        if error is not None:
            self._errors.append(error)

    def start(self) -> Load:
        """Begin to send, in a thread."""
        self._put(3, mark("run_start", RUN, self.world.models[3]))
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread, however the test ended."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def finish(self) -> None:
        """Stop, close every window but the last live ones, and wait until all is acknowledged."""
        self.stop()
        for model in range(PARTITIONS):
            name, run = self.world.models[model], self.runs[model]
            if run == "live":
                self._put(model, event(self._writers[model], LATE_NUMBER * 2, self.close_ms(model), name, run))
            else:
                self._put(model, mark("run_end", run, name))
        assert self._producer.flush(60) == 0
        assert not self._errors

    def close_ms(self, model: int) -> int:
        """The event time that closes every window with events of a live model: its own window stays open."""
        last = START_MS + self.sent[model] * STEP_MS
        return (last // SIZE_MS + 2) * SIZE_MS

    def windows(self) -> int:
        """How many windows the events sent until now make."""
        return sum(len(np.unique(event_times(np.arange(n)) // SIZE_MS)) for n in self.sent)

    def _feed(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.wait(0.02):
            due = int((time.monotonic() - began) * self.events_per_s)
            for i in range(number, due):
                self._events(i % PARTITIONS, i // PARTITIONS)
            number = max(number, due)
            self._producer.poll(0)

    def _events(self, model: int, number: int) -> None:
        writer, name, run = self._writers[model], self.world.models[model], self.runs[model]
        time_ms = int(event_times(np.array([number]))[0])
        value = event(writer, number, time_ms, name, run)
        self._put(model, value)
        self.sent[model] = number + 1
        if number >= FIRST_LATE and number % LATE_EVERY == 0:
            self.late[model].append(event(writer, number + LATE_NUMBER, START_MS + number % 1000, name, run))
            self._put(model, self.late[model][-1])
        if number % POISON_EVERY == 0:
            self.poison[model].append(_poison(value, number))
            self._put(model, self.poison[model][-1])

    def _put(self, model: int, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self.world.settings.predictions_topic, value, self.world.models[model].encode())
                return
            except BufferError:
                self._producer.poll(0.1)

    # --- the right answer --------------------------------------------------------------------------------------------------------

    def expected(self) -> dict[str, WindowResult]:
        """Every window's result by key, computed from the numbers that were sent, as an undisturbed worker has to publish it."""
        return {r.key: r for model in range(PARTITIONS) for r in self._expected(model)}

    def _expected(self, model: int) -> Iterator[WindowResult]:
        name, run = self.world.models[model], self.runs[model]
        spec = self.world.specs[name]
        profile = load_reference(spec, self.world.settings.under_home(str(spec.reference)))
        digest = Binding(spec, profile.fingerprint).digest
        numbers = np.arange(self.sent[model])
        starts = event_times(numbers) // SIZE_MS * SIZE_MS
        for start in np.unique(starts).tolist():
            frame = _rows(numbers[starts == start])
            stream = (name, run, "live" if run == "live" else "replay", start, start + SIZE_MS, digest, model)
            offset = -1 if run == "live" else 0  # the run's start was the first record of its partition
            yield evaluate(WindowData(*stream, ("1",), frame, frame.height, 0, True, {}, offset), spec, profile)  # type: ignore[arg-type]


def _rows(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.DataFrame:
    """The columns of a window's events, as ``tests.support.worker.event`` makes them, in order of their ids."""
    x = (numbers * 2654435761 % 2**32) / 2**31 - 1
    return pl.DataFrame({"x": x, "colour": np.where(numbers % 2 == 1, "red", "blue"), "y": x / 2})


def _poison(good: bytes, number: int) -> bytes:
    """A record that cannot be decoded, of four kinds in turn; each has its number in it."""
    name = f"poison {number:09d}".encode()
    return [name, good + name, b"\xc3\x01" + name, b"\x00\x00\x00\x00\x07" + name][number // POISON_EVERY % 4]


def check_answer(world: World, load: Load, timeout_s: float = 120.0) -> None:
    """What committed readers see is the right answer, each record once: windows, their whole results, late records and dead letters.

    Every window is waited for; then the worker must have read everything, so that what would come twice has come.
    """
    results, late, dead = (world.reader(t) for t in ("results", "late", "dead_letter"))
    want = load.expected()
    ends = Progress(world).ends()
    world.wait_for(lambda: len(results.poll()) >= len(want), timeout_s, "all windows")
    world.wait_for(lambda: sum(Progress(world).committed()) >= sum(ends), timeout_s, "everything read and committed")
    seen = results.results()
    got = {r.key: r for r in seen}
    assert len(seen) == len(got), f"{len(seen) - len(got)} results came twice"
    assert set(got) == set(want), (sorted(set(want) - set(got))[:5], sorted(set(got) - set(want))[:5])
    changed = [(got[k], want[k]) for k in want if got[k] != want[k]]
    assert not changed, changed[:2]
    assert [m.key() for m in results.messages] == [r.key.encode() for r in seen]
    assert sum(r.rows for r in seen) == sum(load.sent)
    assert sum(r.duplicates for r in seen) == 0
    for reader, sent in ((late, load.late), (dead, load.poison)):
        _check_outcasts(world, reader, sum(len(part) for part in sent))
        assert sorted(m.value() or b"" for m in reader.messages) == sorted(v for part in sent for v in part)


def _check_outcasts(world: World, reader: object, count: int) -> None:
    world.wait_for(lambda: len(reader.poll()) >= count, 30, f"{count} records")  # type: ignore[attr-defined]
    messages: list[Message] = reader.poll()  # type: ignore[attr-defined]
    places = {(dict(m.headers() or [])["tidemark.partition"], dict(m.headers() or [])["tidemark.offset"]) for m in messages}
    assert len(messages) == len(places) == count, (len(messages), len(places), count)


class Progress:
    """What the group has committed of the predictions topic, asked of the broker without joining the group.

    The last committed offsets are returned at once, though a transaction with newer ones be pending (``read_uncommitted``).
    """

    def __init__(self, world: World) -> None:
        settings = world.settings
        self._consumer = Consumer(
            {"bootstrap.servers": settings.brokers, "group.id": settings.group_id, "isolation.level": "read_uncommitted"}
        )
        self._partitions = [TopicPartition(settings.predictions_topic, p) for p in range(settings.partitions)]

    def committed(self) -> list[int]:
        """The committed offset of each partition; 0 before the first."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return [max(0, p.offset) for p in self._consumer.committed(self._partitions, timeout=5)]
            except KafkaException:  # a fresh broker has no coordinator yet
                if time.monotonic() > deadline:
                    raise

    def ends(self) -> list[int]:
        """The end of each partition."""
        return [self._consumer.get_watermark_offsets(p, timeout=20)[1] for p in self._partitions]

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


class StallWatch:
    """Looks at the progress all the time, in a thread; the broker is asked about 20 times a second."""

    def __init__(self, world: World) -> None:
        self._progress = Progress(world)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="stall-watch")
        self.seen: list[tuple[float, list[int], list[int]]] = []  # (s on the monotonic clock, committed, ends)

    def __enter__(self) -> StallWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        self._progress.close()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            ends = self._progress.ends()  # first: a record that came after the question about progress is not waiting yet
            self.seen.append((time.monotonic(), self._progress.committed(), ends))

    def longest_stall_s(self) -> float:
        """The longest time without any commit while records were waiting, s."""
        return max(self._stalls([sum(c) for _, c, _ in self.seen], [sum(e) for _, _, e in self.seen]))

    def longest_partition_stall_s(self) -> float:
        """The longest time in which one partition had records waiting and none of them committed, s."""
        return max(max(self._stalls([c[p] for _, c, _ in self.seen], [e[p] for _, _, e in self.seen])) for p in range(PARTITIONS))

    def _stalls(self, committed: list[int], ends: list[int]) -> Iterator[float]:
        yield 0.0
        since = self.seen[0][0]
        for i, (before, now) in enumerate(pairwise(committed), 1):
            moment = self.seen[i][0]
            if now > before or now >= ends[i]:
                yield moment - since
                since = moment
        yield self.seen[-1][0] - since
