"""What a topic has to be, against what it is: found without a broker."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from config.settings import Settings
from streams.cli import topics
from streams.topic_checks import Found, at_least, exactly, examine
from streams.topics import plans

NEEDS = (exactly("cleanup.policy", "delete", "each record counts"), at_least("retention.ms", 1000, "downtime", must=False))
CONFIG = {"cleanup.policy": "delete", "retention.ms": "1000", "min.insync.replicas": "1"}


def wrong(partitions: int = 4, replicas: int = 1, **config: str) -> list[tuple[str, str, str, bool]]:
    """Setting, found, wanted and must of all that is wrong with a topic."""
    values = {**CONFIG, **{k.replace("_", "."): v for k, v in config.items()}}
    return [(m.setting, m.found, m.wanted, m.must) for m in examine("t", 4, NEEDS, Found(partitions, replicas, values))]


@pytest.mark.parametrize("retention", ["1000", "2000", "-1"])
def test_a_topic_that_fits_has_nothing_wrong(retention: str) -> None:
    """A number may be larger than needed, and -1 is no limit."""
    assert wrong(retention_ms=retention) == []


def test_all_that_is_wrong_is_found_at_once() -> None:
    """Partitions, a policy, a number that is too small, and more in-sync replicas than replicas."""
    assert wrong(3, 2, cleanup_policy="compact,delete", retention_ms="999", min_insync_replicas="3") == [
        ("partitions", "3", "4", True),
        ("cleanup.policy", "compact,delete", "delete", True),
        ("retention.ms", "999", "1000 or more", False),
        ("min.insync.replicas", "3", "2 or less", True),
    ]


def test_a_misfit_says_topic_setting_values_reason_and_command() -> None:
    """All that a person needs is in one line and its remedy; partitions cannot be repaired, and the remedy says what else can be done."""
    parts, policy = examine("t", 4, NEEDS, Found(3, 1, {**CONFIG, "cleanup.policy": "compact"}))
    assert str(policy) == "topic t has cleanup.policy=compact, delete is needed: each record counts"
    assert "tidemark topics --repair" in policy.remedy
    assert "kafka-configs.sh --alter --entity-type topics --entity-name t --add-config cleanup.policy=delete" in policy.remedy
    assert policy.repairable
    assert not parts.repairable
    assert "TIDEMARK_PARTITIONS=3" in parts.remedy


def test_a_new_topic_of_ours_fits() -> None:
    """What a topic is made with meets what it is checked for, for each topic of an installation."""
    for plan in plans(Settings()):
        assert examine(plan.name, plan.partitions, plan.needs, Found(plan.partitions, 1, {**CONFIG, **plan.config})) == []


def test_the_plan_is_for_who_makes_topics_elsewhere() -> None:
    """``tidemark topics --plan`` asks no broker and lists name, partitions and settings of all six topics."""
    done = CliRunner().invoke(topics, ["--plan"], env={"TIDEMARK_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TIDEMARK_PARTITIONS": "7"})
    lines = done.output.splitlines()
    assert (done.exit_code, len(lines)) == (0, 6)
    assert lines[0].startswith(
        "tidemark.predictions  partitions=7 replication-factor=1 cleanup.policy=delete message.timestamp.type=LogAppendTime"
    )
