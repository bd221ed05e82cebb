"""A model's history, ready to be sent: read, changed where drift is injected, predicted, and in the order of event time."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.inject import Injection, parse
from producers.replay.options import ReplayOptions
from producers.replay.predict import Predictor
from producers.replay.sort import PLACE, TIME, Sorter
from producers.replay.source import Rows, Source, open_source

SERVICE = "the service's"


@dataclass(frozen=True, slots=True)
class History:
    """``total`` rows from ``first_ms`` to ``last_ms`` (both inclusive, ms since the epoch, UTC); ``injected`` counts rows by injection."""

    dataset: str
    total: int
    first_ms: int
    last_ms: int
    version: str
    injected: dict[str, int]
    _sorter: Sorter

    def chunks(self) -> Iterator[Rows]:
        """All rows by event time, ties in the file's order; may be asked again."""
        for frame in self._sorter.chunks():
            yield Rows(self.dataset, frame.drop(TIME, PLACE), frame[TIME].to_numpy(), frame[PLACE].to_numpy())


@contextmanager
def history(
    settings: Settings, spec: ModelSpec, options: ReplayOptions, source: Source | None = None, told: Callable[[int], None] = lambda _: None
) -> Iterator[History]:
    """Read a model's history. Memory is bounded by ``options.memory_bytes``; what is beyond lies in temporary files until the end.

    ``told`` hears how many rows are read.

    Raises:
        UsageError: data, artefact or options are wrong, or no row is left.
        TidemarkError: the model fails on these rows.
    """
    source = source or open_source(settings, spec, options)
    injections = [parse(text, spec) for text in options.inject]
    predictor = Predictor(settings, spec, source.types) if options.via == "kafka" else None
    with Sorter(options.memory_bytes) as sorter:
        injected = _fill(sorter, source, injections, predictor, options.memory_bytes, spec, told)
        if not sorter.count:
            raise UsageError(f"no rows to replay: {source.path} has {_extent(source)}", "give other --from and --to, or another --data")
        if untouched := next((i.text for i in injections if not injected[i.text]), None):
            told_span = _span(sorter.first_ms, sorter.last_ms)
            raise UsageError(f"--inject {untouched!r} changes no row: there are {told_span}", "correct from and until, or raise the share")
        version = predictor.version if predictor else SERVICE
        yield History(source.dataset, sorter.count, sorter.first_ms, sorter.last_ms, version, dict(injected), sorter)


def _fill(
    sorter: Sorter,
    source: Source,
    injections: list[Injection],
    predictor: Predictor | None,
    budget: int,
    spec: ModelSpec,
    told: Callable[[int], None],
) -> Counter[str]:
    """Features are changed before the model sees them, so that it predicts from drifted values; other columns after it."""
    counts: Counter[str] = Counter()
    later = [i for i in injections if i.column not in spec.features]
    if predictor is None and (odd := next((i for i in later if i.column == spec.prediction.column), None)):
        raise UsageError(f"--inject {odd.text!r}: with --via service the service predicts", "inject into features, or use --via kafka")
    known = {*source.types, spec.prediction.column}
    if absent := next((i for i in later if i.column not in known), None):
        raise UsageError(f"--inject {absent.text!r}: {source.path} has no column {absent.column!r}", "inject into a column that it has")
    for batch in source.batches(budget, told):
        frame = _inject(batch, [i for i in injections if i not in later], counts)
        if predictor is not None:
            frame = predictor.add(frame)
        sorter.add(_inject(frame, later, counts))
    return counts


def _inject(frame: pl.DataFrame, injections: list[Injection], counts: Counter[str]) -> pl.DataFrame:
    for injection in injections:
        frame, changed = injection.apply(frame)
        counts[injection.text] += changed
    return frame


def _extent(source: Source) -> str:
    """What event times the whole file has."""
    everything = Source(source.file, source.home, {})
    spans = [(b[TIME].min(), b[TIME].max()) for b in everything.batches(64 << 20) if b.height]
    return _span(min(low for low, _ in spans), max(high for _, high in spans)) if spans else "no rows"  # type: ignore[type-var, arg-type]


def _span(first_ms: int, last_ms: int) -> str:
    first, last = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat() for ms in (first_ms, last_ms))
    return f"event times from {first} to {last}"
