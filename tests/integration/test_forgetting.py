"""A model that stops loses its metrics in the real worker, and its next record brings it back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.worker import World, event, mark

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    """A world in which forgetting takes seconds."""
    made = World.make(tmp_path / "home", broker.bootstrap_servers, forget_after=5, forget_replay_after=2)
    yield made
    made.stop()


def kinds(world: World) -> set[str]:
    """The run kinds of model m that have series."""
    return {kind for kind in ("live", "replay") for series in world.metrics() if 'model="m"' in series and f'run_kind="{kind}"' in series}


def test_a_model_that_stops_is_forgotten_and_comes_back(world: World) -> None:
    """A replay's series go after its end then the silent live model's; one live event brings those of live back."""
    world.start()
    writer, now_ms = world.writer("m"), int(time.time() * 1000)
    replay = [mark("run_start", "r1"), *(event(writer, n, n * 100, run="r1") for n in range(300)), mark("run_end", "r1")]
    world.send(("m", r) for r in [event(writer, 1000, now_ms), *replay])
    world.wait_for(lambda: kinds(world) == {"live", "replay"}, why="both are shown")
    world.wait_for(lambda: kinds(world) == {"live"}, why="the replay is forgotten")
    world.wait_for(lambda: kinds(world) == set(), why="the live model is forgotten")
    world.send([("m", event(writer, 1001, int(time.time() * 1000)))])
    world.wait_for(lambda: kinds(world) == {"live"}, why="the live model is back")
    assert world.metrics()['tidemark_records_total{model="m",run_kind="live"}'] == 1
