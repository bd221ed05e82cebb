"""One row of ``tidemark check``: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from config.errors import TidemarkError

State = Literal["right", "look", "wrong"]


@dataclass(frozen=True, slots=True)
class Row:
    """``look`` is for what may be meant so; ``wrong`` has to be mended before events are judged."""

    what: str
    state: State
    found: str
    remedy: str = ""


def tried(what: str, look: Callable[[], Row | str]) -> Row:
    """A row of what ``look`` finds; its error is a row too."""
    try:
        found = look()
    except TidemarkError as error:
        return Row(what, "wrong", error.message, error.remedy)
    return found if isinstance(found, Row) else Row(what, "right", found)
