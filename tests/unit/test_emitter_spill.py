"""The spill: what was accepted lies in a file that any later start can read, whatever happened to the process or to the file's end."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ROOT
from producers.emitter import EmitterError, EventRefused
from producers.emitter.ledger import CLOSED, SPILL_FAILED, SPILL_FULL, Generation
from producers.emitter.segment import Segment, framed
from producers.emitter.spill import Spill
from tests.support.waiting import wait_for
from tests.unit.test_emitter_dead_broker import emitter

MIB = 1 << 20


def taken(spill: Spill) -> list[bytes]:
    """All that ``take`` has."""
    out: list[bytes] = []
    while batch := spill.take(100):
        out += batch.values
    return out


def adopted(folder: Path) -> list[bytes]:
    """What the next start finds."""
    spill = Spill(folder, "m", MIB)
    for segment, count in spill.adopt():
        segment.counts.append([Generation(), count])
    values = taken(spill)
    spill.abandon()
    return values


def written(folder: Path, values: list[bytes], max_bytes: int = MIB) -> Spill:
    """A spill that has these values."""
    spill = Spill(folder, "m", max_bytes)
    assert {spill.append(value, Generation()) for value in values} <= {None}
    return spill


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=40), st.data())
def test_a_torn_end_costs_only_what_was_not_accepted(tmp_path_factory: pytest.TempPathFactory, values: list[bytes], data: Any) -> None:
    """Cut at any byte, a file gives every record that is whole, in order, and no other."""
    folder = tmp_path_factory.mktemp("spill")
    written(folder, values).abandon()
    (path,) = folder.glob("*.wal")
    length = data.draw(st.integers(16, path.stat().st_size))
    os.truncate(path, length)
    ends = [16 + sum(len(framed(v)) for v in values[: i + 1]) for i in range(len(values))]
    assert adopted(folder) == values[: sum(end <= length for end in ends)]


def test_a_last_record_with_wrong_bytes_is_torn(tmp_path: Path) -> None:
    """A last record whose length came to the disk and whose bytes did not is found by its checksum, and is no damage."""
    written(tmp_path, [b"first", b"last"]).abandon()
    (path,) = tmp_path.glob("*.wal")
    path.write_bytes(path.read_bytes()[:-4] + bytes(4))
    ((segment, count),) = Spill(tmp_path, "m", MIB).adopt()
    assert (count, segment.damaged) == (1, False)


@pytest.mark.parametrize("place", [16, 20, 24, 29])
def test_damage_in_the_middle_keeps_the_file(tmp_path: Path, place: int) -> None:
    """Where a byte in the middle is wrong, what is before it is sent and the file is kept under another name for a person to look at."""
    values = [b"first", b"second", b"third"]
    written(tmp_path, values).abandon()
    (path,) = tmp_path.glob("*.wal")
    data = bytearray(path.read_bytes())
    data[place + len(framed(b"first"))] ^= 0x01
    path.write_bytes(data)
    spill = Spill(tmp_path, "m", MIB)
    ((segment, count),) = spill.adopt()
    assert count == 1
    segment.counts.append([Generation(), count])
    batch = spill.take(10)
    assert batch is not None
    assert batch.values == values[:1]
    spill.delivered(batch)
    assert not list(tmp_path.glob("*.wal"))
    assert next(tmp_path.glob("*.damaged")).read_bytes()[16:] == bytes(data[16:])


def test_bytes_are_bounded_and_given_back(tmp_path: Path) -> None:
    """Beyond ``max_bytes`` nothing more is written; files are removed once delivered, and make room."""
    spill = Spill(tmp_path, "m", 65_536)
    generation = Generation()
    accepted = 0
    while (reason := spill.append(bytes(100), generation)) is None:
        accepted += 1
    assert reason == SPILL_FULL
    assert 65_536 - 8 * 16 - 108 <= sum(p.stat().st_size for p in tmp_path.glob("*.wal")) <= 65_536
    files = len(list(tmp_path.glob("*.wal")))
    delivered = 0
    while batch := spill.take(100):
        spill.delivered(batch)
        delivered += len(batch.values)
    assert delivered == accepted
    assert len(list(tmp_path.glob("*.wal"))) < files
    assert spill.append(bytes(100), generation) is None
    assert taken(spill) == [bytes(100)]


def test_what_is_delivered_is_not_sent_again(tmp_path: Path) -> None:
    """A batch that Kafka has is marked in the file at once: after a kill the next start sends what comes behind it."""
    spill = written(tmp_path, [b"%d" % i for i in range(10)])
    batch = spill.take(4)
    assert batch is not None
    spill.delivered(batch)
    spill.abandon()
    assert adopted(tmp_path) == [b"%d" % i for i in range(4, 10)]


def test_a_living_process_keeps_its_files(tmp_path: Path) -> None:
    """Files of a process that lives are not adopted, those of another model never, and those of a closed one are, oldest first."""
    first, second = written(tmp_path, [b"1"]), written(tmp_path, [b"2"])
    other = Spill(tmp_path, "m.x", MIB)
    other.append(b"other", Generation())
    other.close()
    assert adopted(tmp_path) == []
    second.close()
    first.close()
    assert adopted(tmp_path) == [b"1", b"2"]
    assert len(list(tmp_path.glob("m.x.*.wal"))) == 1


def test_a_large_record_comes_back_whole(tmp_path: Path) -> None:
    """A record beyond one read's size is read by itself."""
    values = [b"small", os.urandom(3 * MIB), b"small"]
    assert taken(written(tmp_path, values, 64 * MIB)) == values


def test_a_full_disk_drops_and_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a write fails, or only a part of it fits, the event is counted as ``spill_failed`` and the file has no piece of it."""
    spill = written(tmp_path, [b"good"])
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr("producers.emitter.segment.os.write", lambda fd, data: write(fd, data[:5]))
        assert spill.append(b"half", Generation()) == SPILL_FAILED

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr("producers.emitter.segment.os.write", full)
        assert spill.append(b"none", Generation()) == SPILL_FAILED
    assert spill.append(b"good too", Generation()) is None
    spill.close()
    assert spill.append(b"late", Generation()) == CLOSED
    assert adopted(tmp_path) == [b"good", b"good too"]


def test_a_segment_is_locked_before_it_has_its_name(tmp_path: Path) -> None:
    """Nobody can adopt a file between its creation and its lock."""
    segment = Segment.create(tmp_path / "m.p.0.wal")
    assert Segment.adopt(tmp_path / "m.p.0.wal") is None
    segment.close()  # nothing in it
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_never_born_is_removed(tmp_path: Path) -> None:
    """What a process left that was killed while it made a file is removed a minute later, and not before."""
    old, young = tmp_path / "m.p.00000000.new", tmp_path / "m.q.00000000.new"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    assert adopted(tmp_path) == []
    assert list(tmp_path.iterdir()) == [young]


def test_emit_encodes_at_once(tmp_path: Path) -> None:
    """With a spill the answer of ``emit`` is final: what does not fit its column is False, counted, and in no file."""
    with emitter(spill=tmp_path) as made:
        assert not made.emit({"a double": "x"}, 1.0)
        assert made.emit({"a double": 1.0}, 1.0)
        counted = made.counters()
        assert (counted.dropped["wrong_type"], counted.pending) == (1, 1)
        made.close(0)
    assert made.counters().pending == 1  # on disk, for the next start
    with emitter(spill=tmp_path) as again:
        again.start()
        wait_for(lambda: again.counters().recovered, "the file is adopted", 10)
        assert not again.flush(0.1)
        counted = again.counters()
        assert (counted.emitted, counted.recovered, counted.pending) == (0, 1, 1)
        again.close(0)


def test_spill_full_is_counted_and_strict_raises(tmp_path: Path) -> None:
    """Without room in the spill the event is dropped as ``spill_full``; strict mode raises."""
    with emitter(spill=tmp_path, spill_bytes=65_536, strict=True) as made:
        while 65_536 - sum(p.stat().st_size for p in tmp_path.iterdir()) > 1000:
            assert made.emit({"2 text": "x" * 500}, 1.0)
        with pytest.raises(EventRefused):
            made.emit({"2 text": "x" * 1000}, 1.0)
        counted = made.counters()
        assert counted.dropped["spill_full"] == 1
        assert counted.emitted == counted.pending + 1
        made.close(0)


@pytest.mark.parametrize("given_", [{"spill": "/dev/null/x"}, {"spill": "sub", "spill_bytes": 10}])
def test_a_spill_that_cannot_work_is_refused_at_construction(given_: dict[str, Any], tmp_path: Path) -> None:
    """A folder that cannot be written, or no room at all, is said where the service starts."""
    with pytest.raises(EmitterError, match="spill"):
        emitter(**{**given_, "spill": tmp_path / given_["spill"]})


def test_a_forked_child_leaves_the_parents_files_alone(tmp_path: Path) -> None:
    """A child writes files of its own; the parent's stay locked for as long as the parent lives, and no longer."""
    code = f"""
import os, sys
from producers.emitter.ledger import Generation
from tests.unit.test_emitter_dead_broker import emitter
made = emitter(spill={str(tmp_path)!r})
assert made.emit({{}}, 1.0, event_id="parent")
pid = os.fork()
if pid == 0:
    assert made.emit({{}}, 1.0, event_id="child")
    os.kill(os.getpid(), 9)
os.waitpid(pid, 0)
made.close(0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ids = adopted(tmp_path)
    assert [b"parent" in ids[0], b"child" in ids[1]] == [True, True]
