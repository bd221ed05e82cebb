"""The other ways to read the same events into windows: a stock Faust agent, a confluent-kafka loop with fastavro, and the loop alone.

Run as a process of its own: ``python -m benchmarks.ingest_peers faust|loop|raw BROKERS TOPIC SCHEMA_FILE COUNT OUT``. Writes events/s and,
but for ``raw``, each window's rows.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer

HEADER = 10
SIZE_MS = 288_000  # 24,000 rows: what 20,000 events/s and 50 windows a minute come to
Windows = dict[tuple[str, int], list[dict[str, Any]]]


def add(windows: Windows, record: dict[str, Any]) -> None:
    """Put a decoded event into its tumbling window."""
    start = int(record["event_time"].timestamp() * 1000) // SIZE_MS * SIZE_MS
    windows[record["model"], start].append(record)


def finish(out: str, seconds: float, count: int, windows: Windows) -> None:
    """Write the outcome and end the process."""
    Path(out).write_bytes(pickle.dumps({"events_per_s": count / seconds, "windows": dict(windows)}))
    os._exit(0)


def loop(brokers: str, topic: str, schema: Any, count: int, out: str, decode: bool) -> None:
    """confluent-kafka's ``consume`` in a loop; with ``decode`` each record goes through fastavro into its window."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "queued.min.messages": 200_000,
            "fetch.queue.backoff.ms": 10,  # as in the worker: librdkafka's second makes this loop three times slower, most of the time
        }
    )
    consumer.subscribe([topic])
    windows: Windows = defaultdict(list)
    read, began = 0, 0.0
    while read < count:
        messages = consumer.consume(5000, 0.5)
        if messages and not began:
            began = time.perf_counter()
        if decode:
            for message in messages:
                add(windows, fastavro.schemaless_reader(io.BytesIO(message.value()[HEADER:]), schema, None))  # type: ignore[index]
        read += len(messages)
    finish(out, time.perf_counter() - began, count, windows)


def faust_agent(brokers: str, topic: str, schema: Any, count: int, out: str) -> None:
    """A stock Faust agent, an event at a time."""
    import faust  # noqa: PLC0415 - only this peer needs it

    app = faust.App(
        f"peer-{uuid.uuid4().hex}",
        broker=f"kafka://{brokers}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        datadir=tempfile.mkdtemp(),
    )
    source = app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    windows: Windows = defaultdict(list)
    state = {"read": 0, "began": 0.0}

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def collect(stream: Any) -> None:
        async for value in stream:
            if not state["read"]:
                state["began"] = time.perf_counter()
            add(windows, fastavro.schemaless_reader(io.BytesIO(value[HEADER:]), schema, None))  # type: ignore[arg-type]
            state["read"] += 1
            if state["read"] == count:
                finish(out, time.perf_counter() - state["began"], count, windows)

    faust.Worker(app, loglevel="error").execute_from_commandline()


def main() -> None:
    """One peer, as the arguments say."""
    way, brokers, topic, schema_file, count, out = sys.argv[1:]
    schema = fastavro.parse_schema(json.loads(Path(schema_file).read_text()))
    if way == "faust":
        faust_agent(brokers, topic, schema, int(count), out)
    else:
        loop(brokers, topic, schema, int(count), out, decode=way == "loop")


if __name__ == "__main__":
    main()
