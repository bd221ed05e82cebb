"""Panels about the prediction service: BentoML's own metrics, the process, and the emitter that sends its events."""

from __future__ import annotations

from config.grafana.drift import small
from config.grafana.panels import RED, YELLOW, About, Panel, Query, lines, number

SERVICE = 'service_name=~"$service"'
JOB = 'job="tidemark-service"'
CALLS = f'{SERVICE},endpoint!~"/(readyz|livez|healthz|metrics)"'  # what a client asks, not what a monitor does
FAILED = f'{CALLS},http_response_code=~"[45].."'


def _rate(metric: str, by: str, labels: str = SERVICE) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantile(quantile: float, by: str) -> str:
    return f"histogram_quantile({quantile}, {_rate('bentoml_service_request_duration_seconds_bucket', by, CALLS)})"


def summary() -> list[Panel]:
    """The row of numbers at the top."""
    up = small("Instances up", "Instances of the service that Prometheus can scrape.", unit="none", width=6)
    asked = small("Requests", "Requests per second, health checks left out.", unit="reqps", width=6)
    slow = small("Latency p95", "95 of 100 requests are answered within this time.", [(0.5, YELLOW), (2, RED)], "s", 6)
    errors = small("Errors", "Share of requests answered with a status of 400 or more.", [(0.01, YELLOW), (0.05, RED)], "percentunit", 6)
    wrong, all_calls = (f"sum(rate(bentoml_service_request_total{{{labels}}}[$__rate_interval]))" for labels in (FAILED, CALLS))
    return [
        number(up, Query(f"sum(up{{{JOB}}})", "up")),
        number(asked, Query(_rate("bentoml_service_request_total", "service_name", CALLS), "{{service_name}}")),
        number(slow, Query(_quantile(0.95, "le"), "p95"), no_value="no requests"),
        number(errors, Query(f"{wrong} / {all_calls}", "errors"), no_value="no requests"),
    ]


def requests() -> list[Panel]:
    """Rate, latency and errors, by endpoint."""
    rate_text = "Requests per second by endpoint, health checks included."
    latency_text = "Median, 95th and 99th percentile of all requests, health checks left out. Dashed: where it gets slow."
    by_text = "95th percentile by endpoint."
    failed_text = "Requests per second that were answered with a status of 400 or more, by endpoint and status."
    busy = Query(f"sum by (endpoint) (bentoml_service_request_in_progress{{{SERVICE}}})", "{{endpoint}}")
    quantiles = [Query(_quantile(q, "le"), f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]
    failed = Query(_rate("bentoml_service_request_total", "endpoint, http_response_code", FAILED), "{{endpoint}} {{http_response_code}}")
    slow = [(0.5, YELLOW), (2.0, RED)]
    return [
        lines(About("Request rate", rate_text, "reqps"), Query(_rate("bentoml_service_request_total", "endpoint"), "{{endpoint}}")),
        lines(About("Latency", latency_text, "s", slow), *quantiles),
        lines(About("Errors by status", failed_text, "reqps", [(1, RED)], width=8), failed, bars=True),
        lines(About("Latency by endpoint", by_text, "s", slow, width=8), Query(_quantile(0.95, "le, endpoint"), "{{endpoint}}")),
        lines(About("Requests in progress", "Requests that are being answered now.", "short", [(50, YELLOW)], width=8), busy),
    ]


def process() -> list[Panel]:
    """CPU and memory, and the events that go to Kafka."""
    cpu = Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval]))", "{{instance}}")
    memory = Query(f"sum by (instance) (process_resident_memory_bytes{{{JOB}}})", "{{instance}}")
    emitted = Query(_rate("tidemark_emitter_emitted_total", "model", JOB), "{{model}} emitted")
    delivered = Query(_rate("tidemark_emitter_delivered_total", "model", JOB), "{{model}} delivered")
    dropped = Query(f"sum by (model, reason) (increase(tidemark_emitter_dropped_total{{{JOB}}}[$__rate_interval]))", "{{model}} {{reason}}")
    events_text = "Events handed to the emitter and, dashed, acknowledged by Kafka."
    dropped_text = "Prediction events that never reached Kafka, per interval, by reason. The service itself answers as before."
    return [
        lines(About("CPU", "CPU seconds per second: 1 is one whole core.", "short", [(1, YELLOW), (2, RED)], decimals=2), cpu),
        lines(About("Memory", "Resident memory of the process.", "bytes", [(1.5e9, YELLOW), (2e9, RED)]), memory),
        lines(About("Prediction events", events_text, "eps"), emitted, delivered, limit="B"),
        lines(About("Dropped events", dropped_text, "short", [(1, RED)]), dropped, bars=True),
    ]
