"""Whether a topic that exists can be worked with: what is set, what is needed and why, and the command that repairs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

REPAIR = "tidemark topics --repair"
PARTITIONS, MIN_INSYNC = "partitions", "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Need:
    """A topic setting that has to be ``exactly`` a value (a list in any order), or a number ``at_least`` as large; -1 is no limit.

    ``why`` says what goes wrong otherwise. Without ``must`` a topic that does not fit is told of and worked with.
    """

    setting: str
    wanted: str
    rule: Literal["exactly", "at_least"]
    why: str
    must: bool = True

    def met(self, found: str) -> bool:
        """Whether a value of the broker's fits."""
        if self.rule == "exactly":
            return {part.strip() for part in found.split(",")} == set(self.wanted.split(","))
        return int(found) == -1 or int(found) >= int(self.wanted)


def exactly(setting: str, wanted: str, why: str) -> Need:
    """A setting that must be this value."""
    return Need(setting, wanted, "exactly", why)


def at_least(setting: str, wanted: int, why: str, must: bool = True) -> Need:
    """A setting that must be this number or more."""
    return Need(setting, str(wanted), "at_least", why, must)


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong with one topic: ``setting`` is ``found``, ``wanted`` is needed, because of ``why``; ``remedy`` is what to do.

    ``value`` is what a repair sets; empty for what none can.
    """

    topic: str
    setting: str
    found: str
    wanted: str
    why: str
    remedy: str
    value: str = ""
    must: bool = True

    @property
    def repairable(self) -> bool:
        """Whether ``tidemark topics --repair`` can set it: everything but the number of partitions."""
        return bool(self.value)

    def __str__(self) -> str:
        return f"topic {self.topic} has {self.setting}={self.found}, {self.wanted} is needed: {self.why}"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def examine(topic: str, partitions: int, needs: tuple[Need, ...], found: Found) -> list[Misfit]:
    """All that is wrong with one topic, the worst first."""
    wrong = [_partitions(topic, partitions, found.partitions)] if found.partitions != partitions else []
    wrong += [_setting(topic, need, found.config[need.setting]) for need in needs if not need.met(found.config[need.setting])]
    if int(found.config[MIN_INSYNC]) > found.replicas:
        why = f"the topic has {found.replicas} replicas, so no record would ever be acknowledged"
        most = str(found.replicas)
        wrong.append(Misfit(topic, MIN_INSYNC, found.config[MIN_INSYNC], f"{most} or less", why, _repair(topic, MIN_INSYNC, most), most))
    return wrong


def _partitions(topic: str, wanted: int, found: int) -> Misfit:
    why = "TIDEMARK_PARTITIONS says so, and a model's partition follows from the number"
    remedy = (
        f"set TIDEMARK_PARTITIONS={found} where all topics have {found}; "
        "to grow, move to new topics of another name (keys change their partition when a topic grows)"
    )
    return Misfit(topic, PARTITIONS, str(found), str(wanted), why, remedy)


def _setting(topic: str, need: Need, found: str) -> Misfit:
    wanted = need.wanted if need.rule == "exactly" else f"{need.wanted} or more"
    return Misfit(topic, need.setting, found, wanted, need.why, _repair(topic, need.setting, need.wanted), need.wanted, need.must)


def _repair(topic: str, setting: str, value: str) -> str:
    script = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {setting}={value}"
    return f"run `{REPAIR}`, or with Kafka's own tools: {script}"
