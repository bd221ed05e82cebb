"""``python -m tests.model``: the long exhaustive search. Prints progress; exit code 1 when the protocol is broken or a mutation escapes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import click

from tests.model import rows
from tests.model.logs import CURATED, every, sample
from tests.model.mutations import FULL, PROTOCOL
from tests.model.protocol import Limits
from tests.model.search import Outcome, hunt
from tests.model.windows import Log

CHUNK = 8  # logs a task


def say(text: object) -> None:
    """A line, at once also through a pipe."""
    click.echo(text)
    sys.stdout.flush()


def clean(name: str, logs: Iterable[Log], limits: Limits, run: Callable[..., Iterable[Outcome]]) -> int:
    """Search logs with the whole protocol; returns the number of contradictions (0 or 1)."""
    listed = list(logs)
    parts = [listed[i : i + CHUNK] for i in range(0, len(listed), CHUNK)]
    done, states, seconds = 0, 0, 0.0
    for i, outcome in enumerate(run(partial(hunt, parts=FULL, limits=limits), parts)):
        done, states, seconds = done + outcome.logs, states + outcome.states, seconds + outcome.seconds
        if outcome.contradiction:
            say(f"BROKEN: {name}\n{outcome.contradiction}")
            return 1
        if i % 10 == 9:
            say(f"  {done} of {len(listed)} logs, {states:,} states, {seconds:.0f} s")
    say(f"clean: {name}: {done} logs, {states:,} states, {seconds:.0f} s")
    return 0


def mutations() -> int:
    """Leave out one part after the other; returns how many were not caught."""
    escaped = 0
    for part in PROTOCOL:
        outcome = hunt([part.log], FULL - {part.name}, Limits(decisions=part.decisions))
        escaped += outcome.contradiction is None
        say(f"without {part.name!r} ({part.what}): {outcome.states} states")
        say(outcome.contradiction or "  NOT CAUGHT")
    for left_out in sorted(rows.FULL):
        found = rows.first_difference(3, 2, rows.FULL - {left_out})
        escaped += found is None
        say(f"rows without {left_out!r}:\n  {found or 'NOT CAUGHT'}")
    return escaped


def main() -> int:
    """Run all searches."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description="Exhaustive search of the exactly-once protocol.")
    parser.add_argument("--length", type=int, default=3, help="every log up to this length (default 3)")
    parser.add_argument("--samples", type=int, default=150, help="random logs of each length 4 to 6 (default 150)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    options = parser.parse_args()
    failures = mutations()
    with ProcessPoolExecutor(options.jobs) as pool:
        zombie = Limits(zombie_acts=True)
        failures += clean("zombies that go on, every log of length 2", every(2), zombie, pool.map)
        failures += clean("curated logs, 3 generations", CURATED, Limits(generations=3, decisions=0), pool.map)
        failures += clean("curated logs, 1 decision", CURATED, Limits(), pool.map)
        failures += clean("every log of length 2, 2 decisions", every(2), Limits(decisions=2), pool.map)
        drawn = sample((4, 5, 6), options.samples, seed=7)
        failures += clean("random logs of length 4 to 6, no decision", drawn, Limits(decisions=0), pool.map)
        failures += clean(f"every log of length {options.length}, no decision", every(options.length), Limits(decisions=0), pool.map)
        for length in range(1, options.length + 1):
            failures += clean(f"every log of length {length}, 1 decision", every(length), Limits(), pool.map)
    for max_rows in (2, 3, 9):
        found = rows.first_difference(5, max_rows, rows.FULL)
        failures += found is not None
        say(found or f"clean: every history of up to 5 rows with max_rows {max_rows}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
