"""Panels about one model's data, predictions, tests and performance."""

from __future__ import annotations

from config.grafana.drift import COLUMN, STREAM, latest, small, total
from config.grafana.panels import GREEN, RED, YELLOW, About, Panel, Query, lines, number, rows, states

MEASURED = "run_kind, kind, measure, label"
BY_COLUMN = "run_kind, column"
COLUMN_NAMED = "{{column}} {{run_kind}}"
TESTS = {"0": ("passed", GREEN), "1": ("warning", YELLOW), "2": ("failed", RED), "3": ("error", "purple")}


def summary() -> list[Panel]:
    """The row of numbers at the top."""
    share_text = "Drifted over judged features in the last judged window: yellow from .25, red from .5. The model's own limit: below."
    share = small("Share drifted", share_text, [(0.25, YELLOW), (0.5, RED)], "percentunit")
    drifted = small("Windows drifted", "Windows whose share reached the threshold, since the worker began.", [(1, RED)])
    failing = small("Tests failing", "Tests that failed or could not be run in the last window.", [(1, RED)])
    judged = small("Rows", "Rows of the last closed window.")
    until = small(
        "Last window until", "End of the last closed window, event time, UTC. A replay shows its own time.", unit="dateTimeAsIso", width=8
    )
    return [
        number(share, Query(latest("tidemark_window_drift_share", by="run_kind"), "{{run_kind}}"), no_value="not judged yet"),
        number(drifted, Query(total("tidemark_drifted_windows_total", by="run_kind"), "{{run_kind}}")),
        number(
            failing, Query(f"count by (run_kind) (max by (run_kind, test, column) (tidemark_test_status{{{STREAM}}}) >= 2)", "{{run_kind}}")
        ),
        number(judged, Query(latest("tidemark_window_rows", by="run_kind"), "{{run_kind}}")),
        number(until, Query(f"1000 * {latest('tidemark_window_end_event_time_seconds', by='run_kind')}", "{{run_kind}}"), no_value="none"),
    ]


def versions() -> Panel:
    """Which versions of the model sent the last window's events."""
    text = "Versions of the model whose predictions stand in the last closed window. Two at a time: a rollout, or two of it at work."
    about = About("Model versions", text, "none", height=6)
    seen = Query(latest("tidemark_model_version_info", by="run_kind, model_version"), "{{model_version}} {{run_kind}}")
    return states(about, seen, {"1": ("in use", "blue")})


def predictions() -> list[Panel]:
    """Where the predictions lie."""
    text = "Mean and, dashed, median of the predictions in the last window, in the prediction's unit; numbers only."
    labels = f'{STREAM},role="prediction"'
    mean = Query(latest("tidemark_column_mean", labels, BY_COLUMN), f"{COLUMN_NAMED} mean")
    median = Query(latest("tidemark_column_median", labels, BY_COLUMN), f"{COLUMN_NAMED} median")
    beyond_text = "Share of predictions beyond the reference's smallest and largest; numbers only."
    beyond = Query(latest("tidemark_column_out_of_range_share", labels, BY_COLUMN), COLUMN_NAMED)
    return [
        lines(About("Predictions: mean and median", text, "short"), mean, median, limit="B", minimum=None),
        lines(About("Predictions out of range", beyond_text, "percentunit", [(0.05, YELLOW), (0.2, RED)]), beyond),
    ]


def quality() -> list[Panel]:
    """Tests and what they are about."""
    tests_text = "Outcome of each test of the last window. A test without a column is of the whole window."
    status = Query(
        latest("tidemark_test_status", f'{STREAM},column=~"$column|"', "run_kind, test, column"), "{{test}} {{column}} {{run_kind}}"
    )
    nulls = Query(latest("tidemark_column_null_share", COLUMN, BY_COLUMN), COLUMN_NAMED)
    fresh = Query(latest("tidemark_column_new_category_share", COLUMN, BY_COLUMN), f"{COLUMN_NAMED} new category")
    beyond = Query(latest("tidemark_column_out_of_range_share", f'{COLUMN},role="feature"', BY_COLUMN), f"{COLUMN_NAMED} out of range")
    failed = f"sum by (run_kind, test) (increase(tidemark_tests_failed_total{{{STREAM}}}[$__rate_interval]))"
    lacking = Query(latest("tidemark_window_rows_with_nulls", by="run_kind"), "lacking a value, {{run_kind}}")
    double = Query(latest("tidemark_window_duplicated_rows", by="run_kind"), "equal to an earlier row, {{run_kind}}")
    new_text = "Share of new categories and of numbers out of the reference's range."
    failed_text = "Failures by counter, so that short windows count too."
    steps = [(0.05, YELLOW), (0.2, RED)]
    return [
        states(About("Data quality tests", tests_text, "none", width=24, height=12), status, TESTS),
        lines(About("Null shares", "Share of the last window's rows without a value, by column.", "percentunit", steps), nulls),
        lines(About("Values the reference never had", new_text, "percentunit", steps), fresh, beyond),
        lines(About("Failed tests per interval", failed_text, "short", [(1, RED)]), Query(failed, "{{test}} {{run_kind}}"), bars=True),
        lines(About("Odd rows", "Rows of the last window that lack a value or are equal to an earlier one.", "short"), lacking, double),
    ]


def performance() -> list[Panel]:
    """The model against its targets, where they are known."""
    now = latest("tidemark_performance", by=MEASURED)
    before = latest("tidemark_performance_reference", by=MEASURED)
    ratio = f"{now} / {before}"
    steady = f'{STREAM},measure!="me"'  # the mean error is near 0 on the reference: a ratio to it says nothing
    relative = f"{latest('tidemark_performance', steady, MEASURED)} / {latest('tidemark_performance_reference', steady, MEASURED)}"
    columns = {
        "Value #A": ("last window", "short", False),
        "Value #B": ("reference", "short", False),
        "Value #C": ("ratio", "short", False),
    }
    table_text = "Each measure of the last window whose targets are known, beside the same measure on the reference dataset."
    ratio_text = "Each measure over its value on the reference: 1 is as before. Errors and losses should not rise, scores not fall."
    name = "{{measure}} {{label}} {{run_kind}}"
    values_text = "Errors of a regression and, dashed, on the reference; in the target's unit."
    errors = 'measure=~"mae|rmse|median_absolute_error|max_absolute_error"'
    scores_text = "Scores of a classification and, dashed, on the reference; over all classes."
    scores = 'measure=~"accuracy|precision|recall|f1|roc_auc",label=""'
    known_text = "Rows of the last closed window whose target is known. Targets that come later leave this at 0."
    known = Query(latest("tidemark_performance_rows", by="run_kind, kind"), "{{kind}} {{run_kind}}")

    def both(labels: str) -> tuple[Query, Query]:
        of_window = latest("tidemark_performance", f"{STREAM},{labels}", MEASURED)
        of_reference = latest("tidemark_performance_reference", f"{STREAM},{labels}", MEASURED)
        return Query(of_window, "{{measure}} {{run_kind}}"), Query(of_reference, "{{measure}} {{run_kind}} reference")

    return [
        rows(
            About("Performance against the reference", table_text, "short", width=12, height=9, decimals=3),
            None,
            columns,
            Query(now),
            Query(before),
            Query(ratio),
        ),
        lines(About("Performance relative to the reference", ratio_text, "short", height=9), Query(relative, name), minimum=None),
        lines(About("Errors of the regression", values_text, "short"), *both(errors), limit="B"),
        lines(About("Scores of the classification", scores_text, "percentunit"), *both(scores), limit="B", maximum=1),
        lines(About("Rows with known targets", known_text, "short"), known),
    ]
