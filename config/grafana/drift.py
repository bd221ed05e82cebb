"""Panels about drift: what a person on call looks at first, and the scores behind it."""

from __future__ import annotations

from config.grafana.panels import GREEN, RED, YELLOW, About, Panel, Query, Steps, heat_map, lines, number, ranking, rows, states

STREAM = 'model=~"$model",run_kind=~"$run_kind"'
COLUMN = f'{STREAM},column=~"$column"'
NAMED = "{{model}} {{run_kind}}"
REPORT = "${public_url}/reports/${__data.fields.model}/${__data.fields.run_kind}/window/${__data.fields['Value #B'].numeric}"
# Evidently's methods whose score drifts below the threshold. A unit test holds them equal to monitor.statistics.methods.
P_VALUES = (
    "K-S p_value", "chi-square p_value", "Z-test p_value", "g_test", "Anderson-Darling", "Cramer-von Mises", "Epps-Singleton",
    "Mann-Whitney U-rank test", "t_test", "empirical_mmd", "Fisher's Exact test", "Total-Variation-Distance",
)  # fmt: skip
WORST = 3  # relative scores are cut here: a near-constant reference column gives thousands


def latest(metric: str, labels: str = STREAM, by: str = "model, run_kind") -> str:
    """A gauge, one series for each stream: after a rebalance two workers may show the same for a while."""
    return f"max by ({by}) ({metric}{{{labels}}})"


def total(metric: str, labels: str = STREAM, by: str = "model, run_kind") -> str:
    """A counter, summed over workers."""
    return f"sum by ({by}) ({metric}{{{labels}}})"


def small(title: str, description: str, steps: Steps = (), unit: str = "short", width: int = 4) -> About:
    """A panel of the row of numbers at the top."""
    return About(title, description, unit, steps, width=width, height=4)


def workers() -> Panel:
    """Which workers answer."""
    about = small("Workers", "Whether Prometheus can scrape each worker; while none runs, no window closes.", unit="none")
    words = {"0": ("down", RED), "1": ("up", GREEN)}
    return number(about, Query('up{job="tidemark-worker"}', "{{instance}}"), no_value="no worker", words=words)


def summary() -> list[Panel]:
    """The row of numbers at the top."""
    windows = small("Windows closed", "Windows with a result since the worker began.")
    drifted = small("Drifted windows", "Windows whose share reached the threshold, since the worker began.", [(1, RED)])
    unjudged = small("Windows not judged", "Too few rows, or an error: such a window says nothing about drift.", [(1, YELLOW)])
    lag = small("Lag", "Records in the topic that no worker has read yet.", [(10_000, YELLOW), (100_000, RED)])
    letters = small("Dead letters", "Records that could not be used, since the worker began. Their topic keeps them.", [(1, YELLOW)])
    return [
        workers(),
        number(windows, Query(total("tidemark_windows_total"), NAMED)),
        number(drifted, Query(total("tidemark_drifted_windows_total"), NAMED)),
        number(unjudged, Query(total("tidemark_windows_total", f'{STREAM},status!="ok"'), NAMED)),
        number(lag, Query("sum(tidemark_consumer_lag_records)", "records")),
        number(letters, Query("sum(tidemark_dead_letters_total)", "records")),
    ]


def share() -> Panel:
    """Share over time against its threshold."""
    text = "Drifted over judged features in the last judged window. Dashed: the share at which a window has drifted."
    limit = Query(latest("tidemark_window_drift_share_threshold"), f"{NAMED} threshold")
    about = About("Share of drifted features", text, "percentunit", width=16, height=9)
    return lines(about, Query(latest("tidemark_window_drift_share"), NAMED), limit, limit="B", maximum=1)


def reports() -> Panel:
    """The last drifted window of each stream, with a link to its report."""
    text = "Share and start (event time) of the last drifted window. The time opens the window's report."
    about = About("Report of the last drifted window", text, "none", width=8, height=9)
    columns = {
        "Value #A": ("share", "percentunit", False),
        "Value #B": ("", "none", False),
        "Value #C": ("window from", "dateTimeAsIso", True),
    }
    start_s = latest("tidemark_drifted_window_start_event_time_seconds")
    found = latest("tidemark_drifted_window_share")
    return rows(about, ("Open the report", REPORT), columns, Query(found), Query(start_s), Query(f"1000 * {start_s}"))


def earlier() -> Panel:
    """Shares against earlier windows."""
    text = (
        "Share of drifted features in the last window against an earlier one of the same run, where the model's spec names baselines: "
        "previous is the window directly before, lag:7d one a week before. Dashed: against the reference."
    )
    by = "run_kind, baseline"
    about = About("Share of drifted features against earlier windows", text, "percentunit")
    found = latest("tidemark_baseline_drift_share", by=by)
    reference = f"{latest('tidemark_window_drift_share', by='run_kind')} and on (run_kind) {found}"
    named = "{{baseline}} {{run_kind}}"
    return lines(about, Query(found, named), Query(reference, "reference {{run_kind}}"), limit="B", maximum=1)


def timeline() -> Panel:
    """Which column drifted when."""
    text = "Each column in the last judged window, red while it has drifted. A window shorter than a scrape may be missed here."
    about = About("Drifted columns over time", text, "none", width=24, height=10)
    flag = Query(latest("tidemark_column_drifted", COLUMN, "model, run_kind, column"), f"{NAMED} {{{{column}}}}")
    return states(about, flag, {"0": ("quiet", GREEN), "1": ("drifted", RED)})


def flow() -> Panel:
    """Drifted windows by counter."""
    about = About("Drifted windows per interval", "Drifted windows by counter, so that short windows count too.", "short", [(1, RED)])
    grown = f"sum by (model, run_kind) (increase(tidemark_drifted_windows_total{{{STREAM}}}[$__rate_interval]))"
    return lines(about, Query(grown, NAMED), bars=True)


def often() -> Panel:
    """The columns that drifted in most windows."""
    text = "Windows in which each column drifted, since the worker began."
    windows = total("tidemark_column_drifted_windows_total", COLUMN, "model, run_kind, column")
    about = About("Columns that drift most", text, "short", [(1, YELLOW), (10, RED)])
    return ranking(about, Query(f"topk(15, {windows})", f"{NAMED} {{{{column}}}}"))


def window_rows() -> Panel:
    """Rows of windows."""
    about = About("Rows per window", "Rows of the last closed window, and how many of them were judged.", "short")
    return lines(about, Query(latest("tidemark_window_rows"), NAMED), Query(latest("tidemark_window_sampled_rows"), f"{NAMED} judged"))


def relative_score(metric: str, labels: str, by: str) -> str:
    """The score of ``metric`` over its threshold, 1 at it; of p-values the logarithms. Cut, since near-constant columns give thousands."""
    score, limit = (latest(f"{metric}_{what}", "LABELS", by) for what in ("score", "threshold"))
    p_values = "|".join(P_VALUES)
    distance = f"{score} / {limit}".replace("LABELS", f'{labels},method!~"{p_values}"')
    p_value = f"ln({score}) / ln({limit})".replace("LABELS", f'{labels},method=~"{p_values}"')
    return f"clamp_max({distance} or {p_value}, {WORST})"


def heat() -> Panel:
    """Columns × time, scores relative to thresholds."""
    relative = relative_score("tidemark_column_drift", COLUMN, "run_kind, column, method")
    text = (
        "Each column's drift score over its threshold in the last judged window: blue is quiet, yellow is at the threshold (1), red has "
        f"drifted. Of p-values the logarithms are compared, so that a smaller one is redder. Cut at {WORST}."
    )
    about = About("Drift scores relative to their thresholds", text, "short", [(1, RED)], width=24, height=11, decimals=2)
    return heat_map(about, Query(relative, "{{column}} {{run_kind}}"), 0, 2)


def _scores(title: str, description: str, labels: str, width: int) -> Panel:
    by = "run_kind, column, method"
    about = About(title, f"{description} Dashed: the threshold. A distance drifts at or above it, a p-value below.", "short", width=width)
    score = Query(latest("tidemark_column_drift_score", labels, by), "{{column}} {{run_kind}} ({{method}})")
    limit = Query(latest("tidemark_column_drift_threshold", labels, by), "{{column}} {{run_kind}} threshold")
    return lines(about, score, limit, limit="B")


def scores() -> list[Panel]:
    """Scores against thresholds, of features and of outputs."""
    features = "Drift score of each feature in the last judged window, in its method's unit."
    outputs = "Drift score of the prediction and, where it is known, of the target."
    return [
        _scores("Scores of the features", features, f'{COLUMN},role="feature"', 24),
        _scores("Prediction and target drift", outputs, f'{STREAM},role=~"prediction|target"', 12),
    ]
