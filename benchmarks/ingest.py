"""Events per second from the topic to published windows, on the real broker: ``python -m benchmarks.ingest [--events N]``.

Ours is the whole worker process: decoding, windows, Evidently's verdicts, transactions. The peers only decode and collect rows. Each
window's published result must equal the one computed from the rows that the confluent-kafka loop collected.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.environments import python_of
from benchmarks.ingest_peers import SIZE_MS
from benchmarks.table import machine, pair, publish
from config.settings import ROOT
from monitor.evaluate import evaluate
from monitor.reference import load_reference
from monitor.window import WindowData
from schemas.result import WindowResult
from streams.partitioner import partition_of
from tests.support import worker as support
from tests.support.broker import Broker

NUMBERS = [f"f{i}" for i in range(10)]
CATEGORIES = [f"c{i}" for i in range(4)]
_FIELDS = [f"  {n}: {{{{type: double}}}}" for n in NUMBERS] + [f"  {c}: {{{{type: string, kind: categorical}}}}" for c in CATEGORIES]
SPEC = (
    "\n".join(["model: {model}", "reference: references/{model}.parquet", "features:", *_FIELDS])
    + """
prediction: {{column: y, type: double}}
window: {{size: SIZEms, grace: 10s}}
""".replace("SIZE", str(SIZE_MS))
)
START_MS = 1_700_000_000_000 // SIZE_MS * SIZE_MS
STEP_MS = 3


def values(count: int, seed: int) -> pl.DataFrame:
    """Random rows of the fourteen features and the prediction."""
    rng = np.random.default_rng(seed)
    numbers = {n: rng.normal(size=count) for n in [*NUMBERS, "y"]}
    return pl.DataFrame({**numbers, **{c: rng.choice([f"v{k}" for k in range(6)], count) for c in CATEGORIES}})


def models() -> list[str]:
    """Four models, one on each partition."""
    found: dict[int, str] = {}
    for i in range(1000):
        found.setdefault(partition_of(f"m{i}".encode(), 4), f"m{i}")
    return [found[p] for p in range(4)]


def events(world: support.World, count: int) -> Iterator[tuple[str, bytes]]:
    """The events, encoded; models take turns."""
    writers = {m: world.writer(m) for m in world.models}
    for i, row in enumerate(values(count, 1).iter_rows(named=True)):
        model = world.models[i % 4]
        ids = {"event_id": f"{i:032x}", "event_time": START_MS + i * STEP_MS, "run": "live", "model": model, "model_version": "1"}
        yield model, writers[model].encode({**ids, "prediction": row.pop("y"), "target": None, "features": row})


class Bench:
    """A broker with the events in it."""

    def __init__(self, home: Path, count: int) -> None:
        self.home, self.count = home, count
        (home / "kafka").mkdir()
        self.broker = Broker(home / "kafka")
        self.broker.start()
        self.world = self._world(home / "world")
        self.world.send(events(self.world, count))
        self.runs = 0

    def _world(self, home: Path) -> support.World:
        support.SPEC = SPEC
        world = support.World.make(home, self.broker.bootstrap_servers, models(), workspace=True)
        for model in world.models:
            values(10_000, 0).write_parquet(home / "references" / f"{model}.parquet")
        return world

    def ours(self) -> tuple[float, list[WindowResult]]:
        """Events/s of the worker, from the first partition's restore to the last window's commit, and the results."""
        self.runs += 1
        names = {f"{t}_topic": f"{t.replace('_', '-')}-{self.runs}" for t in ("results", "late", "dead_letter", "checkpoint", "commands")}
        settings = self.world.settings.model_copy(update={"group_id": f"bench-{self.runs}", **names})
        world = support.World(settings, self.world.models)
        support.ensure_topics(settings)
        reader = world.reader("results")
        log = settings.home / "worker-0.log"
        process = world.start()
        world.wait_for(lambda: len(reader.poll()) >= self.due, timeout_s=300)
        process.terminate()
        process.wait(30)
        began = re.search(r"\[(\S+ \S+?),(\d+)\].*restored at", log.read_text())
        assert began is not None
        start_s = datetime.strptime(began[1], "%Y-%m-%d %H:%M:%S").timestamp() + int(began[2]) / 1000  # noqa: DTZ007 - the log's local time
        end_s = max(m.timestamp()[1] for m in reader.messages) / 1000
        results = reader.results()
        world.stop()
        return self.count / (end_s - start_s), results

    def peer(self, way: str) -> tuple[float, Any]:
        """Events/s of a peer, and its windows."""
        out, schema = self.home / "out.pickle", self.home / "schema.json"
        schema.write_text(json.dumps(self.world.writer(self.world.models[0]).schema))
        topic = self.world.settings.predictions_topic
        who = (
            [str(python_of("quix")), "benchmarks/quix/peer.py"] if way == "quix" else [sys.executable, "-m", "benchmarks.ingest_peers", way]
        )
        command = [*who, self.broker.bootstrap_servers, topic, str(schema), str(self.count), str(out)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=900)
        outcome = pickle.loads(out.read_bytes())
        return outcome["events_per_s"], outcome["windows"]

    def expected(self, windows: dict[tuple[str, int], list[dict[str, Any]]], result: WindowResult) -> WindowResult:
        """The result of one window, from rows that a peer collected."""
        spec = self.world.specs[result.model]
        profile = load_reference(spec, self.world.settings.under_home(str(spec.reference)))
        rows = sorted(windows[result.model, result.start_ms], key=lambda r: str(r["event_id"]))
        frame = pl.DataFrame([{**r["features"], "y": r["prediction"]} for r in rows])
        stream = (result.model, "live", "live", result.start_ms, result.end_ms, result.spec_digest, result.source_partition)
        return evaluate(WindowData(*stream, ("1",), frame, len(rows), 0, True, {}), spec, profile)

    def same_rows(self, windows: Any, others: Any) -> bool:
        """True when each window that QuixStreams closed has the rows of the loop's, and it closed as many as are due."""

        def rows(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
            return sorted((r["event_id"], r["prediction"], sorted(r["features"].items())) for r in records)

        return len(others) >= self.due and all(rows(windows[key]) == rows(found) for key, found in others.items())

    @property
    def due(self) -> int:
        """Windows that stream time closes, of four models together."""
        return 4 * ((self.count * STEP_MS - 10_000 - 4 * STEP_MS) // SIZE_MS)

    def equal(self, windows: Any, results: Iterable[WindowResult]) -> bool:
        """True when every published result is the one that the peer's rows give, to the last digit, and none is missing."""
        results = list(results)
        return len({r.key for r in results}) == len(results) and all(self.expected(windows, r) == r for r in results)


def main() -> None:
    """Measure in turns and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), options.events)
        figures: dict[str, list[float]] = {w: [] for w in ("ours", "faust", "loop", "raw", "quix")}
        equal = True
        bench.peer("raw")  # unmeasured: who reads first meets a broker whose code is not compiled yet, and takes a third longer
        for repeat in range(options.repeats):
            speed, results = bench.ours()
            figures["ours"].append(speed)
            windows: Any = {}
            for way in ("loop", "raw", *(["faust", "quix"] if repeat == 0 else [])):  # the slow ones once: they take minutes
                speed, found = bench.peer(way)
                figures[way].append(speed)
                windows = found if way == "loop" else windows
                equal = equal and (way != "quix" or bench.same_rows(windows, found))
            equal = equal and bench.equal(windows, results)
        bench.broker.stop()
    names = {"faust": "worker / stock Faust agent + fastavro", "loop": "worker / confluent-kafka consume loop + fastavro"}
    names["quix"] = "worker / QuixStreams tumbling window, collect"
    names["raw"] = "worker / raw consume loop, no decoding (the limit)"
    lines = [pair(names[way], figures["ours"], figures[way], "events/s", equal) for way in ("faust", "loop", "quix", "raw")]
    publish("ingest", lines, machine("polars", "confluent-kafka", "faust-streaming", "fastavro", "evidently"))


if __name__ == "__main__":
    main()
