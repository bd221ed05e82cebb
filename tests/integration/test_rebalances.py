"""Workers that join, leave, stand still or are slow: partitions change hands, and the answer stays the same."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.drills import last_log, start_with_fault, wait_for_progress
from tests.support.load import PARTITIONS, START_MS, Load, Progress, StallWatch, check_answer, make_world
from tests.support.ports import free_ports
from tests.support.worker import World, event, mark

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.integration
STALL_LIMIT_S = 20.0
SESSION_S, MAX_POLL_S = 6, 6


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    made = make_world(tmp_path / "home", broker.bootstrap_servers)
    yield made
    made.stop()


class Crowd:
    """Two to three workers of one group. Who joins waits until it has partitions; who leaves does so by SIGTERM or SIGKILL in turn."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.members: list[int] = []  # by their number in world.processes
        self.ends: list[str] = []

    def process(self, member: int) -> subprocess.Popen[bytes]:
        return self.world.processes[member]

    def join(self) -> None:
        self.world.start(cut_interval=0.2, worker_metrics_port=free_ports(1)[0])
        self.members.append(len(self.world.processes) - 1)
        self.world.wait_for(lambda: "restored at" in last_log(self.world), why="partitions for the new worker")

    def leave(self, way: signal.Signals) -> None:
        """The oldest leaves."""
        oldest = self.process(self.members.pop(0))
        assert oldest.poll() is None, self.world.logs()
        oldest.send_signal(way)
        assert oldest.wait(15) == (0 if way == signal.SIGTERM else -way), self.world.logs()
        self.ends.append(way.name)


def rebalance(world: World, changes: int, seed_members: int) -> None:
    """Join and leave under load; then compare with the input and look at the stalls."""
    load, progress = Load(world, events_per_s=2000).start(), Progress(world)
    try:
        crowd = Crowd(world)
        for _ in range(seed_members):
            crowd.join()
        wait_for_progress(world, progress, [0])
        with StallWatch(world) as watch:
            for change in range(changes):
                crowd.join()
                crowd.leave(signal.SIGTERM if change % 2 else signal.SIGKILL)
                wait_for_progress(world, progress, progress.committed())
            before = progress.committed()
            world.wait_for(lambda: all(n > b for n, b in zip(progress.committed(), before, strict=True)), why="progress everywhere")
    finally:
        load.finish()
    check_answer(world, load)
    all_s, one_s = watch.longest_stall_s(), watch.longest_partition_stall_s()
    logger.info("%d changes (%s): longest stall %.1f s, of one partition %.1f s", changes, ", ".join(crowd.ends), all_s, one_s)
    assert all_s <= STALL_LIMIT_S


@pytest.mark.timeout(180)
def test_one_joins_one_is_killed(world: World) -> None:
    """A second worker joins under load and the first is killed: the answer is whole, each window once, no stall over 20 s."""
    rebalance(world, changes=1, seed_members=1)


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_workers_join_and_leave_five_times(world: World) -> None:
    """Of two to three workers one joins and one leaves, five times under load, by SIGKILL and SIGTERM in turn: the same answer."""
    rebalance(world, changes=5, seed_members=2)


def test_a_zombie_is_refused(world: World) -> None:
    """A worker stopped for twice the session timeout comes back after another took over: no second value for any window, none missing."""
    model, name = world.models[0], "r1"
    writer = world.writer(model)
    events = [(model, event(writer, n, n * 50, model, name)) for n in range(4000)]
    records = [(model, mark("run_start", name, model)), *events, (model, mark("run_end", name, model))]
    results = world.reader("results")
    zombie = world.start(session_timeout=3, cut_interval=0.2)
    world.send(records[:1500])
    world.wait_for(lambda: len(results.results()) >= 5)
    world.send(records[1500:1700])
    zombie.send_signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    heir = world.start(session_timeout=3, cut_interval=0.2, worker_metrics_port=free_ports(1)[0])
    world.send(records[1700:3000])
    world.wait_for(lambda: len(results.results()) >= 14 and time.monotonic() - stopped_s > 6, why="the heir's progress")
    zombie.send_signal(signal.SIGCONT)
    world.send(records[3000:])
    world.wait_for(lambda: len(results.results()) >= 20, why="all windows")
    assert sorted((r.start_ms, r.rows) for r in results.results()) == [(n * 10_000, 200) for n in range(20)]
    heir.send_signal(signal.SIGTERM)
    assert heir.wait(15) == 0, world.logs()
    assert len(results.results()) == 20


def small_windows(world: World, windows: int) -> int:
    """Send windows of 25 rows to every model, in replays of their own; how many there are in all."""
    for model in world.models:
        writer = world.writer(model)
        events = [(model, event(writer, n, n * 400, model, "r1")) for n in range(25 * windows)]
        world.send([(model, mark("run_start", "r1", model)), *events, (model, mark("run_end", "r1", model))])
    return windows * len(world.models)


def no_eviction(world: World, windows: int, log: str) -> None:
    """Every window comes, once, and the worker kept its partitions: each was restored once and none was ever revoked."""
    results = world.reader("results")
    world.wait_for(lambda: len(results.poll()) >= windows, why="all windows")
    assert len({r.key for r in results.results()}) == len(results.messages) == windows
    assert {r.rows for r in results.results()} == {25}
    assert world.metrics()["tidemark_rebalances_total{}"] == 0
    assert last_log(world).count("restored at") == PARTITIONS
    assert "MAXPOLL" not in last_log(world)
    assert log in last_log(world)


@pytest.mark.drill
def test_paused_longer_than_max_poll_interval(world: World) -> None:
    """A verdict that takes longer than ``max.poll.interval.ms``: the stages behind are full, all partitions paused, no eviction."""
    windows = small_windows(world, 60)
    start_with_fault(world, "slow_verdict", MAX_POLL_S * 2, session_timeout=3, max_poll_interval=MAX_POLL_S)
    world.wait_for(lambda: "FAULT a verdict begins" in last_log(world), why="the slow verdict")
    writer, number = world.writer(world.models[0]), 0
    while "FAULT all partitions are paused" not in last_log(world):  # one batch after another, until those that wait fill the channel
        assert "FAULT a verdict has taken long" not in last_log(world), "nothing was paused meanwhile"
        world.send([(world.models[0], event(writer, 10_000 + number, START_MS + number, world.models[0]))])
        number += 1
    no_eviction(world, windows, "FAULT a verdict has taken long")


@pytest.mark.drill
def test_a_slow_restore(world: World) -> None:
    """Restores that take twice the session timeout and longer than ``max.poll.interval.ms``: no eviction, and all windows come."""
    windows = small_windows(world, 10)
    start_with_fault(world, "slow_restore", 6.5, session_timeout=3, max_poll_interval=MAX_POLL_S)
    no_eviction(world, windows, "took 6.5 s longer")
