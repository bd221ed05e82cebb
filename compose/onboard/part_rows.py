"""What ``tidemark check`` looks at beside the models: broker, topics, registry, worker, Prometheus, Alertmanager, webhook."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from prometheus_client.parser import text_string_to_metric_families

from compose.native.monitoring import webhook
from compose.onboard.rows import Row, tried
from compose.services import reachable
from config.errors import ServiceUnavailable
from config.settings import Settings
from schemas.store import open_store
from streams.topics import examine_topics

WAIT_S = 5.0
START = "start everything: make up (here, without Docker: tidemark up)"


def part_rows(settings: Settings, digests: Mapping[str, str | None]) -> list[Row]:
    """A row for each part; a broker that does not answer has one row, its topics none.

    ``digests`` are those of the models' specs, None where there is none.
    """
    return [
        *_broker_rows(settings),
        tried("schema store", lambda: _registry(settings)),
        tried("worker", lambda: _worker(settings, digests)),
        tried("Prometheus", lambda: _prometheus(settings)),
        tried("Alertmanager", lambda: _alertmanager(settings)),
        tried("Slack webhook", lambda: _webhook(settings)),
    ]


def _broker_rows(settings: Settings) -> list[Row]:
    try:
        missing, misfits = examine_topics(settings, WAIT_S)
    except ServiceUnavailable as error:
        return [Row("broker", "wrong", error.message, error.remedy)]
    rows = [Row("broker", "right", settings.brokers)]
    wrong = [m for m in misfits if m.must]
    for misfit in misfits:
        rows.append(Row(f"topic {misfit.topic}", "wrong" if misfit.must else "look", str(misfit), misfit.remedy))
    if missing:
        rows.append(
            Row("topics", "wrong", f"missing: {', '.join(missing)}", "make them: tidemark topics (a worker that starts does it too)")
        )
    elif not wrong:
        rows.append(Row("topics", "right", "all there, with the settings that they need"))
    return rows


def _registry(settings: Settings) -> str:
    if not settings.schema_registry_url:
        return f"files in {settings.under_home('schemas')}"
    open_store(settings)
    url = f"{settings.schema_registry_url.rstrip('/')}/subjects"
    subjects = _get(url, "the schema registry", "TIDEMARK_SCHEMA_REGISTRY_URL").json()
    return f"registry at {settings.schema_registry_url}, {len(subjects):,} subjects"


def _worker(settings: Settings, digests: Mapping[str, str | None]) -> Row | str:
    """The worker says which spec, with which reference, each model has there; a file that says otherwise was written after."""
    url = f"http://{reachable(settings)}:{settings.worker_metrics_port}/metrics"
    families = text_string_to_metric_families(_get(url, "the worker", "TIDEMARK_WORKER_METRICS_PORT").text)
    samples = next((f.samples for f in families if f.name == "tidemark_model_spec_info"), None)
    if samples is None:
        raise ServiceUnavailable(f"what answers at {url} is no Tidemark worker", "set TIDEMARK_WORKER_METRICS_PORT to the worker's")
    running = {sample.labels["model"]: sample.labels["digest"] for sample in samples}
    unknown = [model for model in digests if model not in running]
    older = [model for model, digest in digests.items() if digest is not None and running.get(model, digest) != digest]
    told = [f"{what}: {', '.join(models)}" for what, models in (("does not know", unknown), ("has an earlier spec of", older)) if models]
    if told:
        return Row("worker", "look", "; ".join(told), "let it read the specs anew: tidemark reload")
    return f"{url}, has these specs"


def _prometheus(settings: Settings) -> Row | str:
    base = settings.prometheus_url or f"http://{reachable(settings)}:{settings.prometheus_port}"
    _get(f"{base}/-/ready", "Prometheus", "TIDEMARK_PROMETHEUS_URL")
    answer = _get(f"{base}/api/v1/query?query=up%7Bjob%3D~%22tidemark.*%22%7D", "Prometheus", "TIDEMARK_PROMETHEUS_URL").json()
    up = [series for series in answer["data"]["result"] if series["value"][1] == "1"]
    if not up:
        return Row(
            "Prometheus", "look", f"{base} answers, and scrapes no worker that is up", "add the worker as a target; config/prometheus"
        )
    return f"{base}, scrapes the worker"


def _alertmanager(settings: Settings) -> str:
    base = f"http://{reachable(settings)}:{settings.alertmanager_port}"
    _get(f"{base}/-/ready", "Alertmanager", "TIDEMARK_ALERTMANAGER_PORT")
    return base


def _webhook(settings: Settings) -> str:
    address = webhook(settings)
    if settings.slack_webhook_file is None:
        return f"none set: messages go to the inbox page, {settings.public_url}"
    return f"{settings.slack_webhook_file} holds an address at {address.split('/')[2]}; nothing was sent there"


def _get(url: str, what: str, setting: str) -> requests.Response:
    place = url.partition("?")[0]
    try:
        answer = requests.get(url, timeout=WAIT_S)
    except requests.RequestException as error:
        reason = "refused" if isinstance(error, requests.ConnectionError) else type(error).__name__
        raise ServiceUnavailable(f"{what} does not answer at {place} ({reason})", f"{START}, or set {setting}") from error
    if not answer.ok:
        raise ServiceUnavailable(f"{what} answers {answer.status_code} at {place}", f"see its log (make logs), or set {setting}")
    return answer
