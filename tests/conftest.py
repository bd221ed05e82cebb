"""Fixtures that start real parts; a test that asks for none of them needs no server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from hypothesis import settings

from tests.support.broker import Broker

MakeTopic = Callable[..., str]
settings.register_profile("untimed", deadline=None)  # the machine has other things to do: no example proves anything by its time
settings.load_profile("untimed")


def _running(home_factory: pytest.TempPathFactory, name: str) -> Iterator[Broker]:
    broker = Broker(home_factory.mktemp(name))
    try:
        yield broker.start()
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that all tests share, each with topics and groups of its own. Never stop it: ask for ``own_broker``."""
    yield from _running(tmp_path_factory, "broker")


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this test module alone, to ``stop()``, ``start()`` and ``kill()``."""
    yield from _running(tmp_path_factory, "own-broker")


def create_topic(bootstrap_servers: str, partitions: int = 1, config: Mapping[str, str] | None = None, name: str = "") -> str:
    """Create a topic with a unique name (or ``name``) and return the name once the broker has it."""
    topic = name or f"test-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    made = admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(config or {}))])
    made[topic].result(timeout=30)
    return topic


@pytest.fixture
def make_topic(broker: Broker) -> MakeTopic:
    """``make_topic(partitions=1, config={...}, name="")`` creates a topic on the shared broker and returns its name."""

    def make(partitions: int = 1, config: Mapping[str, str] | None = None, name: str = "") -> str:
        return create_topic(broker.bootstrap_servers, partitions, config, name)

    return make


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    """A fresh topic with one partition on the shared broker."""
    return make_topic()
