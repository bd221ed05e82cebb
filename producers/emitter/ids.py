"""Event ids (UUIDv7) and event times."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from hashlib import blake2b

from .errors import WrongType

_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999


def uuid7(time_ms: int) -> str:
    """A UUID version 7 (RFC 9562, 5.7): 48 bits of ``time_ms`` (Unix time), then 74 random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def in_sample(event_id: object, rate: float) -> bool:
    """Whether a sample of ``rate`` (0 to 1) has this event: the same answer for an id always and everywhere, and in any larger sample too.

    Decided by BLAKE2b of the id (64 bits), which no other choice of rows in Tidemark uses. What is no string is let through, to be refused.
    """
    if not isinstance(event_id, str):
        return True
    digest = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < rate * 2**64


def time_to_ms(value: object) -> int:
    """Milliseconds since the epoch (UTC) of an aware datetime, or of a number of milliseconds.

    Raises:
        WrongType: naive, of another type, or outside the years 1 to 9999.
    """
    if type(value) is int and _FIRST_MS <= value <= _LAST_MS:
        return value
    if isinstance(value, datetime):
        return _datetime_to_ms(value)
    if isinstance(value, bool):
        raise WrongType("event_time", "is a bool: give an aware datetime or milliseconds since the epoch")
    try:
        ms = value.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        wanted = "give an aware datetime or whole milliseconds since the epoch"
        raise WrongType("event_time", f"is {type(value).__name__}: {wanted}") from None
    if not _FIRST_MS <= ms <= _LAST_MS:
        raise WrongType("event_time", f"{ms} ms is outside the years 1 to 9999: give milliseconds since the epoch")
    return int(ms)


def _datetime_to_ms(value: datetime) -> int:
    if value.utcoffset() is None:
        raise WrongType("event_time", f"{value!s} has no time zone: give an aware datetime, for example datetime.now(UTC)")
    since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
