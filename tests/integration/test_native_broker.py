"""The native Kafka broker."""

from __future__ import annotations

import uuid

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from compose.native import kafka
from tests.conftest import MakeTopic, create_topic
from tests.support.broker import Broker

pytestmark = pytest.mark.integration


def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        return [message.value() or b"" for message in consumer.consume(count, timeout=20)]
    finally:
        consumer.close()


def test_a_transaction_is_read_back(broker: Broker, topic: str) -> None:
    """A transactional producer works on one node: all internal topics are made with one replica."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"value")
    producer.commit_transaction(20)
    assert _read(broker.bootstrap_servers, topic, 1) == [b"value"]


def test_topics_are_never_made_by_accident(broker: Broker) -> None:
    """Writing to a topic that is not there fails instead of making it."""
    name = f"absent-{uuid.uuid4().hex}"
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "message.timeout.ms": 2000})
    producer.produce(name, b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(10)
    assert failures
    assert failures[0] is not None
    assert name not in AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=10).topics


def test_topic_settings_are_applied(broker: Broker, make_topic: MakeTopic) -> None:
    """The topic factory gives the partitions and the settings it was asked for."""
    name = make_topic(partitions=3, config={"cleanup.policy": "compact"})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    assert len(admin.list_topics(topic=name, timeout=10).topics[name].partitions) == 3


def test_a_killed_broker_comes_back_with_its_data(own_broker: Broker) -> None:
    """After SIGKILL and after a clean stop the broker restarts on the same port with the records it had acknowledged."""
    name = create_topic(own_broker.bootstrap_servers)
    producer = Producer({"bootstrap.servers": own_broker.bootstrap_servers, "acks": "all"})
    producer.produce(name, b"kept")
    assert producer.flush(20) == 0
    first = own_broker.pid
    assert first is not None
    own_broker.kill()
    assert not psutil.pid_exists(first)
    assert not kafka.answers(own_broker.bootstrap_servers)
    own_broker.start()
    own_broker.stop()
    assert own_broker.pid is None
    own_broker.start()
    assert _read(own_broker.bootstrap_servers, name, 1) == [b"kept"]


def test_list_topics_of_a_missing_broker_raises() -> None:
    """The client says so when nothing listens, so ``answers`` cannot be true by accident."""
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}).list_topics(timeout=1)
