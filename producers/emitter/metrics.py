"""The emitter's counters for Prometheus, where the host has ``prometheus_client``. Imported late, so that BentoML's workers can set
``PROMETHEUS_MULTIPROC_DIR`` first; real ``Counter`` objects, since a custom collector is not seen in multiprocess mode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .ledger import REASONS, Counters
from .logs import LOG

_LOCK = threading.Lock()
_FAMILIES: dict[int, tuple[Any, ...]] = {}  # by id of the registry: several emitters of a process share them


def _families(registry: Any) -> tuple[Any, ...]:
    from prometheus_client import REGISTRY, Counter  # noqa: PLC0415 - optional, and late on purpose

    registry = REGISTRY if registry is None else registry
    if id(registry) not in _FAMILIES:
        _FAMILIES[id(registry)] = (
            Counter("tidemark_emitter_emitted", "Prediction events handed to the emitter", ["model"], registry=registry),
            Counter("tidemark_emitter_delivered", "Prediction events the broker acknowledged", ["model"], registry=registry),
            Counter("tidemark_emitter_dropped", "Prediction events dropped", ["model", "reason"], registry=registry),
            Counter("tidemark_emitter_sampled_out", "Prediction events that the sampling rate left out", ["model"], registry=registry),
            Counter("tidemark_emitter_recovered", "Prediction events of an earlier process, from the spill", ["model"], registry=registry),
            Counter("tidemark_emitter_requests", "Requests seen by the emitter's middleware", ["model", "outcome"], registry=registry),
            registry,  # kept alive: its id must not be another's
        )
    return _FAMILIES[id(registry)]


class MetricsPublisher:
    """Adds what is new since the last ``publish`` to the Prometheus counters of one model."""

    def __init__(self, model: str, registry: Any = None) -> None:
        emitted, delivered, dropped, sampled_out, recovered, *_ = _families(registry)
        self._lock = threading.Lock()
        self._emitted, self._delivered = emitted.labels(model), delivered.labels(model)
        self._sampled_out, self._recovered = sampled_out.labels(model), recovered.labels(model)
        self._dropped = {reason: dropped.labels(model, reason) for reason in REASONS}
        self._last = Counters(0, 0, dict.fromkeys(REASONS, 0), 0)

    def publish(self, now: Counters) -> None:
        """Add the difference between ``now`` and the last call."""
        with self._lock:
            last = self._last
            if now == last:
                return
            _add(self._emitted, now.emitted - last.emitted)
            _add(self._delivered, now.delivered - last.delivered)
            _add(self._sampled_out, now.sampled_out - last.sampled_out)
            _add(self._recovered, now.recovered - last.recovered)
            for reason, counter in self._dropped.items():
                _add(counter, now.dropped[reason] - last.dropped[reason])
            self._last = now


def _add(counter: Any, amount: int) -> None:
    if amount > 0:
        counter.inc(amount)


def open_publisher(model: str, registry: Any = None) -> MetricsPublisher | None:
    """A publisher, or None where ``prometheus_client`` is missing or another library has taken the names (logged)."""
    try:
        with _LOCK:
            return MetricsPublisher(model, registry)
    except ImportError:
        return None
    except ValueError as error:
        LOG.warning("the emitter's Prometheus counters are off: %s", error)
        return None


def request_counter(model: str, registry: Any = None) -> Callable[[str], None]:
    """A function that counts one request of a model by its outcome, or does nothing where there is no ``prometheus_client``."""
    try:
        with _LOCK:
            counter = _families(registry)[5]
    except (ImportError, ValueError):  # logged when the emitter itself was started
        return lambda _outcome: None
    return lambda outcome: counter.labels(model, outcome).inc()
