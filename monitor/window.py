"""A closed window as the monitors get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl


@dataclass(frozen=True, slots=True)
class WindowData:
    """The rows of one closed window ``[start_ms, end_ms)``, ms since the epoch (UTC).

    ``frame`` holds at most ``max_rows`` rows; its columns are those of the spec by their true names (one that no event carried is
    missing). ``rows``, ``nulls`` and ``duplicates`` count the whole window, not the sample. Rows are sorted by their id,
    so equal windows are equal frames, in whatever order their events came. ``run_offset`` is that of a replay's ``run_start``.
    """

    model: str
    run: str
    run_kind: Literal["live", "replay"]
    start_ms: int
    end_ms: int
    spec_digest: str
    source_partition: int
    model_versions: tuple[str, ...]
    frame: pl.DataFrame
    rows: int
    duplicates: int
    exact: bool
    nulls: Mapping[str, int]
    run_offset: int = -1
