"""The source on the real broker: where a partition's reading begins, and that nothing is lost on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.partition import Partition
from streams.partitioner import partition_of
from streams.source import SLICE_RECORDS, Source
from streams.windows.batch import RawBatch
from tests.support.broker import Broker
from tests.support.worker import World, event

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    made = World.make(tmp_path / "home", broker.bootstrap_servers)
    yield made
    made.stop()


def first_offset(world: World, group: str, position: int) -> int:
    """The offset of the first record that a new member of the group reads, when its partitions are restored at once."""
    settings = world.settings.model_copy(update={"group_id": group})
    own = partition_of(b"m", settings.partitions)  # the others are empty

    def restored(partition: Partition) -> None:
        source.start_reading(partition, position if partition.number == own else 0)

    source = Source(settings, restored, lambda partition: None, lambda text: None)
    source.subscribe()
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            for _, raw in source.poll(0.05):
                return int(raw.offsets[0])
    finally:
        source.close()
    raise AssertionError("nothing was read in 30 s")


def test_reading_begins_at_the_position_however_fast_the_restore(world: World) -> None:
    """A partition that is restored before the consumer has begun to fetch is read from its position on, not from anywhere else."""
    writer = world.writer("m")
    world.send([("m", event(writer, n, n)) for n in range(500)])
    assert [first_offset(world, f"{world.settings.group_id}-{i}", 100 + i) for i in range(5)] == [100 + i for i in range(5)]


def test_a_poll_s_records_are_those_of_the_topic_in_order(world: World) -> None:
    """A poll takes records in slices: none is lost, doubled or out of order, and values, keys and offsets match."""
    writer = world.writer("m")
    world.send([("m", event(writer, n, n)) for n in range(5_000)])
    settings = world.settings
    own = partition_of(b"m", settings.partitions)
    source = Source(settings, lambda partition: source.start_reading(partition, 0), lambda partition: None, lambda text: None)
    source.subscribe()
    found: list[RawBatch] = []
    deadline = time.monotonic() + 30
    try:
        while sum(map(len, found)) < 5_000 and time.monotonic() < deadline:
            found += [raw for _, raw in source.poll(0.5)]
    finally:
        source.close()
    assert [o for raw in found for o in raw.offsets.tolist()] == list(range(5_000))
    assert [value for raw in found for value in raw.values] == [event(writer, n, n) for n in range(5_000)]
    assert all(raw.partition == own and set(raw.keys) == {b"m"} and len(raw.broker_ms) == len(raw) for raw in found)
    assert [raw.follows for raw in found] == [0, *(int(raw.offsets[-1]) + 1 for raw in found[:-1])]
    assert max(map(len, found)) > SLICE_RECORDS
