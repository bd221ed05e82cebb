"""Watermarks of a partition that no broker leads yet."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.watermarks import watermarks
from tests.support.broker import Broker

pytestmark = pytest.mark.integration


def test_of_topics_just_made(broker: Broker) -> None:
    """Twenty topics are asked for at the moment that the broker says they are made: each partition is empty, none without a leader.

    Asked once, a fifth of them answer that another broker leads them, which would end a worker that starts just then.
    """
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": f"watermarks-{uuid.uuid4()}"})
    try:
        for _ in range(20):
            topic = f"watermarks-{uuid.uuid4()}"
            admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(30)
            assert [watermarks(reader, TopicPartition(topic, number), 30) for number in range(4)] == [(0, 0)] * 4
    finally:
        reader.close()


def test_of_a_topic_made_after_it_was_asked_for(broker: Broker) -> None:
    """A reader that knows one topic, and was told that there is no other, has the other's watermarks once that is made.

    librdkafka keeps such an answer for a quarter of an hour where it knows older topics, and asks no broker again by itself.
    """
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": f"watermarks-{uuid.uuid4()}"})
    known, new = f"known-{uuid.uuid4()}", f"new-{uuid.uuid4()}"
    try:
        admin.create_topics([NewTopic(known, 1, 1)])[known].result(30)
        assert watermarks(reader, TopicPartition(known, 0), 30) == (0, 0)
        with pytest.raises(KafkaException, match="Unknown partition"):
            reader.get_watermark_offsets(TopicPartition(new, 3), timeout=30)
        admin.create_topics([NewTopic(new, 4, 1)])[new].result(30)
        assert watermarks(reader, TopicPartition(new, 3), 30) == (0, 0)
    finally:
        reader.close()


def test_of_no_topic(broker: Broker) -> None:
    """Of a partition that there is not, the error comes when the time is over."""
    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": f"watermarks-{uuid.uuid4()}"})
    try:
        with pytest.raises(KafkaException, match="Unknown partition"):
            watermarks(reader, TopicPartition(f"none-{uuid.uuid4()}", 0), 0.5)
    finally:
        reader.close()
