"""Control records: the in-band marks that open and close a replay's run on the predictions topic."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal

from config.errors import InvalidEvent
from schemas.event import NAMESPACE, TIMESTAMP, Schema

CONTROL_NAME = f"{NAMESPACE}.Control"
CONTROL_SCHEMA: Schema = {
    "type": "record",
    "name": CONTROL_NAME,
    "fields": [
        {"name": "control_id", "type": "string"},
        {"name": "kind", "type": {"type": "enum", "name": f"{NAMESPACE}.ControlKind", "symbols": ["run_start", "run_end"]}},
        {"name": "model", "type": "string"},
        {"name": "run", "type": "string"},
        {"name": "token", "type": "string"},
        {"name": "span_start", "type": TIMESTAMP},
        {"name": "span_end", "type": TIMESTAMP},
    ],
}
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Control:
    """A run begins or ends. ``token`` is random and equal on both, so that nobody else's mark ends a run.

    ``span_start_ms`` and ``span_end_ms`` bound the event times of the run, both inclusive, in ms since the epoch (UTC).
    """

    kind: Literal["run_start", "run_end"]
    model: str
    run: str
    token: str
    span_start_ms: int
    span_end_ms: int

    def __post_init__(self) -> None:
        for field in ("model", "run"):
            if not _ID.match(getattr(self, field)):
                text = f"{field} {getattr(self, field)!r} of a {self.kind} is not an id"
                raise InvalidEvent("bad_id", text, "use 1 to 64 of A-Za-z0-9_.-")
        if self.span_start_ms > self.span_end_ms:
            text = f"span of run {self.run!r} ends ({self.span_end_ms}) before it starts ({self.span_start_ms})"
            raise InvalidEvent("bad_span", text)

    def to_avro(self) -> dict[str, object]:
        """The record's fields by the names of ``CONTROL_SCHEMA``."""
        fields = asdict(self)
        fields["control_id"] = f"{self.kind}-{self.token}"
        fields["span_start"], fields["span_end"] = fields.pop("span_start_ms"), fields.pop("span_end_ms")
        return fields
