"""How many values a label may have: past its cap a name gets no series and is counted as refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter

from monitor.metric_families import Stream

Value = Stream | tuple[Stream, Any]  # a stream itself, or a name of its


class LabelCaps:
    """The values of each label that have series. Not locked: its user is.

    Args:
        limits: the most values of each label, over all streams.
        overflow: counts refusals, by its label ``label``.
    """

    def __init__(self, limits: Mapping[str, int], overflow: Counter) -> None:
        self._limits = limits
        self._overflow = overflow
        self._known: dict[str, set[Value]] = {label: set() for label in limits}
        for label in limits:
            overflow.labels(label)

    def fits(self, label: str, value: Value) -> bool:
        """True when the value has series, or gets them now."""
        known = self._known[label]
        if value in known:
            return True
        if len(known) >= self._limits[label]:
            self._overflow.labels(label).inc()
            return False
        known.add(value)
        return True

    def has(self, label: str, value: Value) -> bool:
        """True when the value has series."""
        return value in self._known[label]

    def forget(self, stream: Stream) -> None:
        """Free the places of a stream and of its values."""
        for label, known in self._known.items():
            self._known[label] = {value for value in known if value != stream and value[0] != stream}
