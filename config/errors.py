"""The errors of Tidemark: one small tree, each with the remedy and the exit code that a command ends with."""

from __future__ import annotations

from typing import Literal, get_args

DeadLetterReason = Literal[
    "no_framing",
    "unknown_schema",
    "unsupported_schema",
    "undecodable",
    "too_large",
    "empty_event_id",
    "key_mismatch",
    "wrong_partition",
    "unknown_model",
    "unknown_run",
    "run_is_open",
    "wrong_token",
    "too_many_runs",
    "bad_id",
    "bad_span",
    "future_event_time",
    "outside_run_span",
]
DEAD_LETTER_REASONS: tuple[DeadLetterReason, ...] = get_args(DeadLetterReason)


class TidemarkError(Exception):
    """What a user can act on: a message that names the field and the value, and a remedy.

    ``exit_code`` is what a command line ends with: 2 for wrong input, 1 for what failed at run time.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


class UsageError(TidemarkError):
    """The user's input is wrong: a setting, a spec, a file, an argument."""

    exit_code = 2


class SettingsError(UsageError):
    """A ``TIDEMARK_*`` environment variable has a value that cannot be used."""


class SpecError(UsageError):
    """A model spec is wrong or does not fit its reference dataset."""


class ReferenceDataError(UsageError):
    """A reference dataset is missing, unreadable, or lacks a column of its spec."""


class ServiceUnavailable(TidemarkError):
    """A part that should answer does not: broker, registry, Prometheus, a prediction service."""


class TopicMisfit(TidemarkError):
    """A Kafka topic exists with partitions or settings that Tidemark cannot work with."""


class SchemaError(TidemarkError):
    """A schema is unknown, cannot be built, or breaks the evolution rules."""


class PoisonedStream(TidemarkError):
    """More than the allowed share of records are dead letters: a broken deploy, not broken records."""


class InvalidEvent(TidemarkError):
    """One record cannot be used. It goes to the dead-letter topic under ``reason``; its neighbours are not touched.

    Attributes:
        reason: one of the fixed words, used as a metric label.
    """

    def __init__(self, reason: DeadLetterReason, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.reason = reason
