"""The logs that are searched: every one of a small alphabet up to a length, curated ones for what takes longer, random longer ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tests.model.windows import LIVE, Log, Record

# Spec 0 has windows [0,2) [2,4) [4,6) with a grace of 1, so time 3 closes [0,2), and time 0 after 3 is late.
EVENTS = {f"L{t}": Record("event", LIVE, t, "") for t in range(6)}
ALPHABET: dict[str, Record] = {
    **{k: EVENTS[k] for k in ("L0", "L1", "L2", "L3", "L4")},
    "D0": Record("event", LIVE, 0, "d"),  # twice in a log: a duplicate
    "X1": Record("doubtful", LIVE, 1, ""),
    "R0": Record("event", "run", 0, ""),
    "R3": Record("event", "run", 3, ""),
    "S": Record("run_start", "run", 0, ""),
    "E": Record("run_end", "run", 0, ""),
}


def make(names: str) -> Log:
    """A log from names of the alphabet, such as ``"S R0 E"``; each event gets an id of its own unless its letter has one."""
    letters = {**ALPHABET, **EVENTS}
    return tuple(letters[n]._replace(id=letters[n].id or f"e{i}") for i, n in enumerate(names.split()))


def every(length: int) -> Iterator[Log]:
    """Every log of one length."""
    for names in itertools.product(ALPHABET, repeat=length):
        yield make(" ".join(names))


CURATED = [
    make(names)
    for names in (
        "L0 L3 L1",  # a late record after its window has closed
        "L0 L0 L3 L1",
        "L0 L2 L1 L4",  # within grace
        "D0 D0 L3",  # a duplicate
        "X1 L0 L3",  # a record that may not decode
        "L0 S R0 E",
        "S R0 R3 R0 E",  # a late record of a run
        "S R0 E S R0 E",  # a run's name comes again
        "L3 S R0 E R0",  # an event of a run that has ended
        "L0 L1 L5 L2",  # over a changed spec's boundary
    )
]


def sample(lengths: tuple[int, ...], count: int, seed: int) -> Iterator[Log]:
    """``count`` random logs of each length."""
    rng, names = random.Random(seed), list(ALPHABET)
    for length in lengths:
        for _ in range(count):
            yield make(" ".join(rng.choice(names) for _ in range(length)))
