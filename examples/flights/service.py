"""The example's prediction service: ``bentoml serve examples.flights.service:FlightDelay --port 3005 --host 127.0.0.1``.

Each row that it predicts becomes one event on the predictions topic, in the background: with Kafka down it answers as before.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import Any

import bentoml
import pandas as pd
from bentoml.exceptions import InvalidArgument

from config.errors import TidemarkError
from config.settings import Settings, load_settings
from config.spec import ModelSpec, read_spec
from examples.flights import model
from examples.flights.process_metrics import ProcessMetrics
from examples.flights.request import check_rows, read_marks
from producers.emitter import Emitter
from schemas.event import event_schema
from schemas.store import register_for_service, subject_of

FLUSH_TIMEOUT_S = 30.0


def open_emitter(settings: Settings, spec: ModelSpec, model_version: str) -> Emitter:
    """The emitter of the model; its event schema is put where the worker finds it."""
    writer = register_for_service(settings, subject_of(settings.predictions_topic, spec.model), event_schema(spec))
    return Emitter(
        model=spec.model,
        model_version=model_version,
        schema=writer.schema,
        schema_id=writer.schema_id,
        bootstrap_servers=settings.brokers,
        topic=settings.predictions_topic,
        max_event_bytes=settings.max_record_bytes,
    )


# One worker: a flush reaches the emitter of the worker that answers it.
@bentoml.service(name="flight_delay", workers=1, traffic={"timeout": 60})
class FlightDelay:
    """Predicts how late a flight from New York arrives, in minutes."""

    def __init__(self) -> None:
        settings = load_settings()
        self._model = model.load(settings)
        self._spec = read_spec(settings.specs_dir / "flights.yaml")
        self._emitter = open_emitter(settings, self._spec, self._model.version)
        self._emitter.start()  # so that its counters stand in /metrics from the start

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Once, before any worker starts: what cannot work is said in one message instead of a worker's traceback, again and again."""
        try:
            model.load(load_settings())
        except TidemarkError as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(error.exit_code) from error

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: list[dict[str, Any]], ctx: bentoml.Context) -> list[float]:
        """Arrival delays in minutes, one per row. Each row needs dep_delay, sched_hour, distance, carrier, origin, dest, weekday."""
        try:
            check_rows(rows, self._spec.features)
            marks = read_marks(ctx.request.headers, len(rows))
            delays = self._model.predict(pd.DataFrame(rows)).tolist() if rows else []
        except TidemarkError as error:
            raise InvalidArgument(str(error)) from error
        per_row = zip(rows, delays, marks.event_ids, marks.event_times_ms, marks.targets, strict=True)
        for row, delay, event_id, time_ms, target in per_row:
            self._emitter.emit(row, delay, event_id=event_id, event_time=time_ms, run=marks.run, target=target)
        return list(delays)

    @bentoml.api(route="/tidemark/flush")  # type: ignore[untyped-decorator]
    async def flush(self, ctx: bentoml.Context) -> dict[str, Any]:
        """Wait until all events so far are delivered or dropped; the counters. Status 503 when they are not within 30 s."""
        if not await asyncio.to_thread(self._emitter.flush, FLUSH_TIMEOUT_S):
            ctx.response.status_code = 503
        return asdict(self._emitter.counters())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Deliver what is pending before the worker ends."""
        self._emitter.close()


FlightDelay.add_asgi_middleware(ProcessMetrics)  # type: ignore[attr-defined]
