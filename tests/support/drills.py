"""What fault drills share: a worker with a fault built in, and the questions they ask of a kill."""

from __future__ import annotations

import subprocess
import sys
import time

from confluent_kafka import Producer

from config.settings import ROOT
from tests.support.load import Progress
from tests.support.worker import World


def start_with_fault(world: World, fault: str, value: object, **more: object) -> subprocess.Popen[bytes]:
    """Start a worker that has one of the faults of ``tests.support.faulty_worker``; its log is with the others'."""
    environment = world.environment() | {f"TIDEMARK_{k.upper()}": str(v) for k, v in more.items()}
    with (world.settings.home / f"worker-{len(world.processes)}.log").open("wb") as log:
        command = [sys.executable, "-m", "tests.support.faulty_worker", fault, str(value)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    world.processes.append(process)
    return process


def last_log(world: World, worker: int = -1) -> str:
    """The whole log of the worker that was started last, or of the one with that number."""
    number = len(world.processes) - 1 if worker < 0 else worker
    return (world.settings.home / f"worker-{number}.log").read_text(errors="replace")


def settled(progress: Progress) -> list[int]:
    """The committed offsets once no commit is under way any more: what a dead worker left behind."""
    before = progress.committed()
    while True:
        time.sleep(0.25)  # two looks at a distance: a commit request that was sent before the kill is done by then
        if (now := progress.committed()) == before:
            return now
        before = now


def wait_for_progress(world: World, progress: Progress, beyond: list[int], timeout_s: float = 60.0) -> float:
    """Wait until more than that is committed; s on the monotonic clock when it was seen."""
    world.wait_for(lambda: sum(progress.committed()) > sum(beyond), timeout_s, "progress")
    return time.monotonic()


def exit_time_s(process: subprocess.Popen[bytes], timeout_s: float) -> float:
    """Wait for a process to end; s that it took. Its return code is the caller's to look at."""
    began = time.monotonic()
    process.wait(timeout_s)
    return time.monotonic() - began


def command(world: World, word: str) -> None:
    """Send a command to every worker."""
    producer = Producer({"bootstrap.servers": world.settings.brokers})
    producer.produce(world.settings.commands_topic, word)
    assert producer.flush(30) == 0
