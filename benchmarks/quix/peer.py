"""QuixStreams' tumbling window on the same events. Runs in an environment of its own (requirements.txt beside this file), since QuixStreams
wants an older confluent-kafka: ``python peer.py BROKERS TOPIC SCHEMA_FILE COUNT OUT``. Writes events/s and each closed window's rows.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import tempfile
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro
from quixstreams import Application
from quixstreams.models import Deserializer

HEADER = 10
SIZE_S, GRACE_S = 288, 10


class AvroBody(Deserializer):
    """A record's body by fastavro. Event times stay whole milliseconds, since the state store keeps JSON."""

    def __init__(self, schema: Any) -> None:
        super().__init__()
        self.schema = schema
        self.began = self.ended = 0.0

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        """The record as a dict."""
        self.began = self.began or time.perf_counter()
        record: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(value[HEADER:]), self.schema, None)
        self.ended = time.perf_counter()
        return record


def main() -> None:
    """Collect the windows and write them."""
    brokers, topic_name, schema_file, count, out = sys.argv[1:]
    schema = json.loads(Path(schema_file).read_text())
    for field in schema["fields"]:
        if field["name"] == "event_time":
            field["type"] = "long"
    body = AvroBody(fastavro.parse_schema(schema))
    windows: dict[tuple[str, int], list[dict[str, Any]]] = {}
    app = Application(
        broker_address=brokers,
        consumer_group=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        use_changelog_topics=False,  # faster, though a restart loses its windows
        loglevel="WARNING",
        consumer_extra_config={"queued.min.messages": 200_000},
    )
    topic = app.topic(
        topic_name,
        key_deserializer="str",
        value_deserializer=body,
        timestamp_extractor=lambda record, headers, timestamp, kind: record["event_time"],
    )
    closed = app.dataframe(topic).tumbling_window(timedelta(seconds=SIZE_S), grace_ms=timedelta(seconds=GRACE_S)).collect().final()
    closed.update(lambda window, key, timestamp, headers: windows.update({(key, window["start"]): window["value"]}), metadata=True)
    app.run(timeout=10.0, collect=False)  # until nothing more comes; its `count` would be of outputs, not of events
    outcome = {"events_per_s": int(count) / (body.ended - body.began), "windows": windows}
    Path(out).write_bytes(pickle.dumps(outcome))


if __name__ == "__main__":
    main()
