"""``--via service``: the real BentoML service predicts and emits; the run's marks stand around its events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from config.errors import ServiceUnavailable
from config.settings import ROOT, Settings
from config.spec import read_spec
from examples.flights.prepare import prepare
from producers.replay import ReplayOptions, replay
from producers.replay.service import ServiceSink
from tests.conftest import create_topic
from tests.integration.test_bentoml_service import Service
from tests.integration.test_replay_kafka import Silent, records
from tests.support.broker import Broker
from tests.support.ports import free_ports

pytestmark = pytest.mark.integration
SPEC = read_spec(ROOT / "config" / "models" / "flights.yaml")
HOURS = {"start": dt.datetime(2013, 6, 10, 5), "end": dt.datetime(2013, 6, 10, 13)}  # noqa: DTZ001 - local, as typed


@pytest.fixture(scope="module")
def installation(own_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The service with the real model, beside a broker of its own with four partitions."""
    home = tmp_path_factory.mktemp("via-service")
    prepare(Settings(home=home))
    create_topic(own_broker.bootstrap_servers, partitions=4, name=Settings(home=home).predictions_topic)
    service = Service(own_broker, home)
    try:
        service.wait_ready()
        yield Settings(home=home, bootstrap_servers=own_broker.bootstrap_servers, service_port=int(service.address.rsplit(":", 1)[1]))
    finally:
        service.stop()


def test_both_ways_give_the_same_events(installation: Settings) -> None:
    """A run through the service has the events of one straight to Kafka (predictions to 1e-9), between its marks, in one partition."""
    one = replay(installation, SPEC, ReplayOptions(**HOURS), Silent())  # type: ignore[arg-type]
    two = replay(installation, SPEC, ReplayOptions(via="service", **HOURS), Silent())  # type: ignore[arg-type]
    assert one.events == two.events > 300
    found = records(installation)
    assert len({r.partition for r in found}) == 1
    straight, served = ([r for r in found if r.fields["run"] == s.run] for s in (one, two))
    assert [r.control for r in served] == [r.control for r in straight] == [True, *[False] * one.events, True]
    for a, b in zip(straight[1:-1], served[1:-1], strict=True):
        assert a.fields.pop("prediction") == pytest.approx(b.fields.pop("prediction"), rel=1e-9)
        assert {**a.fields, "run": ""} == {**b.fields, "run": ""}


def test_a_service_that_is_not_there_is_named(installation: Settings) -> None:
    """The address and the setting are in the message, and no run is opened on the topic."""
    before = len(records(installation))
    absent = installation.model_copy(update={"service_port": free_ports(1)[0]})
    with pytest.raises(ServiceUnavailable, match=rf"127\.0\.0\.1:{absent.service_port} does not answer") as caught:
        replay(absent, SPEC, ReplayOptions(via="service", **HOURS), Silent())  # type: ignore[arg-type]
    assert "TIDEMARK_SERVICE_PORT" in caught.value.remedy
    assert len(records(installation)) == before


def test_a_server_that_is_not_the_service_is_refused(installation: Settings) -> None:
    """A port on which something else listens (here the broker) gives the same clear error, not an HTTP library's."""
    broker_port = int(installation.brokers.rsplit(":", 1)[1])
    sink = ServiceSink(installation.model_copy(update={"service_port": broker_port}), SPEC, "r")
    with pytest.raises(ServiceUnavailable):
        sink.look()
