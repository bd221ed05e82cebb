"""Panels about the stream itself: whether what comes in is read, used, judged and committed in time."""

from __future__ import annotations

from config.grafana.drift import NAMED, STREAM, latest, small, workers
from config.grafana.panels import RED, YELLOW, About, Panel, Query, lines, number

WORKER = 'job="tidemark-worker"'
LIVE = 'model=~"$model",run_kind="live"'  # of a replay, event time has nothing to do with now


def rate(metric: str, labels: str = STREAM, by: str = "model, run_kind") -> str:
    """A counter's growth per s, summed over workers."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantiles(histogram: str) -> list[Query]:
    buckets = f"sum by (le) (rate({histogram}_bucket[$__rate_interval]))"
    return [Query(f"histogram_quantile({q}, {buckets})", f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]


def summary() -> list[Panel]:
    """The row of numbers at the top."""
    events = small("Events per second", "Records taken into windows or found late, all models together.", unit="eps")
    lag = small("Lag in time", "Age of the newest record read, where others wait; 0 when all is read.", [(30, YELLOW), (300, RED)], "s")
    late = small("Late", "Records that came after their window had closed, since the worker began.", [(1, YELLOW)])
    letters = small("Dead", "Records that could not be used, since the worker began. Their topic keeps them.", [(1, YELLOW)])
    memory = small("Memory", "Resident memory of the worker.", [(2e9, YELLOW), (3e9, RED)], "bytes")
    return [
        workers(),
        number(events, Query(f"sum(rate(tidemark_records_total{{{STREAM}}}[$__rate_interval]))", "events")),
        number(lag, Query("max(tidemark_consumer_lag_seconds)", "lag")),
        number(late, Query(f"sum(tidemark_late_records_total{{{STREAM}}})", "records")),
        number(letters, Query("sum(tidemark_dead_letters_total)", "records")),
        number(memory, Query(f"max(process_resident_memory_bytes{{{WORKER}}})", "largest")),
    ]


def brief() -> list[Panel]:
    """What the overview shows of the stream."""
    return [events(), lag_in_time(), dead_letters()]


def events() -> Panel:
    """Events per second."""
    about = About("Events", "Records taken into windows or found late, per second.", "eps", width=8)
    return lines(about, Query(rate("tidemark_records_total"), NAMED))


def lag_in_time() -> Panel:
    """How old what is read is."""
    text = "Age by the broker's clock of the last record read, where others wait; 0 when all is read."
    about = About("Consumer lag in time", text, "s", [(30, YELLOW), (300, RED)], width=8)
    return lines(about, Query("max by (partition) (tidemark_consumer_lag_seconds)", "partition {{partition}}"))


def dead_letters() -> Panel:
    """Dead letters by reason."""
    about = About("Dead letters by reason", "Records that could not be used, per interval.", "short", [(1, YELLOW)], width=8)
    return lines(about, Query("sum by (reason) (increase(tidemark_dead_letters_total[$__rate_interval]))", "{{reason}}"), bars=True)


def flow() -> list[Panel]:
    """What comes in, how far behind we are, and where event time stands."""
    lag_text = "Records not yet read and, dashed, not yet committed. Both should fall back to 0."
    lag = About("Consumer lag by partition", lag_text, "short", [(10_000, YELLOW), (100_000, RED)], width=8)
    read = Query("max by (partition) (tidemark_consumer_lag_records)", "partition {{partition}}")
    committed = Query("max by (partition) (tidemark_committed_lag_records)", "partition {{partition}} committed")
    silence = About(
        "Time since the last record", "Wall clock since a record of the model was received.", "s", [(300, YELLOW), (3600, RED)], width=8
    )
    delay_text = "Wall clock less the highest event time seen, live traffic only: how far the watermark is behind now."
    delay = Query(f"time() - {latest('tidemark_stream_time_seconds', LIVE, 'model')}", "{{model}}")
    clock_text = "Highest event time seen and, dashed, the end of the last closed window. A replay shows its own time."
    ends = Query(f"1000 * {latest('tidemark_window_end_event_time_seconds')}", f"{NAMED} last window's end")
    times = Query(f"1000 * {latest('tidemark_stream_time_seconds')}", NAMED)
    return [
        events(),
        lines(lag, read, committed, limit="B"),
        lag_in_time(),
        lines(silence, Query(f"time() - {latest('tidemark_last_event_received_timestamp_seconds')}", NAMED)),
        lines(About("Watermark delay", delay_text, "s", [(600, YELLOW), (3600, RED)], width=8), delay),
        lines(About("Stream time", clock_text, "dateTimeAsIso", width=8), times, ends, limit="B", minimum=None),
    ]


def losses() -> list[Panel]:
    """What was not used."""
    late_text = "Late: came after its window had closed. Duplicate: its event_id was already there."
    late = Query(rate("tidemark_late_records_total"), f"{NAMED} late")
    duplicates = Query(rate("tidemark_duplicate_records_total"), f"{NAMED} duplicate")
    lost_text = "Offsets that retention removed unread, and reports that failed or were dropped, per interval."
    offsets = Query("sum by (partition) (increase(tidemark_lost_offsets_total[$__rate_interval]))", "offsets lost, partition {{partition}}")
    reports = Query('sum by (outcome) (increase(tidemark_reports_total{outcome!="made"}[$__rate_interval]))', "reports {{outcome}}")
    return [
        lines(About("Late and duplicate records", late_text, "eps", [(1, YELLOW)], width=8), late, duplicates),
        dead_letters(),
        lines(About("Lost and failed", lost_text, "short", [(1, RED)], width=8), offsets, reports, bars=True),
    ]


def durations() -> list[Panel]:
    """How long each step takes."""
    publish = _slow("Window close to result", "From a window's close to its committed result: judging, waiting and the transaction.", 5, 60)
    judge = _slow("Judging a window", "Evaluating one closed window against the reference.", 5, 30)
    cut = _slow("Transaction", "One cut: results, checkpoint and offsets, begin to commit.", 1, 10)
    decode = _slow("Batch decoding", "Decoding one batch of records to columns.", 1, 5)
    ingest = _slow("Batch into windows", "Putting one decoded batch into its windows.", 1, 5)
    trips = Query("max by (client) (tidemark_kafka_round_trip_seconds)", "{{client}}")
    trip_text = "Mean round trip to the slowest broker, as librdkafka measures it."
    return [
        lines(publish, *_quantiles("tidemark_publish_seconds")),
        lines(judge, *_quantiles("tidemark_evaluation_seconds")),
        lines(cut, *_quantiles("tidemark_transaction_seconds")),
        lines(decode, *_quantiles("tidemark_batch_decode_seconds")),
        lines(ingest, *_quantiles("tidemark_batch_ingest_seconds")),
        lines(About("Round trip to Kafka", trip_text, "s", [(0.1, YELLOW), (1, RED)], width=8), trips),
    ]


def memory() -> list[Panel]:
    """Memory and CPU of the worker, and what its open windows hold."""
    resident = Query(f"max by (instance) (process_resident_memory_bytes{{{WORKER}}})", "{{instance}} resident")
    windows = Query(f"sum(tidemark_open_window_bytes{{{STREAM}}})", "open windows")
    cpu = Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{WORKER}}}[$__rate_interval]))", "{{instance}}")
    open_windows = About("Open windows", "Windows that are open now.", "short", width=6)
    held = About("Rows in open windows", "Rows that open windows hold.", "short", width=6)
    memory_text = "Resident memory of each worker, and of it what open windows hold."
    return [
        lines(About("Memory of the worker", memory_text, "bytes", [(2e9, YELLOW), (3e9, RED)], width=6), resident, windows),
        lines(About("CPU of the worker", "CPU seconds per second: 1 is one whole core.", "short", [(1.5, YELLOW)], 6, decimals=2), cpu),
        lines(open_windows, Query(latest("tidemark_open_windows"), NAMED)),
        lines(held, Query(latest("tidemark_open_window_rows"), NAMED)),
    ]


def _slow(title: str, description: str, warn_s: float, bad_s: float) -> About:
    return About(title, f"{description} Median, 95th and 99th percentile.", "s", [(warn_s, YELLOW), (bad_s, RED)], width=8)
