"""The worker on the real broker: windows become results once, whatever happens to the process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from streams.partitioner import partition_of
from tests.support.broker import Broker
from tests.support.waiting import REPORT_S
from tests.support.worker import World, event, mark

pytestmark = pytest.mark.integration
SECOND = 1000


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    made = World.make(tmp_path / "home", broker.bootstrap_servers)
    yield made
    made.stop()


def replayed(world: World, run: str, count: int, step_ms: int = 100) -> list[tuple[str, bytes]]:
    writer = world.writer("m")
    events = [("m", event(writer, n, n * step_ms, run=run)) for n in range(count)]
    return [("m", mark("run_start", run)), *events, ("m", mark("run_end", run))]


def test_a_replay_becomes_results_and_metrics(world: World) -> None:
    """A replay of 1,000 events in ten windows gives ten results with exact counts, each once, the series that Prometheus reads, and a
    snapshot each in the workspace."""
    world.start(workspace=True)
    results = world.reader("results")
    world.send(replayed(world, "r1", 1000))
    world.wait_for(lambda: len(results.results()) >= 10)
    found = {r.start_ms: r for r in results.results()}
    assert sorted(found) == [n * 10 * SECOND for n in range(10)]
    assert {r.rows for r in found.values()} == {100}
    assert {r.status for r in found.values()} == {"ok"}
    assert len(results.messages) == 10
    assert len({m.key() for m in results.messages}) == 10
    world.wait_for(
        lambda: any(k.startswith("tidemark_windows_total{") and v == 10 for k, v in world.metrics().items()),
        why="tidemark_windows_total 10",
    )
    snapshots = partial(world.settings.under_home("workspace").glob, "*/snapshots/*.json")
    world.wait_for(lambda: len(list(snapshots())) == 10, REPORT_S, why="ten snapshots")


def test_poison_and_late_records_lie_apart(world: World) -> None:
    """Dead letters carry reason, topic, partition and offset as headers; late records keep their bytes; the good ones are all counted."""
    world.start()
    writer = world.writer("m")
    good = [event(writer, n, n * 100, run="r1") for n in range(300)]
    bad = [b"", b"junk", good[0] + b"tail", good[1][:-3], b"\xc3\x01" + b"?" * 30]
    late = event(writer, 999, 50, run="r1")
    records = [mark("run_start", "r1"), *good[:150], *bad, late, *good[150:], mark("run_end", "r1")]
    world.send(("m", r) for r in records)
    results = world.reader("results")
    world.wait_for(lambda: len(results.results()) >= 3)
    assert sum(r.rows for r in results.results()) == 300
    dead, lates = world.reader("dead_letter"), world.reader("late")
    world.wait_for(lambda: len(dead.poll()) >= 5 and len(lates.poll()) >= 1)
    reasons = [dict(m.headers() or [])["tidemark.reason"] for m in dead.messages]
    assert sorted(reasons) == [b"no_framing", b"no_framing", b"undecodable", b"undecodable", b"unknown_schema"]
    assert dict(dead.messages[0].headers() or [])["tidemark.topic"] == world.settings.predictions_topic.encode()
    assert [m.value() for m in lates.messages] == [late]


def test_live_windows_are_judged_before_they_close(world: World) -> None:
    """A window is judged when half of its grace is over. Its result is used when no row has come since, else it is judged again and has
    that row."""
    world.start()
    writer, results = world.writer("m"), world.reader("results")
    began = int(time.time() * 1000) // 10_000 * 10_000 - 60_000

    def send(*seconds: float) -> None:
        world.send(("m", event(writer, int(s * 1000), began + int(s * 1000))) for s in seconds)
        reached = began + int(max(seconds) * 1000)
        world.wait_for(lambda: reached in (round(v * 1000) for k, v in world.metrics().items() if k.startswith("tidemark_stream_time")))

    send(*range(10), 11.2)
    send(12)
    world.wait_for(lambda: len(results.results()) == 1)
    send(*range(13, 20), 21.2)
    send(14.5, 22)
    world.wait_for(lambda: len(results.results()) == 2)
    assert [r.rows for r in results.results()] == [10, 10]
    early = {k: v for k, v in world.metrics().items() if k.startswith("tidemark_early_verdicts_total")}
    assert early == {'tidemark_early_verdicts_total{outcome="used"}': 1, 'tidemark_early_verdicts_total{outcome="again"}': 1}


def test_a_result_waits_for_no_other_partition(tmp_path: Path, broker: Broker) -> None:
    """A result is committed with its own partition's position; the other partitions' turn comes with their cut, here the last one."""
    models = [f"m{n}" for n in range(8)]
    world = World.make(tmp_path / "one", broker.bootstrap_servers, models, cut_interval=600)
    try:
        process = world.start()
        began = int(time.time() * 1000) // 10_000 * 10_000 - 60_000
        first, *others = {partition_of(m.encode(), world.settings.partitions): m for m in models}.values()
        for model in others:
            world.send([(model, event(world.writer(model), 0, began, model=model))])
        writer = world.writer(first)
        world.send((first, event(writer, n, began + n * 1000, model=first)) for n in range(13))
        results = world.reader("results")
        world.wait_for(lambda: len(results.results()) == 1)
        world.wait_for(lambda: sum(v for k, v in world.metrics().items() if k.startswith("tidemark_records_total")) == 13 + len(others))
        assert world.committed() == {partition_of(first.encode(), world.settings.partitions): 13}
        process.terminate()
        assert process.wait(30) == 0
        assert sorted(world.committed().values()) == [1] * len(others) + [13]
    finally:
        world.stop()


def test_a_live_model_that_stops(tmp_path: Path, broker: Broker) -> None:
    """A live model falls silent: its last window closes after grace and idle timeout, though no event moves stream time."""
    world = World.make(tmp_path / "idle", broker.bootstrap_servers, idle_timeout=1)
    try:
        world.start()
        writer = world.writer("m")
        began = int(time.time() * 1000) // 10_000 * 10_000 - 20_000
        world.send(("m", event(writer, n, began + n * 100)) for n in range(50))
        results = world.reader("results")
        world.wait_for(lambda: len(results.results()) >= 1, timeout_s=30)
        assert [(r.start_ms, r.rows, r.run_kind) for r in results.results()] == [(began, 50, "live")]
    finally:
        world.stop()


def test_a_restart_shows_the_last_windows_again(world: World) -> None:
    """After a restart the gauges show the last window's verdict before any new window closes; the counters begin anew."""
    process = world.start()
    world.send(replayed(world, "r1", 250))
    results = world.reader("results")
    world.wait_for(lambda: len(results.results()) >= 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0, world.logs()
    world.start()
    series = 'tidemark_window_rows{model="m",run_kind="replay"}'
    world.wait_for(lambda: world.metrics().get(series) == 50, why="the last window's rows")
    assert world.metrics().get('tidemark_windows_total{model="m",run_kind="replay",status="ok"}', 0) == 0


def test_a_poisoned_stream_ends_the_worker_uncommitted(world: World) -> None:
    """A deploy that poisons everything: non-zero exit with the reason, and the batch that passed the limit is in no topic and no offset."""
    world.send(("m", b"junk") for _ in range(300))
    process = world.start(dead_letter_span=100)
    assert process.wait(45) != 0
    assert "TIDEMARK_DEAD_LETTER_SHARE" in world.logs()
    dead = world.reader("dead_letter")
    assert [len(dead.poll()) for _ in range(5)][-1] == 0
