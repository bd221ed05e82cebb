"""One replay: read the history, open a run, send the rows when they are due, end the run; and again where it loops."""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.encode import EventEncoder
from producers.replay.history import History, history
from producers.replay.kafka import KafkaSink, RunTopic
from producers.replay.options import ReplayOptions
from producers.replay.pacing import Millis, Offsets, Pace, Pacer
from producers.replay.service import ServiceSink
from producers.replay.source import Rows, open_source
from producers.replay.windows import window_numbers
from schemas.control import Control
from schemas.event import event_schema
from schemas.framing import WriterSchema
from schemas.store import open_store, subject_of

SLICE = 5_000  # rows between two looks at the clock, the stop and the progress
TICK_S = (0.02, 0.2)  # shortest and longest wait for rows to be due: small slices, and a stop that is heard soon


class Progress(Protocol):
    """Who is told how far a replay is."""

    def read(self, count: int) -> None:
        """``count`` rows of the file are read; they are sorted before the first is sent."""

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
    """What a replay did. ``windows`` are those that hold its ``events``; ``interrupted`` when it was stopped before its last row.

    ``injected`` says how many rows each injection changed.
    """

    model: str
    run: str
    events: int
    total: int
    elapsed_s: float
    windows: int
    model_version: str
    interrupted: bool
    injected: dict[str, int] = field(default_factory=dict)

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
    """``replays`` to its end; returns the summary of the last run."""
    last = None
    for summary in replays(settings, spec, options, progress, stop, clock, now):
        last = summary
    assert last is not None  # there is always one run
    return last


def replays(
    settings: Settings,
    spec: ModelSpec,
    options: ReplayOptions,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Iterator[Summary]:
    """Replay a model's history through the predictions topic, ``options.loops`` times, each in a run of its own; a summary a run.

    ``stop`` is asked between slices; when it says so, nothing more is sent and the run is ended as after its last row.

    Raises:
        UsageError: data, artefact or options are wrong.
        ServiceUnavailable: the broker or the prediction service does not answer.
        TidemarkError: records could not be delivered; the run is then left without its ``run_end``, so that nobody takes it for whole.
    """
    source = open_source(settings, spec, options)
    topic = RunTopic(settings, spec.model)
    topic.look()
    with history(settings, spec, options, source, progress.read) as rows:
        writer = None
        if options.via == "kafka":
            writer = open_store(settings).register(subject_of(settings.predictions_topic, spec.model), event_schema(spec))
        for number in itertools.count(1):
            sink = _open_sink(settings, spec, topic, _run_id(options, number, now()), rows, writer)
            summary = _one(_Pass(spec, options, rows, topic, sink, progress), stop, clock, now)
            yield summary
            if summary.interrupted or stop() or number == options.loops:
                return


def _run_id(options: ReplayOptions, number: int, now: dt.datetime) -> str:
    if options.run is None:
        return new_run_id(now)
    return options.run if options.loops == 1 else f"{options.run}-{number}"


def _open_sink(
    settings: Settings, spec: ModelSpec, topic: RunTopic, run: str, rows: History, writer: WriterSchema | None
) -> tuple[str, Sink]:
    if writer is not None:
        return run, KafkaSink(topic, EventEncoder(spec, writer, run, rows.version))
    service = ServiceSink(settings, spec, run)
    service.look()
    return run, service


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one run is made of."""

    spec: ModelSpec
    options: ReplayOptions
    rows: History
    topic: RunTopic
    sink: tuple[str, Sink]
    progress: Progress

    @property
    def pace(self) -> Pace:
        return Pace(self.options.speed, self.options.rate)

    def times_ms(self, times_ms: Millis, offsets_ms: Offsets, began_ms: int) -> Millis:
        """The event times that are sent: as they are, or rebased to when each row is due."""
        return times_ms if self.options.timing == "original" else began_ms + offsets_ms.astype(np.int64)

    def span_ms(self, began_ms: int) -> tuple[int, int]:
        """The first and the last event time that are sent."""
        ends = np.array([self.rows.first_ms, self.rows.last_ms])
        offsets = [self.pace.offsets_ms(ends[i : i + 1], self.rows.first_ms, sent) for i, sent in ((0, 0), (1, self.rows.total - 1))]
        first, last = self.times_ms(ends, np.concatenate(offsets), began_ms).tolist()
        return first, last


def _one(run: _Pass, stop: Callable[[], bool], clock: Callable[[], float], now: Callable[[], dt.datetime]) -> Summary:
    name, sink = run.sink
    began_ms = int(now().timestamp() * 1000)
    start = Control("run_start", run.spec.model, name, secrets.token_hex(16), *run.span_ms(began_ms))
    run.topic.mark(start)
    run.progress.opened(name, run.rows.total)
    began = clock()
    pacer, sent, windows = Pacer(clock), 0, np.empty(0, dtype=np.int64)
    for chunk in run.rows.chunks():
        offsets = run.pace.offsets_ms(chunk.times_ms, run.rows.first_ms, sent)
        rows = replace(chunk, times_ms=run.times_ms(chunk.times_ms, offsets, began_ms))
        done = _send_due(rows, offsets, pacer, sink, run.progress, stop, sent)
        windows = np.union1d(windows, window_numbers(run.spec.window, rows.times_ms[:done]))
        sent += done
        if done < len(rows):
            break
    events = sink.finish()
    elapsed_s = clock() - began
    run.topic.mark(replace(start, kind="run_end"))
    total = run.rows.total
    return Summary(run.spec.model, name, events, total, elapsed_s, len(windows), run.rows.version, sent < total, run.rows.injected)


def _send_due(
    rows: Rows, offsets_ms: Offsets, pacer: Pacer, sink: Sink, progress: Progress, stop: Callable[[], bool], before: int = 0
) -> int:
    """Send rows when they are due, ``before`` others came before them; returns how many, which are all unless ``stop`` says so."""
    sent = 0
    while sent < len(rows) and not stop():
        upto = min(pacer.due(offsets_ms), sent + SLICE)
        if upto <= sent:
            sink.wait(min(max(pacer.wait_s(float(offsets_ms[sent])), TICK_S[0]), TICK_S[1]))
            continue
        sink.send(rows, sent, upto)
        sent = upto
        progress.sent(before + sent, int(rows.times_ms[sent - 1]))
    return sent
