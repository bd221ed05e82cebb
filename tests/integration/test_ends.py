"""How a worker ends: in order when it is told to, and with an error's exit code, never alive but stuck, when it cannot go on."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from config.errors import TidemarkError
from streams.restore import Restorer
from streams.topics import admin
from streams.windows.catalogue import Catalogue
from tests.support.broker import Broker
from tests.support.drills import command, exit_time_s, last_log, start_with_fault, wait_for_progress
from tests.support.load import PARTITIONS, START_MS, Load, Progress, check_answer, make_world
from tests.support.waiting import wait_for
from tests.support.worker import World, event

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.integration
ORDERLY_END_S, ERROR_END_S = 15.0, 30.0
ERRORS = ["service", "agent", "verdict", "restore", "commit", "commands"]


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    made = make_world(tmp_path / "home", broker.bootstrap_servers)
    yield made
    made.stop()


def send_some(world: World) -> None:
    """Events of every model, enough to close a window of each."""
    for model in world.models:
        writer = world.writer(model)
        world.send((model, event(writer, n, 1_700_000_000_000 + n * 100, model)) for n in range(150))


def ended_with_error(world: World, process: subprocess.Popen[bytes], what: str) -> None:
    """The process ends in time with an exit code that makes a supervisor start it again."""
    took_s = exit_time_s(process, ERROR_END_S)
    logger.info("%s: exit code %d after %.1f s", what, process.returncode, took_s)
    assert process.returncode > 0, world.logs()


@pytest.mark.timeout(300)
def test_sigterm_under_load(world: World) -> None:
    """SIGTERM while records stream in and the worker is behind: exit 0 within 15 s, and its successor makes the answer whole."""
    load = Load(world, events_per_s=4000).start()
    try:
        progress = Progress(world)
        process = world.start(cut_interval=0.2)
        wait_for_progress(world, progress, [0])
        process.send_signal(signal.SIGTERM)
        took_s = exit_time_s(process, ORDERLY_END_S)
        assert process.returncode == 0, world.logs()
        assert sum(progress.committed()) < sum(progress.ends()), "there was no work left"
        logger.info("SIGTERM under load: exit 0 after %.1f s", took_s)
        world.start()
    finally:
        load.finish()
    check_answer(world, load)


@pytest.mark.drill
@pytest.mark.parametrize("delay_s", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
def test_sigterm_at_any_moment_of_a_start(world: World, delay_s: float) -> None:
    """SIGTERM while the worker imports, joins, restores or reads its first batches: exit within 15 s, and no error is told."""
    send_some(world)
    process = world.start(cut_interval=0.2)
    time.sleep(delay_s)  # the moment of the signal
    process.send_signal(signal.SIGTERM)
    took_s = exit_time_s(process, ORDERLY_END_S)
    logger.info("SIGTERM %.0f s after the start: exit %d after %.1f s", delay_s, process.returncode, took_s)
    assert process.returncode in {0, -signal.SIGTERM}, world.logs()  # the latter before there is anything to end in order
    assert "Traceback" not in last_log(world)


def test_sigterm_amid_a_cut(world: World) -> None:
    """SIGTERM between a cut's draft and its transaction: the cut is ended, exit 0, and a successor goes on from it to the right answer."""
    load = Load(world, events_per_s=4000).start()
    try:
        process = start_with_fault(world, "end_amid_cut", "", cut_interval=0.2)
        world.wait_for(lambda: "FAULT a cut is drafted" in last_log(world), why="a cut under way")
        process.send_signal(signal.SIGTERM)
        exit_time_s(process, ORDERLY_END_S)
        assert process.returncode == 0, world.logs()
        assert "Traceback" not in last_log(world)
        world.start()
    finally:
        load.finish()
    check_answer(world, load)


def test_a_cut_that_names_unwritten_rows_is_refused(world: World) -> None:
    """Should a draft ever get lost, the next cut is refused, not committed; the partitions are restored, and the answer is right."""
    load = Load(world, events_per_s=4000).start()
    try:
        start_with_fault(world, "dropped_draft", "", cut_interval=0.2)
        world.wait_for(lambda: "is not on the checkpoint topic" in last_log(world), why="a refused cut")
        assert "FAULT a draft is dropped" in last_log(world)
        world.wait_for(lambda: last_log(world).count("restored at") > PARTITIONS, why="a restore")
    finally:
        load.finish()
    check_answer(world, load)


def test_a_cut_without_its_rows_is_told(world: World) -> None:
    """A committed offset whose cut names rows that were never written (low -1) is an error that says so at once, not a wait for them."""
    settings = world.settings
    place = TopicPartition(settings.predictions_topic, 0, 0, metadata='{"head": 1, "low": -1}')
    group = Consumer({"bootstrap.servers": settings.brokers, "group.id": settings.group_id, "enable.auto.commit": False})
    group.commit(offsets=[place], asynchronous=False)
    group.close()
    restorer = Restorer(settings, Catalogue(), lambda: True)
    with pytest.raises(TidemarkError, match=r"the cut at offset 1 of .* names rows that were never written"):
        restorer.restore(0)


def test_sigterm_while_restoring(world: World) -> None:
    """SIGTERM while partitions are being restored: exit 0 within 15 s. Their state stays in the last cut, as it was."""
    send_some(world)
    process = start_with_fault(world, "slow_restore", 2)
    world.wait_for(lambda: "FAULT restore" in last_log(world), why="a restore under way")
    process.send_signal(signal.SIGTERM)
    exit_time_s(process, ORDERLY_END_S)
    assert process.returncode == 0, world.logs()
    assert sum(Progress(world).committed()) == 0


@pytest.mark.drill
@pytest.mark.parametrize("where", ERRORS)
def test_an_unhandled_error_ends_the_worker(world: World, where: str) -> None:
    """A plain Python error wherever it comes up: non-zero exit within 30 s, and nothing of the batch is committed wrongly."""
    send_some(world)
    process = start_with_fault(world, "fail", where)
    if where == "commands":
        world.wait_for(lambda: sum(Progress(world).committed()) > 0, why="progress before the command")
        command(world, "reload")
    wait_for(lambda: f"FAULT fails in {where}" in last_log(world), f"the fault in {where}", 60)
    ended_with_error(world, process, f"an error in {where}")
    assert f"RuntimeError: a fault in {where}" in last_log(world)


@pytest.mark.drill
def test_a_hung_thread_ends_the_worker(world: World) -> None:
    """A thread that never comes back, with records waiting: the watchdog ends the process with a non-zero code."""
    send_some(world)
    process = start_with_fault(world, "slow_first_batch", 1000, stall_timeout=3)
    world.wait_for(lambda: "FAULT the first batch" in last_log(world), why="the batch that hangs")
    ended_with_error(world, process, "a hung thread (limit 3 s)")
    assert "no progress for 3 s" in last_log(world)


@pytest.mark.drill
def test_a_hung_source_ends_the_worker(world: World) -> None:
    """A consumer that is polled no more sees no lag either: the watchdog ends the process all the same."""
    send_some(world)
    process = start_with_fault(world, "hung_source", "", stall_timeout=3)
    world.wait_for(lambda: "FAULT the source hangs" in last_log(world), why="the poll that hangs")
    ended_with_error(world, process, "a hung source (limit 3 s)")
    assert "the consumer has not been polled for 3 s" in last_log(world)


@pytest.mark.drill
def test_a_worker_without_work_is_not_stalled(world: World) -> None:
    """Idle for longer than the limit, then a first batch that takes a while: waiting for records was no stall."""
    start_with_fault(world, "slow_first_batch", 2.5, stall_timeout=4)
    world.wait_for(lambda: last_log(world).count("restored at") == 4, why="a start")
    time.sleep(5)  # longer than the limit, with nothing to do
    send_some(world)
    results = world.reader("results")
    world.wait_for(lambda: len(results.poll()) >= 4, why="results")


def test_retention_takes_records_away(world: World) -> None:
    """Retention has taken records: read ones are missed by nobody, unread ones are counted exactly; the worker starts and goes on."""
    model, topic = world.models[0], world.settings.predictions_topic
    writer, progress = world.writer(model), Progress(world)
    results = world.reader("results")

    def part(first: int, last: int) -> None:
        world.send((model, event(writer, n, START_MS + n * 100, model)) for n in range(first, last))

    part(0, 300)
    process = world.start(cut_interval=0.2)
    world.wait_for(lambda: progress.committed()[0] == 300, why="300 events committed")
    process.terminate()
    assert process.wait(15) == 0, world.logs()
    part(300, 800)
    client = admin(world.settings)
    client.delete_records([TopicPartition(topic, 0, 550)])[TopicPartition(topic, 0, 550)].result(30)
    world.start(cut_interval=0.2)
    world.wait_for(lambda: progress.committed()[0] == 800, why="800 events committed")
    lost = [v for k, v in world.metrics().items() if k.startswith("tidemark_lost_offsets_total") and 'partition="0"' in k]
    assert lost == [250]
    world.wait_for(lambda: len(results.poll()) >= 5, why="the windows that are over")
    rows = {(r.start_ms - START_MS) // 10_000: r.rows for r in results.results()}
    assert rows == {0: 100, 1: 100, 2: 100, 5: 50, 6: 100}


@pytest.mark.drill
@pytest.mark.timeout(180)
def test_a_dead_broker_ends_the_worker(tmp_path: Path, own_broker: Broker) -> None:
    """The broker is killed under load and stays away: the worker is gone within 30 s, with a non-zero exit code."""
    world = make_world(tmp_path / "home", own_broker.bootstrap_servers)
    try:
        send_some(world)
        process = world.start(cut_interval=0.2)
        wait_for_progress(world, Progress(world), [0])
        own_broker.kill()
        ended_with_error(world, process, "a dead broker")
        assert "the worker ends: " in last_log(world)
    finally:
        world.stop()
