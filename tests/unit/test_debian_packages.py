"""Debian packages that are unpacked without being installed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compose.native import debian


def test_who_asks_at_the_same_time_gets_the_same_files(tmp_path: Path) -> None:
    """Three that want one package at once all find it whole, and nothing unfinished lies beside it."""
    into = tmp_path / "packages" / "hello"
    with ThreadPoolExecutor(3) as pool:
        for asked in [pool.submit(debian.unpack, "hello", into) for _ in range(3)]:
            asked.result()
    assert (into / "usr" / "bin" / "hello").is_file()
    assert sorted(p.name for p in into.parent.iterdir()) == [".hello.lock", "hello"]
