"""A child process whose answer never comes, because it computes without end."""

from __future__ import annotations

from typing import Any

from monitor.children import serve


def never(_: Any) -> None:
    """Compute without end."""
    while True:
        sum(range(100_000))


if __name__ == "__main__":
    serve(never)
