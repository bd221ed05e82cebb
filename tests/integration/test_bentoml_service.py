"""The flights service, started as a user starts it: it answers, its events are in the topic, and a stopped Kafka changes no answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from config.settings import ROOT, Settings
from examples.flights import model
from schemas.framing import header_of
from schemas.store import FileSchemaStore
from tests.conftest import create_topic
from tests.support.alerting import until
from tests.support.broker import Broker
from tests.support.dashboards import SERVICE as SERVICE_DASHBOARD
from tests.support.dashboards import expressions, filled
from tests.support.ports import free_ports
from tests.support.scraped import Scraped, configuration, running_prometheus
from tests.support.waiting import wait_for
from tests.unit.test_emitter_encoding import decode

pytestmark = pytest.mark.integration
ROW = {"dep_delay": 12.0, "sched_hour": 9.0, "distance": 1400.0, "carrier": "UA", "origin": "EWR", "dest": "IAH", "weekday": "Tue"}
ROWS = [{**ROW, "dep_delay": float(delay)} for delay in (0, 30, 120)]


class Service:
    """``bentoml serve`` in a process group of its own."""

    def __init__(self, broker: Broker, home: Path) -> None:
        self.broker, self.settings = broker, Settings(home=home, bootstrap_servers=broker.bootstrap_servers)
        self.address = f"http://127.0.0.1:{free_ports(1)[0]}"
        self._log = home / "service.log"
        environment = {**os.environ, "TIDEMARK_HOME": str(home), "TIDEMARK_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
        environment |= {"BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(serve(self.address), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)

    def wait_ready(self) -> Service:
        """Until it answers."""
        wait_for(lambda: self.process.poll() is not None or self._answers(), "the service answers", 90)
        assert self.process.poll() is None, self._log.read_text()[-4000:]
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.address}/readyz", timeout=2).ok
        except (requests.ConnectionError, requests.Timeout):  # the socket is open before the worker answers
            return False

    def stop(self) -> None:
        """As Ctrl-C or a supervisor ends it."""
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def predict(self, rows: Any = ROWS, **headers: str) -> requests.Response:
        """One request; ``Event_Times="1,2"`` is the header ``X-Tidemark-Event-Times``."""
        named = {f"X-Tidemark-{k.replace('_', '-')}": v for k, v in headers.items()}
        return requests.post(f"{self.address}/predict", json={"rows": rows}, headers=named, timeout=30)

    def flush(self) -> dict[str, Any]:
        """The counters after a flush."""
        answer = requests.post(f"{self.address}/tidemark/flush", timeout=60)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def events(self) -> list[dict[str, Any]]:
        """Every event of the predictions topic, decoded with the schema that the store has for its header."""
        reader = Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": uuid.uuid4().hex})
        part = TopicPartition(self.settings.predictions_topic, 0, 0)
        end = reader.get_watermark_offsets(part, timeout=10)[1]
        reader.assign([part])
        values: list[bytes] = []
        while len(values) < end:
            values += [r.value() or b"" for r in reader.consume(1000, 0.2) if r.error() is None]
        reader.close()
        store = FileSchemaStore(self.settings.under_home("schemas"))
        writers = [store.find(header_of(v) or b"") for v in values]
        return [decode(w.schema, v) for w, v in zip(writers, values, strict=True) if w]

    def run_events(self, run: str) -> list[dict[str, Any]]:
        """The events of one run."""
        return [e for e in self.events() if e["run"] == run]


def serve(address: str) -> list[str]:
    """The command of the README."""
    host, port = address.removeprefix("http://").split(":")
    return [sys.executable, "-m", "bentoml", "serve", "examples.flights.service:FlightDelay", "--port", port, "--host", host]


@pytest.fixture(scope="module")
def service(own_broker: Broker, flights_home: Path) -> Iterator[Service]:
    """The service with the real model beside a broker of its own."""
    create_topic(own_broker.bootstrap_servers, name=Settings().predictions_topic)
    started = Service(own_broker, flights_home)
    try:
        yield started.wait_ready()
    finally:
        started.stop()


def adds_up(counters: dict[str, Any]) -> bool:
    """The emitter's law, over HTTP."""
    return bool(counters["emitted"] == counters["delivered"] + sum(counters["dropped"].values()) + counters["pending"])


def test_batch_gives_one_event_per_row(service: Service) -> None:
    """The answers are the model's; each row is an event with its features, prediction and the headers' run, time, id and target."""
    answer = service.predict(Run="batch", Event_Times="1000,2000,3000", Event_Ids="a,b,c", Targets="5,,-7.5")
    assert answer.status_code == 200, answer.text
    loaded = model.load(service.settings)
    assert answer.json() == pytest.approx(loaded.predict(pd.DataFrame(ROWS)).tolist())
    service.flush()
    events = service.run_events("batch")
    assert [e["event_id"] for e in events] == ["a", "b", "c"]
    assert [e["event_time"].timestamp() for e in events] == [1, 2, 3]
    assert [e["target"] for e in events] == [5.0, None, -7.5]
    assert [e["features"] for e in events] == ROWS
    assert [e["prediction"] for e in events] == answer.json()
    assert {(e["model"], e["model_version"]) for e in events} == {("flights", loaded.version)}


def test_plain_request_is_a_live_event_of_now(service: Service) -> None:
    """Without headers, as with a plain ``curl``, the event is ``live``, of now, with a UUIDv7."""
    before = time.time()
    assert service.predict([ROW]).status_code == 200
    service.flush()
    event = service.run_events("live")[-1]
    assert before - 1 <= event["event_time"].timestamp() <= time.time() + 1
    assert uuid.UUID(event["event_id"]).int >> 76 & 0xF == 7
    assert event["target"] is None


def test_five_hundred_rows_with_all_headers(service: Service) -> None:
    """A replay's batch of 500 rows fits with all its headers, and gives 500 events."""
    ids = ",".join(f"flight-2013-06-{i:012}" for i in range(500))
    times = ",".join(str(1_370_000_000_000 + i) for i in range(500))
    targets = ",".join(f"{i}.25" for i in range(500))
    answer = service.predict([ROW] * 500, Run="big", Event_Ids=ids, Event_Times=times, Targets=targets)
    assert (answer.status_code, len(answer.json())) == (200, 500)
    service.flush()
    assert len(service.run_events("big")) == 500


@pytest.mark.parametrize(
    ("rows", "headers", "named"),
    [
        ([{k: v for k, v in ROW.items() if k != "dest"}], {}, "rows[0] has no dest"),
        ([{**ROW, "dep_delay": "soon"}], {}, "dep_delay"),
        ([ROW], {"Event_Times": "1,2"}, "X-Tidemark-Event-Times has 2 values for 1 rows"),
        ([ROW], {"Run": "no spaces"}, "X-Tidemark-Run"),
        ({"a": 1}, {}, "rows"),
        ([1], {}, "rows"),
    ],
)
def test_bad_request_is_400_and_no_event(service: Service, rows: Any, headers: dict[str, str], named: str) -> None:
    """What cannot be predicted is the caller's error, named, and no event."""
    before = service.flush()["emitted"]
    answer = service.predict(rows, **headers)
    assert answer.status_code == 400
    assert named in answer.text
    assert service.flush()["emitted"] == before


def test_no_rows_is_no_prediction(service: Service) -> None:
    """An empty batch has an empty answer."""
    assert service.predict([]).json() == []


def test_emitter_counts_stand_in_bentoml_metrics(service: Service) -> None:
    """BentoML's own ``/metrics`` goes on and has the emitter's counters, equal to those of the flush."""
    service.predict()
    counters = service.flush()
    delivered = "tidemark_emitter_delivered_total"  # a scrape may come before the thread's round has ended
    values = wait_for(
        lambda: v if (v := metrics(service))[delivered] == counters["delivered"] else None, "the delivered events are counted", 10
    )
    assert values[delivered] > 0
    assert values["tidemark_emitter_emitted_total"] == counters["emitted"]
    assert values["bentoml_service_request_total"] > 0


def metrics(service: Service) -> dict[str, float]:
    """Sum of each sample name on ``/metrics``."""
    text = requests.get(f"{service.address}/metrics", timeout=10).text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_service_dashboard_has_data(service: Service, tmp_path: Path) -> None:
    """Every expression of the Service dashboard has values in a real Prometheus that scrapes the real service, errors included."""
    port = int(service.address.rpartition(":")[2])
    with running_prometheus(tmp_path, configuration("tidemark-service", port)) as address:
        prometheus = Scraped(address)
        until(lambda: prometheus.values("up == 1"), "Prometheus scrapes the service", 60)
        for where, expression in expressions(SERVICE_DASHBOARD):

            def asked(wanted: str = filled(expression)) -> list[float]:
                service.predict()
                service.predict([{}])  # an error: status 400
                return prometheus.values(wanted)

            assert until(asked, f"{where}: data", 30)


def test_kafka_stopped_changes_no_answer(service: Service) -> None:
    """With Kafka stopped the service answers the same and as fast, drops what no longer fits and counts it; with Kafka back, the events
    that it kept are delivered, and every accepted event is in the topic."""
    batch = [ROW] * 500
    wanted = service.predict(batch, Run="up").json()
    service.flush()
    before = service.flush()
    service.broker.stop()
    slowest_s = 0.0
    for _ in range(25):  # 12,500 events: more than the queue holds
        answer = service.predict(batch, Run="down")
        assert answer.json() == wanted
        slowest_s = max(slowest_s, answer.elapsed.total_seconds())
    service.broker.start()
    counters = service.flush()
    assert adds_up(counters)
    assert counters["pending"] == 0
    assert counters["emitted"] == before["emitted"] + 12_500
    dropped = counters["dropped"]["queue_full"] - before["dropped"]["queue_full"]
    assert dropped == 2_500
    assert len(service.run_events("down")) == 10_000
    assert slowest_s < 2  # far below any timeout of Kafka's: no request waited for the broker


def test_stop_delivers_what_is_pending(own_broker: Broker, service: Service) -> None:
    """A service that is told to end right after a request has delivered that request's events."""
    other = Service(own_broker, service.settings.home).wait_ready()
    try:
        assert other.predict(Run="last").status_code == 200
    finally:
        other.stop()
    assert len(service.run_events("last")) == 3


def test_missing_model_is_one_message(tmp_path: Path) -> None:
    """Without the model file ``bentoml serve`` ends with exit code 2 and one message with the remedy, and no traceback."""
    environment = {**os.environ, "TIDEMARK_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    command = serve(f"http://127.0.0.1:{free_ports(1)[0]}")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 2
    assert f"error: no model artefact at {tmp_path / 'models' / 'flights.skops'}" in done.stderr
    assert "remedy: run `python -m examples.flights`" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
