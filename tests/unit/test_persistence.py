"""An alert of drift stands after so many drifted ones of the last judged windows, and a restart changes nothing about it."""

from __future__ import annotations

import itertools

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from config.persistence import parse_windows
from config.spec import Drift
from monitor.metrics import Metrics
from monitor.persistence import History
from schemas.result import WindowResult
from streams.last_results import LastResult, kept_results
from tests.support.results import judged_column, window_result


def window(number: int, drifted: bool, rule: tuple[int, int] = (2, 3), **changes: object) -> WindowResult:
    """The result of a run's window of this number."""
    column = judged_column("a", 0.4 if drifted else 0.01, changes=("mean 1 → 2",) if drifted else ())
    return window_result(column, start_ms=number * 1000, end_ms=(number + 1) * 1000, alert_windows=rule, **changes)


def shown(registry: CollectorRegistry, name: str) -> str:
    """The value of the stream's series of this name."""
    return next(line.rsplit(" ", 1)[1] for line in generate_latest(registry).decode().splitlines() if line.startswith(name + "{"))


@pytest.mark.parametrize(("text", "rule"), [("2 of 3 windows", (2, 3)), ("1 of 1 window", (1, 1)), (" 20 of 20 windows", (20, 20))])
def test_the_rule_is_read(text: str, rule: tuple[int, int]) -> None:
    """``k of m windows``."""
    assert parse_windows(text) == rule
    assert Drift(alert_when=text).alert_when == text


@pytest.mark.parametrize("text", ["2 in 3 windows", "0 of 3 windows", "4 of 3 windows", "2 of 21 windows", "always"])
def test_a_wrong_rule_is_named(text: str) -> None:
    """The message holds the text and what is meant."""
    with pytest.raises(ValueError, match=text):
        parse_windows(text)


def test_k_of_the_last_m_windows() -> None:
    """Two of three: one drifted window alerts nobody, the second one within three does, and it ends when one of three is left."""
    history = History()
    drifted = [False, True, False, True, False, False, True, True]
    assert [history.add(window(i, d)) for i, d in enumerate(drifted)] == [False, False, False, True, False, False, False, True]


def test_the_order_and_repetition_of_results_mean_nothing() -> None:
    """Whatever order four results come in, and though one comes twice, the verdict after them is that of the last three windows."""
    windows = [window(0, True), window(1, False), window(2, False), window(3, True)]
    for order in itertools.permutations(windows):
        history = History()
        assert [history.add(result) for result in (*order, order[0])][-1] is False
    assert History().add(window(0, True, (1, 1))) is True


def test_another_run_begins_anew() -> None:
    """A replay's windows say nothing about another replay of the same model, even one of the same id."""
    history = History()
    history.add(window(0, True, run="a", run_offset=5))
    assert history.add(window(1, True, run="b", run_offset=5)) is False
    assert history.add(window(1, True, run="b", run_offset=9)) is False
    assert history.add(window(2, True, run="b", run_offset=9)) is True


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_restart_changes_nothing(cut: int) -> None:
    """Results read back from the topic after any window, then the rest: the gauge goes on as in a worker that never ended."""
    drifted = [True, False, True, True, False, False, True, False, True]
    results = [window(i, d) for i, d in enumerate(drifted)]
    whole, registry = CollectorRegistry(), CollectorRegistry()
    never_ended, restarted = Metrics(whole), Metrics(registry)
    for result in results[:cut]:
        never_ended.observe_result(result, 1.0, 0.0)
    for last in kept_results([LastResult(r, float(i)) for i, r in enumerate(results[:cut])]):
        restarted.show_result(last.result, last.published_s)
    assert shown(registry, "tidemark_window_alert") == shown(whole, "tidemark_window_alert")
    assert shown(registry, "tidemark_alerted_windows_total") == "0.0"  # what was published before this process is not counted anew
    for result in results[cut:]:
        never_ended.observe_result(result, 1.0, 0.0)
        restarted.observe_result(result, 1.0, 0.0)
        assert shown(registry, "tidemark_window_alert") == shown(whole, "tidemark_window_alert")


def test_windows_that_were_not_judged_leave_the_alert_as_it_is() -> None:
    """Too few rows say nothing about drift."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for result in (window(0, True), window(1, True), window(2, False, status="insufficient_data"), window(3, False, status="error")):
        metrics.observe_result(result, 1.0, 0.0)
    assert (shown(registry, "tidemark_window_alert"), shown(registry, "tidemark_alerted_windows_total")) == ("1.0", "1.0")


def test_calibrated_windows_show_both_verdicts_severity_and_what_changed() -> None:
    """The gauges that the alert is made of; a spec with Evidently's thresholds and no rule of its own has none of them."""
    registry = CollectorRegistry()
    column = judged_column("dest", 0.4, excess=1.25, changes=("1 new category", "x"), hint="data break")
    result = window_result(column, thresholds="calibrated", false_alarm_rate=0.01, evidently_drifted=False)
    Metrics(registry).observe_result(result, 1.0, 0.0)
    names = ("tidemark_window_alert", "tidemark_window_evidently_drifted", "tidemark_drifted_window_severity")
    assert [shown(registry, name) for name in names] == ["1.0", "0.0", "1.25"]
    told = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("tidemark_drifted_window_change{")]
    labels = 'change="1 new category; x [data break]",column="dest",model="m",role="feature",run_kind="live"'
    assert told == [f"tidemark_drifted_window_change{{{labels}}} 1.25"]
    plain = CollectorRegistry()
    Metrics(plain).observe_result(window_result(judged_column("dest", 0.4)), 1.0, 0.0)
    assert not any(f"{name}{{" in generate_latest(plain).decode() for name in names)
