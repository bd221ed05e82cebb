"""Two workers, one partition, one transaction a cut: everything that can happen next.

True to ``streams/checkpoint.py`` (what the cut holds), ``transactions.py`` and ``worker.py`` (draft, transaction, reset), ``restore.py``
(waiting, rebuilding) and ``source.py`` (tokens). A worker goes on reading while its transaction is on its way. The group's generation is
checked when the offsets are sent; from then on the transaction may commit or abort whatever becomes of its worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.windows import (
    LIVE,
    MIN_TIME,
    Log,
    Pairs,
    Parts,
    State,
    adopt_spec,
    decide,
    may_decide,
    pairs,
    read,
    read_undecodable,
    undisturbed,
)


class Published(NamedTuple):
    """What a ``read_committed`` reader of the results, late and dead-letter topics sees, in order."""

    results: Pairs = ()
    late: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()

    def plus(self, more: Published) -> Published:
        """Appended."""
        return Published(self.results + more.results, self.late + more.late, self.dead + more.dead)


class Transaction(NamedTuple):
    """Offsets are sent and accepted; not committed yet."""

    cut: State
    records: Published


class Worker(NamedTuple):
    """``state`` is None when the process is dead and only its transaction is left. ``ready`` are results that wait for a cut.

    ``changed``: its state is not what it last drafted or restored; without that, and without results, it has nothing to send.
    """

    generation: int
    state: State | None
    changed: bool = False
    ready: Pairs = ()
    transaction: Transaction | None = None


class System(NamedTuple):
    """Broker and workers. ``owner`` is None while the partition is assigned but not restored; ``other`` is who had it before.

    ``spec_on_disk`` is what a worker finds when it starts or reloads.
    ``in_flight``: results of a state that is gone, should they survive it.
    """

    cut: State = State()
    published: Published = Published()
    generation: int = 1
    owner: Worker | None = None
    other: Worker | None = None
    spec_on_disk: int = 0
    in_flight: Pairs = ()

    def put(self, slot: str, worker: Worker | None) -> System:
        """With a worker, or none, as ``owner`` or ``other``."""
        return self._replace(owner=worker) if slot == "owner" else self._replace(other=worker)


class Limits(NamedTuple):
    """``generations`` of the group, outside ``decisions`` in one history.

    ``zombie_acts``: let a fenced worker go on, though it can only be refused in the end.
    """

    generations: int = 2
    decisions: int = 1
    zombie_acts: bool = False


Step = tuple[str, System]


def successors(system: System, log: Log, parts: Parts, limits: Limits) -> Iterator[Step]:
    """Every step that can happen next, with its name."""
    yield from _assignment(system, parts, limits)
    for slot in ("owner", "other"):
        worker: Worker | None = getattr(system, slot)
        if worker is None:
            continue
        name = "owner" if slot == "owner" else "zombie" if worker.state is not None else "dead worker"
        if worker.transaction is not None:
            yield from _settle(system, slot, name, worker, parts)
        if worker.state is None:
            continue
        if slot == "owner" or limits.zombie_acts or "fence" not in parts or worker.generation == system.generation:
            yield from _work(system, slot, name, worker, worker.state, log, parts, limits)
        if worker.transaction is None:
            yield from _send(system, slot, name, worker, worker.state, log, parts)


def _assignment(system: System, parts: Parts, limits: Limits) -> Iterator[Step]:
    owner, other = system.owner, system.other
    if owner is None:
        if other is None or other.transaction is None or "wait" not in parts:
            state = restored(system.cut, parts, system.spec_on_disk)
            owner = Worker(system.generation, state, state != system.cut, system.in_flight)
            yield "owner restores", system._replace(owner=owner, in_flight=())
        return
    if system.generation < limits.generations:
        following = system._replace(owner=None, generation=system.generation + 1)
        if owner.transaction is None:
            yield "owner crashes", following
        elif other is None:
            yield "owner crashes", following._replace(other=owner._replace(state=None, ready=(), changed=False))
        if other is None:
            yield "another worker takes over", following._replace(other=owner)
        if "discard" not in parts and owner.transaction is None:
            yield "owner is revoked and assigned again", following._replace(in_flight=owner.ready)
    if "token" not in parts and other is not None and other.state is not None and other.transaction is None:
        rejoined = other._replace(generation=system.generation)
        if rejoined != other:
            yield "zombie joins the group again", system._replace(other=rejoined)


def restored(cut: State, parts: Parts, spec_on_disk: int) -> State:
    """The state of a committed cut, as far as the cut holds it. The current spec is read anew from disk: a decision like a reload."""
    state = cut
    if "stream times" not in parts:
        state = state._replace(times=())
    if "runs" not in parts:
        state = state._replace(runs=())
    if "timeline" not in parts and state.timeline:
        state = state._replace(timeline=((MIN_TIME, spec_on_disk),))
    if "pending" not in parts:
        state = state._replace(pending=())
    if state.current != spec_on_disk:
        state = adopt_spec(state._replace(taken=(*state.taken, (state.position, "spec"))), spec_on_disk, parts)
    return state


def _work(system: System, slot: str, name: str, worker: Worker, state: State, log: Log, parts: Parts, limits: Limits) -> Iterator[Step]:
    def after(state: State) -> System:
        return system.put(slot, worker._replace(state=state, changed=True))

    if state.position < len(log):
        record = log[state.position]
        yield f"{name} reads {state.position}: {record}", after(read(state, log, parts))
        if record.kind == "doubtful":
            yield f"{name} cannot decode {state.position}: {record}", after(read_undecodable(state, log, parts))
    if sum(what != "undecodable" for _, what in state.taken) < limits.decisions:
        for what in may_decide(state, system.spec_on_disk):
            following = after(decide(state, what, parts))
            yield f"{name} decides {what} at {state.position}", following._replace(spec_on_disk=1) if what == "spec" else following
    for key, rows in state.pending:
        if key not in dict(worker.ready):
            ready = pairs({**dict(worker.ready), key: rows})
            yield f"{name} evaluates {key}={rows}", system.put(slot, worker._replace(ready=ready))


def _send(system: System, slot: str, name: str, worker: Worker, state: State, log: Log, parts: Parts) -> Iterator[Step]:
    """Draft the cut, begin a transaction, write the records, send the offsets with the group's metadata."""
    if worker.generation != system.generation and "fence" in parts:
        yield f"{name} is refused", system.put(slot, None)
        return
    out = tuple((k, v) for k, v in worker.ready if k in dict(state.pending))
    records = Published(out, state.late, state.dead)
    gone = dict(out)
    cut = state._replace(pending=tuple(p for p in state.pending if p[0] not in gone), late=(), dead=())
    if not worker.changed and not out:
        return
    held = _without_idle(cut, log, parts, gone) if "idle" not in parts else cut
    ready = tuple(r for r in worker.ready if r[0] not in gone)
    if "end" not in parts:  # an orderly end that cancels who was about to send: the state goes on as if it had been sent
        yield f"{name} drops its draft at {cut.position}", system.put(slot, Worker(worker.generation, cut, False, ready))
    if "transaction" not in parts:  # each topic by itself: visible at once, the offsets follow
        system, records = system._replace(published=system.published.plus(records)), Published()
    sent = Worker(worker.generation, cut, False, ready, Transaction(held, records))
    yield f"{name} sends the cut at {cut.position}", system.put(slot, sent)


def _without_idle(cut: State, log: Log, parts: Parts, published: Pairs | dict[object, object]) -> State:
    """The cut as if idle decisions had never been taken: what records alone make of the partition."""
    if all(what != "idle" for _, what in cut.taken):
        return cut
    plain = undisturbed(log, tuple(t for t in cut.taken if t[1] != "idle"), cut.position, parts)
    reopened = {k: v for k, v in plain.open if k not in published and k in dict(cut.pending)}
    pending = tuple(p for p in cut.pending if p[0] not in reopened)
    times = {**dict(cut.times), LIVE: dict(plain.times).get(LIVE, MIN_TIME)}
    return cut._replace(times=pairs(times), open=pairs({**dict(cut.open), **reopened}), pending=pending)


def _settle(system: System, slot: str, name: str, worker: Worker, parts: Parts) -> Iterator[Step]:
    assert worker.transaction is not None
    transaction, rest = worker.transaction, worker._replace(transaction=None)
    landed = system._replace(cut=transaction.cut, published=system.published.plus(transaction.records))
    yield f"{name}'s cut at {transaction.cut.position} commits", landed.put(slot, None if rest.state is None else rest)
    dropped = system._replace(in_flight=worker.ready) if "discard" not in parts and slot == "owner" else system
    keeps = "drop" not in parts and rest.state is not None
    after = system.put(slot, rest) if keeps else dropped.put(slot, None)
    yield f"{name}'s cut at {transaction.cut.position} aborts", after
