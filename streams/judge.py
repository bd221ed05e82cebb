"""Verdicts on closed windows: binds each to its reference and makes its result, whatever happens."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from config.errors import TidemarkError
from config.settings import Settings, settings
from config.spec import ModelSpec, read_specs
from monitor.evaluation import Evaluator
from monitor.window import WindowData
from schemas.result import WindowResult
from streams.kept_windows import KeptWindows
from streams.windows.catalogue import Binding, Catalogue
from streams.windows.rows import Settled
from streams.windows.state import WindowId, WindowState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window as it is judged: what has come to it so far. ``versions`` are those of the model, sorted."""

    id: WindowId
    versions: tuple[str, ...]
    settled: Settled

    @classmethod
    def of(cls, window: WindowState) -> ClosedWindow:
        """The window as it is now. On the thread that alone touches partitions' states."""
        return cls(window.id, tuple(sorted(window.versions)), window.rows.settle())


class Judge:
    """Knows the references of all bindings. A reference stays beside its fingerprint, since open windows are bound to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalogue = Catalogue()
        self.evaluator = Evaluator(settings.evaluation_timeout)
        self.kept_windows = KeptWindows(settings.under_home("baselines"))
        self._slow: dict[str, bool] = {}

    def load(self) -> list[Binding]:
        """Read every spec with its reference and make it current; returns the bindings.

        Raises:
            SpecError, ReferenceDataError: a spec or its reference cannot be used; nothing has changed then.
        """
        loaded = [
            (spec, self.evaluator.load(spec, self.settings.under_home(str(spec.reference)))) for spec in read_specs(self.settings).values()
        ]
        bindings = []
        for spec, reference in loaded:
            binding = Binding(spec, reference.fingerprint)
            self._slow[binding.digest] = reference.slow
            self._keep(spec, reference.fingerprint)
            self.catalogue.add(binding)
            bindings.append(binding)
        return bindings

    def prepare(self) -> None:
        """Load the references of bindings that came with a restored partition. One that is gone costs its windows, which say so."""
        for binding in self.catalogue.bindings:
            if binding.digest not in self._slow:
                try:
                    self._slow[binding.digest] = self.evaluator.load(binding.spec, self.reference_path(binding)).slow
                except TidemarkError as error:
                    logger.error("windows of %s that were opened by an earlier spec cannot be judged: %s", binding.spec.model, error)
                    self._slow[binding.digest] = False

    def slow(self, window: WindowId) -> bool:
        """True when judging the window takes a slow method."""
        return self._slow.get(window.digest, False)

    def reference_path(self, binding: Binding) -> Path:
        """Where the reference of a binding is kept."""
        return self.settings.under_home("references", "kept", f"{binding.spec.model}-{binding.reference_fingerprint}.parquet")

    def data(self, closed: ClosedWindow, partition: int) -> WindowData:
        """A closed window as the monitors want it."""
        window_id, settled = closed.id, closed.settled
        binding = self.catalogue[window_id.digest]
        frame, names = settled.frame, binding.names(settled.frame.columns)
        return WindowData(
            model=window_id.stream.model,
            run=window_id.stream.run,
            run_kind=window_id.stream.run_kind,
            run_offset=window_id.stream.run_offset,
            start_ms=window_id.start_ms,
            end_ms=window_id.end_ms,
            spec_digest=window_id.digest,
            source_partition=partition,
            model_versions=closed.versions,
            frame=frame.select(pl.col(c).alias(n) for c, n in names.items()),
            rows=settled.rows,
            duplicates=settled.duplicates,
            exact=settled.exact,
            nulls={names[c]: n for c, n in settled.nulls.items() if c in names},
        )

    def judge(self, closed: ClosedWindow, partition: int) -> tuple[WindowData, tuple[WindowResult, ...]]:
        """The window's data and its results: against the reference, then against each baseline. What fails is one with status ``error``."""
        data = self.data(closed, partition)
        binding = self.catalogue[data.spec_digest]
        baselines = self.kept_windows.baselines(closed.id, binding)
        return data, self.evaluator.judge(data, binding.spec, self.reference_path(binding), self.slow(closed.id), baselines)

    def _keep(self, spec: ModelSpec, fingerprint: str) -> None:
        kept = self.reference_path(Binding(spec, fingerprint))
        if kept.exists():
            return
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        shutil.copyfile(self.settings.under_home(str(spec.reference)), part)
        part.replace(kept)


@cache
def process_judge() -> Judge:
    """The judge of this process, its references not yet loaded."""
    return Judge(settings())
