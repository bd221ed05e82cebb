"""Breadth-first search over every interleaving, so that the first contradiction found has the shortest trace."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.model.mutations import FULL
from tests.model.protocol import Limits, System, successors
from tests.model.windows import Key, Log, Parts, undisturbed


class Contradiction(NamedTuple):
    """Steps from the start to a committed state that no undisturbed execution gives, and what is wrong in it."""

    log: Log
    steps: tuple[str, ...]
    wrong: str

    def __str__(self) -> str:
        log = ", ".join(f"{i}: {r}" for i, r in enumerate(self.log))
        return "\n".join([f"  log: {log}", *(f"  {i}. {step}" for i, step in enumerate(self.steps, 1)), f"  => {self.wrong}"])


class Outcome(NamedTuple):
    """What a search over logs came to."""

    logs: int
    states: int
    seconds: float
    contradiction: Contradiction | None


def search(log: Log, parts: Parts, limits: Limits) -> tuple[int, Contradiction | None]:
    """Visit every reachable state; returns their number and the shortest contradiction, or None."""
    first = System()
    came: dict[System, tuple[System, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        system = queue.popleft()
        following = None
        for step, following in successors(system, log, parts, limits):
            if following in came:
                continue
            came[following] = (system, step)
            queue.append(following)
            if (following.cut, following.published) != (system.cut, system.published):
                wrong = contradiction(following, log, parts)
                if wrong:
                    return len(came), Contradiction(log, _trace(came, following), wrong)
        if following is None and not _complete(system, log):
            return len(came), Contradiction(log, _trace(came, system), "stuck: nothing can happen any more, and not all is committed")
    return len(came), None


def _trace(came: dict[System, tuple[System, str] | None], system: System) -> tuple[str, ...]:
    steps = []
    while (link := came[system]) is not None:
        system, step = link
        steps.append(step)
    return tuple(reversed(steps))


def _complete(system: System, log: Log) -> bool:
    """Everything has been read, committed and published."""
    return system.cut.position == len(log) and not system.cut.pending


def contradiction(system: System, log: Log, parts: Parts) -> str | None:
    """What is wrong with what is committed, or None."""
    return _twice(system) or _overlap(system) or ("transaction" in parts and _differs(system, log, parts)) or None


def _twice(system: System) -> str | None:
    results, late, dead = system.published
    for key, rows in results:
        others = [r for k, r in results if k == key and r is not rows]
        if others:
            return f"window {key} is published twice: {rows} and {others[0]}"
    for name, offsets in (("late record", late), ("dead letter", dead)):
        twice = [o for o in offsets if offsets.count(o) > 1]
        if twice:
            return f"{name} {twice[0]} is published twice"
    return None


def _overlap(system: System) -> str | None:
    keys: list[Key] = [k for k, _ in system.published.results + system.cut.pending + system.cut.open]
    for a, b in itertools.combinations(keys, 2):
        if a != b and a.stream == b.stream and a.start < b.end and b.start < a.end:
            return f"windows {a} and {b} of one stream overlap"
    return None


def _differs(system: System, log: Log, parts: Parts) -> str | None:
    """Compare with the undisturbed execution that took the same decisions at the same positions."""
    cut, (results, late, dead) = system.cut, system.published
    expected = undisturbed(log, cut.taken, cut.position, parts)
    for name, ours, theirs in (("late records", late, expected.late), ("dead letters", dead, expected.dead)):
        if ours != theirs:
            return f"{name} {list(ours)}, undisturbed {list(theirs)}"
    closed = dict(expected.pending)
    for key, rows in results + cut.pending:
        if closed.get(key) != rows:
            return f"window {key} is {rows}, undisturbed {closed.get(key, 'never closed')}"
    if "idle" not in parts:
        return None  # what the decision closed may be open in the cut: it shows when it is closed again
    lost = closed.keys() - dict(results).keys() - dict(cut.pending).keys()
    if lost:
        return f"window {min(lost)} is lost"
    held, right = (s._replace(pending=(), late=(), dead=()) for s in (cut, expected))
    if parts == FULL and held != right:
        return f"the cut holds {held}, undisturbed {right}"
    return None


def hunt(
    logs: Iterable[Log], parts: Parts, limits: Limits, progress: Callable[[int, int, float], None] | None = None, limit_s: float = 1e9
) -> Outcome:
    """Search log after log until one has a contradiction. ``progress`` is called with logs, states and seconds so far."""
    began, states, done = time.perf_counter(), 0, 0
    for done, log in enumerate(logs, 1):
        count, found = search(log, parts, limits)
        states += count
        seconds = time.perf_counter() - began
        if found or seconds > limit_s:
            return Outcome(done, states, seconds, found)
        if progress:
            progress(done, states, seconds)
    return Outcome(done, states, time.perf_counter() - began, None)
