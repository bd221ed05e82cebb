"""The topics of Tidemark: made with what each needs, checked when they exist already, and repaired when asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType, TopicMetadata

from config.errors import ServiceUnavailable, TidemarkError, TopicMisfit
from config.settings import Settings
from streams.kafka_errors import kafka_error
from streams.topic_checks import Found, Misfit, Need, at_least, exactly, examine

_DAY_MS = 86_400_000
CHECKPOINT_RECORD_BYTES = 8 * 1024 * 1024
# All events of a model have one key: a compacted topic would keep the last one of each model.
_EACH_RECORD = exactly("cleanup.policy", "delete", "compaction removes records that share a key")
# The broker's clock on every record: a live event far ahead of it is one bad clock, and must not close every window.
_LOG_TIME = exactly("message.timestamp.type", "LogAppendTime", "event times are held against the broker's clock")
_BIG = at_least("max.message.bytes", CHECKPOINT_RECORD_BYTES, "checkpoints and results of wide models are that large")
_DOWNTIME = at_least("retention.ms", _DAY_MS, "what a stopped worker has not read by then is lost", must=False)


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it has to be. ``needs`` are set on a new topic and checked on one that exists; ``initial`` is what a new one gets too."""

    name: str
    partitions: int
    needs: tuple[Need, ...] = ()
    initial: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """The settings of a new topic."""
        return {**{n.setting: n.wanted for n in self.needs}, **self.initial}


def plans(settings: Settings) -> list[TopicPlan]:
    """Every topic of this installation."""
    n = settings.partitions
    keep = {"retention.ms": str(7 * _DAY_MS)}
    year = {"cleanup.policy": "compact,delete", "retention.ms": str(365 * _DAY_MS)}
    state = exactly("cleanup.policy", "compact", "open windows are forgotten when their records are deleted by age")
    return [
        TopicPlan(settings.predictions_topic, n, (_EACH_RECORD, _LOG_TIME, _DOWNTIME), keep),
        TopicPlan(settings.results_topic, n, (_BIG,), year),
        TopicPlan(settings.late_topic, n, (_EACH_RECORD,), keep),
        TopicPlan(settings.dead_letter_topic, n, (_EACH_RECORD,), keep),
        TopicPlan(settings.checkpoint_topic, n, (state, _BIG), {"segment.bytes": "67108864"}),
        TopicPlan(settings.commands_topic, 1, (_EACH_RECORD,), keep),
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
        TopicMisfit: a topic cannot be made, or exists and cannot be worked with. All that does not fit is named at once: topic, setting,
            value, what is wanted and why, and the command that repairs it.
    """
    client = admin(settings)
    known = _known(client, settings, timeout_s)
    missing = [p for p in plans(settings) if p.name not in known]
    misfits = [m for m in _examine(client, settings, known, timeout_s) if m.must]
    if misfits:
        raise TopicMisfit("\n".join(map(str, misfits)), "\n          ".join(dict.fromkeys(m.remedy for m in misfits)))
    _create(client, missing, settings)
    return [p.name for p in missing]


def examine_topics(settings: Settings, timeout_s: float = 10.0) -> tuple[list[str], list[Misfit]]:
    """The names of the topics that are missing, and all that is wrong with the others; nothing is changed.

    Raises:
        ServiceUnavailable: no broker answers.
        TopicMisfit: the broker does not tell a topic's settings.
    """
    client = admin(settings)
    known = _known(client, settings, timeout_s)
    missing = [p.name for p in plans(settings) if p.name not in known]
    return missing, _examine(client, settings, known, timeout_s)


def repair_topics(settings: Settings, timeout_s: float = 10.0) -> list[Misfit]:
    """Set what does not fit on topics that exist; returns what was set. Partitions are never touched.

    Raises:
        ServiceUnavailable: no broker answers.
        TopicMisfit: the broker refuses a setting; names it and the broker's reason.
    """
    client = admin(settings)
    misfits = [m for m in _examine(client, settings, _known(client, settings, timeout_s), timeout_s) if m.repairable]
    resources = [_alteration(topic, [m for m in misfits if m.topic == topic]) for topic in dict.fromkeys(m.topic for m in misfits)]
    futures = client.incremental_alter_configs(resources, request_timeout=timeout_s) if resources else {}
    for resource, future in futures.items():
        _answer(future, f"settings of topic {resource.name} cannot be changed")
    return misfits


def _known(client: AdminClient, settings: Settings, timeout_s: float) -> dict[str, TopicMetadata]:
    try:
        return client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        text = f"no Kafka broker answers at {settings.brokers} ({kafka_error(error).name()})"
        raise ServiceUnavailable(text, "start it (make up), or set TIDEMARK_BOOTSTRAP_SERVERS") from error


def _create(client: AdminClient, missing: Sequence[TopicPlan], settings: Settings) -> None:
    new = [NewTopic(p.name, p.partitions, settings.replication_factor, config=p.config) for p in missing]
    for name, future in (client.create_topics(new) if new else {}).items():
        try:
            future.result()
        except KafkaException as error:
            if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker
                text = f"topic {name} cannot be made: {kafka_error(error).str()}"
                raise TopicMisfit(text, _creation_remedy(kafka_error(error), settings)) from error


def _creation_remedy(error: KafkaError, settings: Settings) -> str:
    if error.code() == KafkaError.INVALID_REPLICATION_FACTOR:
        return f"set TIDEMARK_REPLICATION_FACTOR (is {settings.replication_factor}) to the number of brokers or less"
    if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
        return "give this user the right to create topics, or have them made; `tidemark topics --plan` lists what each needs"
    return "see the broker's log; make logs kafka"


def _examine(client: AdminClient, settings: Settings, known: dict[str, TopicMetadata], timeout_s: float) -> list[Misfit]:
    existing = {p.name: p for p in plans(settings) if p.name in known}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in existing]
    answers = client.describe_configs(resources, request_timeout=timeout_s) if resources else {}
    wrong: list[Misfit] = []
    for resource, future in answers.items():
        entries = _answer(future, f"settings of topic {resource.name} cannot be read")
        parts = known[resource.name].partitions.values()
        found = Found(len(parts), min((len(p.replicas) for p in parts), default=1), {k: str(v.value) for k, v in entries.items()})
        plan = existing[resource.name]
        wrong += examine(plan.name, plan.partitions, plan.needs, found)
    return wrong


def _answer(future: Future[Any], failure: str) -> Any:
    try:
        return future.result()
    except KafkaException as error:
        raise TopicMisfit(f"{failure}: {kafka_error(error).str()}", "give this user the right to do so, or see the broker's log") from error


def _alteration(topic: str, misfits: Iterable[Misfit]) -> ConfigResource:
    entries = [ConfigEntry(m.setting, m.value, incremental_operation=AlterConfigOpType.SET) for m in misfits]
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)


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
