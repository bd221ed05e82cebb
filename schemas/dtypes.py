"""The polars type of each Avro type: how a column of an event lies in memory."""

from __future__ import annotations

import polars as pl

from config.spec import AvroType

DTYPES: dict[AvroType, pl.DataType] = {
    "double": pl.Float64(),
    "long": pl.Int64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "timestamp": pl.Int64(),  # ms since the epoch, UTC: judged as a number
    "doubles": pl.List(pl.Float64()),
}
