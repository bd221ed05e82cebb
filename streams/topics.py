"""The topics of Tidemark: made with what each needs, and checked when they exist already."""

from __future__ import annotations

from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from config.errors import ServiceUnavailable, TidemarkError, TopicMisfit
from config.settings import Settings
from streams.kafka_errors import kafka_error

_DAY_MS = 86_400_000
CHECKPOINT_RECORD_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it has to be. ``required`` settings are checked on a topic that exists; the others are only what a new one gets."""

    name: str
    partitions: int
    required: dict[str, str] = field(default_factory=dict)
    initial: dict[str, str] = field(default_factory=dict)


def plans(settings: Settings) -> list[TopicPlan]:
    """Every topic of this installation."""
    n = settings.partitions
    keep = {"retention.ms": str(7 * _DAY_MS)}
    log_time = {"message.timestamp.type": "LogAppendTime"}
    big = {"max.message.bytes": str(CHECKPOINT_RECORD_BYTES)}
    return [
        # The broker's clock on every record: a live event far ahead of it is one bad clock, and must not close every window.
        TopicPlan(settings.predictions_topic, n, log_time, keep),
        TopicPlan(settings.results_topic, n, {}, {**big, "cleanup.policy": "compact,delete", "retention.ms": str(365 * _DAY_MS)}),
        TopicPlan(settings.late_topic, n, {}, keep),
        TopicPlan(settings.dead_letter_topic, n, {}, keep),
        TopicPlan(settings.checkpoint_topic, n, {"cleanup.policy": "compact"}, {**big, "segment.bytes": "67108864"}),
        TopicPlan(settings.commands_topic, 1, {}, keep),
    ]


def admin(settings: Settings) -> AdminClient:
    """A client for topic administration."""
    # Without librdkafka's own log: what fails is told once, by our error.
    quiet = {"log_level": 0, "socket.connection.setup.timeout.ms": 5000, "reconnect.backoff.ms": 500}
    return AdminClient({"bootstrap.servers": settings.brokers, **quiet})


def ensure_topics(settings: Settings, timeout_s: float = 10.0) -> list[str]:
    """Make the topics that are missing and check the others; returns the names of the new ones.

    Raises:
        ServiceUnavailable: no broker answers.
        TopicMisfit: a topic exists that cannot be worked with; names topic, setting, value and what is wanted.
    """
    client = admin(settings)
    known = _known(client, settings, timeout_s)
    wanted = plans(settings)
    missing = [p for p in wanted if p.name not in known]
    _create(client, missing, settings)
    _check(client, [p for p in wanted if p.name in known], known, timeout_s)
    return [p.name for p in missing]


def _known(client: AdminClient, settings: Settings, timeout_s: float) -> dict[str, int]:
    try:
        topics = client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        text = f"no Kafka broker answers at {settings.brokers} ({kafka_error(error).name()})"
        raise ServiceUnavailable(text, "start it (make up), or set TIDEMARK_BOOTSTRAP_SERVERS") from error
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(client: AdminClient, missing: list[TopicPlan], settings: Settings) -> None:
    new = [NewTopic(p.name, p.partitions, settings.replication_factor, config={**p.initial, **p.required}) for p in missing]
    for name, future in (client.create_topics(new) if new else {}).items():
        try:
            future.result()
        except KafkaException as error:
            if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker
                raise TopicMisfit(
                    f"topic {name} cannot be made: {kafka_error(error).str()}", "see the broker's log; make logs kafka"
                ) from error


def _check(client: AdminClient, existing: list[TopicPlan], known: dict[str, int], timeout_s: float) -> None:
    for plan in existing:
        if known[plan.name] != plan.partitions:
            raise TopicMisfit(
                f"topic {plan.name} has {known[plan.name]} partitions, TIDEMARK_PARTITIONS is {plan.partitions}",
                "set TIDEMARK_PARTITIONS to the topic's number; to grow, move to a new topic (keys change their partition when it grows)",
            )
    resources = [ConfigResource(ResourceType.TOPIC, p.name) for p in existing if p.required]
    answers = client.describe_configs(resources, request_timeout=timeout_s) if resources else {}
    required = {p.name: p.required for p in existing}
    for resource, future in answers.items():
        found = {k: v.value for k, v in future.result().items()}
        for key, value in required[resource.name].items():
            if value not in str(found.get(key)).split(","):
                remedy = f"kafka-configs.sh --alter --entity-type topics --entity-name {resource.name} --add-config {key}={value}"
                raise TopicMisfit(f"topic {resource.name} has {key}={found.get(key)}, {value} is needed", remedy)


def check_partitions(producer: Producer, settings: Settings) -> None:
    """Ask the broker for the predictions topic.

    Raises:
        KafkaException: it does not answer.
        TidemarkError: the topic has another number of partitions than before.
    """
    topic = settings.predictions_topic
    found = producer.list_topics(topic, timeout=3).topics[topic]
    if found.error is None and len(found.partitions) != settings.partitions:
        text = f"topic {topic} has {len(found.partitions)} partitions now, {settings.partitions} before: keys have moved"
        raise TidemarkError(text, "growing is a migration: make a new topic, drain this one, and set TIDEMARK_PREDICTIONS_TOPIC")
