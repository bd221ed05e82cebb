"""The parts of the protocol. A mutation leaves one of them out; the search must then find a contradiction on the log named here."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.logs import make
from tests.model.windows import Log, Parts


class Part(NamedTuple):
    """A part of the protocol: what it is, where the code has it, and a log on which leaving it out shows (with so many decisions)."""

    name: str
    what: str
    code: str
    log: Log
    decisions: int = 0


LATE = make("L0 L3 L1")  # closes [0,2), then a late record

PROTOCOL = (
    Part("stream times", "the cut holds the stream time of each stream", "checkpoint._head: streams", LATE),
    Part("runs", "the cut holds the table of open runs", "checkpoint._head: streams", make("S R0 E")),
    Part("pending", "the cut holds closed windows that are not published", "checkpoint._head: windows", make("L0 L3")),
    Part("idle", "an idle decision is in the next cut", "WindowCore.advance", make("L0 L1"), 1),
    Part("timeline", "the cut holds from which event time a spec holds", "checkpoint._head: timeline", make("L0 L1"), 1),
    Part(
        "boundary", "a changed spec waits for a boundary of both grids behind all that was seen", "WindowCore.change_spec", make("L0 L1"), 1
    ),
    Part("run offset", "a run is its id and the offset of its run_start", "StreamId.run_offset", make("S R0 E S R0 E")),
    Part("fence", "a generation of the past cannot commit", "Transactions.commit: group metadata", LATE),
    Part("token", "a state that was given up has no say, whatever generation its worker is of now", "Cuts.commit: Partition.valid", LATE),
    Part("discard", "results of a state that was given up are discarded", "Verdicts.verdict: Partition.valid", make("L0 L1"), 1),
    Part("drop", "a state whose cut was aborted is dropped and restored", "Cuts.commit: Source.reset", LATE),
    Part("wait", "a restore waits for the transaction that is pending", "Restorer.restore: committed()", LATE),
    Part("end", "a cut that has been drafted is sent, though the worker be told to end", "Worker.cut: Unbroken", LATE),
    Part("transaction", "results, late, dead letters, cut and offset are one transaction", "Transactions.commit", LATE),
)
FULL: Parts = frozenset(p.name for p in PROTOCOL)
