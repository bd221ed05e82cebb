"""Rows sent to a prediction service over HTTP: it predicts, and its emitter puts the events on the topic."""

from __future__ import annotations

import math
import time
from typing import Any

import polars as pl
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from config.errors import ServiceUnavailable, TidemarkError
from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.source import Rows

BATCH = 200  # rows a request: ids, times and targets travel in headers, which servers bound at 64 KiB in all
TIMEOUT_S = 60.0


def service_url(settings: Settings) -> str:
    """Where the prediction service answers."""
    host = "127.0.0.1" if settings.bind in ("0.0.0.0", "::") else settings.bind
    return f"http://{host}:{settings.service_port}"


class ServiceSink:
    """Posts batches to ``/predict``. Nothing is lost silently: the emitter's counters before and after must agree with what was sent."""

    def __init__(self, settings: Settings, spec: ModelSpec, run: str) -> None:
        self._url = service_url(settings)
        self._spec = spec
        self._run = run
        self._session = requests.Session()
        # An overloaded service says 503 before it predicts; a batch emitted twice has the same event ids, so the worker removes one.
        retry = Retry(total=5, connect=2, read=0, backoff_factor=0.2, status_forcelist=[503], allowed_methods=None, raise_on_status=False)
        self._session.mount("http://", HTTPAdapter(max_retries=retry))
        self._sent = 0
        self._before: dict[str, Any] = {}

    def look(self) -> None:
        """Make sure that the service and its emitter answer, and note the emitter's counters.

        Raises:
            ServiceUnavailable: they do not.
        """
        self._before = self._flush()

    def send(self, rows: Rows, start: int, stop: int) -> None:
        """Send the rows ``[start, stop)`` and check that each got a prediction.

        Raises:
            ServiceUnavailable: the service does not answer, or not with one prediction a row.
        """
        for at in range(start, stop, BATCH):
            self._predict(rows, at, min(at + BATCH, stop))

    def wait(self, seconds: float) -> None:
        """Let time pass until more rows are due."""
        time.sleep(seconds)  # nothing to serve meanwhile: requests are answered one by one

    def finish(self) -> int:
        """Wait until the emitter has delivered everything; returns the number of rows that were sent.

        Raises:
            TidemarkError: the emitter dropped events, or still has some.
        """
        after = self._flush()
        dropped = sum(after["dropped"].values()) - sum(self._before["dropped"].values())
        if dropped or after["pending"]:
            reasons = ", ".join(f"{r} {n:,}" for r, n in after["dropped"].items() if n) or "none dropped"
            raise TidemarkError(
                f"the service at {self._url} dropped {dropped:,} events, {after['pending']:,} are undelivered ({reasons})",
                "look at its log and at the broker, then replay again. The run has no run_end: the worker ends it as aborted",
            )
        return self._sent

    def _predict(self, rows: Rows, start: int, stop: int) -> None:
        part = rows.frame.slice(start, stop - start)
        features = _without_nan(part.select(self._spec.features.keys()))
        headers = {
            "X-Tidemark-Run": self._run,
            "X-Tidemark-Event-Times": ",".join(map(str, rows.times_ms[start:stop].tolist())),
            "X-Tidemark-Event-Ids": ",".join(rows.event_ids(start, stop)),
        }
        target = self._spec.target
        if target and target.column in part.columns and target.type in ("double", "long"):  # the header is for numbers
            values = part[target.column].to_list()
            headers["X-Tidemark-Targets"] = ",".join("" if v is None or not math.isfinite(v) else str(v) for v in values)
        answer = self._post("/predict", {"rows": features.to_dicts()}, headers)
        if not isinstance(answer, list) or len(answer) != stop - start:
            raise ServiceUnavailable(f"{self._url}/predict did not answer with {stop - start} predictions: {str(answer)[:200]}", _REMEDY)
        self._sent += stop - start

    def _flush(self) -> dict[str, Any]:
        answer = self._post("/tidemark/flush", None, {})
        if not isinstance(answer, dict) or not isinstance(answer.get("dropped"), dict) or not isinstance(answer.get("pending"), int):
            raise ServiceUnavailable(f"{self._url}/tidemark/flush answered no counters: {str(answer)[:200]}", _REMEDY)
        return answer

    def _post(self, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Any:
        try:
            response = self._session.post(self._url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise ServiceUnavailable(f"the prediction service at {self._url} does not answer: {error}", _REMEDY) from error
        if response.status_code != 200:
            raise ServiceUnavailable(f"{self._url}{path} answered {response.status_code}: {response.text[:300]}", _REMEDY)
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise ServiceUnavailable(f"{self._url}{path} answered no JSON: {response.text[:200]}", _REMEDY) from error


def _without_nan(frame: pl.DataFrame) -> pl.DataFrame:
    """JSON has no NaN: such a number is null, and so is a vector with a number that is not finite, for a vector has no nulls."""
    vectors = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    broken = {name: frame[name].list.eval(~pl.element().is_finite()).list.any().fill_null(value=False) for name in vectors}
    return frame.with_columns(
        pl.selectors.float().fill_nan(None),
        *(pl.when(~odd).then(pl.col(name)).alias(name) for name, odd in broken.items()),
    )


_REMEDY = "start it with `make up`, or set TIDEMARK_SERVICE_PORT; `tidemark logs service` shows what it says"
