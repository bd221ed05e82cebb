"""Histories larger than memory: sorted with temporary files, within a budget, to the very order of a stable sort in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ROOT, Settings
from config.spec import ModelSpec
from producers.replay.history import history
from producers.replay.options import ReplayOptions
from producers.replay.sort import PLACE, TIME, Sorter

BUDGET = 1 << 20


def in_order(sorter: Sorter) -> pl.DataFrame:
    """All chunks together; each is in order and follows the one before it."""
    chunks = list(sorter.chunks())
    assert all(c.height for c in chunks)
    return pl.concat(chunks)


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(-3, 3) | st.integers(0, 10**12), min_size=1, max_size=300),
    batch=st.integers(1, 50),
    budget=st.sampled_from([100, 500, 3000, 10**6]),
)
def test_the_order_is_that_of_a_stable_sort(times: list[int], batch: int, budget: int) -> None:
    """Whatever the times, ties, batches and budget (down to one row a batch and several rounds of merging), and a second time."""
    frame = pl.DataFrame(
        {TIME: times, PLACE: range(len(times)), "x": [f"v{n}" for n in range(len(times))], "y": [[1.0] * (n % 3) for n in times]}
    )
    with Sorter(budget) as sorter:
        for part in frame.iter_slices(batch):
            sorter.add(part)
        assert sorter.spilled == (budget < 10**6) or budget // 4 >= frame.estimated_size()
        wanted = frame.sort(TIME, maintain_order=True)
        assert in_order(sorter).equals(wanted)
        assert in_order(sorter).equals(wanted)
        assert (sorter.count, sorter.first_ms, sorter.last_ms) == (len(times), min(times), max(times))


def test_temporary_files_are_gone_at_the_end(tmp_path: Path) -> None:
    """Also after an error in the middle."""
    frame = pl.DataFrame({TIME: np.arange(100_000)[::-1], PLACE: np.arange(100_000)})
    with pytest.raises(pl.exceptions.ColumnNotFoundError), Sorter(BUDGET, tmp_path) as sorter:  # noqa: PT012
        sorter.add(frame)
        left = list(tmp_path.rglob("*.arrow"))
        sorter.add(frame.drop(TIME))
    assert sorter.spilled
    assert left
    assert list(tmp_path.iterdir()) == []


SPEC = {
    "model": "m",
    "reference": "r.parquet",
    "features": {"x": {"type": "double"}, "name": {"type": "string", "kind": "categorical"}},
    "prediction": {"column": "p", "type": "double"},
    "window": {"size": "1h"},
}
MEASURE = """
import sys, resource
from pathlib import Path
from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.history import history
from producers.replay.options import ReplayOptions
import producers.files, pyarrow.csv
spec, path, budget = ModelSpec.model_validate_json(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
peak = lambda: int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]) * 1024
before = peak()
with history(Settings(home=path.parent), spec, ReplayOptions(data=path, memory_bytes=budget)) as rows:
    count, last = 0, None
    for chunk in rows.chunks():
        assert last is None or last <= chunk.times_ms[0]
        count, last = count + len(chunk), chunk.times_ms[-1]
print(count, rows._sorter.spilled, peak() - before)
"""


def measured(spec: ModelSpec, path: Path, budget: int, limit_s: float = 120) -> tuple[int, str, int]:
    """Rows, whether temporary files were needed, and by how many bytes a process of its own grew while it read and sorted a file."""
    call = [sys.executable, "-c", MEASURE, spec.model_dump_json(), str(path), str(budget)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False)
    assert done.returncode == 0, done.stderr
    count, spilled, grown = done.stdout.split()
    return int(count), spilled, int(grown)


ROWS = 1_000_000


def large_history(folder: Path) -> Path:
    """A million rows in random order, 200 MB in memory."""
    rows, rng = ROWS, np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "event_time": pl.Series(rng.integers(0, 10**12, rows), dtype=pl.Datetime("ms", "UTC")),
            "x": rng.normal(size=rows),
            "p": rng.normal(size=rows),
            "name": pl.Series(rng.integers(0, 10**15, rows)).cast(pl.String) + "-" + "a longer text" * 12,
        }
    )
    assert frame.estimated_size() > 190_000_000
    path = folder / "h.parquet"
    frame.write_parquet(path, row_group_size=100_000)
    return path


def test_memory_is_bounded_by_the_budget(tmp_path: Path) -> None:
    """A million rows (200 MB in memory, in random order) with a budget of 16 MB: the process grows by no more than that and 250 MB of
    libraries' own, and gives every row in order."""
    # The machine has the integration tests to do beside this one: nothing is proven by the time.
    count, spilled, grown = measured(ModelSpec.model_validate(SPEC), large_history(tmp_path), 16 << 20, limit_s=300)
    assert (count, spilled) == (ROWS, "True")
    assert grown < (16 + 250) << 20, f"grew by {grown:,}"


@pytest.mark.drill
def test_memory_is_bounded_by_the_budget_and_not_by_the_file(tmp_path: Path) -> None:
    """A million rows (200 MB in memory, in random order) with a budget of 16 MB: the process grows by no more than that and 250 MB of
    libraries' own, less than half of what it takes to hold them all; both give every row in order."""
    path, spec = large_history(tmp_path), ModelSpec.model_validate(SPEC)
    count, spilled, grown = measured(spec, path, 16 << 20)
    assert (count, spilled) == (ROWS, "True")
    plenty = measured(spec, path, 1 << 30)
    assert plenty[:2] == (ROWS, "False")
    assert grown < (16 + 250) << 20, f"grew by {grown:,}; all in memory by {plenty[2]:,}"
    assert grown < plenty[2] / 2, f"grew by {grown:,}; all in memory by {plenty[2]:,}"


def test_a_csv_is_sorted_the_same_way(tmp_path: Path) -> None:
    """A file of text in two encodings of time, read as the spec says, comes out in order with the rows' numbers as ids."""
    lines = "\n".join(f"{day:02d}.03.2024;0{hour}:30;{day},5;é{hour};1" for day in (3, 1, 2) for hour in (5, 4))
    (tmp_path / "h.csv").write_text("day;hour;x;name;p\n" + lines + "\n", encoding="latin-1")
    data = {
        "path": "h.csv",
        "format": "csv",
        "delimiter": ";",
        "decimal": ",",
        "encoding": "latin-1",
        "time": {"columns": ["day", "hour"], "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
    }
    spec = ModelSpec.model_validate({**SPEC, "data": data})
    with history(Settings(home=tmp_path), spec, ReplayOptions()) as rows:
        (chunk,) = rows.chunks()
        assert chunk.event_ids(0, 6) == [f"h-00000000{n}" for n in (3, 2, 5, 4, 1, 0)]
        assert chunk.frame["x"].to_list() == [1.5, 1.5, 2.5, 2.5, 3.5, 3.5]
        assert chunk.frame["name"].to_list() == ["é4", "é5"] * 3
        assert chunk.times_ms[0] == 1_709_263_800_000  # 1 March 2024, 04:30 in Berlin
