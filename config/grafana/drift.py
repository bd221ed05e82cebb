"""Panels about drift: what a person on call looks at first."""

from __future__ import annotations

from config.grafana.panels import GREEN, RED, YELLOW, About, Panel, Query, Steps, lines, number, ranking, rows, states

STREAM = 'model=~"$model",run_kind=~"$run_kind"'
COLUMN = f'{STREAM},column=~"$column"'
NAMED = "{{model}} {{run_kind}}"
REPORT = "${public_url}/reports/${__data.fields.model}/${__data.fields.run_kind}/window/${__data.fields['Value #B'].numeric}"


def latest(metric: str, labels: str = STREAM, by: str = "model, run_kind") -> str:
    """A gauge, one series for each stream: after a rebalance two workers may show the same for a while."""
    return f"max by ({by}) ({metric}{{{labels}}})"


def total(metric: str, labels: str = STREAM, by: str = "model, run_kind") -> str:
    """A counter, summed over workers."""
    return f"sum by ({by}) ({metric}{{{labels}}})"


def _scores(title: str, description: str, labels: str, width: int) -> Panel:
    by = "model, run_kind, column, method"
    name = "{{model}} {{run_kind}} {{column}}"
    about = About(title, f"{description} Dashed: the threshold. A distance drifts at or above it, a p-value below.", "short", width=width)
    score = Query(latest("tidemark_column_drift_score", labels, by), f"{name} ({{{{method}}}})")
    return lines(about, score, Query(latest("tidemark_column_drift_threshold", labels, by), f"{name} threshold"), limit="B")


def _small(title: str, description: str, steps: Steps = (), unit: str = "short") -> About:
    return About(title, description, unit, steps, width=4, height=4)


def summary() -> list[Panel]:
    """The row of numbers at the top."""
    up = _small("Workers", "Whether Prometheus can scrape each worker; while none runs, no window closes.", unit="none")
    windows = _small("Windows closed", "Windows with a result since the worker began.")
    drifted = _small("Drifted windows", "Windows whose share reached the threshold, since the worker began.", [(1, RED)])
    unjudged = _small("Windows not judged", "Too few rows, or an error: such a window says nothing about drift.", [(1, YELLOW)])
    lag = _small("Lag", "Records in the topic that no worker has read yet.", [(10_000, YELLOW), (100_000, RED)])
    letters = _small("Dead letters", "Records that could not be used, since the worker began. Their topic keeps them.", [(1, YELLOW)])
    return [
        number(up, Query('up{job="tidemark-worker"}', "{{instance}}"), "no worker", {"0": ("down", RED), "1": ("up", GREEN)}),
        number(windows, Query(total("tidemark_windows_total"), NAMED)),
        number(drifted, Query(total("tidemark_drifted_windows_total"), NAMED)),
        number(unjudged, Query(total("tidemark_windows_total", f'{STREAM},status!="ok"'), NAMED)),
        number(lag, Query("sum(tidemark_consumer_lag_records)", "records")),
        number(letters, Query("sum(tidemark_dead_letters_total)", "records")),
    ]


def panels() -> list[Panel]:
    """Share, columns, scores, rows and reports."""
    return [_share(), _reports(), _timeline(), *_all_scores(), _rows(), _flow(), _often()]


def _share() -> Panel:
    text = "Drifted over judged features in the last judged window. Dashed: the share at which a window has drifted."
    limit = Query(latest("tidemark_window_drift_share_threshold"), f"{NAMED} threshold")
    about = About("Share of drifted features", text, "percentunit", width=16, height=9)
    return lines(about, Query(latest("tidemark_window_drift_share"), NAMED), limit, limit="B", maximum=1)


def _reports() -> Panel:
    text = "Share and start (event time) of the last drifted window. The time opens the window's report."
    about = About("Report of the last drifted window", text, "none", width=8, height=9)
    columns = {
        "Value #A": ("share", "percentunit", False),
        "Value #B": ("", "none", False),
        "Value #C": ("window from", "dateTimeAsIso", True),
    }
    start_s = latest("tidemark_drifted_window_start_event_time_seconds")
    share = latest("tidemark_drifted_window_share")
    return rows(about, ("Open the report", REPORT), columns, Query(share), Query(start_s), Query(f"1000 * {start_s}"))


def _timeline() -> Panel:
    text = "Each column in the last judged window, red while it has drifted. A window shorter than a scrape may be missed here."
    about = About("Drifted columns over time", text, "none", width=24, height=10)
    flag = Query(latest("tidemark_column_drifted", COLUMN, "model, run_kind, column"), f"{NAMED} {{{{column}}}}")
    return states(about, flag, {"0": ("quiet", GREEN), "1": ("drifted", RED)})


def _all_scores() -> list[Panel]:
    features = "Drift score of each feature in the last judged window, in its method's unit."
    outputs = "Drift score of the prediction and, where it is known, of the target."
    return [
        _scores("Scores of the features", features, f'{COLUMN},role="feature"', 24),
        _scores("Prediction and target drift", outputs, f'{STREAM},role=~"prediction|target"', 12),
    ]


def _rows() -> Panel:
    about = About("Rows per window", "Rows of the last closed window, and how many of them were judged.", "short")
    return lines(about, Query(latest("tidemark_window_rows"), NAMED), Query(latest("tidemark_window_sampled_rows"), f"{NAMED} judged"))


def _flow() -> Panel:
    about = About("Drifted windows per interval", "Drifted windows by counter, so that short windows count too.", "short", [(1, RED)])
    grown = f"sum by (model, run_kind) (increase(tidemark_drifted_windows_total{{{STREAM}}}[$__rate_interval]))"
    return lines(about, Query(grown, NAMED), bars=True)


def _often() -> Panel:
    text = "Windows in which each column drifted, since the worker began."
    windows = total("tidemark_column_drifted_windows_total", COLUMN, "model, run_kind, column")
    about = About("Columns that drift most", text, "short", [(1, YELLOW), (10, RED)])
    return ranking(about, Query(f"topk(15, {windows})", f"{NAMED} {{{{column}}}}"))
