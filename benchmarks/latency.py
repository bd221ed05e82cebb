"""From a window's close to its result, while 20,000 events/s flow: ``python -m benchmarks.latency [--seconds N]``.

A window closes when the broker takes the first record that stream time passes ``end + grace`` with. Its result is there when a reader of
committed records has it, and when ``/metrics`` shows it. Measured three times: the four models' windows one after another in quiet, and
with Evidently's full reports drawn all the time; then all four closing at the same moment, where each waits for those before it.
The other side of each pair is what is promised for the first two; each window's rows must be those that were sent.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from benchmarks.ingest import CATEGORIES, NUMBERS, models, values
from benchmarks.table import machine, publish
from config.settings import ROOT
from streams.decode.decoder import Decoder
from streams.windows.batch import MODEL, TIME, RawBatch
from tests.support.broker import Broker
from tests.support.worker import World

SIZE_MS, GRACE_MS = 4_800, 200  # four models: 50 windows a minute, of 24,000 rows each
EVENTS_PER_S = 20_000
_FIELDS = [f"  {n}: {{type: double}}" for n in NUMBERS] + [f"  {c}: {{type: string, kind: categorical}}" for c in CATEGORIES]
SPEC = f"""
model: MODEL
reference: references/MODEL.parquet
features:
{chr(10).join(_FIELDS)}
prediction: {{column: y, type: double}}
window: {{size: {SIZE_MS}ms, offset: OFFSETms, grace: {GRACE_MS}ms}}
drift: {{share: SHARE}}
"""


@dataclass
class Watch:
    """What is seen of a worker from outside while it works."""

    world: World
    shown: dict[tuple[str, int], float] = field(default_factory=dict)
    read: dict[tuple[str, int], float] = field(default_factory=dict)
    rows: dict[tuple[str, int], int] = field(default_factory=dict)
    lags_s: list[float] = field(default_factory=list)
    rebalances: set[float] = field(default_factory=set)
    reports: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def results(self) -> None:
        """Note when a reader has each result."""
        reader = self.world.reader("results")
        while not self.over.is_set():
            seen = len(reader.messages)
            found = reader.poll()[seen:]
            now = time.time()
            for message in found:
                result = json.loads(message.value() or b"")
                self.read[result["model"], result["end_ms"]] = now
                self.rows[result["model"], result["end_ms"]] = result["rows"]

    def metrics(self) -> None:
        """Note what the metrics say, each second, when the lag is taken: the time of a window's result there is the gauge's own."""
        while not self.over.wait(1.0):
            ends: dict[str, int] = {}
            closed: dict[str, float] = {}
            lag = 0.0
            for name, value in self.world.metrics().items():
                model = name.partition('model="')[2].partition('"')[0]
                if name.startswith("tidemark_window_end_event_time_seconds"):
                    ends[model] = round(value * 1000)
                elif name.startswith("tidemark_last_window_closed_timestamp_seconds"):
                    closed[model] = value
                elif name.startswith("tidemark_consumer_lag_records"):
                    lag += value
                elif name.startswith("tidemark_rebalances_total"):
                    self.rebalances.add(value)
                elif name.startswith("tidemark_reports_total") and 'outcome="made"' in name:
                    self.reports = value
            self.lags_s.append(lag / EVENTS_PER_S)
            for model, end in ends.items():
                self.shown.setdefault((model, end), closed[model])


def closings(world: World, offsets_ms: dict[str, int]) -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], int]]:
    """When the broker took the record that closed each window (s since the epoch), and each window's rows, from the topic itself."""
    consumer = Consumer({"bootstrap.servers": world.settings.brokers, "group.id": "closings", "enable.auto.commit": False})
    decoder = Decoder(store(world), world.settings.max_record_bytes)
    closed: dict[tuple[str, int], float] = {}
    rows: dict[tuple[str, int], int] = {}
    for number in range(world.settings.partitions):
        source = TopicPartition(world.settings.predictions_topic, number, 0)
        _, high = consumer.get_watermark_offsets(source, timeout=30)
        consumer.assign([source])
        top = -1
        while high and top < high - 1:
            messages = consumer.consume(20_000, 1.0)
            if not messages:
                continue
            top = int(messages[-1].offset() or 0)
            offsets = np.array([m.offset() for m in messages])
            broker_ms = np.array([m.timestamp()[1] for m in messages])
            raw = RawBatch(number, [m.value() or b"" for m in messages], [m.key() for m in messages], offsets, broker_ms)
            for events in decoder.decode(raw).events:
                model, times = events.frame[MODEL][0], events.frame[TIME].to_numpy()
                offset = offsets_ms[model]
                ends = ((times - offset) // SIZE_MS + 1) * SIZE_MS + offset
                for end, count in zip(*np.unique(ends, return_counts=True), strict=True):
                    rows[model, int(end)] = rows.get((model, int(end)), 0) + int(count)
                passed = np.maximum.accumulate(times) - GRACE_MS
                for end in np.unique((passed - offset) // SIZE_MS * SIZE_MS + offset):
                    at = int(np.searchsorted(passed, end))
                    closed.setdefault((model, int(end)), float(broker_ms[events.index[at]]) / 1000)
    consumer.close()
    return closed, rows


def store(world: World) -> Any:
    """The store that the worker reads schemas from."""
    from schemas.store import FileSchemaStore  # noqa: PLC0415

    return FileSchemaStore(world.settings.under_home("schemas"))


def run(broker: Broker, home: Path, seconds: float, reports: bool, together: bool) -> dict[str, Any]:
    """One worker under the load; its figures."""
    offsets_ms = {model: 0 if together else place * SIZE_MS // len(models()) for place, model in enumerate(models())}
    spec = SPEC.replace("SHARE", "0.01" if reports else "1.0")
    world = World.make(
        home, broker.bootstrap_servers, models(), spec=spec.replace("OFFSET", "0"), reference=values(10_000, 0), workspace=True
    )
    for model, offset in offsets_ms.items():
        file = world.settings.specs_dir / f"{model}.yaml"
        file.write_text(file.read_text().replace("offset: 0ms", f"offset: {offset}ms"))
    for model in world.models:
        world.writer(model)
    process = world.start()
    world.wait_for(lambda: sum(k.startswith("tidemark_consumer_lag_records") for k in world.metrics()) == world.settings.partitions, 120)
    watch = Watch(world)
    threads = [threading.Thread(target=t) for t in (watch.results, watch.metrics)]
    for thread in threads:
        thread.start()
    shift = "1.0" if reports else "0.0"
    subprocess.run(
        [sys.executable, "-m", "benchmarks.latency_feed", str(seconds), str(EVENTS_PER_S), shift],
        cwd=ROOT,
        check=True,
        env=world.environment(),
    )
    world.wait_for(lambda: world.metrics() and not any(v for k, v in world.metrics().items() if k.startswith("tidemark_consumer_lag")), 60)
    time.sleep(1)  # the last results' way to the reader; windows that are not there then count as missing
    watch.over.set()
    for thread in threads:
        thread.join()
    closed, rows = closings(world, offsets_ms)
    process.terminate()
    process.wait(30)
    world.stop()
    warm = min(closed.values()) + 10
    keys = [k for k, at in closed.items() if k in rows and at > warm]
    return {
        "to_reader_ms": [1000 * (watch.read[k] - closed[k]) for k in keys if k in watch.read],
        "to_metrics_ms": [1000 * (watch.shown[k] - closed[k]) for k in keys if k in watch.shown],
        "equal": all(watch.rows.get(k) == rows[k] for k in keys),
        "lag_s": max(watch.lags_s),
        "rebalances": len(watch.rebalances),
        "reports": watch.reports,
    }


def line(name: str, figure: float, promised: float, unit: str, equal: bool) -> dict[str, Any]:
    """A pair where less is better: ratio > 1 means better than promised."""
    ratio = round(promised / figure, 3) if figure else float(promised)
    return {"pair": name, "ours": round(figure, 2), "other": promised, "unit": unit, "ratio": ratio, "equal_answers": equal}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90)
    options = parser.parse_args()
    lines = []
    ways = {
        "one after another": (False, False),
        "one after another, with full reports all the time": (True, False),
        "four at the same moment": (False, True),
    }
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "kafka").mkdir()
        broker = Broker(Path(home) / "kafka")
        broker.start()
        for place, (way, (reports, together)) in enumerate(ways.items()):
            found = run(broker, Path(home) / f"world-{place}", options.seconds, reports, together)
            for target in ("reader", "metrics"):
                took = np.array(found[f"to_{target}_ms"])
                for name, figure, promised in (("median", np.median(took), 100.0), ("p99", np.percentile(took, 99), 500.0)):
                    lines.append(line(f"window close to {target}, {name}, {way} / promised", float(figure), promised, "ms", found["equal"]))
            lines.append(line(f"highest lag, {way} / promised", found["lag_s"], 2.0, "s", found["equal"] and found["rebalances"] <= 1))
            print(f"{way}: {len(found['to_reader_ms'])} windows, {found['reports']:.0f} full reports, {found['rebalances'] - 1} rebalances")
        broker.stop()
    publish("latency", lines, machine("polars", "confluent-kafka", "faust-streaming", "evidently"))


if __name__ == "__main__":
    main()
