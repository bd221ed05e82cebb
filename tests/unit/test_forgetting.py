"""Models that stopped and replays that ended lose their metrics, after their time and not before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from config.settings import Settings
from monitor.metrics import Metrics
from schemas.event import LIVE_RUN
from streams.forgetting import Forgetting
from streams.last_results import LastResult
from streams.partition import Partition
from streams.partitioner import partition_of
from streams.windows.state import PartitionState, Stream, StreamId
from tests.support.results import judged_column, window_result

LIVE_S, REPLAY_S = 6 * 3600.0, 900.0


@dataclass
class Held:
    """A partition as far as forgetting looks at it."""

    state: PartitionState
    number: int
    ready: bool = True


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of its own."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """Metrics with a live model and a replay of it."""
    built = Metrics(registry)
    built.observe_result(window_result(judged_column("a", 0.25)), 1.0, 0.0)
    built.observe_result(window_result(judged_column("a", 0.25), run_kind="replay", run="r1"), 1.0, 0.0)
    return built


@pytest.fixture
def forgetting(metrics: Metrics) -> Forgetting:
    """With the times that ship."""
    return Forgetting(Settings(_env_file=None, partitions=4), metrics)


def partition(*streams: Stream) -> list[Partition]:
    """The partition of model m, with these streams."""
    number = partition_of(b"m", 4)
    held: Any = Held(PartitionState(number, streams={s.id: s for s in streams}), number)
    return [cast("Partition", held)]


def live(seen_s: float) -> Stream:
    """The live stream of model m."""
    return Stream(StreamId("m", LIVE_RUN), seen_s=seen_s)


def test_a_live_model_is_forgotten_after_its_silence(forgetting: Forgetting, registry: CollectorRegistry) -> None:
    """A second before the limit it is there; at the limit every series of it is gone, and the replay's of the same name stay."""
    replay = Stream(StreamId("m", "r1", 7))
    assert forgetting.look(partition(live(100.0), replay), 100.0) == []
    assert forgetting.look(partition(live(500.0), replay), 500.0 + LIVE_S - 1) == []
    assert forgetting.look(partition(live(500.0), replay), 500.0 + LIVE_S) == [("m", "live")]
    text = generate_latest(registry).decode()
    assert 'run_kind="live"' not in text
    assert 'tidemark_window_drift_share{model="m",run_kind="replay"}' in text


def test_a_replay_is_kept_while_it_is_open_and_forgotten_after_its_end(forgetting: Forgetting, registry: CollectorRegistry) -> None:
    """However long it pauses, an open run keeps its metrics; they go 15 minutes after it was closed."""
    replay = Stream(StreamId("m", "r1", 7), seen_s=0.0)
    assert forgetting.look(partition(live(90_000.0), replay), 90_000.0) == []
    assert forgetting.look(partition(live(90_899.0)), 90_000.0 + REPLAY_S - 1) == []
    assert forgetting.look(partition(live(90_900.0)), 90_000.0 + REPLAY_S) == [("m", "replay")]
    assert 'run_kind="replay"' not in generate_latest(registry).decode()


def test_what_was_restored_without_a_stream_is_forgotten_too(forgetting: Forgetting) -> None:
    """Results of an earlier worker's life count from the first look on."""
    assert forgetting.look(partition(), 10.0) == []
    assert forgetting.look(partition(), 10.0 + REPLAY_S) == [("m", "replay")]
    assert forgetting.look(partition(), 10.0 + LIVE_S) == [("m", "live")]
    assert forgetting.look(partition(), 10.0 + 2 * LIVE_S) == []


def test_a_forgotten_model_comes_back_with_its_next_record_only(
    forgetting: Forgetting, metrics: Metrics, registry: CollectorRegistry
) -> None:
    """Its stream's time and open windows, which each cut shows, do not bring it back; a record does, with counters from 0."""
    forgetting.look(partition(), 0.0)
    forgetting.look(partition(), LIVE_S)
    metrics.set_stream_time("m", "live", 1.0)
    metrics.set_open_windows("m", "live", 1, 2, 3)
    assert 'model="m"' not in generate_latest(registry).decode()
    metrics.records("m", "live", 2)
    metrics.set_open_windows("m", "live", 1, 2, 3)
    text = generate_latest(registry).decode()
    assert 'tidemark_records_total{model="m",run_kind="live"} 2.0' in text
    assert 'tidemark_drifted_windows_total{model="m",run_kind="live"} 0.0' in text
    assert 'tidemark_open_windows{model="m",run_kind="live"} 1.0' in text
    assert forgetting.look(partition(live(LIVE_S + 5)), LIVE_S + 5) == []


def test_a_model_that_another_worker_has_is_forgotten_here_soon(forgetting: Forgetting) -> None:
    """A minute after its partition went, not while it may come back; a partition that came back in between begins anew."""
    assert forgetting.look(partition(live(0.0)), 0.0) == []
    assert forgetting.look([], 50.0) == []
    assert forgetting.look(partition(live(0.0)), 55.0) == []
    assert forgetting.look([], 114.0) == []
    assert forgetting.look([], 115.0) == [("m", "live"), ("m", "replay")]


def test_a_restart_recalls_what_was_not_forgotten(forgetting: Forgetting) -> None:
    """A live model's last window is shown however old it is, a replay's for 15 minutes, and longer while a run is open."""
    live_result, replay_result = (
        window_result(judged_column("a", 0.25)),
        window_result(judged_column("a", 0.25), run_kind="replay", run="r1"),
    )
    idle, running = PartitionState(0), PartitionState(0, streams={StreamId("m", "r2", 9): Stream(StreamId("m", "r2", 9))})
    assert forgetting.recalls(LastResult(live_result, 0.0), idle, 1e6)
    assert forgetting.recalls(LastResult(replay_result, 1000.0), idle, 1000.0 + REPLAY_S - 1)
    assert not forgetting.recalls(LastResult(replay_result, 1000.0), idle, 1000.0 + REPLAY_S)
    assert forgetting.recalls(LastResult(replay_result, 1000.0), running, 1e6)
