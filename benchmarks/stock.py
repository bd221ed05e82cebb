"""Stock Evidently on single windows: the check that what is published as Evidently's verdicts is its own."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from evidently import Dataset, Report
from evidently.metrics import ValueDrift

from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.drift import data_definition
from monitor.statistics.score import Score


def check_stock(spec: ModelSpec, reference: pl.DataFrame, window: pl.DataFrame, ours: Mapping[str, Score]) -> None:
    """A stock Report of default ``ValueDrift`` metrics with their default tests gives our scores within 1e-9, and our verdicts.

    Raises:
        TidemarkError: it does not; names the column.
    """
    definition = data_definition(spec)
    names = [name for name, _, _ in spec.judged()]
    datasets = [Dataset.from_pandas(frame.select(names).to_pandas(), definition) for frame in (window, reference)]
    found = Report([ValueDrift(column=c) for c in names], include_tests=True).run(*datasets).dict()
    scores = {m["config"]["column"]: float(m["value"]) for m in found["metrics"]}
    failed = {t["metric_config"]["params"]["column"]: t["status"] != "SUCCESS" for t in found["tests"]}
    for name in names:
        score = ours[name]
        if abs(scores[name] - score.score) > 1e-9 * max(1, abs(score.score)) or bool(failed[name]) != score.drifted:
            raise TidemarkError(
                f"stock Evidently says {scores[name]}, drifted: {failed[name]} of {name}, we say {score}", "nothing can be published"
            )
