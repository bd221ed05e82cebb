"""A partition's low and high watermark, asked of whichever broker leads it now."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka_errors import kafka_error

# Of a topic just made, or while another broker takes over.
_PASSING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
}
_WAIT_S = 0.1


def watermarks(reader: Consumer, place: TopicPartition, timeout_s: float) -> tuple[int, int]:
    """The first offset there is, and the one behind the last. While no broker leads or knows the partition, asked again for ``timeout_s``.

    Raises:
        KafkaException: there is no answer in time, or the broker refuses.
    """
    deadline = time.monotonic() + timeout_s
    left_s = timeout_s
    while True:
        try:
            low, high = reader.get_watermark_offsets(place, timeout=left_s)
            return int(low), int(high)
        except KafkaException as error:
            left_s = deadline - time.monotonic()
            if kafka_error(error).code() not in _PASSING or left_s <= 0:
                raise
        reader.poll(min(_WAIT_S, left_s))  # nothing tells when a leader is there
        # librdkafka may keep the answer that there is no such topic for a quarter of an hour (until older ones expire): this asks anew.
        reader.list_topics(place.topic, timeout=timeout_s)
