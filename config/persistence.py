"""How many windows must have drifted before an alert: ``2 of 3 windows``."""

from __future__ import annotations

import re

MOST_WINDOWS = 20
_TEXT = re.compile(r"(\d+) of (\d+) windows?")


def parse_windows(text: str) -> tuple[int, int]:
    """``(k, m)`` of ``k of m windows``.

    Raises:
        ValueError: the text is not of this form, or k is not between 1 and m, or m is more than 20.
    """
    found = _TEXT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not of the form '2 of 3 windows'")
    needed, of = int(found[1]), int(found[2])
    if not 1 <= needed <= of <= MOST_WINDOWS:
        raise ValueError(f"{text!r}: the first number is 1 or more, the second not below it and at most {MOST_WINDOWS}")
    return needed, of


def checked_windows(text: object) -> object:
    """For a spec's field: the text as it is, once it can be read."""
    if isinstance(text, str):
        parse_windows(text)
    return text
