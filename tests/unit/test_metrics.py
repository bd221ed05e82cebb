"""What Prometheus is told: exact exposition text from a registry of its own for each test."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.errors import DEAD_LETTER_REASONS, ServiceUnavailable
from monitor.metrics import Metrics
from monitor.metrics_server import serve
from tests.support.results import HOSTILE, judged_column, window_result

STREAM = 'model="m",run_kind="live"'


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty registry."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """Metrics in it."""
    return Metrics(registry)


def lines(registry: CollectorRegistry, *prefixes: str) -> list[str]:
    """The exposition's samples that begin with one of the prefixes."""
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(prefixes)]


def test_a_window_is_exposed_exactly(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A drifted window gives these gauges and counters, with these labels and values, and no others."""
    metrics.observe_result(window_result(judged_column("a", 0.25), judged_column("p", 0.4, "prediction")), 5000.5, 0.02)

    def scored(name: str, role: str) -> str:
        return f'column="{name}",method="wasserstein",model="m",role="{role}",run_kind="live"'

    def plain(name: str, role: str) -> str:
        return f'column="{name}",model="m",role="{role}",run_kind="live"'

    assert lines(registry, "tidemark_window", "tidemark_drifted", "tidemark_column", "tidemark_last_window") == [
        f"tidemark_window_start_event_time_seconds{{{STREAM}}} 1000.0",
        f"tidemark_window_end_event_time_seconds{{{STREAM}}} 1600.0",
        f"tidemark_window_rows{{{STREAM}}} 500.0",
        f"tidemark_window_sampled_rows{{{STREAM}}} 400.0",
        f"tidemark_last_window_closed_timestamp_seconds{{{STREAM}}} 5000.5",
        f"tidemark_window_drift_share{{{STREAM}}} 1.0",
        f"tidemark_window_drift_share_threshold{{{STREAM}}} 0.5",
        f"tidemark_window_drifted_columns{{{STREAM}}} 1.0",
        f"tidemark_window_drifted{{{STREAM}}} 1.0",
        f"tidemark_last_window_judged_timestamp_seconds{{{STREAM}}} 5000.5",
        f"tidemark_drifted_window_start_event_time_seconds{{{STREAM}}} 1000.0",
        f"tidemark_drifted_window_end_event_time_seconds{{{STREAM}}} 1600.0",
        f"tidemark_drifted_window_share{{{STREAM}}} 1.0",
        f"tidemark_column_drift_score{{{scored('a', 'feature')}}} 0.25",
        f"tidemark_column_drift_score{{{scored('p', 'prediction')}}} 0.4",
        f"tidemark_column_drift_threshold{{{scored('a', 'feature')}}} 0.1",
        f"tidemark_column_drift_threshold{{{scored('p', 'prediction')}}} 0.1",
        f"tidemark_column_drifted{{{plain('a', 'feature')}}} 1.0",
        f"tidemark_column_drifted{{{plain('p', 'prediction')}}} 1.0",
        f"tidemark_drifted_window_column_score{{{scored('a', 'feature')}}} 0.25",
        f"tidemark_drifted_window_column_score{{{scored('p', 'prediction')}}} 0.4",
        f'tidemark_windows_total{{{STREAM},status="ok"}} 1.0',
        f'tidemark_windows_total{{{STREAM},status="insufficient_data"}} 0.0',
        f'tidemark_windows_total{{{STREAM},status="error"}} 0.0',
        f"tidemark_drifted_windows_total{{{STREAM}}} 1.0",
        f"tidemark_drifted_columns_total{{{STREAM}}} 1.0",
        f"tidemark_column_drifted_windows_total{{{plain('a', 'feature')}}} 1.0",
        f"tidemark_column_drifted_windows_total{{{plain('p', 'prediction')}}} 1.0",
    ]


def test_a_quiet_window_keeps_the_last_drifted_one(registry: CollectorRegistry, metrics: Metrics) -> None:
    """After a quiet window the share is its share, while the link's gauge still names the drifted window."""
    metrics.observe_result(window_result(judged_column("a", 0.25)), 1.0, 0.0)
    metrics.observe_result(window_result(judged_column("a", 0.01), start_ms=1_600_000, end_ms=2_200_000), 2.0, 0.0)
    assert lines(registry, "tidemark_window_drift_share{", "tidemark_drifted_window_start", "tidemark_drifted_windows_total") == [
        f"tidemark_window_drift_share{{{STREAM}}} 0.0",
        f"tidemark_drifted_window_start_event_time_seconds{{{STREAM}}} 1000.0",
        f"tidemark_drifted_windows_total{{{STREAM}}} 1.0",
    ]


def test_too_few_rows_say_nothing_about_drift(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A window with insufficient data is counted and moves the event time, but leaves the verdict of the window before."""
    metrics.observe_result(window_result(judged_column("a", 0.25)), 1.0, 0.0)
    few = window_result(status="insufficient_data", reason="3 rows", rows=3, start_ms=1_600_000, end_ms=2_200_000)
    metrics.observe_result(few, 2.0, 0.0)
    assert lines(registry, "tidemark_window_drift_share{", "tidemark_window_end", "tidemark_windows_total", "tidemark_last_window") == [
        f"tidemark_window_end_event_time_seconds{{{STREAM}}} 2200.0",
        f"tidemark_last_window_closed_timestamp_seconds{{{STREAM}}} 2.0",
        f"tidemark_window_drift_share{{{STREAM}}} 1.0",
        f"tidemark_last_window_judged_timestamp_seconds{{{STREAM}}} 1.0",
        f'tidemark_windows_total{{{STREAM},status="ok"}} 1.0',
        f'tidemark_windows_total{{{STREAM},status="insufficient_data"}} 1.0',
        f'tidemark_windows_total{{{STREAM},status="error"}} 0.0',
    ]


def test_a_column_that_is_gone_leaves_no_gauge(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Gauges of columns are those of the last judged window only."""
    metrics.observe_result(window_result(judged_column("old", 0.01)), 1.0, 0.0)
    metrics.observe_result(window_result(judged_column("new", 0.01), judged_column("broken", 0, status="error")), 2.0, 0.0)
    (line,) = lines(registry, "tidemark_column_drifted{")
    assert 'column="new"' in line


def test_counters_begin_before_the_first_window(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The first record makes the window counters 0, so that increase() sees the first window."""
    metrics.records("m", "replay", 10)
    assert 'tidemark_drifted_windows_total{model="m",run_kind="replay"} 0.0' in lines(registry, "tidemark_drifted_windows_total")


def test_replay_and_live_are_apart(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A replay of a model does not overwrite its live gauges."""
    metrics.observe_result(window_result(judged_column("a", 0.25)), 1.0, 0.0)
    metrics.observe_result(window_result(judged_column("a", 0.01), run_kind="replay", run="r1"), 1.0, 0.0)
    assert lines(registry, "tidemark_window_drift_share{") == [
        f"tidemark_window_drift_share{{{STREAM}}} 1.0",
        'tidemark_window_drift_share{model="m",run_kind="replay"} 0.0',
    ]


def test_removing_a_model_removes_every_series_of_it(registry: CollectorRegistry, metrics: Metrics) -> None:
    """No sample names a removed model; the other one stays, and a removed model may come back."""
    for model in ("m", "other"):
        metrics.observe_result(window_result(judged_column("a", 0.25), model=model), 1.0, 0.0)
        metrics.event_received(model, "live", 1.0)
        metrics.set_open_windows(model, "live", 1, 2, 3)
    metrics.remove_model("m", "live")
    text = generate_latest(registry).decode()
    assert 'model="m"' not in text
    assert 'tidemark_window_drift_share{model="other",run_kind="live"} 1.0' in text
    metrics.observe_result(window_result(judged_column("a", 0.01)), 2.0, 0.0)
    assert f"tidemark_drifted_windows_total{{{STREAM}}} 0.0" in lines(registry, "tidemark_drifted_windows_total")


def test_invented_names_are_capped(registry: CollectorRegistry, metrics: Metrics) -> None:
    """10,000 invented columns and models keep the exposition under 2,000 samples, with each refusal counted."""
    columns = tuple(judged_column(f"c{i}", 0.25) for i in range(10_000))
    metrics.observe_result(window_result(*columns), 1.0, 0.0)
    for i in range(10_000):
        metrics.records(f"invented-{i}", "live", 1)
    assert len([line for line in lines(registry, "tidemark_") if line]) < 2_000
    assert lines(registry, "tidemark_label_overflow_total") == [
        'tidemark_label_overflow_total{label="model"} 9981.0',
        'tidemark_label_overflow_total{label="column"} 9850.0',
        'tidemark_label_overflow_total{label="class"} 0.0',
        'tidemark_label_overflow_total{label="segment"} 0.0',
    ]


def test_every_reason_of_a_dead_letter_begins_at_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Each fixed reason has a series before its first record, so that `increase()` sees that one."""
    found = {line.split('"')[1]: line.split()[-1] for line in lines(registry, "tidemark_dead_letters_total")}
    assert found == dict.fromkeys(DEAD_LETTER_REASONS, "0.0")


def test_what_was_never_lost_is_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Reports by outcome, and lost offsets of a partition whose lag is known, have series before the first one."""
    metrics.set_lag(3, 0, 0, 0.0)
    assert lines(registry, "tidemark_reports_total") == [
        f'tidemark_reports_total{{outcome="{o}"}} 0.0' for o in ("made", "failed", "dropped")
    ]
    assert lines(registry, "tidemark_lost_offsets_total") == ['tidemark_lost_offsets_total{partition="3"} 0.0']


def test_the_current_specs_are_told(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Each model has one digest, and one whose spec has changed no longer has the earlier one."""
    metrics.set_specs({"a": "1", "b": "2"})
    metrics.set_specs({"a": "3", "b": "2"})
    assert lines(registry, "tidemark_model_spec_info") == [
        'tidemark_model_spec_info{digest="3",model="a"} 1.0',
        'tidemark_model_spec_info{digest="2",model="b"} 1.0',
    ]


def test_any_column_name_survives_the_exposition(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A hostile column name is escaped so that Prometheus's parser reads back exactly that name."""
    metrics.observe_result(window_result(judged_column(HOSTILE, 0.25)), 1.0, 0.0)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    (sample,) = next(f for f in families if f.name == "tidemark_column_drifted").samples
    assert sample.labels["column"] == HOSTILE


def test_the_pipeline_is_exposed(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Each pipeline method moves the series of its name, in base units."""
    metrics.late("m", "live", 2)
    metrics.duplicates("m", "live", 3)
    metrics.dead_letters("undecodable", 4)
    metrics.batch(1000, 0.01, 0.002)
    metrics.transaction(0.03)
    metrics.set_lag(1, 50, 80, 1.5)
    metrics.set_lag(2, 5, 8, 0.0)
    metrics.remove_partition(2)
    metrics.set_stream_time("m", "live", 1234.5)
    metrics.data_loss(1, 7)
    metrics.rebalance()
    metrics.restore(0.5)
    metrics.report("made")
    wanted = {
        f"tidemark_late_records_total{{{STREAM}}} 2.0",
        f"tidemark_duplicate_records_total{{{STREAM}}} 3.0",
        'tidemark_dead_letters_total{reason="undecodable"} 4.0',
        "tidemark_batch_records_sum 1000.0",
        "tidemark_batch_decode_seconds_sum 0.01",
        "tidemark_batch_ingest_seconds_sum 0.002",
        "tidemark_transaction_seconds_sum 0.03",
        'tidemark_consumer_lag_records{partition="1"} 50.0',
        'tidemark_consumer_lag_seconds{partition="1"} 1.5',
        'tidemark_committed_lag_records{partition="1"} 80.0',
        f"tidemark_stream_time_seconds{{{STREAM}}} 1234.5",
        'tidemark_lost_offsets_total{partition="1"} 7.0',
        "tidemark_rebalances_total 1.0",
        "tidemark_restore_seconds_sum 0.5",
        'tidemark_reports_total{outcome="made"} 1.0',
    }
    found = set(lines(registry, "tidemark_"))
    assert wanted <= found
    assert not [line for line in found if "lag" in line and 'partition="2"' in line]


def test_librdkafka_statistics(registry: CollectorRegistry, metrics: Metrics) -> None:
    """librdkafka's counters are handed on by client type, its round trip in s; a broker never asked gives none."""
    asked = {"rtt": {"avg": 2500, "cnt": 3}}
    statistics = {
        "type": "consumer",
        "rxmsgs": 10,
        "txmsgs": 0,
        "cgrp": {"rebalance_cnt": 2},
        "brokers": {"b": asked, "c": {"rtt": {"cnt": 0}}},
    }
    metrics.client_statistics(statistics)
    metrics.client_statistics({"type": "producer", "rxmsgs": 0, "txmsgs": 5, "brokers": {}})
    assert lines(registry, "tidemark_kafka") == [
        'tidemark_kafka_received_messages_total{client="consumer"} 10.0',
        'tidemark_kafka_received_messages_total{client="producer"} 0.0',
        'tidemark_kafka_sent_messages_total{client="consumer"} 0.0',
        'tidemark_kafka_sent_messages_total{client="producer"} 5.0',
        'tidemark_kafka_group_rebalances_total{client="consumer"} 2.0',
        'tidemark_kafka_round_trip_seconds{client="consumer"} 0.0025',
    ]


def test_names_follow_the_rules_of_prometheus(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Every metric has the prefix and a help text; counters, and only they, end in _total."""
    metrics.observe_result(window_result(judged_column("a", 0.25)), 1.0, 0.0)
    for family in registry.collect():
        assert family.name.startswith("tidemark_")
        assert family.documentation
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_serving_and_a_taken_port(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The server answers on loopback; a taken port is one clear error with port and setting; closing frees the port."""
    server = serve(registry, "127.0.0.1", 0)
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        assert b"tidemark_rebalances_total 0.0" in answer.read()
    with pytest.raises(ServiceUnavailable, match=rf"port {server.port} .* is taken[^$]*TIDEMARK_WORKER_METRICS_PORT"):
        serve(registry, "127.0.0.1", server.port)
    server.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_an_infinite_score_is_exposed(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A drifted column whose score was infinite has the score +Inf, so that an alert lists it."""
    metrics.observe_result(window_result(judged_column("a", 1.0, score=None)), 1.0, 0.0)
    (line,) = lines(registry, "tidemark_drifted_window_column_score")
    assert line.endswith(" +Inf")


def test_an_earlier_result_is_shown_and_not_counted(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A result of before a restart sets the same gauges as an observed one, its columns' too, and moves no counter."""
    result = window_result(judged_column("x", 0.3), judged_column("y", 0.0))
    metrics.show_result(result, 5000.0)
    shown = lines(registry, "tidemark_column_drifted{", "tidemark_column_drift_score{", "tidemark_window_drift_share{")
    other = CollectorRegistry()
    Metrics(other).observe_result(result, 5000.0, 0.1)
    assert shown == lines(other, "tidemark_column_drifted{", "tidemark_column_drift_score{", "tidemark_window_drift_share{")
    assert len(shown) == 5
    assert all(line.endswith(" 0.0") for line in lines(registry, "tidemark_windows_total{", "tidemark_drifted_windows_total{"))
