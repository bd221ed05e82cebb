"""The worker on the real broker: windows become results once, whatever happens to the process."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.ports import free_ports
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
    """A replay of 1,000 events in ten windows gives ten results with exact counts, each once, and the series Prometheus reads."""
    world.start()
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


def kill_and_go_on(world: World, kills: int, seed: int) -> None:
    """Send a replay in parts and kill the worker amid each, at a random moment while records wait unread; then compare with the input."""
    rng, results = random.Random(seed), world.reader("results")
    windows = 10 * (kills + 1)
    records = replayed(world, "r1", 200 * windows, step_ms=50)
    process = world.start(cut_interval=0.05)
    sent = 0
    for kill in range(kills):
        part = len(records) * (kill + 1) // (kills + 1)
        world.send(records[sent : part - 200])
        want = len(results.results()) + 1
        world.wait_for(lambda want=want: len(results.results()) >= want, why="progress before the kill")  # type: ignore[misc]
        world.send(records[part - 200 : part])
        sent = part
        time.sleep(rng.random() * 0.3)  # the moment of the kill is what is drawn here
        process.kill()
        process.wait()
        world.send(records[sent : sent + 100])  # there is unfinished work while nobody works
        sent += 100
        process = world.start(cut_interval=0.05)
    world.send(records[sent:])
    world.wait_for(lambda: len(results.results()) >= windows, timeout_s=120, why="all windows")
    assert sorted((r.start_ms, r.rows) for r in results.results()) == [(n * 10 * SECOND, 200) for n in range(windows)]
    assert world.reader("late").poll() == []
    assert world.reader("dead_letter").poll() == []


def test_kill_and_go_on(world: World) -> None:
    """Killed three times amid a replay, the windows are those of the undisturbed input: none missing or twice, no row lost or doubled."""
    kill_and_go_on(world, kills=3, seed=1)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_twenty_kills(world: World) -> None:
    """The same with twenty kills."""
    kill_and_go_on(world, kills=20, seed=2)


def test_a_zombie_is_refused(world: World) -> None:
    """A worker stopped for twice the session timeout comes back after another took over: no second value for any window, none missing."""
    records = replayed(world, "r1", 4000, step_ms=50)
    results = world.reader("results")
    zombie = world.start(session_timeout=3, cut_interval=0.2)
    world.send(records[:1500])
    world.wait_for(lambda: len(results.results()) >= 5)
    world.send(records[1500:1700])
    zombie.send_signal(signal.SIGSTOP)
    heir = world.start(session_timeout=3, cut_interval=0.2, worker_metrics_port=free_ports(1)[0])
    world.send(records[1700:3000])
    world.wait_for(lambda: len(results.results()) >= 14, why="the heir's progress")
    zombie.send_signal(signal.SIGCONT)
    world.send(records[3000:])
    world.wait_for(lambda: len(results.results()) >= 20, why="all windows")
    assert sorted((r.start_ms, r.rows) for r in results.results()) == [(n * 10 * SECOND, 200) for n in range(20)]
    heir.send_signal(signal.SIGTERM)
    assert heir.wait(15) == 0, world.logs()
    assert len(results.results()) == 20


def test_sigterm_ends_in_order(world: World) -> None:
    """SIGTERM: exit code 0 within 15 s, and the next worker goes on where this one stopped."""
    process = world.start()
    results = world.reader("results")
    records = replayed(world, "r1", 400)
    world.send(records[:250])
    world.wait_for(lambda: len(results.results()) >= 2)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0, world.logs()
    assert time.monotonic() - began < 15
    world.send(records[250:])
    world.start()
    world.wait_for(lambda: len(results.results()) >= 4)
    assert [r.rows for r in sorted(results.results(), key=lambda r: r.start_ms)] == [100] * 4


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
