"""The emitter's write-ahead log: accepted events lie in files before ``emit`` returns, and leave them once Kafka has them."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import EmitterError
from .ledger import CLOSED, SPILL_FAILED, SPILL_FULL, Generation
from .logs import LOG
from .segment import SUPPORTED, Segment, framed

_LARGEST_SEGMENT = 8 << 20  # bytes: files are removed as wholes, so small ones give space back sooner
_SEGMENTS = 8
_SMALLEST_BYTES = 65_536
_UNBORN_S = 60.0


@dataclass(eq=False, slots=True)
class Batch:
    """Values taken from one file, up to ``end`` in it. ``report`` is their delivery callback; it runs in the delivery thread only."""

    segment: Segment
    end: int
    values: list[bytes]
    counts: list[tuple[Generation, int]]
    acked: int = 0
    failed: int = 0
    refused: int = 0
    errors: list[Any] = field(default_factory=list)

    def report(self, error: Any, _message: Any) -> None:
        """Note the fate of one record."""
        if error is None:
            self.acked += 1
        elif error.name() in _HOPELESS:
            self.refused += 1
            self.errors.append(error)
        else:
            self.failed += 1
            self.errors.append(error)

    @property
    def reported(self) -> bool:
        """True once the fate of every record is known."""
        return self.acked + self.failed + self.refused == len(self.values)

    def again(self) -> None:
        """Forget what was reported: all of it is sent once more."""
        self.acked = self.failed = self.refused = 0


_HOPELESS = frozenset({"MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "_BAD_MSG"})  # the record itself is refused, however often


class Spill:
    """Files ``MODEL.PROCESS.NUMBER.wal`` in ``folder``, of ``max_bytes`` in all for this process. Any thread appends, one takes.

    Raises:
        EmitterError: the folder cannot be written, ``max_bytes`` is too small, or the system has no ``flock``.
    """

    def __init__(self, folder: Path, model: str, max_bytes: int) -> None:
        if not SUPPORTED:
            raise EmitterError("spill= needs a system with flock (Linux, macOS). Leave it out here")
        if not isinstance(max_bytes, int) or max_bytes < _SMALLEST_BYTES:
            raise EmitterError(f"spill_bytes={max_bytes!r}: give at least {_SMALLEST_BYTES:,} bytes")
        self._folder, self._model, self._max_bytes = folder, model, max_bytes
        self._segment_bytes = min(_LARGEST_SEGMENT, max_bytes // _SEGMENTS)
        self._lock = threading.RLock()  # reentrant: a signal handler may emit while emit runs
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        self._sealed_bytes = 0
        self._number = 0
        self._process = f"{time.time_ns():020}-{os.urandom(4).hex()}"  # sorts by time
        self._closed = False
        self._try_out()

    def append(self, value: bytes, generation: Generation) -> str | None:
        """Write one value; the reason why not when it is not written."""
        record = framed(value)
        with self._lock:
            if self._used() + len(record) > self._max_bytes:
                return SPILL_FULL
            if self._closed:
                return CLOSED
            try:
                segment = self._writable()
                segment.append(record)
            except OSError as error:
                LOG.debug("spill: %s", error)
                return SPILL_FAILED
            _count(segment, generation, 1)
        return None

    def adopt(self) -> list[tuple[Segment, int]]:
        """Take over what ended processes left of this model, oldest first; how many records each file has. Before the first ``take``."""
        for unborn in self._folder.glob(f"{self._model}.*.new"):  # of a process that was killed while it made a file
            if time.time() - unborn.stat().st_mtime > _UNBORN_S:
                unborn.unlink(missing_ok=True)
        found = [one for path in sorted(self._folder.glob(f"{self._model}.*.wal")) if (one := self._adopted(path))]
        with self._lock:
            self._segments.extendleft(segment for segment, _ in reversed(found))
            self._sealed_bytes += sum(segment.size for segment, _ in found)
        return found

    def take(self, most: int) -> Batch | None:
        """The next values in order, or None when all are taken. By one thread."""
        with self._lock:
            segment = next((s for s in self._segments if s.read < s.size), None)
        if segment is None:
            return None
        values = segment.take(most)  # without the lock: emit never waits for a read
        with self._lock:
            return Batch(segment, segment.read, values, _counted(segment, len(values)))

    def delivered(self, batch: Batch) -> None:
        """A batch has left, and all before it; files that are through are removed."""
        batch.segment.mark(batch.end)
        self.sweep()

    def sweep(self) -> None:
        """Remove the files that are full and delivered."""
        with self._lock:
            through = [s for s in self._segments if s.sealed and s.done == s.size]
            for segment in through:
                self._segments.remove(segment)
                self._sealed_bytes -= segment.size
        for segment in through:
            segment.close()

    def close(self) -> None:
        """Let all files go; what is not delivered stays in them for the next start."""
        with self._lock:
            self._closed = True
            for segment in self._segments:
                segment.close()
            self._segments.clear()
            self._current = None

    def abandon(self) -> None:
        """In a forked child: the files are the parent's."""
        for segment in self._segments:
            segment.release()

    def _adopted(self, path: Path) -> tuple[Segment, int] | None:
        if path.name.rsplit(".", 3)[0] != self._model:  # ids may have dots
            return None
        try:
            adopted = Segment.adopt(path)
        except OSError as error:
            LOG.error("spill file %s cannot be read, and is left as it is: %s", path, error)
            return None
        if adopted and adopted[0].damaged:
            LOG.error("spill file %s is damaged behind byte %d: what is before it is sent, the file is kept", path, adopted[0].size)
        return adopted

    def _used(self) -> int:
        return self._sealed_bytes + (self._current.size if self._current else 0)

    def _writable(self) -> Segment:
        if self._current is not None and self._current.size < self._segment_bytes:
            return self._current
        if self._current is not None:
            self._current.sealed = True
            self._sealed_bytes += self._current.size
            self._current = None
        segment = Segment.create(self._folder / f"{self._model}.{self._process}.{self._number:08}.wal")
        self._number += 1
        self._segments.append(segment)
        self._current = segment
        return segment

    def _try_out(self) -> None:
        trial = self._folder / f".{self._process}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise EmitterError(f"spill={str(self._folder)!r} cannot be written: {error}. Give a folder of the service's own") from error


def _count(segment: Segment, generation: Generation, count: int) -> None:
    if segment.counts and segment.counts[-1][0] is generation:
        segment.counts[-1][1] += count
    else:
        segment.counts.append([generation, count])


def _counted(segment: Segment, count: int) -> list[tuple[Generation, int]]:
    out = []
    while count:
        generation, there = segment.counts[0]
        taken = min(there, count)
        out.append((generation, taken))
        count -= taken
        segment.counts[0][1] -= taken
        if segment.counts[0][1] == 0:
            segment.counts.popleft()
    return out
