"""What `tidemark watch` reads: real exposition text and Prometheus' documented answers."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from monitor.metrics import Metrics
from monitor.watch.prometheus import firing, stream_matrix, vector
from monitor.watch.state import NAMES, lag, stream_states, window_shares
from monitor.watch.values import Sample
from monitor.watch.worker import Polls, parse
from tests.support.results import judged_column, window_result

REPLAY = {"run_kind": "replay", "run": "r1"}


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty registry."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """Metrics in it."""
    return Metrics(registry)


def scrape(registry: CollectorRegistry) -> list[Sample]:
    """What a reader gets of the registry's exposition."""
    return parse(generate_latest(registry).decode())


def test_a_drifted_window_is_read_from_the_exposition(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Window, rows, share, threshold and drifted columns (features before the prediction, by score) are those of the result."""
    columns = [judged_column("p", 0.9, "prediction"), judged_column("a", 0.25), judged_column("b", 0.3), judged_column("c", 0.01)]
    metrics.observe_result(window_result(*columns), 5000.5, 0.02)
    metrics.set_stream_time("m", "live", 1700.0)
    (state,) = stream_states(scrape(registry))
    assert (state.model, state.run_kind, state.window_start_s, state.window_end_s, state.rows) == ("m", "live", 1000.0, 1600.0, 500.0)
    assert (state.share, state.threshold, state.judged, state.stream_time_s) == (pytest.approx(2 / 3), 0.5, True, 1700.0)
    assert [(c.name, c.score, c.method) for c in state.drifted] == [(n, s, "wasserstein") for n, s in [("b", 0.3), ("a", 0.25), ("p", 0.9)]]


def test_live_and_replay_are_two_streams(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A replay of a model has a state of its own and changes nothing of the live one."""
    metrics.observe_result(window_result(judged_column("a", 0.0)), 1.0, 0.1)
    metrics.observe_result(window_result(judged_column("a", 0.5), **REPLAY), 2.0, 0.1)
    assert [(s.stream, s.share) for s in stream_states(scrape(registry))] == [(("m", "live"), 0.0), (("m", "replay"), 1.0)]


def test_a_window_with_too_few_rows_is_told_from_a_judged_one(registry: CollectorRegistry, metrics: Metrics) -> None:
    """After a window that was not judged the share is still the older window's and `judged` is False."""
    metrics.observe_result(window_result(judged_column("a", 0.5)), 1.0, 0.1)
    metrics.observe_result(window_result(status="insufficient_data", rows=7), 2.0, 0.1)
    (state,) = stream_states(scrape(registry))
    assert (state.judged, state.share, state.rows) == (False, 1.0, 7.0)


def test_a_stream_without_a_window_is_there(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Records alone make a stream; nothing is invented for the window it hasn't closed."""
    metrics.records("m", "live", 10)
    (state,) = stream_states(scrape(registry))
    assert (state.window_end_s, state.rows, state.share, state.drifted, state.judged) == (None, None, None, (), False)


def test_of_two_workers_the_one_that_closed_last_is_right(registry: CollectorRegistry, metrics: Metrics) -> None:
    """After a rebalance the old worker's gauges for a model are not mixed with those of the new one."""
    metrics.observe_result(window_result(judged_column("a", 0.5)), 1.0, 0.1)
    old = [Sample(s.name, {**s.labels, "instance": "w1"}, s.value) for s in scrape(registry)]
    metrics.observe_result(window_result(judged_column("a", 0.0)), 2.0, 0.1)
    new = [Sample(s.name, {**s.labels, "instance": "w2"}, s.value) for s in scrape(registry)]
    for samples in (old + new, new + old):
        (state,) = stream_states(samples)
        assert (state.share, state.drifted) == (0.0, ())


def test_every_name_that_is_read_is_exposed(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The reader asks Prometheus for no metric that the worker doesn't have."""
    metrics.observe_result(window_result(judged_column("a", 0.5)), 1.0, 0.1)
    metrics.set_stream_time("m", "live", 1.0)
    metrics.set_lag(0, 1, 1, 0.0)
    assert set(NAMES) <= {s.name for s in scrape(registry)}


def test_lag_is_the_sum_over_partitions(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Lag adds up over partitions; with none read it is unknown, not 0."""
    assert lag(scrape(registry)) == (None, 0)
    metrics.set_lag(0, 10, 12, 0.0)
    metrics.set_lag(1, 5, 5, 0.0)
    assert lag(scrape(registry)) == (15.0, 2)


def test_polls_give_rate_and_history(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Rates come from two polls; a window is one entry of the history however often it is polled; a restart gives no negative rate."""
    polls = Polls()
    metrics.records("m", "live", 100)
    metrics.observe_result(window_result(judged_column("a", 0.5)), 1.0, 0.1)
    (first,) = polls.add(scrape(registry), 10.0)
    metrics.records("m", "live", 50)
    (second,) = polls.add(scrape(registry), 12.0)
    metrics.observe_result(window_result(judged_column("a", 0.0)), 2.0, 0.1)
    (third,) = polls.add(scrape(registry), 14.0)
    assert [s.events_per_s for s in (first, second, third)] == [None, 25.0, 0.0]
    assert [s.shares for s in (first, second, third)] == [(1.0,), (1.0,), (1.0, 0.0)]
    anew = CollectorRegistry()
    Metrics(anew).records("m", "live", 8)
    assert polls.add(scrape(anew), 16.0)[0].events_per_s == 4.0


def test_points_of_one_window_count_once() -> None:
    """Equal judging times are one window, equal shares of different windows are two; what is no number is left out."""
    assert window_shares([(1.0, 0.2), (1.0, 0.2), (2.0, 0.2), (3.0, float("nan")), (4.0, 0.5)]) == (0.2, 0.2, 0.5)


def test_prometheus_answers_are_read_as_documented() -> None:
    """A vector and a matrix in the form of Prometheus' API documentation give samples and points, with +Inf and NaN as numbers."""
    metric = {"__name__": "tidemark_window_rows", "model": "m", "run_kind": "live", "instance": "w:1"}
    data = {"resultType": "vector", "result": [{"metric": metric, "value": [1435781451.781, "+Inf"]}]}
    assert vector(data) == [Sample("tidemark_window_rows", {"model": "m", "run_kind": "live", "instance": "w:1"}, float("inf"))]
    series = {"metric": {"model": "m", "run_kind": "live"}, "values": [[1435781430.781, "0.5"], [1435781435, "1"]]}
    points = stream_matrix({"resultType": "matrix", "result": [series, {"metric": {}, "values": [[1, "1"]]}]})
    assert points == {("m", "live"): {1435781430.781: 0.5, 1435781435.0: 1.0}}


def test_only_alerts_that_fire_and_matter_are_shown() -> None:
    """Pending alerts and the dead man's switch are left out; critical ones come first."""

    def alert(name: str, state: str, severity: str) -> dict[str, object]:
        labels = {"alertname": name, "severity": severity, "model": "m", "run_kind": "live"}
        return {"labels": labels, "annotations": {"summary": "s"}, "state": state, "activeAt": "2026-01-02T03:04:05.6Z", "value": "1e+00"}

    given = [alert("W", "firing", "warning"), alert("C", "firing", "critical"), alert("P", "pending", "critical")]
    shown = firing({"alerts": [*given, alert("Watchdog", "firing", "none")]})
    assert [a.name for a in shown] == ["C", "W"]
    assert shown[0].since == "2026-01-02T03:04:05.6Z"
