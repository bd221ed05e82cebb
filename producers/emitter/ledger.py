"""The emitter's books: every event that was handed in is delivered, dropped for a reason, or pending. The three always add up."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

QUEUE_FULL, WRONG_TYPE, TOO_LARGE, DELIVERY_FAILED, CLOSED = "queue_full", "wrong_type", "too_large", "delivery_failed", "closed"
SPILL_FULL, SPILL_FAILED = "spill_full", "spill_failed"
REASONS = (QUEUE_FULL, WRONG_TYPE, TOO_LARGE, DELIVERY_FAILED, CLOSED, SPILL_FULL, SPILL_FAILED)


@dataclass(frozen=True, slots=True)
class Counters:
    """A snapshot taken at one instant: ``emitted + recovered == delivered + sum(dropped.values()) + pending + sampled_out``.

    ``emitted`` counts every call of ``emit``; ``delivered`` what the broker acknowledged; ``dropped`` has every reason as a key;
    ``sampled_out`` what the sampling rate leaves out; ``recovered`` what an earlier process left in the spill folder.
    """

    emitted: int
    delivered: int
    dropped: dict[str, int]
    pending: int
    sampled_out: int = 0
    recovered: int = 0


@dataclass(eq=False, slots=True)
class Generation:
    """The events taken in between two flushes. ``report`` is their delivery callback; it runs in the delivery thread only."""

    pending: int = 0
    acked: int = 0
    failed: list[Any] = field(default_factory=list)

    def report(self, error: Any, _message: Any) -> None:
        """Note the fate of one record; ``Ledger.fold`` books it."""
        if error is None:
            self.acked += 1
        else:
            self.failed.append(error)


class Ledger:
    """Counts under one lock, which is never held across a call out. ``limit`` bounds what is pending."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.RLock()  # reentrant: a signal handler or a destructor may emit while emit runs
        self._changed = threading.Condition(self._lock)
        self._emitted = self._delivered = self._pending = self._sampled_out = self._recovered = 0
        self._dropped: Counter[str] = Counter()
        self._generations = [Generation()]
        self._closed = False

    def admit(self) -> Generation | str:
        """Count one event in and say where it is booked, or the reason why it is dropped."""
        with self._lock:
            self._emitted += 1
            if self._closed or self._pending >= self._limit:
                reason = CLOSED if self._closed else QUEUE_FULL
                self._dropped[reason] += 1
                return reason
            self._pending += 1
            generation = self._generations[-1]
            generation.pending += 1
            return generation

    def sample_out(self) -> None:
        """Count one event that the sampling rate leaves out."""
        with self._lock:
            self._emitted += 1
            self._sampled_out += 1

    def recover(self, count: int) -> Generation:
        """Count events of an earlier process in, and say where they are booked."""
        with self._lock:
            generation = self._generations[-1]
            self._recovered += count
            self._pending += count
            generation.pending += count
            return generation

    def settle(self, counts: list[tuple[Generation, int]], refused: int, reason: str) -> None:
        """Book events that the spill has let go: delivered, but for ``refused`` of them, which are dropped under ``reason``."""
        with self._lock:
            self._delivered += sum(count for _, count in counts) - refused
            self._dropped[reason] += refused
            for generation, count in counts:
                self._settle(generation, count)

    def drop(self, generation: Generation, reason: str) -> None:
        """Book a pending event as dropped."""
        with self._lock:
            self._dropped[reason] += 1
            self._settle(generation, 1)

    def fold(self, reason: str) -> list[Any]:
        """Book what the delivery callbacks noted; failures under ``reason``. Returns the errors. Called by the delivery thread."""
        errors: list[Any] = []
        with self._lock:
            for generation in list(self._generations):
                acked, failed = generation.acked, generation.failed
                if acked or failed:
                    generation.acked, generation.failed = 0, []
                    self._delivered += acked
                    self._dropped[reason] += len(failed)
                    errors += failed
                    self._settle(generation, acked + len(failed))
        return errors

    def _settle(self, generation: Generation, count: int) -> None:
        generation.pending -= count
        self._pending -= count
        if generation.pending == 0:
            if generation is not self._generations[-1]:
                self._generations.remove(generation)
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until every event that was handed in before this call is delivered or dropped; False when the time ran out."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            if self._generations[-1].pending:
                self._generations.append(Generation())  # what comes during the wait is none of this flush's business
            before = self._generations[:-1]
            return self._changed.wait_for(lambda: not any(g.pending for g in before), max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """From now on every event is dropped as closed."""
        with self._lock:
            self._closed = True

    @property
    def pending(self) -> int:
        """Events taken and not settled yet."""
        return self._pending

    def snapshot(self) -> Counters:
        """The counters at one instant."""
        with self._lock:
            dropped = {reason: self._dropped[reason] for reason in REASONS}
            return Counters(self._emitted, self._delivered, dropped, self._pending, self._sampled_out, self._recovered)
