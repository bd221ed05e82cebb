"""What one prediction costs the service that emits it: ``python -m benchmarks.emit``. Real broker, one process per side and measurement.

``other`` does in the caller what the emitter does in its thread: fastavro, an idempotent producer of the same settings, delivery reports.
The service is played at a steady rate, a request's worth of events (20) at a time, asleep in between; CPU is the whole process's, the
player's own included. ``same answer`` with the broker up: in every repeat both topics held all events, in the same bytes. ``accounts``
has each repeat's rate, delivered and dropped events, so that a False explains itself. With the broker down there is no answer to compare
(None), and no CPU either: the emitter stops encoding when its queue is full, the other side does not. ``spilled`` is the emitter with a
spill on this machine's disk; with the broker down it keeps all events, which is its answer. Then the requests of a BentoML service
(``benchmarks.emit_service``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks import emit_service
from benchmarks.table import machine, pair, publish
from config.settings import ROOT
from config.spec import read_spec
from producers.emitter import Emitter
from producers.emitter.kafka import producer_settings
from schemas.event import event_schema
from schemas.framing import WriterSchema
from tests.conftest import create_topic
from tests.support.broker import Broker
from tests.support.ports import free_ports

SCHEMA = event_schema(read_spec(ROOT / "config" / "models" / "flights.yaml"))
ROW = {"dep_delay": 12.0, "sched_hour": 9.0, "distance": 1400.0, "carrier": "UA", "origin": "EWR", "dest": "IAH", "weekday": "Tue"}
REQUEST = 20  # events of one request
Call = Callable[[int], object]
End = Callable[[], tuple[int, int]]


def ours(servers: str, topic: str, **more: Any) -> tuple[Call, End]:
    """One emit, and the end, which says how many events were delivered and dropped."""
    emitter = Emitter(model="flights", model_version="1", schema=SCHEMA, bootstrap_servers=servers, topic=topic, **more)

    def end() -> tuple[int, int]:
        emitter.close(30 if topic != "none" else 0)
        counted = emitter.counters()
        return counted.delivered, sum(counted.dropped.values())

    return lambda i: emitter.emit({**ROW, "dep_delay": float(i)}, 1.5, event_id=f"e{i}", event_time=i), end


def spilled(servers: str, topic: str) -> tuple[Call, End]:
    """The emitter with a spill; what stays there when the broker is down counts as kept: neither delivered nor dropped."""
    folder = tempfile.mkdtemp()
    emit, end = ours(servers, topic, spill=folder)

    def cleared() -> tuple[int, int]:
        counts = end()
        shutil.rmtree(folder)
        return counts

    return emit, cleared


def other(servers: str, topic: str) -> tuple[Call, End]:
    """The same event, encoded and produced in the caller.

    With a broker its queue holds ten seconds, so that a busy moment of the broker costs it no event: both answers are to be complete.
    """
    queue = 10_000 if topic == "none" else 100_000
    settings = producer_settings(servers, queue, 1_000_000, 120, {})
    producer, writer = Producer({**settings, "log_level": 0}), WriterSchema.single_object(SCHEMA)
    fates: list[bool] = []

    def emit(i: int) -> None:
        record = {"event_id": f"e{i}", "event_time": i, "run": "live", "model": "flights", "model_version": "1", "prediction": 1.5}
        value = writer.encode({**record, "target": None, "features": {**ROW, "dep_delay": float(i)}})
        try:
            producer.produce(topic, value=value, key=b"flights", on_delivery=lambda error, _: fates.append(error is None))
        except BufferError:
            fates.append(False)
        producer.poll(0)

    def end() -> tuple[int, int]:
        if topic == "none":
            producer.purge()
        producer.flush(30)
        return sum(fates), len(fates) - sum(fates)

    return emit, end


def measure(side: str, servers: str, topic: str, rate: int, count: int) -> dict[str, float]:
    """Latency of single calls (µs) and CPU share of one core, over ``count`` events at ``rate`` events/s. After one second to warm up."""
    emit, end = {"ours": ours, "spilled": spilled, "other": other}[side](servers, topic)
    pace(emit, 0, rate, rate)
    cpu, start = time.process_time(), time.perf_counter()
    took = pace(emit, rate, rate + count, rate)
    spent, lasted = time.process_time() - cpu, time.perf_counter() - start
    delivered, dropped = end()
    cuts = statistics.quantiles(took, n=1000)
    return {
        "p50": cuts[499],
        "p99": cuts[989],
        "max": max(took),
        "cpu": spent / lasted * 100,
        "rate": count / lasted,
        "delivered": delivered,
        "dropped": dropped,
    }


def pace(emit: Call, first: int, last: int, rate: int) -> list[float]:
    """Call ``emit`` for each number at a steady rate; µs of each call."""
    took, start = [], time.perf_counter()
    for i in range(first, last):
        if i % REQUEST == 0:
            time.sleep(max(0.0, start + (i - first) / rate - time.perf_counter()))
        before = time.perf_counter_ns()
        emit(i)
        took.append((time.perf_counter_ns() - before) / 1000)
    return took


def in_process(side: str, servers: str, topic: str, rate: int, count: int) -> dict[str, float]:
    """``measure`` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.emit", "--side", side, servers, topic, str(rate), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def values(servers: str, topic: str) -> list[bytes]:
    """Every record of a topic."""
    reader = Consumer({"bootstrap.servers": servers, "group.id": topic})
    part = TopicPartition(topic, 0, 0)
    end = reader.get_watermark_offsets(part, timeout=10)[1]
    reader.assign([part])
    got: list[bytes] = []
    while len(got) < end:
        got += [r.value() or b"" for r in reader.consume(10_000, 1) if r.error() is None]
    reader.close()
    return got


def alternate(
    broker: Broker | None, rate: int, count: int, repeats: int, way: str = "ours"
) -> tuple[list[dict[str, float]], list[dict[str, float]], bool | None]:
    """Both sides in turns, and whether the topics held all events in the same bytes each time (None without a broker)."""
    sides: dict[str, list[dict[str, float]]] = {way: [], "other": []}
    equal = True
    for _ in range(repeats):
        topics = {}
        for side, results in sides.items():
            servers = broker.bootstrap_servers if broker else f"127.0.0.1:{free_ports(1)[0]}"
            topics[side] = create_topic(servers) if broker else "none"
            results.append(in_process(side, servers, topics[side], rate, count))
        if broker:
            found = {side: values(broker.bootstrap_servers, topic) for side, topic in topics.items()}
            equal = equal and found[way] == found["other"] and len(found[way]) == rate + count
    return sides[way], sides["other"], equal if broker else None


def lines(where: str, ours_: list[dict[str, float]], other_: list[dict[str, float]], equal: bool | None) -> list[dict[str, Any]]:
    """The pairs of one setting, with what became of the events of each repeat."""
    units = {"p50": "µs a call", "p99": "µs a call"} | ({} if equal is None else {"cpu": "% of a core"})
    kept = ("rate", "delivered", "dropped")
    accounts = {side: [{k: round(r[k]) for k in kept} for r in rs] for side, rs in (("ours", ours_), ("other", other_))}
    return [
        {"accounts": accounts, **cheaper(f"{what}, {where}", [r[what] for r in ours_], [r[what] for r in other_], unit, equal)}
        for what, unit in units.items()
    ]


def cheaper(name: str, ours_: list[float], other_: list[float], unit: str, equal: bool | None) -> dict[str, Any]:
    """A pair where less is better: ``ratio`` is other / ours."""
    line = pair(name, ours_, other_, unit, bool(equal))
    return {**line, "equal_answers": equal, "ratio": round(statistics.median(other_) / statistics.median(ours_), 3)}


def main() -> None:
    """Measure both settings and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2_000)
    given = parser.parse_args()
    if given.side:
        side, servers, topic, rate, count = given.side
        sys.stdout.write(json.dumps(measure(side, servers, topic, int(rate), int(count))) + "\n")
        return
    play = (given.rate, given.events, given.repeats)
    at = f"{given.rate:,} events/s"
    with tempfile.TemporaryDirectory() as home:
        broker = Broker(Path(home)).start()
        try:
            found = lines(f"broker up, {at}", *alternate(broker, *play))
            found += lines(f"spill, broker up, {at}", *alternate(broker, *play, way="spilled"))
            found += emit_service.lines(broker, Path(home) / "services", given.requests, values, cheaper)
        finally:
            broker.stop()
    found += lines(f"broker down, {at}", *alternate(None, *play))
    found += lines(f"spill, broker down, {at}", *alternate(None, *play, way="spilled"))
    load = {"load_average_1_5_15_min_at_end": [round(x, 1) for x in os.getloadavg()]}
    publish("emit", found, machine("confluent-kafka", "fastavro", "bentoml") | load)


if __name__ == "__main__":
    main()
