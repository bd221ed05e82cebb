"""Baselines in a real worker on a real broker: a day's pattern, a drift that is none, and a worker that is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from config.durations import UNIT_MS
from schemas.result import WindowResult
from tests.support.broker import Broker
from tests.support.worker import Reader, World, event, mark

pytestmark = pytest.mark.integration
HOUR_MS = UNIT_MS["h"]
HOURS, NIGHT, ODD = 48, range(8), 36  # two days from midnight on; at night x is higher, in the odd hour as at no other time
ROWS = 60  # an hour
SPEC = """
model: MODEL
reference: references/MODEL.parquet
features:
  x: {type: double}
  colour: {type: string, kind: categorical}
prediction: {column: y, type: double}
window: {size: 1h}
baselines: [previous, "lag:1d"]
min_rows: 20
drift: {share: 0.5, columns: {x: {method: wasserstein, threshold: 0.4}, colour: {method: jensenshannon, threshold: 0.2}}}
"""


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    rng = np.random.default_rng(0)
    by_day = {"x": rng.uniform(-1, 1, 2000), "colour": rng.choice(["red", "blue"], 2000), "y": rng.uniform(-0.5, 0.5, 2000)}
    made = World.make(
        tmp_path / "home", broker.bootstrap_servers, spec=SPEC, reference=pl.DataFrame(by_day), archive=False, workspace=False
    )
    yield made
    made.stop()


def level(hour: int) -> float:
    """What is added to x in an hour."""
    return 1.5 if hour == ODD else 0.5 if hour % 24 in NIGHT else 0.0


def values(world: World, run: str, hours: range) -> list[tuple[str, bytes]]:
    """The events of some hours, the same x in the same hour of each run."""
    writer = world.writer("m")
    found = []
    for hour in hours:
        x = np.random.default_rng(hour).permutation(np.linspace(-1, 1, ROWS)) + level(hour)  # no chance in it: only levels differ
        times = hour * HOUR_MS + np.arange(ROWS) * 50_000
        rows = enumerate(zip(times.tolist(), x.tolist(), strict=True), hour * ROWS)
        found += [("m", event(writer, n, time_ms, run=run, x=value)) for n, (time_ms, value) in rows]
    return found


def results(reader: Reader, run: str) -> dict[tuple[int, str], WindowResult]:
    """By hour and kind."""
    return {(r.start_ms // HOUR_MS, r.kind): r for r in reader.results() if r.run == run}


def test_a_days_pattern(world: World) -> None:
    """Night after night drifts against the reference and, where it begins and ends, against the hour before; against the same hour of the
    day before nothing drifts but the odd hour, and the drifts of the night have the hint seasonal. Killed with SIGKILL in the middle, a
    worker publishes the same results as one that is left alone. When a run has ended, its rows are gone."""
    reader = world.reader("results")
    kept = world.settings.under_home("baselines", "m")
    world.start()
    world.send([("m", mark("run_start", "killed")), *values(world, "killed", range(29))])
    world.wait_for(lambda: len(results(reader, "killed")) >= 3 * 28, why="results before the kill")
    world.send(values(world, "killed", range(29, 38)))
    world.processes[-1].send_signal(signal.SIGKILL)
    world.processes[-1].wait()
    assert len(list(kept.glob("killed@*/*.parquet"))) >= 24
    world.start()
    world.send([*values(world, "killed", range(38, HOURS)), ("m", mark("run_end", "killed"))])
    world.send([("m", mark("run_start", "whole")), *values(world, "whole", range(HOURS)), ("m", mark("run_end", "whole"))])
    world.wait_for(
        lambda: len(results(reader, "killed")) == len(results(reader, "whole")) == 3 * HOURS, timeout_s=120, why="the results of both runs"
    )
    assert len({m.key() for m in reader.messages}) == len(reader.messages) == 6 * HOURS  # each once

    whole, killed = results(reader, "whole"), results(reader, "killed")
    assert {k: facts(r) for k, r in killed.items()} == {k: facts(r) for k, r in whole.items()}
    assert drifted(whole, "reference") == [h for h in range(HOURS) if level(h)]
    assert drifted(whole, "previous") == [h for h in range(1, HOURS) if level(h) != level(h - 1)]
    assert drifted(whole, "lag:1d") == [ODD]
    missing = {k: r.reason for k, r in whole.items() if r.status == "insufficient_data"}
    assert set(missing) == {(0, "previous"), *((h, "lag:1d") for h in range(24))}
    assert "the window from 1969-12-31 23:00 to 1970-01-01 00:00 UTC" in missing[0, "previous"]
    assert seasonal(whole) == {h: (h - 24) * HOUR_MS for h in range(24, HOURS) if level(h) and h != ODD}
    world.wait_for(lambda: not list(kept.glob("*@*")), why="the end of the runs' rows")
    shown = {k: v for k, v in world.metrics().items() if k.startswith("tidemark_baseline_")}
    labels = [f'{{baseline="{b}",model="m",run_kind="replay"}}' for b in ("previous", "lag:1d")]
    assert shown == {f"tidemark_baseline_{name}{of}": 0.0 for name in ("drift_share", "drifted") for of in labels}


def facts(result: WindowResult) -> str:
    """A result without what names its run."""
    return repr(result).replace(f"run='{result.run}'", "").replace(f"run_offset={result.run_offset}", "")


def drifted(found: dict[tuple[int, str], WindowResult], kind: str) -> list[int]:
    return sorted(hour for (hour, of), result in found.items() if of == kind and result.drifted)


def seasonal(found: dict[tuple[int, str], WindowResult]) -> dict[int, int | None]:
    """By hour with the hint seasonal for x the start of the window that it was seen in (ms)."""
    columns = {hour: r.columns[0] for (hour, kind), r in found.items() if kind == "reference"}
    return {hour: c.like_start_ms for hour, c in columns.items() if c.hint == "seasonal"}
