"""What the emitter raises: at construction, or from ``emit`` in strict mode. In a running service ``emit`` raises nothing."""

from __future__ import annotations


class EmitterError(ValueError):
    """The emitter cannot be built as asked: a schema, an id or a Kafka setting is wrong. The message names it and the remedy."""


class EventRefused(ValueError):
    """Strict mode only: this event was dropped. ``reason`` is the drop counter's word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WrongType(EventRefused):
    """A value does not fit its column. ``column`` is the user's name of it."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__("wrong_type", f"column {column!r}: {message}")
        self.column = column
