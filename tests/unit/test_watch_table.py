"""How `tidemark watch` draws, and what it does when nothing answers."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from config.errors import ServiceUnavailable
from monitor.cli import commands
from monitor.metrics import Metrics
from monitor.metrics_server import serve
from monitor.watch.prometheus import PrometheusReader
from monitor.watch.source import FirstThatAnswers
from monitor.watch.state import stream_states
from monitor.watch.table import event_time, render, sparkline, visible
from monitor.watch.values import FiringAlert, StreamState, View
from monitor.watch.worker import WorkerReader, parse
from tests.support.ports import free_ports
from tests.support.results import HOSTILE, judged_column, window_result

WATCH = next(c for c in commands if c.name == "watch")


def states_of(*columns: tuple[str, float], model: str = "m") -> tuple[StreamState, ...]:
    """The states that a drifted window of these columns gives, read through a real exposition."""
    registry = CollectorRegistry()
    result = window_result(*(judged_column(n, s) for n, s in columns), model=model, start_ms=1_371_441_600_000, end_ms=1_372_046_400_000)
    Metrics(registry).observe_result(result, 1.0, 0.1)
    return stream_states(parse(generate_latest(registry).decode()))


def drawn(view: View, width: int) -> str:
    """The text of a view on a terminal so many columns wide."""
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(render(view, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_everything_is_shown_at_both_widths(width: int) -> None:
    """Model, kind, window, share, threshold, sparkline, columns with scores, lag and alerts stand there, within the width."""
    (state,) = states_of(("dep_delay", 0.25), ("carrier", 0.13), ("dest", 0.0))
    view = View("Prometheus x", (state.with_history(6300.4, (0.0, 0.3, 1.0)),), 1234.0, 4, (alert("Data drift in m (live)"),))
    text = drawn(view, width)
    assert max(len(line) for line in text.splitlines()) <= width
    wanted = [
        "live",
        "2013-06-17 04:00",
        "6,300",
        "500",
        "67%",
        "≥ 50%",
        "▁▃█",
        "dep_delay 0.25",
        "carrier 0.13",
        "lag 1,234 records over 4",
    ]
    for word in [*wanted, "TidemarkDatasetDrift", "Data drift in m (live)", "03:04:05 UTC"]:
        assert word in text
    assert "dest" not in text


def alert(summary: str) -> FiringAlert:
    """A firing alert."""
    return FiringAlert("TidemarkDatasetDrift", "critical", "m", "live", summary, "2026-01-02T03:04:05.6Z")


def test_hostile_names_are_shown_literally() -> None:
    """Markup in names is text; escapes that a terminal would obey, and line breaks, are written out."""
    name = "[bold red]x[/] [link=file:///etc]\x1b[2J\x1b]0;t\x07" + HOSTILE
    (state,) = states_of((name, 0.5), model="[blink]" + HOSTILE)
    text = drawn(View("p", (state,), None, 0, (alert("[red]" + name),)), 400)
    assert "\x1b" not in text
    assert "\x07" not in text
    for literal in ("[bold red]x[/] [link=file:///etc]\\x1b[2J", "[blink]<!channel>", "[red][bold red]x[/]", "\\nback\\slash"):
        assert literal in text


def test_many_drifted_columns_are_cut_with_their_number() -> None:
    """Six columns are named and the rest counted."""
    text = drawn(View("p", states_of(*((f"c{i}", 0.5 + i / 100) for i in range(20))), None, 0, ()), 80)
    assert "c19 0.69" in text
    assert "… 14 more" in text
    assert "No alert is firing" in text


def test_a_sparkline_keeps_the_last_windows_and_marks_those_over_the_threshold() -> None:
    """Bars follow the share from empty to full; the ones at the threshold or above are red."""
    line = sparkline([1.0, 0.0, 0.24, 0.25, 1.0], 0.25, width=4)
    assert line.plain == "▁▂▃█"
    assert [str(span.style) for span in line.spans] == ["green", "green", "red", "red"]


def test_times_out_of_the_calendar_are_shown_in_seconds() -> None:
    """An event time beyond year 9999 doesn't end the program."""
    assert event_time(1e15) == "1000000000000000 s"
    assert event_time(None) == "–"
    assert visible("é ü\u202e") == "é ü\\u202e"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of an HTTP server that gives every request this answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Be quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "no JSON"),
        (503, json.dumps({"status": "error", "errorType": "unavailable", "error": "starting up"}).encode(), "HTTP 503: starting up"),
        (200, b"[]", "HTTP 200"),
    ],
)
def test_what_is_not_prometheus_is_named(status: int, body: bytes, said: str) -> None:
    """A foreign page, or an error of Prometheus, is one clear error with the address."""
    with answering(status, body) as address, pytest.raises(ServiceUnavailable) as caught:
        PrometheusReader(address, 60.0).read(0.0)
    assert address in str(caught.value)
    assert said in str(caught.value)


def test_without_prometheus_the_worker_is_read() -> None:
    """With Prometheus away the real worker endpoint is shown, and it is said that alerts are unknown."""
    registry = CollectorRegistry()
    Metrics(registry).observe_result(window_result(judged_column("a", 0.5)), 1.0, 0.1)
    server = serve(registry, "127.0.0.1", 0)
    try:
        worker = WorkerReader(f"http://127.0.0.1:{server.port}")
        view = FirstThatAnswers(PrometheusReader(f"http://127.0.0.1:{free_ports(1)[0]}", 60.0), worker).read(1.0)
    finally:
        server.close()
    assert (view.streams[0].share, view.alerts) == (1.0, None)
    assert "does not answer" in view.note
    assert "Alerts: unknown" in drawn(view, 80)


def test_when_nothing_answers_the_command_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """`watch --once` without servers ends with both addresses, the settings and `make up`."""
    prometheus, worker = free_ports(2)
    monkeypatch.setenv("TIDEMARK_PROMETHEUS_PORT", str(prometheus))
    monkeypatch.setenv("TIDEMARK_WORKER_METRICS_PORT", str(worker))
    error = CliRunner().invoke(WATCH, ["--once"]).exception
    assert isinstance(error, ServiceUnavailable)
    for word in (f"127.0.0.1:{prometheus}", f"127.0.0.1:{worker}", "TIDEMARK_PROMETHEUS_PORT", "TIDEMARK_WORKER_METRICS_PORT", "make up"):
        assert word in str(error)


@pytest.mark.parametrize("every", ["soon", "0s", "-1s"])
def test_a_wrong_duration_is_refused(every: str) -> None:
    """`--every` that is no duration above 0 ends with exit code 2 and names the value."""
    done = CliRunner().invoke(WATCH, ["--every", every])
    assert done.exit_code == 2
    assert every in done.output
