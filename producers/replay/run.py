"""One replay: open a run, send the rows when they are due, end the run."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.encode import EventEncoder
from producers.replay.kafka import KafkaSink, RunTopic
from producers.replay.options import ReplayOptions
from producers.replay.pacing import Pacer, rebase
from producers.replay.predict import with_predictions
from producers.replay.service import ServiceSink
from producers.replay.source import Rows, read_rows
from producers.replay.windows import expected_windows
from schemas.control import Control
from schemas.event import event_schema
from schemas.store import FileSchemaStore

SLICE = 5_000  # rows between two looks at the clock, the stop and the progress
TICK_S = (0.02, 0.2)  # shortest and longest wait for rows to be due: small slices, and a stop that is heard soon


class Progress(Protocol):
    """Who is told how far a replay is."""

    def opened(self, run: str, total: int) -> None:
        """The run is open; ``total`` rows follow."""

    def sent(self, count: int, event_time_ms: int) -> None:
        """``count`` rows in all are handed over, up to this event time."""


class Sink(Protocol):
    """Where rows go."""

    def send(self, rows: Rows, start: int, stop: int) -> None:
        """Hand the rows ``[start, stop)`` over."""

    def wait(self, seconds: float) -> None:
        """Let time pass until more rows are due."""

    def finish(self) -> int:
        """Wait until all are delivered; returns how many."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay did. ``windows`` are those that hold its ``events``; ``interrupted`` when it was stopped before its last row."""

    model: str
    run: str
    events: int
    total: int
    elapsed_s: float
    windows: int
    model_version: str
    interrupted: bool

    @property
    def rate(self) -> float:
        """Events a second, from the first event handed over to the last acknowledged."""
        return self.events / self.elapsed_s if self.elapsed_s > 0 else 0.0


def new_run_id(now: dt.datetime) -> str:
    """A run id that no other replay has, such as ``replay-20130610-041500-ab12``."""
    return f"replay-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def replay(
    settings: Settings,
    spec: ModelSpec,
    options: ReplayOptions,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Summary:
    """Replay a model's history through the predictions topic in a run of its own.

    ``stop`` is asked between slices; when it says so, nothing more is sent and the run is ended as after its last row.

    Raises:
        UsageError: data, artefact or options are wrong.
        ServiceUnavailable: the broker or the prediction service does not answer.
        TidemarkError: records could not be delivered; the run is then left without its ``run_end``, so that nobody takes it for whole.
    """
    rows = read_rows(settings, spec, options)
    topic = RunTopic(settings, spec.model)
    topic.look()
    run = options.run or new_run_id(now())
    sink, rows, version = _open_sink(settings, spec, options, rows, topic, run)
    if options.timing == "rebased":
        rows = replace(rows, times_ms=rebase(rows.times_ms, int(now().timestamp() * 1000), options.speed))
    start = Control("run_start", spec.model, run, secrets.token_hex(16), int(rows.times_ms[0]), int(rows.times_ms[-1]))
    topic.mark(start)
    progress.opened(run, len(rows))
    began = clock()
    speed = 1.0 if options.timing == "rebased" else options.speed
    sent = _send_due(rows, Pacer(rows.times_ms, speed, clock), sink, progress, stop)
    events = sink.finish()
    elapsed_s = clock() - began
    topic.mark(replace(start, kind="run_end"))
    windows = expected_windows(spec.window, rows.times_ms[:sent])
    return Summary(spec.model, run, events, len(rows), elapsed_s, windows, version, interrupted=sent < len(rows))


def _open_sink(
    settings: Settings, spec: ModelSpec, options: ReplayOptions, rows: Rows, topic: RunTopic, run: str
) -> tuple[Sink, Rows, str]:
    if options.via == "service":
        service = ServiceSink(settings, spec, run)
        service.look()
        return service, rows, "the service's"
    rows, version = with_predictions(settings, spec, rows)
    writer = FileSchemaStore(settings.under_home("schemas")).register(f"{settings.predictions_topic}-{spec.model}", event_schema(spec))
    return KafkaSink(topic, EventEncoder(spec, writer, run, version)), rows, version


def _send_due(rows: Rows, pacer: Pacer, sink: Sink, progress: Progress, stop: Callable[[], bool]) -> int:
    sent = 0
    while sent < len(rows) and not stop():
        upto = min(pacer.due(), sent + SLICE)
        if upto <= sent:
            sink.wait(min(max(pacer.wait_s(sent), TICK_S[0]), TICK_S[1]))
            continue
        sink.send(rows, sent, upto)
        sent = upto
        progress.sent(sent, int(rows.times_ms[sent - 1]))
    return sent
