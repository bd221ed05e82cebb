"""Windows judged before they close: what is published is the same as without, and a stream whose rows come late costs little."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.early import MOST_MISSES, Early, EarlyWindows
from streams.windows.core import WindowCore
from streams.windows.rows import Settled
from streams.windows.state import PartitionState, WindowId
from tests.unit.test_windows import Event, S, batch_of, core_of, mark, spec_of

GRACE = "4s"  # windows are of 10 s


class Stream:
    """Events through a core, with windows judged early; keeps what closed, and what was judged early for it."""

    def __init__(self, core: WindowCore, slow: bool = False) -> None:
        self.core, self.state = core, PartitionState(0)
        self.outcomes: list[str] = []
        self.windows = EarlyWindows(core.catalogue, lambda _: slow, self.outcomes.append)
        self.early: dict[WindowId, Early | None] = {}
        self.judged: list[Early] = []
        self.closed: dict[WindowId, Settled] = {}
        self.in_time: set[WindowId] = set()

    def feed(self, *events: Event) -> Stream:
        for window in self.core.ingest(self.state, batch_of(events, self.state.position)):
            closed = self.windows.closed(self.state.pending[window], self.early)
            early = self.early.pop(window, None)
            if early is not None and early.closed is closed:
                self.in_time.add(window)
            fresh = self.state.pending[window].rows.settle()
            assert closed.settled.frame.equals(fresh.frame)
            assert (closed.settled.rows, closed.settled.nulls) == (fresh.rows, fresh.nulls)
            assert closed.versions == tuple(sorted(self.state.pending[window].versions))
            self.closed[window] = closed.settled
        self.judged += self.windows.due(self.state, self.early)
        return self

    def starts(self) -> list[int]:
        return [e.closed.id.start_ms // S for e in self.judged]


def at(second: float, name: str = "") -> Event:
    return int(second * S), name or f"e{second}"


def test_judged_in_the_second_half_of_grace() -> None:
    """Draws the interval: judged when stream time reaches end + grace / 2, and taken as it is when nothing comes until end + grace.

    |------ [0,10) ------|-- 2 s --|-- 2 s --|   grace of 4 s
    a                          b   c         d
    """
    stream = Stream(core_of(spec_of(grace=GRACE))).feed(at(1, "a")).feed(at(11.9, "b"))
    assert stream.starts() == []
    stream.feed(at(12, "c"))
    assert stream.starts() == [0]
    stream.feed(at(14, "d"))
    assert [w.start_ms for w in stream.in_time] == [0]
    assert stream.outcomes == ["used"]


@pytest.mark.parametrize(("grace", "judged_at_ms"), [("200ms", 10_000), ("300ms", 10_050), ("400ms", 10_150), ("600ms", 10_300)])
def test_a_short_grace_leaves_time_for_the_verdict(grace: str, judged_at_ms: int) -> None:
    """A window is judged 250 ms before it closes, or as soon as it has ended; where half of its grace is longer than that, that long."""
    stream = Stream(core_of(spec_of(grace=grace))).feed(at(1)).feed((judged_at_ms - 1, "a"))
    assert stream.judged == []
    stream.feed((judged_at_ms, "b"))
    assert stream.starts() == [0]


def test_another_row_is_judged_anew() -> None:
    """A row that comes after the early verdict is in the window that closes, which is another than the one judged."""
    stream = Stream(core_of(spec_of(grace=GRACE))).feed(at(1, "a")).feed(at(12, "b")).feed(at(2, "late in grace")).feed(at(14, "c"))
    assert stream.starts() == [0]
    assert stream.in_time == set()
    assert [s.rows for s in stream.closed.values()] == [2]
    assert stream.outcomes == ["again"]


def test_once_a_window() -> None:
    """However many batches come in the second half of grace, a window is judged early once."""
    stream = Stream(core_of(spec_of(grace=GRACE))).feed(at(1)).feed(at(12)).feed(at(13)).feed(at(3)).feed(at(13.5))
    assert stream.starts() == [0]


@pytest.mark.parametrize("reason", ["a replay", "slow methods", "no grace"])
def test_left_alone(reason: str) -> None:
    """Replays, specs with slow methods, and windows without grace are judged when they close only."""
    stream = Stream(core_of(spec_of(grace="0s" if reason == "no grace" else GRACE)), slow=reason == "slow methods")
    run = "r" if reason == "a replay" else "live"
    if run == "r":
        stream.feed(mark("run_start", "r"))
    for second in (1, 9, 12, 13, 14):
        stream.feed((second * S, f"e{second}", run))
    assert len(stream.closed) == 1
    assert stream.judged == []


def test_only_the_first_open_window() -> None:
    """With a grace longer than the window several are open: one whose predecessor has not closed would lack its baselines."""
    stream = Stream(core_of(spec_of(grace="30s"))).feed(at(1)).feed(at(11)).feed(at(36))
    assert stream.starts() == [0]
    stream.feed(at(40))
    assert stream.starts() == [0, 10]


def test_judged_in_vain() -> None:
    """A stream that has a row in the second half of every grace is judged early in the 1st, 3rd, 7th, 15th, … window, then in every 64th;
    one right verdict, and the next window is judged early again."""
    stream = Stream(core_of(spec_of(grace=GRACE)))
    windows = 64 * 4
    for n in range(windows):
        stream.feed(at(n * 10 + 5)).feed(at(n * 10 + 12)).feed(at(n * 10 + 6, f"late {n}"))
    tried = [start // 10 for start in stream.starts()]
    assert tried[:6] == [0, 2, 6, 14, 30, 62]
    assert {b - a for a, b in itertools.pairwise(tried[6:])} == {2**MOST_MISSES}
    assert stream.in_time == set()
    first = tried[-1] + 2**MOST_MISSES
    for n in range(windows, first + 3):
        stream.feed(at(n * 10 + 5)).feed(at(n * 10 + 12))
    assert stream.starts()[-3:] == [first * 10, first * 10 + 10, first * 10 + 20]


@given(
    times=st.lists(st.integers(0, 60), max_size=60),
    sizes=st.lists(st.integers(1, 9), min_size=60, max_size=60),
    grace=st.sampled_from(["0s", "4s", "30s"]),
)
def test_early_verdicts_change_nothing(times: Sequence[int], sizes: list[int], grace: str) -> None:
    """Whatever events come in whatever batches: what closes is what a window without early verdicts would have come to (``feed`` checks
    it), and what is taken from an early verdict was judged on exactly those rows."""
    stream = Stream(core_of(spec_of(grace=grace)))
    events = [(t * S, f"e{n % 23}") for n, t in enumerate(times)]
    while events:
        size = sizes.pop()
        stream.feed(*events[:size])
        events = events[size:]
    judged = {e.closed.id: e for e in stream.judged}
    assert all(judged[w].closed.settled is stream.closed[w] for w in stream.in_time)
