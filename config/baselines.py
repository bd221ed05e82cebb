"""What a window can be judged against besides the reference: ``previous``, the window directly before, or ``lag:7d``, one a week before."""

from __future__ import annotations

from config.durations import UNIT_MS, parse_ms, show_ms
from config.spec_window import Window

PREVIOUS = "previous"
LAG = "lag:"
MOST_BASELINES = 5
LONGEST_MS = 400 * UNIT_MS["d"]  # a year and what a calendar adds
MOST_WINDOWS = 25_000  # of so many the rows are kept: a week of windows of half a minute
FORM = "write previous, or lag: with a duration such as lag:7d"


def named_baselines(value: object) -> object:
    """For a spec's field: the baselines, each in its one spelling (``lag:1w`` is ``lag:7d``); a single text is a list of one."""
    items = [value] if isinstance(value, str) else value
    return [_named(item) for item in items] if isinstance(items, list | tuple) else items


def _named(item: object) -> object:
    if item == "reference":
        raise ValueError("'reference' is always judged: leave it out")
    if not isinstance(item, str) or item == PREVIOUS:
        return item
    if not item.startswith(LAG):
        raise ValueError(f"{item!r} is no baseline: {FORM}")
    try:
        return LAG + show_ms(parse_ms(item.removeprefix(LAG)))
    except ValueError as error:
        raise ValueError(f"{item!r} is no baseline: {FORM} ({error})") from error


def is_lag(baseline: str) -> bool:
    """True for a baseline of the form ``lag:7d``."""
    return baseline.startswith(LAG)


def windows_back(baseline: str, window: Window) -> int:
    """How many windows before a window its baseline lies; for ``lag:`` without a remainder, once the spec has been checked."""
    return parse_ms(baseline.removeprefix(LAG)) // window.size if is_lag(baseline) else 1


def check_baselines(baselines: tuple[str, ...], window: Window) -> None:
    """See that baselines suit a spec's windows.

    Raises:
        ValueError: names the baseline, what is wrong and what to write.
    """
    if len(set(baselines)) < len(baselines):
        raise ValueError(f"baselines names one twice: {', '.join(baselines)}; keep one of them")
    if len(baselines) > MOST_BASELINES:
        raise ValueError(f"baselines names {len(baselines)}, at most {MOST_BASELINES} can be: keep those you look at")
    for baseline in baselines:
        if is_lag(baseline):
            _check_lag(baseline, parse_ms(baseline.removeprefix(LAG)), window)


def _check_lag(baseline: str, lag_ms: int, window: Window) -> None:
    size = show_ms(window.size)
    if lag_ms == window.size:
        raise ValueError(f"baselines names {baseline!r}, which with windows of {size} is the one before: write previous")
    if lag_ms == 0 or lag_ms % window.size:
        near = max(2, round(lag_ms / window.size)) * window.size
        raise ValueError(f"baselines names {baseline!r}, which is no whole number of windows of {size}: write {LAG}{show_ms(near)}")
    if lag_ms > LONGEST_MS or lag_ms // window.size > MOST_WINDOWS:
        most = min(LONGEST_MS // window.size, MOST_WINDOWS) * window.size
        raise ValueError(f"baselines names {baseline!r}, but windows of {size} are kept for {show_ms(most)} at most: write a shorter lag")
