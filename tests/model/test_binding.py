"""The model is true to the code: the same records, decisions, cuts and crashes give the same windows in both."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import Settings
from streams.partition import Partition
from streams.source import Source
from streams.windows.rows import HeldRows
from streams.windows.state import PartitionState
from tests.model import rows as model_rows
from tests.model.code import Code
from tests.model.logs import ALPHABET, CURATED, EVENTS, make
from tests.model.mutations import FULL
from tests.model.windows import Decision, Log, State, decide, may_decide, read, read_undecodable, undisturbed

NAMES = st.lists(st.sampled_from(list(ALPHABET)), min_size=1, max_size=12)
LOGS = st.sampled_from(CURATED) | NAMES.map(lambda names: make(" ".join(names)))
DECISIONS = st.dictionaries(st.integers(0, 12), st.sampled_from(["idle", "abort", "spec", "undecodable"]), max_size=4)
Cuts = dict[tuple[int, bool], tuple[int, bool]]
PLACES = st.tuples(st.integers(0, 12), st.booleans())  # a position, before or after the decision that is taken there
CUTS = st.dictionaries(PLACES, st.tuples(st.integers(0, 3), st.booleans()), max_size=10)


def compare(code: Code, state: State) -> None:
    """Stream times, runs and timeline are the same at the same position."""
    assert code.state.position == state.position
    assert code.progress() == {"times": dict(state.times), "runs": dict(state.runs), "timeline": list(state.timeline)}


def side_by_side(log: Log, wanted: dict[int, Decision], cuts: Cuts) -> tuple[Code, State]:
    """Step through a log with both; ``cuts`` say where to cut, how many results to publish, and whether a crash follows.

    The code reads in batches that end where something is decided or cut.
    """
    code, state, undecodable = Code(), State(), set[int]()
    for position in range(len(log) + 1):
        decision = wanted.get(position)
        deciding = decision in may_decide(state, code.spec_on_disk)
        for after in (False, True):
            if after and decision is not None and deciding:
                code.read(log, position, undecodable)
                code.decide(decision)
                state = decide(state, decision, FULL)
            if (position, after) in cuts:
                code.read(log, position, undecodable)
                code.cut(*cuts[position, after])
                compare(code, state)
        if position < len(log):
            if decision == "undecodable" and log[position].kind == "doubtful":
                undecodable.add(position)
                state = read_undecodable(state, log, FULL)
            else:
                state = read(state, log, FULL)
    code.read(log, len(log), undecodable)
    compare(code, state)
    return code, state


@given(log=LOGS, wanted=DECISIONS, cuts=CUTS)
@settings(max_examples=500, deadline=None)
def test_the_model_is_true_to_the_code(log: Log, wanted: dict[int, Decision], cuts: Cuts) -> None:
    """Real core and real checkpoint, with batches, partial publishing and crashes anywhere, give what the model's one execution gives."""
    code, state = side_by_side(log, wanted, cuts)
    windows = code.windows()
    code.cut(0, crash=False)  # what is late or dead since the last cut
    expected = undisturbed(log, state.taken, len(log), FULL)
    assert windows == {"open": dict(expected.open), "closed": dict(expected.pending)}
    assert (sorted(code.late), sorted(code.dead)) == (list(expected.late), list(expected.dead))


@pytest.mark.parametrize(("names", "decision"), [("L0", "idle"), ("S R0", "abort"), ("L0", "spec")])
def test_a_decision_alone_makes_a_cut(names: str, decision: Decision) -> None:
    """A cut, a decision without any record, a cut, a crash: the decision is still there."""
    log = make(names)
    end = len(log)
    code, state = side_by_side(log, {end: decision}, {(end, False): (0, False), (end, True): (0, True)})
    assert state.taken == ((end, decision),)
    assert code.windows() == {"open": dict(state.open), "closed": dict(state.pending)}


def test_every_outcome_of_a_record_occurs() -> None:
    """The alphabet reaches what it is there for: late records, dead letters, closed windows of live and replayed streams, both specs."""
    code, _ = side_by_side(
        make("L0 L3 L1 S R0 X1 L5 R3 E E L5"), {3: "spec", 5: "undecodable", 11: "idle"}, {(4, True): (0, True), (8, False): (1, True)}
    )
    windows = code.windows()
    code.cut(0, crash=False)
    assert code.late == [2]
    assert code.dead == [5, 9]
    assert {(k.stream, k.digest) for k in windows["closed"]} == {("live", 0), ("run@3", 1), ("live", 1)}
    assert EVENTS.keys() >= {"L5"}


REAL = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1), st.booleans()), min_size=1, max_size=9)


@given(steps=REAL, max_rows=st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_the_model_of_rows_is_true_to_the_code(steps: list[tuple[str, int, bool]], max_rows: int) -> None:
    """Rows, contents and counts of ``HeldRows`` are the model's, with a chunk written and all chunks folded anew after any row."""
    ours, real, chunks = model_rows.Held(max_rows), HeldRows(max_rows), list[bytes]()
    for name, content, crash in steps:
        ours.add(model_rows.Row(xxhash.xxh64_intdigest(name.encode()), name, content))
        real.add(pl.DataFrame({"@id": [name], "x": [content]}))
        if crash:
            ours = ours.cut_and_restore()
            real = _restored(real, chunks)
    settled = real.settle()
    held = frozenset((r["@id"], r["x"]) for r in settled.frame.to_dicts())
    expected = ours.settle()
    assert held == {(r.id, r.content) for r in expected.held}
    assert (settled.rows, settled.exact) == (expected.rows, expected.exact)


def _restored(rows: HeldRows, chunks: list[bytes]) -> HeldRows:
    """What the checkpoint does: the fresh rows become a chunk; all chunks are folded, newest first here."""
    fresh = rows.take_fresh()
    if fresh is not None:
        out = io.BytesIO()
        fresh.write_ipc(out)
        chunks.append(out.getvalue())
    restored = HeldRows(rows.max_rows)
    restored.restore((pl.read_ipc(io.BytesIO(c)) for c in reversed(chunks)), rows.arrived, rows.overflowed, rows.dropped)
    return restored


def test_a_refused_cut_is_the_last_word_of_its_state(tmp_path: Path) -> None:
    """The part 'drop': from the moment of the reset, before any poll, nothing can be drafted from a state whose cut was aborted."""
    source = Source(Settings(home=tmp_path), lambda partition: None, lambda partition: None, lambda statistics: None)
    partition = Partition(0, state=PartitionState(0))
    source.partitions[0] = partition
    assert partition.ready
    source.reset(partition)
    assert not partition.ready
    source.close()
