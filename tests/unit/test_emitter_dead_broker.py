"""The emitter beside a broker that is not there: it drops and counts, and the service never notices."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from producers.emitter import Counters, Emitter, EmitterError, EventRefused, WrongType
from producers.emitter.logs import RateLimitedLog
from schemas.event import event_schema
from tests.support.ports import free_ports
from tests.unit.test_emitter_encoding import EVERY_TYPE, spec_of

SCHEMA = event_schema(spec_of(EVERY_TYPE))
JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def emitter(**given_: Any) -> Emitter:
    """An emitter that has no broker to talk to."""
    defaults: dict[str, Any] = {"model": "m", "model_version": "1", "schema": SCHEMA, "metrics": False}
    return Emitter(**{**defaults, "bootstrap_servers": f"127.0.0.1:{free_ports(1)[0]}", **given_})


def adds_up(c: Counters) -> bool:
    """The emitter's law."""
    return c.emitted == c.delivered + sum(c.dropped.values()) + c.pending


@pytest.fixture(scope="module")
def brokerless() -> Iterator[Emitter]:
    """One emitter for many hostile events."""
    made = emitter(queue_size=100_000)
    yield made
    made.close(0)


@settings(max_examples=200, deadline=None)
@given(
    features=st.dictionaries(st.sampled_from(list(EVERY_TYPE)) | st.text(), JSON_LIKE) | JSON_LIKE,
    prediction=JSON_LIKE,
    event_id=st.none() | JSON_LIKE,
    event_time=st.none() | st.datetimes() | JSON_LIKE,
    run=st.just("live") | JSON_LIKE,
    target=JSON_LIKE,
)
def test_emit_never_raises(brokerless: Emitter, features: Any, **values: Any) -> None:
    """Whatever is handed in, ``emit`` answers with a bool and the books add up."""
    assert brokerless.emit(features, **values) in (True, False)
    assert adds_up(brokerless.counters())


class Hostile(Mapping[str, Any]):
    """A mapping that raises from every method."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class Unprintable(float):
    """A number that raises where it is looked at."""

    def __float__(self) -> float:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_objects_that_raise_are_wrong_types() -> None:
    """Mappings and values whose own methods raise are dropped as ``wrong_type``; the next good event is not touched."""
    with emitter() as made:
        for features in (Hostile(), {"a double": Unprintable(1)}, {Unprintable(2): 1, "2 text": 5}, None, [("a double", 1)]):
            made.emit(features, 1.0)  # type: ignore[arg-type]
        assert made.flush(10)
        assert made.counters().dropped["wrong_type"] == 5
        assert made.emit({"a double": 1}, 1.0)
        assert made.counters().pending == 1


def test_full_queue_drops_and_counts() -> None:
    """Beyond ``queue_size`` pending events ``emit`` says False, at once, and counts ``queue_full``; close drops the rest as ``closed``."""
    made = emitter(queue_size=10)
    assert [made.emit({}, 1.0) for _ in range(15)] == [True] * 10 + [False] * 5
    assert not made.flush(0.05)
    counted = made.counters()
    assert (counted.emitted, counted.pending, counted.dropped["queue_full"]) == (15, 10, 5)
    made.close(0)
    made.close(0)
    assert not made.emit({}, 1.0)
    counted = made.counters()
    assert (counted.emitted, counted.pending, counted.delivered) == (16, 0, 0)
    assert counted.dropped["closed"] + counted.dropped["delivery_failed"] == 11
    assert adds_up(counted)


def test_delivery_timeout_frees_the_queue() -> None:
    """An event that finds no broker in ``delivery_timeout_s`` is dropped as ``delivery_failed`` and makes room."""
    with emitter(queue_size=1, delivery_timeout_s=0.2) as made:
        assert made.emit({}, 1.0)
        assert made.flush(10)
        assert made.counters().dropped["delivery_failed"] == 1
        assert made.emit({}, 1.0)


def test_too_large_is_dropped() -> None:
    """An event above ``max_event_bytes`` is dropped as ``too_large`` before Kafka sees it."""
    with emitter(max_event_bytes=2000) as made:
        made.emit({"2 text": "x" * 3000}, 1.0)
        assert made.flush(10)
        assert made.counters().dropped["too_large"] == 1


def test_books_add_up_while_threads_emit() -> None:
    """With four threads emitting into a small queue, no snapshot is ever out of balance."""
    made = emitter(queue_size=50, delivery_timeout_s=0.1)
    threads = [
        threading.Thread(target=lambda: [made.emit({"a double": "x" if i % 3 else 1.0}, 1.0) for i in range(3000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        assert adds_up(made.counters())
    made.close(0)
    counted = made.counters()
    assert (counted.emitted, counted.pending) == (12_000, 0)
    assert adds_up(counted)


def test_changed_after_emit_is_not_seen() -> None:
    """The features are those of the moment of the call: a dict that is used again changes no event."""
    made = emitter()
    features = {"a double": 1.0}
    made.emit(features, 1.0)
    features["a double"] = "spoilt"  # type: ignore[assignment]
    assert not made.flush(0.3)
    assert made.counters().dropped["wrong_type"] == 0
    made.close(0)


def test_strict_raises() -> None:
    """Strict mode raises what would be dropped at once, and counts it all the same."""
    made = emitter(strict=True, queue_size=1)
    with pytest.raises(WrongType, match=r"größe \(cm\)"):
        made.emit({"größe (cm)": "tall"}, 1.0)
    with pytest.raises(WrongType, match="features"):
        made.emit(Hostile(), 1.0)
    assert made.emit({}, 1.0)
    with pytest.raises(EventRefused, match="queue_full"):
        made.emit({}, 1.0)
    assert made.counters().dropped["wrong_type"] == 2
    made.close(0)


def test_wrong_type_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand events with the same fault give one log line, which names the column."""
    with caplog.at_level(logging.WARNING, "tidemark.emitter"), emitter() as made:
        for _ in range(1000):
            made.emit({"größe (cm)": "tall"}, 1.0)
        assert made.flush(10)
        lines = [r.getMessage() for r in caplog.records if "größe (cm)" in r.getMessage()]
    assert made.counters().dropped["wrong_type"] == 1000
    assert len(lines) == 1


def test_log_keys_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Names from outside cannot make the log grow without end."""
    log = RateLimitedLog()
    with caplog.at_level(logging.WARNING, "tidemark.emitter"):
        for i in range(5000):
            log.warn(f"unknown {i}", "x")
    assert len(caplog.records) <= 202


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"model": "two words"}, "model="),
        ({"queue_size": 0}, "queue_size="),
        ({"kafka": {"no.such.setting": 1}}, "no.such.setting"),
        ({"kafka": {"partitioner": "random"}}, "partitioner"),
        ({"schema": {"fields": []}}, "schema"),
    ],
)
def test_bad_arguments_are_refused_at_construction(given_: dict[str, Any], named: str) -> None:
    """What cannot work is said where the service starts, not in its requests."""
    with pytest.raises(EmitterError, match=named):
        emitter(**given_)


def test_prometheus_counters_are_the_counters() -> None:
    """The Prometheus counters follow the emitter's own, also for what is dropped after close."""
    registry = CollectorRegistry()
    made = emitter(metrics=True, registry=registry, queue_size=2)
    for features in ({"a double": "x"}, {}, {}):
        made.emit(features, 1.0)
    assert not made.flush(0.3)
    made.emit({}, 1.0)
    made.close(0)
    made.emit({}, 1.0)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"tidemark_emitter_{name}_total", {"model": "m", **labels})

    counted = made.counters()
    assert value("emitted") == counted.emitted == 5
    assert value("delivered") == 0
    assert {reason: value("dropped", reason=reason) for reason in counted.dropped} == counted.dropped


def test_exit_is_bounded_without_a_broker() -> None:
    """A process whose broker is gone ends by itself: the flush at exit gives up after ``exit_timeout_s``."""
    code = (
        "from tests.unit.test_emitter_dead_broker import emitter\n"
        "e = emitter(exit_timeout_s=0.2)\n"
        "assert all(e.emit({}, 1.0) for _ in range(100))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=30, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_dead_broker_does_not_flood_the_log() -> None:
    """Without a broker a process says so in a few lines, on its log, where librdkafka by itself writes one to stderr every 50 ms."""
    code = "from tests.unit.test_emitter_dead_broker import emitter\ne = emitter()\ne.emit({}, 1.0)\ne.flush(1)\ne.close(0)\n"
    done = subprocess.run([sys.executable, "-c", code], timeout=30, capture_output=True, text=True, check=False)
    assert 1 <= len(done.stderr.splitlines()) <= 5, done.stderr
    assert "refused" in done.stderr
