"""The part of a model spec that cuts its stream into windows."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from config.durations import UNIT_MS, parse_ms, show_ms

# Written as text, such as 7d: a checkpoint keeps specs as JSON, where a bare number would be read back as seconds.
DurationMs = Annotated[int, BeforeValidator(parse_ms), Field(ge=0), PlainSerializer(show_ms, when_used="json")]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Window(BaseModel):
    """Tumbling windows ``[start, end)``, aligned to the epoch, or to local midnight when ``time_zone`` is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: DurationMs
    grace: DurationMs = 0
    offset: DurationMs = 0
    time_zone: str | None = None
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"{zone!r} is not a time zone: use an IANA name such as America/New_York") from error
        return zone

    @model_validator(mode="after")
    def _consistent(self) -> Window:
        if self.size < 1000:
            raise ValueError("size must be at least 1s")
        if self.week_start and self.size % UNIT_MS["w"]:
            raise ValueError("week_start is for windows of whole weeks: set size: 7d, or leave week_start out")
        if self.calendar and self.size % UNIT_MS["d"]:
            raise ValueError("time_zone is for windows of whole days: set size in days, or leave time_zone out")
        return self

    @property
    def calendar(self) -> bool:
        """True when windows follow local days, so that daylight saving changes their length."""
        return self.time_zone is not None
