"""What changed: every number in the texts is that of the data."""

import numpy as np
import pytest

from monitor.changes import category_changes, number, number_changes, percent, quoted
from monitor.statistics.profiles import Sample, fit_counts, sample


def numbers(*values: float) -> Sample:
    """A sample of these numbers."""
    return sample(np.array(values, dtype=np.float64))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (-3, "-3"), (12345.6, "12,350"), (0.00012, "0.00012"), (1234, "1,234"), (9.9999, "10"), (3e20, "3.000e+20")],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    """Numbers are short, without exponents where people use none."""
    assert number(value) == text


def test_shares_are_percent_with_three_digits() -> None:
    """Small shares do not become 0 %."""
    assert [percent(s) for s in (0.1234, 1.0, 0.00004, 0.0)] == ["12.3 %", "100 %", "0.004 %", "0 %"]


def test_names_stay_on_one_line_and_short() -> None:
    """A category's name is quoted, its line breaks escaped, and cut after 60 characters."""
    assert quoted('a"b\n') == '"a\\"b\\n"'
    assert len(quoted("y" * 500)) == 62


def test_new_vanished_and_moved_categories() -> None:
    """New and vanished categories with their shares, the greatest shifts first."""
    reference = fit_counts({"UA": 50, "B6": 30, "EV": 15, "9E": 5})
    texts = category_changes(reference, {"UA": 20, "B6": 60, "EV": 15, "ACK": 4, "MVY": 1})
    assert texts == (
        '2 new categories, 5 % of rows: "ACK" 4 %, "MVY" 1 %',
        '1 vanished category, 5 % of rows: "9E" 5 %',
        'share of "B6" 30 % → 60 %',
        'share of "UA" 50 % → 20 %',
    )


def test_mean_median_and_range_from_to() -> None:
    """The mean, the median and the middle 90 % from–to, and how many values lie outside the reference's range."""
    texts = number_changes(numbers(*range(1, 101)), numbers(*range(21, 121)))
    assert texts == (
        "mean 50.5 → 70.5",
        "median 50 → 70",
        "5–95 % of values 5 to 95 → 25 to 115",
        "20 % of values outside the reference's range 1 to 100 (now 21 to 120)",
    )


@pytest.mark.parametrize("factor", [60.0, 0.001, 1.609344])
def test_another_unit_is_seen(factor: float) -> None:
    """All quantiles scaled by one factor are named as such; a shift or a spread is not."""
    values = np.random.default_rng(1).lognormal(3, 1, 2000)
    reference = sample(values)
    assert number_changes(reference, sample(values * factor))[-1] == f"every quantile ×{number(factor)}, as by another unit"
    assert not any("unit" in t for t in number_changes(reference, sample(values + 30)))
    assert not any("unit" in t for t in number_changes(reference, sample(values * 1.2)))


def test_the_numbers_are_those_of_numpy() -> None:
    """Mean and quantiles equal numpy's (the inverted distribution function) on random data with ties."""
    from monitor.changes import mean, quantile

    values = np.random.default_rng(2).poisson(7, 501)
    for share in (0.05, 0.25, 0.5, 0.95):
        assert quantile(sample(values), share) == np.quantile(values, share, method="inverted_cdf")
    assert mean(sample(values)) == pytest.approx(values.mean())
