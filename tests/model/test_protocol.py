"""The short form of ``python -m tests.model``: the protocol holds in every interleaving, and fails as soon as a part of it is left out."""

from __future__ import annotations

import pytest

from tests.model import rows
from tests.model.logs import CURATED, every, make
from tests.model.mutations import FULL, PROTOCOL, Part
from tests.model.protocol import Limits
from tests.model.search import hunt


@pytest.mark.parametrize("length", [1, 2])
def test_every_short_log(length: int) -> None:
    """Whatever is committed is what one undisturbed execution gives, with one outside decision at any position."""
    outcome = hunt(every(length), FULL, Limits())
    assert outcome.contradiction is None, str(outcome.contradiction)
    assert outcome.logs == 11**length
    assert outcome.states > 200 * outcome.logs  # the search did go somewhere


@pytest.mark.parametrize(
    ("names", "limits"),
    [
        ("L0 L3 L1", Limits()),
        ("L0 L2 L1 L4", Limits()),
        ("L0 L3 L1", Limits(zombie_acts=True, decisions=0)),
        ("D0 L0", Limits(decisions=2)),
        ("S R0 E", Limits(zombie_acts=True)),
    ],
)
def test_curated_interleavings(names: str, limits: Limits) -> None:
    """Late records, grace, runs, two decisions and a zombie that goes on: still clean."""
    outcome = hunt([make(names)], FULL, limits)
    assert outcome.contradiction is None, str(outcome.contradiction)


def test_curated_logs_over_three_generations() -> None:
    """Two changes of owner, on logs made for late records, duplicates, doubtful records and runs whose name comes again: still clean."""
    outcome = hunt(CURATED, FULL, Limits(generations=3, decisions=0))
    assert outcome.contradiction is None, str(outcome.contradiction)


@pytest.mark.parametrize("part", PROTOCOL, ids=[p.name for p in PROTOCOL])
def test_each_part_is_needed(part: Part) -> None:
    """Without this part the search finds a committed state that no undisturbed execution gives; with it, on the same log, none."""
    limits = Limits(decisions=part.decisions)
    outcome = hunt([part.log], FULL - {part.name}, limits)
    assert outcome.contradiction is not None, f"leaving out {part.name!r} ({part.what}) was not caught"
    assert hunt([part.log], FULL, limits).contradiction is None


@pytest.mark.parametrize("max_rows", [2, 9])
def test_rows_fold_in_any_order(max_rows: int) -> None:
    """Every sequence of up to four rows, cut and restored anywhere, chunks folded newest first: the rows and counts of sorted order."""
    assert rows.first_difference(4, max_rows, rows.FULL) is None


@pytest.mark.parametrize("part", sorted(rows.FULL))
def test_each_rule_of_rows_is_needed(part: str) -> None:
    """First content instead of the smallest, first rows instead of the smallest hashes, counts made anew: each makes the order matter."""
    found = rows.first_difference(3, 2, rows.FULL - {part})
    assert found is not None
