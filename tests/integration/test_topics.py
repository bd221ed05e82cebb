"""Topics on the real broker: made as planned, what does not fit explained, and repaired."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from config.errors import TopicMisfit
from config.settings import ROOT, Settings
from streams.topics import admin, ensure_topics, examine_topics, plans, repair_topics
from tests.conftest import create_topic
from tests.support.broker import Broker

pytestmark = pytest.mark.integration
TOPICS = ("predictions", "results", "late", "dead_letter", "checkpoint", "commands")


@pytest.fixture
def installation(broker: Broker, tmp_path: Path) -> Settings:
    """Settings with topics of their own, none of which exists yet."""
    names = {f"{t}_topic": f"{t}-{uuid.uuid4().hex[:8]}" for t in TOPICS}
    return Settings.model_validate({"home": tmp_path, "bootstrap_servers": broker.bootstrap_servers, "partitions": 3, **names})


def config_of(settings: Settings, topic: str) -> dict[str, str]:
    """The settings that the broker has for a topic."""
    client = admin(settings)  # lives until it has answered
    (future,) = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {k: str(v.value) for k, v in future.result(10).items()}


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``tidemark topics`` with these settings."""
    names = ("home", "bootstrap_servers", "partitions", *(f"{t}_topic" for t in TOPICS))
    environment = {"PATH": "/usr/bin:/bin", **{f"TIDEMARK_{n.upper()}": str(getattr(settings, n)) for n in names}}
    call = [sys.executable, "-m", "tidemark", "topics", *arguments]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_topics_are_made_as_planned(installation: Settings) -> None:
    """Each has its partitions, retention and compaction on the broker; the second time nothing is made and nothing is wrong."""
    assert sorted(ensure_topics(installation)) == sorted(p.name for p in plans(installation))
    listed = admin(installation).list_topics(timeout=10).topics
    for plan in plans(installation):
        assert len(listed[plan.name].partitions) == plan.partitions
        found = config_of(installation, plan.name)
        assert {k: found[k] for k in plan.config} == plan.config
    assert ensure_topics(installation) == []
    assert examine_topics(installation) == ([], [])


def test_topics_that_do_not_fit_are_explained_and_repaired(installation: Settings) -> None:
    """All misfits come in one error with exit code 1; nothing is made meanwhile. --repair sets what can be set, partitions stay."""
    create_topic(installation.brokers, 3, {"cleanup.policy": "compact", "retention.ms": "60000"}, installation.predictions_topic)
    create_topic(installation.brokers, 3, {"cleanup.policy": "compact,delete"}, installation.checkpoint_topic)
    done = command(installation)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    for said in (
        f"topic {installation.predictions_topic} has cleanup.policy=compact, delete is needed",
        f"topic {installation.predictions_topic} has message.timestamp.type=CreateTime, LogAppendTime is needed",
        f"topic {installation.checkpoint_topic} has cleanup.policy=compact,delete, compact is needed",
        f"topic {installation.checkpoint_topic} has max.message.bytes=1048588, 8388608 or more is needed",
        "tidemark topics --repair",
    ):
        assert said in done.stderr
    assert len(examine_topics(installation)[0]) == 4
    done = command(installation, "--repair")
    assert done.returncode == 0, done.stderr
    assert f"set    {installation.predictions_topic}  cleanup.policy=delete (was compact)" in done.stdout
    assert config_of(installation, installation.predictions_topic)["retention.ms"] == "86400000"
    assert examine_topics(installation) == ([], [])
    assert repair_topics(installation) == []


def test_other_partitions_are_refused_and_not_touched(installation: Settings) -> None:
    """The error names both numbers and the setting; a repair leaves the topic as it is and fails the same way."""
    create_topic(installation.brokers, 2, {"message.timestamp.type": "LogAppendTime"}, installation.predictions_topic)
    with pytest.raises(TopicMisfit, match=r"has partitions=2, 3 is needed") as caught:
        ensure_topics(installation)
    assert "TIDEMARK_PARTITIONS=2" in caught.value.remedy
    assert repair_topics(installation) == []
    assert len(admin(installation).list_topics(timeout=10).topics[installation.predictions_topic].partitions) == 2


def test_too_many_replicas_name_the_setting(installation: Settings) -> None:
    """One broker cannot hold three replicas: the remedy is the setting, not the broker's log."""
    with pytest.raises(TopicMisfit, match="cannot be made") as caught:
        ensure_topics(installation.model_copy(update={"replication_factor": 3}))
    assert "TIDEMARK_REPLICATION_FACTOR (is 3)" in caught.value.remedy
