"""The worker killed again and again under a steady load: what readers see is what an undisturbed worker would have published."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.drills import last_log, settled, start_with_fault, wait_for_progress
from tests.support.load import Load, Progress, check_answer, make_world
from tests.support.worker import World

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.integration
RECOVERY_LIMIT_S = 25.0  # with a session timeout of 6 s and a transaction timeout of 10 s, which are the defaults


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    made = make_world(tmp_path / "home", broker.bootstrap_servers)
    yield made
    made.stop()


@pytest.fixture
def load(world: World) -> Iterator[Load]:
    made = Load(world, events_per_s=2000)
    yield made
    made.stop()


class Killer:
    """Kills one worker after another. Every kill must hit unfinished work: records were there that it had not committed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.progress = Progress(world)
        self.recovery_s: dict[str, list[float]] = {"random": [], "before commit": []}
        self.process = world.start()
        wait_for_progress(world, self.progress, [0])

    def kill(self) -> None:
        """Kill at a random moment."""
        beyond = self.progress.committed()
        wait_for_progress(self.world, self.progress, beyond)  # it works: not only its predecessor's commit was seen
        time.sleep(self.rng.random() * 2)  # the moment is what is drawn here
        ends = self.progress.ends()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._recover("random", ends)

    def replace_by_one_that_ends_before_commit(self) -> None:
        """End the worker in order; the next one kills itself between ``send_offsets`` and ``commit`` of one of its first cuts."""
        self.process.terminate()
        assert self.process.wait(15) == 0, self.world.logs()
        doomed = start_with_fault(self.world, "kill_before_commit", self.rng.randint(2, 6))
        ends, deadline = self.progress.ends(), time.monotonic() + 60
        while doomed.poll() is None:
            assert time.monotonic() < deadline, self.world.logs()
            ends = self.progress.ends()
        assert doomed.returncode == -signal.SIGKILL, self.world.logs()
        assert "killed between send_offsets_to_transaction and commit_transaction" in last_log(self.world)
        self._recover("before commit", ends)

    def _recover(self, kind: str, ends: list[int]) -> None:
        killed_s = time.monotonic()
        self.process = self.world.start()
        left = settled(self.progress)
        assert any(c < e for c, e in zip(left, ends, strict=True)), f"the kill hit no unfinished work: {left} of {ends}"
        self.recovery_s[kind].append(wait_for_progress(self.world, self.progress, left) - killed_s)
        logger.info("killed %s: progress after %.1f s, load average %.1f", kind, self.recovery_s[kind][-1], os.getloadavg()[0])

    def report(self) -> None:
        """Show the figures, and hold them against the limit."""
        for kind, times in self.recovery_s.items():
            logger.info("recovery after a kill (%s), s: %s", kind, " ".join(f"{t:.1f}" for t in times))
        assert max(t for times in self.recovery_s.values() for t in times) < RECOVERY_LIMIT_S


def drill(world: World, load: Load, kinds: list[str], seed: int) -> None:
    load.start()
    killer = Killer(world, seed)
    for kind in kinds:
        killer.kill() if kind == "random" else killer.replace_by_one_that_ends_before_commit()
    load.finish()
    check_answer(world, load)
    killer.report()


def test_three_kills(world: World, load: Load) -> None:
    """Killed twice at random moments and once between publish and commit: every window's result is right and there once."""
    drill(world, load, ["random", "before commit", "random"], seed=1)


@pytest.mark.drill
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [2, 3])
def test_many_kills(world: World, load: Load, seed: int) -> None:
    """13 kills, 10 at random moments and 3 between publish and commit, and that twice: nothing missing, changed, lost or counted twice."""
    kinds = ["random"] * 10 + ["before commit"] * 3
    random.Random(seed).shuffle(kinds)
    drill(world, load, kinds, seed)
