"""All partitions are cut in time, those with a result before their time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.cut_times import CutTimes


def test_nothing_but_the_interval() -> None:
    """Without results all partitions are cut, an interval after the cut before."""
    times = CutTimes(2.0, 100.0)
    assert times.wait_s(100.5) == 1.5
    assert times.all_now(102.0, result_waits=False)
    assert times.wait_s(102.5) == 1.5


def test_a_result_goes_alone() -> None:
    """A result's cut takes no other partition along, and does not put their turn off."""
    times = CutTimes(2.0, 100.0)
    assert not times.all_now(101.0, result_waits=True)
    assert times.wait_s(101.0) == 1.0


@given(gaps=st.lists(st.floats(0.001, 5.0), max_size=200), results=st.lists(st.booleans(), min_size=200, max_size=200))
def test_results_without_end(gaps: list[float], results: list[bool]) -> None:
    """However results come, a cut that is made two intervals or more after the last one of all partitions is again one of all."""
    now = last = 0.0
    times = CutTimes(1.0, 0.0)
    for gap, result in zip(gaps, results, strict=False):
        now += gap
        if times.all_now(now, result):
            last = now
        assert now < last + 2.0
