"""A batch job: ``python -m examples.services.plain --rows 100``. Any code that predicts calls ``emit`` once a row.

With a spill the job may even end, or be killed, while Kafka is down: the next start sends what is left.
"""

from __future__ import annotations

from dataclasses import asdict

import click
import polars as pl

from config.settings import load_settings
from examples.flights.files import HISTORY
from examples.services.delays import Delays, open_emitter


@click.command()
@click.option("--rows", default=100, show_default=True)
def main(rows: int) -> None:
    """Predict the first flights of the history, and emit each."""
    settings = load_settings()
    delays = Delays(settings)
    flights = pl.read_parquet(settings.under_home(str(HISTORY)), n_rows=rows).to_dicts()
    with open_emitter(settings, delays.version, spill=settings.under_home("spill")) as emitter:
        for flight, delay in zip(flights, delays.predict(flights), strict=True):
            features = {name: flight[name] for name in emitter.columns}
            emitter.emit(features, delay)
        emitter.flush(10)
    click.echo(asdict(emitter.counters()))


if __name__ == "__main__":
    main()
