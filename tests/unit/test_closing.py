"""A poll ends when a window is expected to close."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.closing import AHEAD_S, OVERDUE_S, POLL_S, SHORT_S, next_closing_s, poll_s
from streams.windows.state import PartitionState
from tests.unit.test_windows import Event, S, batch_of, core_of, mark, spec_of


def expected(*batches: list[Event], every_s: float = 0.1) -> float:
    """When windows of 10 s with a grace of 2 s are expected to close, after batches that came one after another, the first at 1000 s."""
    core, state = core_of(spec_of("m", grace="2s"), spec_of("other", grace="2s")), PartitionState(0)
    now_s = 1000.0
    for events in batches:
        core.ingest(state, batch_of(events, state.position), now_s)
        now_s += every_s
    return next_closing_s(state, core.catalogue, now_s)


def test_what_stream_time_lacks() -> None:
    """Stream time is 3 s, the window [0 s, 10 s) closes at 12 s: 9 s after the last record came."""
    assert expected([(1 * S, "a"), (3 * S, "b")]) == 1009.0


def test_the_first_window_counts() -> None:
    """Of two open windows the first one closes first, 0.5 s of event time after the last record."""
    assert expected([(1 * S, "a"), (11_500, "b")]) == 1000.5


@pytest.mark.parametrize("events", [[], [mark("run_start", "r"), (1 * S, "a", "r")]])
def test_nothing_live(events: list[Event]) -> None:
    """No closing is expected without an open window, or of a replay, whose time is not ours."""
    assert expected(events) == math.inf


def test_a_model_that_stopped() -> None:
    """A model's window lacked 0.1 s when its last record came, a second ago: it is waited for no longer, and another model's is."""
    stopped: list[Event] = [(9 * S, "a"), (11_900, "b")]
    assert expected(stopped) == 1000.1
    assert expected(stopped, every_s=1.0) == math.inf
    assert expected([(9 * S, "x", "live", "other")], stopped, [(10 * S, "y", "live", "other")], every_s=1.0) == 1004.0


def test_until_the_closing() -> None:
    """Far from a closing a poll lasts its whole time; before one it ends there; around it polls are short; then the model has stopped."""
    assert poll_s(100.0, [103.0, math.inf]) == POLL_S
    assert poll_s(100.0, [103.0, 100.05]) == pytest.approx(0.05 - AHEAD_S)
    assert poll_s(100.0, [100.001]) == SHORT_S
    assert poll_s(100.0, [100.1 - OVERDUE_S]) == SHORT_S
    assert poll_s(100.0, [99.9 - OVERDUE_S]) == POLL_S
    assert poll_s(100.0, []) == POLL_S


@given(closings_s=st.lists(st.floats(0, 200) | st.just(math.inf), max_size=8))
def test_bounds(closings_s: list[float]) -> None:
    """Whatever is expected, a poll lasts between the short and the whole time: none spins, and none keeps records waiting longer."""
    assert SHORT_S <= poll_s(100.0, closings_s) <= POLL_S
