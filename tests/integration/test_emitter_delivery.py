"""The emitter with a real broker: what it accepts arrives or is counted, across stops, forks and foreign surroundings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from config.settings import ROOT
from producers.emitter import Emitter
from schemas.event import event_schema
from schemas.framing import header_of
from schemas.store import FileSchemaStore
from tests.conftest import create_topic
from tests.support.broker import Broker
from tests.unit.test_emitter_dead_broker import adds_up
from tests.unit.test_emitter_encoding import EVERY_TYPE, decode, names, spec_of

pytestmark = pytest.mark.integration
SCHEMA = event_schema(spec_of(EVERY_TYPE))


def records(bootstrap_servers: str, topic: str, partitions: int = 1) -> list[Any]:
    """Every record of a topic, read to the ends that the partitions have now."""
    reader = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    left = {p: reader.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(partitions)}
    reader.assign([TopicPartition(topic, p, 0) for p in left])
    got: list[Any] = []
    deadline = time.monotonic() + 30
    while len(got) < sum(left.values()) and time.monotonic() < deadline:
        got += [r for r in reader.consume(1000, 0.2) if r.error() is None]
    reader.close()
    assert len(got) == sum(left.values())
    return got


def event_ids(bootstrap_servers: str, topic: str) -> list[str]:
    """The ids of a topic's events, in order."""
    return [decode(SCHEMA, r.value())["event_id"] for r in records(bootstrap_servers, topic)]


def emitter(broker: Broker, topic: str, **given: Any) -> Emitter:
    """An emitter of the model ``m`` to a topic of the test's own."""
    defaults: dict[str, Any] = {"model": "m", "model_version": "1", "schema": SCHEMA, "metrics": False}
    return Emitter(**{**defaults, "bootstrap_servers": broker.bootstrap_servers, "topic": topic, **given})


def test_event_is_found_through_the_schema_store(broker: Broker, topic: str, tmp_path: Path) -> None:
    """An event's key is its model, its header finds the schema in the store, and every field comes back."""
    store = FileSchemaStore(tmp_path)
    store.register("m", SCHEMA)
    features = {"a double": 2.5, "größe (cm)": 7, "flag?": True, "2 text": "ñ"}
    with emitter(broker, topic, schema=next(tmp_path.glob("*.avsc"))) as made:
        assert made.emit(features, 4, event_id="one", event_time=1_700_000_000_000, run="r-1", target=5)
        assert made.flush(20)
        assert made.counters().delivered == 1
    (record,) = records(broker.bootstrap_servers, topic)
    assert record.key() == b"m"
    writer = store.find(header_of(record.value()) or b"")
    assert writer is not None
    event = decode(writer.schema, record.value())
    assert {names.unmangle(k): v for k, v in event["features"].items()} == features
    assert (event["event_id"], event["run"], event["prediction"], event["target"]) == ("one", "r-1", 4.0, 5.0)
    assert event["event_time"].timestamp() == 1_700_000_000


def test_order_and_one_partition(broker: Broker, make_topic: Any) -> None:
    """A model's events lie in one partition of many, in the order of the calls, each once."""
    topic = make_topic(partitions=5)
    with emitter(broker, topic, queue_size=20_000) as made:
        sent = [f"e{i:05}" for i in range(10_000)]
        assert all(made.emit({"a double": i}, i, event_id=one) for i, one in enumerate(sent))
        assert made.flush(30)
    got = records(broker.bootstrap_servers, topic, partitions=5)
    assert len({r.partition() for r in got}) == 1
    assert [decode(SCHEMA, r.value())["event_id"] for r in got] == sent


def test_flush_waits_for_earlier_events_only(broker: Broker, topic: str) -> None:
    """A flush ends although another part of the service goes on emitting all the while."""
    with emitter(broker, topic, queue_size=100_000) as made:
        made.emit({}, 1.0, event_id="first")
        stop = time.monotonic() + 1.5
        flushed = 0
        while time.monotonic() < stop:
            made.emit({}, 1.0)
            flushed += made.flush(5)
            made.emit({}, 1.0)
        assert flushed > 5
        made.close(20)
        assert adds_up(made.counters())
        assert made.counters().pending == 0


def test_missing_topic_is_a_counted_failure(broker: Broker) -> None:
    """Events for a topic that does not exist are dropped as ``delivery_failed``, not kept for ever."""
    with emitter(broker, f"none-{uuid.uuid4().hex}", kafka={"topic.metadata.propagation.max.ms": 500}) as made:
        made.emit({}, 1.0)
        assert made.flush(20)
        assert made.counters().dropped["delivery_failed"] == 1


def test_books_hold_over_a_stopped_and_a_killed_broker(own_broker: Broker) -> None:
    """Accepted = delivered + dropped + pending at every look while the broker stops, starts, is killed and starts; in the end nothing is
    pending, each delivered event is in the topic once, and no dropped one that was refused at once is."""
    topic = create_topic(own_broker.bootstrap_servers)
    made = emitter(own_broker, topic, queue_size=500, delivery_timeout_s=60)
    accepted: list[str] = []
    refused = 0

    def burst(prefix: str, count: int) -> None:
        nonlocal refused
        for i in range(count):
            if made.emit({"a double": float(i)}, 1.0, event_id=f"{prefix}{i}"):
                accepted.append(f"{prefix}{i}")
            else:
                refused += 1
            if i % 50 == 0:
                assert adds_up(made.counters())

    burst("up-", 400)
    assert made.flush(20)
    for way in (own_broker.stop, own_broker.kill):
        way()
        burst(f"{way.__name__}-", 1000)
        assert made.counters().dropped["queue_full"] == refused > 0
        own_broker.start()
        assert made.flush(60)
        burst(f"after-{way.__name__}-", 300)
        assert made.flush(60)
    made.close()
    counted = made.counters()
    assert counted.emitted == len(accepted) + refused == 3000
    assert (counted.pending, counted.delivered) == (0, len(accepted))
    assert adds_up(counted)
    assert event_ids(own_broker.bootstrap_servers, topic) == accepted


def test_two_forked_processes_both_emit(broker: Broker, topic: str) -> None:
    """An emitter that is built, and used, before a fork works in the parent and in each child, with books of their own."""
    code = f"""
import os, sys
from pathlib import Path
from tests.integration.test_emitter_delivery import Emitter, SCHEMA, adds_up
e = Emitter(model="m", model_version="1", schema=SCHEMA, bootstrap_servers={broker.bootstrap_servers!r}, topic={topic!r})
assert e.emit({{}}, 1.0, event_id="before") and e.flush(20)
children = []
for child in range(2):
    pid = os.fork()
    if pid == 0:
        assert e.counters().emitted == 0
        assert all(e.emit({{}}, 1.0, event_id=f"child{{child}}-{{i}}") for i in range(50))
        assert e.flush(20) and e.counters().delivered == 50
        sys.exit(0)  # through the exit handlers and the interpreter's end
    children.append(pid)
assert all(e.emit({{}}, 1.0, event_id=f"parent-{{i}}") for i in range(50))
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
assert e.flush(20) and e.counters().delivered == 51
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=90, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = ["before", *(f"{who}-{i}" for who in ("child0", "child1", "parent") for i in range(50))]
    assert sorted(event_ids(broker.bootstrap_servers, topic)) == sorted(wanted)


def test_events_survive_the_end_of_the_process(broker: Broker, topic: str) -> None:
    """What is emitted just before a process ends normally is delivered by the exit handler."""
    code = (
        "from tests.integration.test_emitter_delivery import Emitter, SCHEMA\n"
        f"e = Emitter(model='m', model_version='1', schema=SCHEMA, bootstrap_servers={broker.bootstrap_servers!r}, topic={topic!r})\n"
        "assert all(e.emit({}, 1.0) for _ in range(500))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(records(broker.bootstrap_servers, topic)) == 500


def test_stands_alone_beside_foreign_modules(broker: Broker, topic: str, tmp_path: Path) -> None:
    """Copied into a service that has a ``config.py`` and a ``schemas.py`` of its own, with nothing else of Tidemark's to be found and
    no ``prometheus_client``, the emitter delivers."""
    shutil.copytree(ROOT / "producers" / "emitter", tmp_path / "emitter", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "config.py").write_text("NAME = 'the service config'\n")
    (tmp_path / "schemas.py").write_text("NAME = 'the service schemas'\n")
    (tmp_path / "event.avsc").write_text(json.dumps(SCHEMA), encoding="utf-8")
    site = next(p for p in sys.path if p.endswith("site-packages"))
    libs = tmp_path / "libs"
    libs.mkdir()
    for entry in Path(site).iterdir():  # only what the emitter says it needs
        if entry.name.startswith(("confluent_kafka", "fastavro", "typing_extensions")):
            (libs / entry.name).symlink_to(entry)
    (tmp_path / "service.py").write_text(f"""
import sys, config, schemas
from emitter import Emitter
assert (config.NAME, schemas.NAME) == ("the service config", "the service schemas")
with Emitter(model="m", model_version="1", schema="event.avsc", bootstrap_servers={broker.bootstrap_servers!r}, topic={topic!r}) as e:
    assert e.emit({{"größe (cm)": 3}}, 1.0) and e.flush(20), e.counters()
assert not {{"prometheus_client", "producers", "pydantic", "numpy"}} & set(sys.modules)
""")
    environment = {"PYTHONPATH": str(libs), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", "service.py"]  # -S: no site-packages, so none of Tidemark's editable install either
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert decode(SCHEMA, records(broker.bootstrap_servers, topic)[0].value())["features"][names.mangle("größe (cm)")] == 3
