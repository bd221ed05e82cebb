"""One file of the spill: records that were accepted, each with its length and checksum, and how far they are delivered.

The file begins with a magic word and the place (8 bytes, little endian) up to which every record is delivered. A record is its length and
its CRC-32 (4 bytes each, little endian), then the bytes that Kafka gets. A file belongs to the process that holds its ``flock``; the
kernel lets it go when that process ends, however it ends.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

try:
    import fcntl
except ImportError:  # Windows: the emitter refuses a spill there
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
_MAGIC = b"TDSPILL1"
_HEAD = struct.Struct("<8sQ")
_DONE = struct.Struct("<Q")
_RECORD = struct.Struct("<II")
_READ_BYTES = 1 << 20


def framed(value: bytes) -> bytes:
    """The record of one value."""
    return _RECORD.pack(len(value), crc32(value)) + value


@dataclass(eq=False, slots=True)
class Segment:
    """An open file. ``size`` is where its good records end, ``read`` up to where they were taken, ``done`` up to where delivered.

    ``counts`` has, for what is not taken yet, pairs of what the records are booked under and how many they are.
    """

    path: Path
    file: int  # reads, the head, the lock
    tail: int  # appends only
    size: int
    read: int
    done: int
    sealed: bool = False
    damaged: bool = False
    counts: deque[list[Any]] = field(default_factory=deque)

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file, locked before it stands under its name."""
        new = path.with_suffix(".new")
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(file, _HEAD.pack(_MAGIC, _HEAD.size))
            tail = os.open(new, os.O_WRONLY | os.O_APPEND)
        except OSError:
            os.close(file)
            new.unlink()
            raise
        new.rename(path)
        return cls(path, file, tail, _HEAD.size, _HEAD.size, _HEAD.size)

    @classmethod
    def adopt(cls, path: Path) -> tuple[Segment, int] | None:
        """A file that an ended process left, and how many records are to be sent; None while its process lives, or when it is gone.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink:  # else its owner delivered all and removed it between our two calls
                return _scan(path, file)
        except BlockingIOError:
            pass
        except OSError:
            os.close(file)
            raise
        os.close(file)
        return None

    def append(self, record: bytes) -> None:
        """Write one record; it is in the kernel's hands when this returns. OSError when it cannot be written: then nothing of it is."""
        written = os.write(self.tail, record)
        if written != len(record):  # the disk is full
            os.ftruncate(self.file, self.size)
            raise OSError(f"only {written} of {len(record)} bytes were written to {self.path}")
        self.size = os.lseek(self.tail, 0, os.SEEK_CUR)  # not a sum: a signal handler may append in between

    def take(self, most: int) -> list[bytes]:
        """The next values, at most so many, in the order of their writing."""
        data = os.pread(self.file, min(_READ_BYTES, self.size - self.read), self.read)
        at = 0
        values: list[bytes] = []
        while len(values) < most and at + _RECORD.size <= len(data):
            length, _ = _RECORD.unpack_from(data, at)
            end = at + _RECORD.size + length
            if end > len(data):
                break
            values.append(data[at + _RECORD.size : end])
            at = end
        if not values and data:  # one record that is larger than a read
            length, _ = _RECORD.unpack_from(data)
            values = [os.pread(self.file, length, self.read + _RECORD.size)]
            at = _RECORD.size + length
        self.read += at
        return values

    def mark(self, done: int) -> None:
        """Everything up to here is delivered."""
        self.done = done
        os.pwrite(self.file, _DONE.pack(done), len(_MAGIC))

    def close(self) -> None:
        """Let the file go. Once all of it is delivered it is removed; what is damaged is kept under another name."""
        if self.done == self.size:
            if self.damaged:
                self.path.replace(self.path.with_suffix(".damaged"))
            else:
                self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Close the file as it is; another process may adopt it."""
        os.close(self.tail)
        os.close(self.file)


def _scan(path: Path, file: int) -> tuple[Segment, int]:
    """Check every record from the delivered ones on. A torn last one was never accepted: its emit had not returned."""
    length = os.fstat(file).st_size
    data = os.pread(file, _HEAD.size, 0)
    done = _HEAD.unpack(data)[1] if len(data) == _HEAD.size and data.startswith(_MAGIC) else 0
    damaged = not _HEAD.size <= done <= length
    done = min(length, max(done, _HEAD.size))
    at, count = done, 0
    while not damaged and at + _RECORD.size <= length:
        size, checksum = _RECORD.unpack(os.pread(file, _RECORD.size, at))
        end = at + _RECORD.size + size
        if end > length:
            break
        if crc32(os.pread(file, size, at + _RECORD.size)) != checksum:
            damaged = end < length
            break
        at, count = end, count + 1
    tail = os.open(path, os.O_WRONLY | os.O_APPEND)
    return Segment(path, file, tail, at, done, done, sealed=True, damaged=damaged), count
