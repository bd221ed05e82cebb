"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
REPORT_S = 180.0  # for what the report process makes: it has a low priority, and other tests may take all cores


def wait_for(question: Callable[[], T], what: str, timeout_s: float = 30.0, every_s: float = 0.1) -> T:
    """The first true answer to ``question``; fails, naming ``what``, when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := question():
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(every_s)


def wait_until_equal(question: Callable[[], T], wanted: T, timeout_s: float = 30.0, every_s: float = 0.1) -> None:
    """Wait until the answer to ``question`` is ``wanted``; fails with both when it is not in time."""
    deadline = time.monotonic() + timeout_s
    while (found := question()) != wanted:
        assert time.monotonic() < deadline, f"{found!r} instead of {wanted!r} after {timeout_s:g} s"
        time.sleep(every_s)
