"""The kind of a drift, told from counts: a data break, or a change of the population."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.changes import category_hint, number_hint
from monitor.statistics.profiles import fit_counts, fit_numbers, sample

RANDOM = np.random.default_rng(1)
ORDINARY = RANDOM.normal(50, 10, 2000)
NUMBERS = fit_numbers(ORDINARY).sample
CATEGORIES = fit_counts({"EWR": 500, "JFK": 300, "LGA": 200})


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        (ORDINARY[:500] + 8, "population change"),
        (ORDINARY[:500] * 1.2, "population change"),
        (np.concatenate([ORDINARY[:300], RANDOM.normal(20, 3, 100)]), "population change"),
        (ORDINARY[:500] * 1000, "data break"),  # another unit
        (ORDINARY[:500] / 60, "data break"),
        (np.full(500, 50.0), "data break"),  # a constant
        (np.concatenate([ORDINARY[:400], np.zeros(100)]), "data break"),  # filled with 0
        (np.concatenate([ORDINARY[:400], np.full(100, -999.0)]), "data break"),
        (ORDINARY[:500] + 500, "data break"),  # another world
    ],
)
def test_numbers(values: np.ndarray, hint: str) -> None:
    """Shifts, spreads and a second population are changes of the population; units, constants, fill values and other ranges are breaks."""
    assert number_hint(NUMBERS, sample(values)) == hint


@pytest.mark.parametrize(
    ("counts", "hint"),
    [
        ({"EWR": 10, "JFK": 80, "LGA": 10}, "population change"),
        ({"EWR": 50, "JFK": 30, "HPN": 40}, "population change"),  # a new one, less than half
        ({"JFK": 100}, "data break"),
        ({"ewr ": 5, "EWR": 45, "JFK": 30, "LGA": 20}, "data break"),  # spelt in another way
        ({"1": 50, "2": 30, "3": 20}, "data break"),  # another coding
    ],
)
def test_categories(counts: dict[str, int], hint: str) -> None:
    """Other shares and some new categories are a change of the population; one category left, another spelling or coding are breaks."""
    assert category_hint(CATEGORIES, counts) == hint
