"""What a worker does with judged windows, as far as alerts see it: metrics and, when a window has drifted, a report."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry

from config.settings import Settings
from config.spec import ModelSpec
from monitor.evaluate import evaluate
from monitor.metrics import Metrics
from monitor.metrics_server import MetricsServer, serve
from monitor.reference import load_reference
from monitor.reports import ReportProcess
from monitor.window import WindowData
from schemas.result import WindowResult

NAME = "delay <!channel> </script><img src=x onerror=alert(1)> `{{ 1 }}`"
SPEC = {
    "model": "m",
    "reference": "r.parquet",
    "features": {NAME: {"type": "double"}, "quiet": {"type": "double"}},
    "prediction": {"column": "prediction", "type": "double"},
    "window": {"size": "1h"},
    "min_rows": 1,
}


class Worker:
    """Judges windows of model m, in a replay, and serves its metrics where Prometheus scrapes a worker."""

    def __init__(self, settings: Settings) -> None:
        self.spec = ModelSpec.model_validate(SPEC)
        self.reference = settings.under_home("r.parquet")
        self._rows(0, 0.0).write_parquet(self.reference)
        self._profile = load_reference(self.spec, self.reference)
        registry = CollectorRegistry()
        self.metrics = Metrics(registry)
        self.metrics.records("m", "replay", 1)
        self.reports = ReportProcess(settings, self.metrics.report)
        self.server: MetricsServer = serve(registry, "127.0.0.1", settings.worker_metrics_port)
        self._hour = 0

    def _rows(self, seed: int, shift: float) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        columns = {NAME: rng.normal(shift, 1, 2000), "quiet": rng.normal(0, 1, 2000), "prediction": rng.normal(0, 1, 2000)}
        return pl.DataFrame(columns)

    def close_window(self, shift: float, report: bool = True, models: tuple[str, ...] = ("m",)) -> WindowResult:
        """Close and judge the next hour; the other ``models`` have the same rows."""
        (result,) = self.close_windows([shift], report, models)
        return result

    def close_windows(self, shifts: list[float], report: bool = True, models: tuple[str, ...] = ("m",)) -> list[WindowResult]:
        """The same with an hour for each shift: all are judged first, so that their metrics change together."""
        judged = [self._judge(shift) for shift in shifts]
        for _, result in judged:
            for model in models:
                self.metrics.observe_result(replace(result, model=model), time.time(), 0.01)
        for window, result in judged:
            if result.drifted and report:
                self.reports.submit(window, self.spec, self.reference, result)
        return [result for _, result in judged]

    def _judge(self, shift: float) -> tuple[WindowData, WindowResult]:
        self._hour += 1
        start_ms = self._hour * 3_600_000
        frame = self._rows(self._hour, shift)
        window = WindowData("m", "r1", "replay", start_ms, start_ms + 3_600_000, "d", 0, ("1",), frame, frame.height, 0, True, {})
        return window, evaluate(window, self.spec, self._profile)

    def close(self) -> None:
        """Stop as a worker does."""
        self.reports.close()
        self.server.close()
