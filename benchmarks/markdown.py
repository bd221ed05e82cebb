"""Tables in Markdown, and their places in pages that are written by hand otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)])


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with the text between two marks, each on a line of its own.

    Raises:
        ValueError: the page has not both marks, in this order.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page has no {begin!r} followed by {end!r}: put both where the text is to be")
    return f"{before}{begin}\n{text}\n{end}{after}"
