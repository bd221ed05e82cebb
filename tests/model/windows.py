"""One partition's windows, as small as can be: what a worker holds at a position, and how a record or a decision moves it on.

Times are small whole numbers. Every value is hashable, so that a search can tell which states it has seen. ``streams/windows/core.py`` is
the real thing; ``test_binding.py`` holds the two equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

LIVE = "live"
MIN_TIME = -1000

Parts = frozenset[str]  # the parts of the protocol that are kept; see tests.model.mutations
Pairs = tuple[tuple[Any, Any], ...]  # a mapping as sorted pairs
Decision = Literal["idle", "abort", "spec", "undecodable"]


class Spec(NamedTuple):
    """A tumbling window's size and its grace period, in units of event time."""

    size: int
    grace: int


SPECS = (Spec(size=2, grace=1), Spec(size=4, grace=0))  # by digest: spec 0 holds at first, spec 1 is what it changes to


class Record(NamedTuple):
    """A record of the source partition. ``doubtful``: an event whose schema may be unknown to the worker that reads it today."""

    kind: Literal["event", "doubtful", "run_start", "run_end"]
    run: str
    time: int
    id: str

    def __str__(self) -> str:
        return self.kind if self.kind in {"run_start", "run_end"} else f"{self.kind} {self.run} t={self.time} {self.id}"


Log = tuple[Record, ...]


class Key(NamedTuple):
    """A window ``[start, end)`` of a stream, bound to the digest of its spec: the key of its result."""

    stream: str
    start: int
    end: int
    digest: int

    def __str__(self) -> str:
        return f"{self.stream}[{self.start},{self.end})/spec{self.digest}"


class Rows(NamedTuple):
    """A window's content: the ids without duplicates, and how many records arrived. How rows fold is tests.model.rows' matter."""

    ids: frozenset[str]
    arrived: int

    def __str__(self) -> str:
        return f"{'+'.join(sorted(self.ids))}({self.arrived})"


class State(NamedTuple):
    """A partition at ``position``, the next offset to read.

    ``times``: stream time by stream. ``runs``: stream and digest of each open run. ``timeline``: from which event time a live spec holds.
    ``taken`` is for the checks only: the outside decisions behind this state, each with the position it was taken at.
    """

    position: int = 0
    times: Pairs = ()
    runs: Pairs = ()
    timeline: tuple[tuple[int, int], ...] = ()
    current: int = 0
    open: Pairs = ()
    pending: Pairs = ()
    late: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    taken: tuple[tuple[int, Decision], ...] = ()


def pairs(mapping: dict[Any, Any]) -> Pairs:
    """A mapping as sorted pairs."""
    return tuple(sorted(mapping.items()))


def is_due(key: Key, time: int | None) -> bool:
    """True when stream time has reached the window's end plus grace: it closes, and what still comes for it is late."""
    return time is not None and key.end + SPECS[key.digest].grace <= time


def read(state: State, log: Log, parts: Parts, decodes: bool = True) -> State:
    """Take in the record at the state's position."""
    offset, record = state.position, log[state.position]
    state = state._replace(position=offset + 1)
    runs = dict(state.runs)
    if record.kind == "run_start":
        if record.run in runs:
            return state  # a producer's retry
        stream = f"{record.run}@{offset}" if "run offset" in parts else record.run
        return state._replace(runs=pairs({**runs, record.run: (stream, state.current)}))
    if (record.run != LIVE and record.run not in runs) or not decodes:
        return state._replace(dead=(*state.dead, offset))
    if record.kind == "run_end":
        return end_run(state, record.run)
    return _join(state, record, offset)


def _join(state: State, record: Record, offset: int) -> State:
    if record.run == LIVE:
        timeline = state.timeline or ((MIN_TIME, state.current),)
        state = state._replace(timeline=timeline)
        stream, digest = LIVE, [d for start, d in timeline if start <= record.time][-1]
    else:
        stream, digest = dict(state.runs)[record.run]
    start = record.time // SPECS[digest].size * SPECS[digest].size
    key = Key(stream, start, start + SPECS[digest].size, digest)
    times, windows = dict(state.times), dict(state.open)
    if is_due(key, times.get(stream)):
        return state._replace(late=(*state.late, offset))
    held = windows.get(key, Rows(frozenset(), 0))
    windows[key] = Rows(held.ids | {record.id}, held.arrived + 1)
    times[stream] = max(times.get(stream, MIN_TIME), record.time)
    return _close_due(state._replace(times=pairs(times), open=pairs(windows)), stream)


def _close_due(state: State, stream: str) -> State:
    time = dict(state.times).get(stream)
    return _close(state, [k for k, _ in state.open if k.stream == stream and is_due(k, time)])


def _close(state: State, keys: list[Key]) -> State:
    windows, pending = dict(state.open), dict(state.pending)
    for key in keys:
        pending[key] = windows.pop(key)
    return state._replace(open=pairs(windows), pending=pairs(pending))


def end_run(state: State, run: str) -> State:
    """End a run, by its mark or its timeout: all its windows close."""
    stream, _ = dict(state.runs)[run]
    state = _close(state, [k for k, _ in state.open if k.stream == stream])
    runs = tuple((r, v) for r, v in state.runs if r != run)
    return state._replace(runs=runs, times=tuple((s, t) for s, t in state.times if s != stream))


def close_idle(state: State) -> State:
    """Silence of the live stream: stream time moves on to the first open window's end plus grace."""
    time = min(k.end + SPECS[k.digest].grace for k, _ in state.open if k.stream == LIVE)
    times = dict(state.times)
    times[LIVE] = max(time, times.get(LIVE, MIN_TIME))
    return _close_due(state._replace(times=pairs(times)), LIVE)


def adopt_spec(state: State, digest: int, parts: Parts) -> State:
    """The model's spec is another now: for new runs at once, for the live stream from a boundary of both grids behind all it has seen."""
    state = state._replace(current=digest)
    if not state.timeline or state.timeline[-1][1] == digest:
        return state
    time = dict(state.times).get(LIVE, MIN_TIME - 1) + 1
    if "boundary" in parts:
        ends = [k.end for k, _ in state.open if k.stream == LIVE]
        time = max([time, state.timeline[-1][0], *ends])
        while time % SPECS[digest].size or time % SPECS[state.timeline[-1][1]].size:
            time += 1
    return state._replace(timeline=(*state.timeline, (time, digest)))


def may_decide(state: State, spec_on_disk: int) -> list[Decision]:
    """The outside decisions that make a difference here."""
    can: list[tuple[Decision, bool]] = [
        ("idle", any(k.stream == LIVE for k, _ in state.open)),
        ("abort", bool(state.runs)),
        ("spec", spec_on_disk == 0 or state.current == 0),
    ]
    return [what for what, makes_sense in can if makes_sense]


def decide(state: State, what: Decision, parts: Parts) -> State:
    """Take an outside decision at the state's position."""
    state = state._replace(taken=(*state.taken, (state.position, what)))
    if what == "idle":
        return close_idle(state)
    if what == "abort":
        return end_run(state, state.runs[0][0])
    return adopt_spec(state, 1, parts)


def read_undecodable(state: State, log: Log, parts: Parts) -> State:
    """Read a doubtful record by a worker that does not know its schema."""
    return read(state._replace(taken=(*state.taken, (state.position, "undecodable"))), log, parts, decodes=False)


@lru_cache(maxsize=200_000)
def undisturbed(log: Log, taken: tuple[tuple[int, Decision], ...], position: int, parts: Parts) -> State:
    """What ONE execution without crash, take-over or commit holds at a position that took these decisions at these positions.

    Nothing is published in it, so ``pending`` are all windows ever closed, ``late`` and ``dead`` all such records.
    """
    state, todo = State(), list(taken)
    while True:
        while todo and todo[0][0] == state.position and todo[0][1] != "undecodable":
            state = decide(state, todo.pop(0)[1], parts)
        if state.position == position:
            return state
        undecodable = bool(todo) and todo[0] == (state.position, "undecodable")
        if undecodable:
            todo.pop(0)
        state = read_undecodable(state, log, parts) if undecodable else read(state, log, parts)
