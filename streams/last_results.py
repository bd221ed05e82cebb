"""The newest results of a partition, read back at a start: the gauges show the last windows again, and a drift stays visible."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from config.errors import TidemarkError
from config.settings import Settings
from schemas.result import REFERENCE, WindowResult, decode_result
from streams.watermarks import watermarks

TAIL_RECORDS = 2000  # of the results topic: enough for the last window and the last drifted one of every model


@dataclass(frozen=True, slots=True)
class LastResult:
    """A result and when it was published, s since the epoch (the broker's record timestamp)."""

    result: WindowResult
    published_s: float


def last_results(settings: Settings, partition: int, timeout_s: float = 10.0) -> list[LastResult]:
    """For each model and kind of run its last drifted and its last result on the partition, oldest first, and its last judged ones: as many
    as the rule of its alert looks at. Of the last one's comparisons with earlier windows all.

    Raises:
        KafkaException, TidemarkError: the broker does not answer, or not in time.
    """
    reader = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "reconnect.backoff.ms": 500,
            "group.id": f"{settings.group_id}.last-results",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        source = TopicPartition(settings.results_topic, partition)
        low, high = watermarks(reader, source, timeout_s)
        reader.assign([TopicPartition(settings.results_topic, partition, max(low, high - TAIL_RECORDS))])
        return _newest(reader, time.monotonic() + timeout_s) if high > low else []
    finally:
        reader.close()


def _newest(reader: Consumer, deadline_s: float) -> list[LastResult]:
    read: list[LastResult] = []
    while time.monotonic() < deadline_s:
        for message in reader.consume(1000, 0.05):
            if message.error() is not None:  # the partition's end
                return kept_results(read)
            read.append(LastResult(decode_result(message.value() or b""), message.timestamp()[1] / 1000))
    raise TidemarkError("the results topic cannot be read to its end in time", "look at the broker; the supervisor starts the worker anew")


def kept_results(read: Iterable[LastResult]) -> list[LastResult]:
    """Of results in the order of the topic those that gauges and alerts follow from, oldest first."""
    kept: dict[tuple[str, str, str], LastResult] = {}
    judged: dict[tuple[str, str], dict[str, LastResult]] = {}
    compared: dict[tuple[str, ...], LastResult] = {}
    for last in read:
        result = last.result
        stream = (result.model, result.run_kind)
        if result.kind != REFERENCE:
            compared[*_window(result), result.kind] = last
            continue
        kept[*stream, "last"] = last
        if result.drifted:
            kept[*stream, "drifted"] = last
        if result.status == "ok":
            windows = judged.setdefault(stream, {})
            windows.pop(result.key, None)
            windows[result.key] = last
            while len(windows) > result.alert_windows[1]:
                del windows[next(iter(windows))]
    newest = {_window(last.result) for (*_, what), last in kept.items() if what == "last"}
    beside = [last for window, last in compared.items() if window[:-1] in newest]
    found = {
        last.result.key: last for last in (*kept.values(), *beside, *(last for windows in judged.values() for last in windows.values()))
    }
    return sorted(found.values(), key=lambda k: (k.published_s, k.result.end_ms))


def _window(result: WindowResult) -> tuple[str, ...]:
    """What a window's results have in common: their keys but for the kind."""
    return tuple(result.key.split("|")[:-1])
