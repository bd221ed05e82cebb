"""How often cuts may follow each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.pace import Pace


def test_a_few_at_once_then_a_steady_rate() -> None:
    """Three go at once, the fourth and fifth wait for their turn; after a rest three go at once again."""
    pace = Pace(3, 0.25)
    assert [pace.wait_s(100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.25, 0.5]
    assert [pace.wait_s(200.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.25]


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.integers(1, 5))
def test_never_more_than_its_rate(rests_s: list[float], at_once: int) -> None:
    """However one asks: in any span there are at most ``at_once`` more than its seconds allow."""
    pace, now_s, done = Pace(at_once, 0.25), 0.0, []
    for rest_s in rests_s:
        now_s += rest_s
        now_s += pace.wait_s(now_s)
        done.append(now_s)
    for first, start_s in enumerate(done):
        for last, end_s in enumerate(done[first:], first):
            assert last - first + 1 <= at_once + (end_s - start_s) / 0.25 + 1e-6
