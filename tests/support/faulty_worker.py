"""The worker's own command with one fault built in, for drills: ``python -m tests.support.faulty_worker FAULT [VALUE]``.

The faults sit around the worker's public parts, so that no code of production knows of them. Everything else is the real worker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from streams.cuts import Cuts
from streams.restore import Restored, Restorer
from streams.source import Source
from streams.transactions import Transactions
from tidemark import cli


def say(text: str) -> None:
    """A line in the worker's log, written even when the next thing is a SIGKILL."""
    os.write(2, f"FAULT {text}\n".encode())


def patch(owner: type, name: str, value: object) -> None:
    """Put the faulty method in place of the real one."""
    assert hasattr(owner, name), f"{owner.__name__} has no {name} any more"
    setattr(owner, name, value)


def kill_before_commit(commit: int) -> None:
    """SIGKILL in the n-th transaction: its records are on the topics and its offsets are sent, only the commit is missing."""
    real, seen = Transactions._finish, 0

    def finish(self: Transactions) -> None:
        nonlocal seen
        seen += 1
        if seen >= commit:
            say("killed between send_offsets_to_transaction and commit_transaction")
            os.kill(os.getpid(), signal.SIGKILL)
        real(self)

    patch(Transactions, "_finish", finish)


def slow_restore(delay_s: float) -> None:
    """Every restore takes so much longer."""
    real = Restorer.restore

    def restore(self: Restorer, partition: int) -> Restored | None:
        time.sleep(delay_s)  # the fault itself
        say(f"restore of partition {partition} took {delay_s:g} s longer")
        return real(self, partition)

    patch(Restorer, "restore", restore)


def slow_verdict(delay_s: float) -> None:
    """The third verdict and those beside it take so much longer, once: the stages behind fill up and all partitions are paused."""
    from streams.verdicts import Verdicts

    real, seen, over = Verdicts.verdict, 0, asyncio.Event()

    async def verdict(self: Verdicts, *arguments: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            say("a verdict begins to take long")
            await asyncio.sleep(delay_s)
            say("a verdict has taken long")
            over.set()
        elif seen > 3:
            await over.wait()
        await real(self, *arguments)

    held = Source.keep_membership

    def keep_membership(self: Source, timeout_s: float) -> None:
        if not self._held:
            say("all partitions are paused")
        held(self, timeout_s)

    patch(Verdicts, "verdict", verdict)
    patch(Source, "keep_membership", keep_membership)


def end_amid_cut() -> None:
    """The first cut with rows in it lies between draft and transaction until the worker's end has begun, and its tasks are cancelled."""
    from streams.worker import Worker

    real, real_stop = Cuts.drafts, Worker.stop
    first, ends = threading.Event(), threading.Event()

    def drafts(self: Cuts, only_results: bool = False) -> Any:
        found = real(self, only_results)
        if not first.is_set() and any(draft.chunks for _, draft in found):
            first.set()
            say("a cut is drafted")
            ends.wait()
        return found

    async def stop(self: Worker) -> None:
        ends.set()
        await real_stop(self)

    patch(Cuts, "drafts", drafts)
    patch(Worker, "stop", stop)


def dropped_draft() -> None:
    """The first draft with rows in it gets lost: the one after it names chunks that nobody has written."""
    real = Cuts.drafts
    first = threading.Event()

    def drafts(self: Cuts, only_results: bool = False) -> Any:
        found = real(self, only_results)
        if not first.is_set() and any(draft.chunks for _, draft in found):
            first.set()
            say("a draft is dropped")
            return []
        return found

    patch(Cuts, "drafts", drafts)


def slow_first_batch(delay_s: float) -> None:
    """The first batch takes so long to decode."""
    from streams.intake import Intake

    real, first = Intake._ingest, threading.Event()

    def ingest(self: Intake, *arguments: Any) -> Any:
        if not first.is_set():
            first.set()
            say("the first batch begins to take long")
            time.sleep(delay_s)
        return real(self, *arguments)

    patch(Intake, "_ingest", ingest)


def hung_source() -> None:
    """The thread that polls the consumer never comes back from its first batch with records."""
    real = Source.poll

    def poll(self: Source, timeout_s: float) -> Any:
        found = real(self, timeout_s)
        if found:
            say("the source hangs")
            threading.Event().wait()
        return found

    patch(Source, "poll", poll)


def fail(where: str) -> None:
    """A plain Python error, no TidemarkError: in the service's polling, an agent's processing, a verdict, a restore or a command."""
    from streams.intake import Intake
    from streams.judge import Judge
    from streams.verdicts import Verdicts
    from streams.worker import Worker

    def boom(*_: Any) -> Any:
        say(f"fails in {where}")
        raise RuntimeError(f"a fault in {where}")

    if where == "commands":
        real = Worker.start

        async def start(self: Worker) -> None:
            patch(Judge, "load", boom)  # from now on: the first load has been
            await real(self)

        patch(Worker, "start", start)
        return
    owner, name = {
        "service": (Source, "_batch"),
        "agent": (Intake, "_ingest"),
        "verdict": (Verdicts, "_verdict"),
        "restore": (Restorer, "restore"),
        "commit": (Transactions, "_write"),
    }[where]
    patch(owner, name, boom)


FAULTS: dict[str, Callable[[str], None]] = {
    "kill_before_commit": lambda v: kill_before_commit(int(v)),
    "slow_restore": lambda v: slow_restore(float(v)),
    "slow_verdict": lambda v: slow_verdict(float(v)),
    "end_amid_cut": lambda _: end_amid_cut(),
    "dropped_draft": lambda _: dropped_draft(),
    "slow_first_batch": lambda v: slow_first_batch(float(v)),
    "hung_source": lambda _: hung_source(),
    "fail": fail,
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]](sys.argv[2])
    sys.argv[1:] = ["worker"]
    cli()
