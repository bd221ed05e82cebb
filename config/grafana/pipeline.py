"""Panels about the stream itself: whether what comes in is read, used, judged and committed in time."""

from __future__ import annotations

from config.grafana.drift import NAMED, STREAM, latest
from config.grafana.panels import RED, YELLOW, About, Panel, Query, lines


def rate(metric: str, labels: str = STREAM, by: str = "model, run_kind") -> str:
    """A counter's growth per s, summed over workers."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantiles(histogram: str) -> list[Query]:
    buckets = f"sum by (le) (rate({histogram}_bucket[$__rate_interval]))"
    return [Query(f"histogram_quantile({q}, {buckets})", f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]


def panels() -> list[Panel]:
    """Rates, lag, losses, durations and memory."""
    return [*_input(), *_losses(), *_durations(), *_open_windows()]


def _input() -> list[Panel]:
    events = About("Events", "Records taken into windows or found late, per second.", "eps")
    lag_text = "Records not yet read and, dashed, not yet committed. Both should fall back to 0."
    lag = About("Consumer lag by partition", lag_text, "short", [(10_000, YELLOW), (100_000, RED)])
    silence = About("Time since the last record", "Wall clock since a record of the model was received.", "s", [(300, YELLOW), (3600, RED)])
    clock_text = "Highest event time seen and, dashed, the end of the last closed window. A replay shows its own time."
    ends = Query(f"1000 * {latest('tidemark_window_end_event_time_seconds')}", f"{NAMED} last window's end")
    read = Query("max by (partition) (tidemark_consumer_lag_records)", "partition {{partition}}")
    committed = Query("max by (partition) (tidemark_committed_lag_records)", "partition {{partition}} committed")
    times = Query(f"1000 * {latest('tidemark_stream_time_seconds')}", NAMED)
    return [
        lines(events, Query(rate("tidemark_records_total"), NAMED)),
        lines(lag, read, committed, limit="B"),
        lines(silence, Query(f"time() - {latest('tidemark_last_event_received_timestamp_seconds')}", NAMED)),
        lines(About("Stream time", clock_text, "dateTimeAsIso"), times, ends, limit="B", minimum=None),
    ]


def _losses() -> list[Panel]:
    late_text = "Late: came after its window had closed. Duplicate: its event_id was already there."
    late = Query(rate("tidemark_late_records_total"), f"{NAMED} late")
    duplicates = Query(rate("tidemark_duplicate_records_total"), f"{NAMED} duplicate")
    letters = About("Dead letters by reason", "Records that could not be used, per interval.", "short", [(1, YELLOW)])
    reasons = Query("sum by (reason) (increase(tidemark_dead_letters_total[$__rate_interval]))", "{{reason}}")
    lost_text = "Offsets that retention removed unread, and reports that failed or were dropped, per interval."
    offsets = Query("sum by (partition) (increase(tidemark_lost_offsets_total[$__rate_interval]))", "offsets lost, partition {{partition}}")
    reports = Query('sum by (outcome) (increase(tidemark_reports_total{outcome!="made"}[$__rate_interval]))', "reports {{outcome}}")
    return [
        lines(About("Late and duplicate records", late_text, "eps", [(1, YELLOW)]), late, duplicates),
        lines(letters, reasons, bars=True),
        lines(About("Lost and failed", lost_text, "short", [(1, RED)]), offsets, reports, bars=True),
    ]


def _durations() -> list[Panel]:
    decode = _slow("Batch decoding", "Decoding one batch of records to columns.", 1, 5)
    cut = _slow("Transaction", "One cut: results, checkpoint and offsets, begin to commit.", 1, 10)
    judge = _slow("Judging a window", "Evaluating one closed window against the reference.", 5, 30)
    return [
        lines(decode, *_quantiles("tidemark_batch_decode_seconds")),
        lines(cut, *_quantiles("tidemark_transaction_seconds")),
        lines(judge, *_quantiles("tidemark_evaluation_seconds")),
    ]


def _open_windows() -> list[Panel]:
    memory = About("Memory of open windows", "Bytes that open windows hold.", "bytes", [(1e9, YELLOW), (4e9, RED)], width=8)
    return [
        lines(About("Open windows", "Windows that are open now.", "short", width=8), Query(latest("tidemark_open_windows"), NAMED)),
        lines(
            About("Rows in open windows", "Rows that open windows hold.", "short", width=8),
            Query(latest("tidemark_open_window_rows"), NAMED),
        ),
        lines(memory, Query(latest("tidemark_open_window_bytes"), NAMED)),
    ]


def _slow(title: str, description: str, warn_s: float, bad_s: float) -> About:
    return About(title, f"{description} Median, 95th and 99th percentile.", "s", [(warn_s, YELLOW), (bad_s, RED)])
