"""A real worker process on a broker, with a model and topics of its own, and what a test needs around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import requests
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from config.settings import ROOT, Settings
from config.spec import ModelSpec, read_specs
from schemas.control import Control
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.result import WindowResult, decode_result
from schemas.store import CONTROL, FileSchemaStore
from streams.topics import ensure_topics
from tests.support.ports import free_ports

SPEC = """
model: {model}
reference: references/{model}.parquet
features:
  x: {{type: double}}
  colour: {{type: string, kind: categorical}}
prediction: {{column: y, type: double}}
window: {{size: 10s, grace: 2s}}
min_rows: 20
max_rows: 5000
drift: {{share: 0.5}}
"""


@dataclass
class World:
    """Settings, spec and topics of one test; ``start`` runs a worker in it."""

    settings: Settings
    models: list[str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)

    @classmethod
    def make(
        cls, home: Path, bootstrap_servers: str, models: Iterable[str] = ("m",), *,
        spec: str = "", reference: pl.DataFrame | None = None, **more: object,
    ) -> World:  # fmt: skip
        """Write specs (``spec`` with each model's name for MODEL) and references, make the topics.

        Without a workspace, unless ``more`` says otherwise: each worker's report process would import Evidently for seconds of CPU.
        """
        name = uuid.uuid4().hex[:8]
        topics = {
            f"{t}_topic": f"{t.replace('_', '-')}-{name}"
            for t in ("predictions", "results", "late", "dead_letter", "checkpoint", "commands")
        }
        values = {
            "home": home,
            "specs_dir": home / "specs",
            "bootstrap_servers": bootstrap_servers,
            "group_id": f"g-{name}",
            "workspace": False,
            **topics,
            **more,
        }
        settings = Settings.model_validate({"worker_metrics_port": free_ports(1)[0], **values})
        rng = np.random.default_rng(0)
        (home / "specs").mkdir(parents=True)
        (home / "references").mkdir()
        for model in models:
            (home / "specs" / f"{model}.yaml").write_text(spec.replace("MODEL", model) if spec else SPEC.format(model=model))
            drawn = {"x": rng.normal(size=2000), "colour": rng.choice(["red", "blue"], 2000), "y": rng.normal(size=2000)}
            (pl.DataFrame(drawn) if reference is None else reference).write_parquet(home / "references" / f"{model}.parquet")
        ensure_topics(settings)
        return cls(settings, list(models))

    @property
    def specs(self) -> dict[str, ModelSpec]:
        return read_specs(self.settings)

    def environment(self) -> dict[str, str]:
        """The settings as environment variables."""
        fields = {k: v for k, v in self.settings.model_dump(mode="json").items() if v is not None}
        return {**os.environ, **{f"TIDEMARK_{k.upper()}": str(v) for k, v in fields.items()}}

    def start(self, **more: object) -> subprocess.Popen[bytes]:
        """Start a worker; its log is ``home/worker-N.log``."""
        environment = self.environment() | {f"TIDEMARK_{k.upper()}": str(v) for k, v in more.items()}
        with (self.settings.home / f"worker-{len(self.processes)}.log").open("wb") as log:
            command = [sys.executable, "-m", "tidemark", "worker"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End every worker that still runs, and the readers."""
        for reader in self.readers:
            reader.close()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(30)

    def logs(self) -> str:
        """The workers' logs, for a failing test's message."""
        return "\n".join(p.read_text(errors="replace")[-6000:] for p in sorted(self.settings.home.glob("worker-*.log")))

    def reader(self, topic: str) -> Reader:
        """A reader of the topic that a setting names: ``results``, ``late``, ``dead_letter``."""
        self.readers.append(Reader(self.settings, getattr(self.settings, f"{topic}_topic")))
        return self.readers[-1]

    def committed(self) -> dict[int, int]:
        """The group's committed offsets, by partition; one without any is left out."""
        consumer = Consumer({"bootstrap.servers": self.settings.brokers, "group.id": self.settings.group_id})
        asked = [TopicPartition(self.settings.predictions_topic, n) for n in range(self.settings.partitions)]
        found = {p.partition: p.offset for p in consumer.committed(asked, timeout=30) if p.offset >= 0}
        consumer.close()
        return found

    def writer(self, model: str) -> WriterSchema:
        """The model's event schema, in the store."""
        return FileSchemaStore(self.settings.under_home("schemas")).register(model, event_schema(self.specs[model]))

    def send(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Send ``(model, value)`` records in order, and wait until all are acknowledged."""
        producer = Producer(
            {"bootstrap.servers": self.settings.brokers, "enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 5}
        )
        errors: list[object] = []
        for model, value in records:
            while True:
                try:
                    producer.produce(
                        self.settings.predictions_topic, value, model.encode(), on_delivery=lambda e, m: e and errors.append(e)
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0
        assert not errors

    def metrics(self) -> dict[str, float]:
        """The worker's samples as ``name{label="value",…}`` with sorted labels."""
        try:
            text = requests.get(f"http://127.0.0.1:{self.settings.worker_metrics_port}/metrics", timeout=30).text
        except requests.ConnectionError:  # it does not listen yet
            return {}
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return {s.name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items())) + "}": s.value for s in samples}

    def wait_for(self, what: Callable[[], object], timeout_s: float = 60.0, why: str = "") -> None:
        """Poll a condition until it holds."""
        deadline = time.monotonic() + timeout_s
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(f"{why or 'the condition'} did not come true in {timeout_s:.0f} s\n{self.logs()}")
            for process in self.processes[-1:]:
                assert process.poll() is None or process.returncode == 0, f"the worker ended with {process.returncode}\n{self.logs()}"
            time.sleep(0.05)  # between two looks at a condition; nothing is timed by it


class Reader:
    """Reads a topic from its start, committed records only, and keeps everything it saw."""

    def __init__(self, settings: Settings, topic: str) -> None:
        config = {"bootstrap.servers": settings.brokers, "group.id": uuid.uuid4().hex, "isolation.level": "read_committed"}
        self._consumer = Consumer({**config, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        self._consumer.assign([TopicPartition(topic, p, 0) for p in range(settings.partitions)])
        self.messages: list[Message] = []

    def poll(self) -> list[Message]:
        """Everything seen until now."""
        first = self._consumer.consume(1, 0.1)  # asking for many waits the whole time for them
        self.messages += [m for m in first + (self._consumer.consume(10_000, 0) if first else []) if m.error() is None]
        return self.messages

    def results(self) -> list[WindowResult]:
        """The messages as window results."""
        return [decode_result(m.value() or b"") for m in self.poll()]

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def event(writer: WriterSchema, n: int, time_ms: int, model: str = "m", run: str = "live", x: float | None = None) -> bytes:
    """One encoded event; its values follow from ``n``, so that an expected window can be computed from the numbers alone."""
    value = ((n * 2654435761) % 2**32) / 2**31 - 1 if x is None else x
    features = {"x": value, "colour": "red" if n % 2 else "blue"}
    ids = {"event_id": f"e{n:09d}", "event_time": time_ms, "run": run, "model": model, "model_version": "1"}
    return writer.encode({**ids, "prediction": value / 2, "target": None, "features": features})


def mark(kind: str, run: str, model: str = "m", token: str = "token", span: tuple[int, int] = (0, 10**13)) -> bytes:
    """An encoded control record."""
    return CONTROL.encode(Control(kind, model, run, token, *span).to_avro())  # type: ignore[arg-type]
