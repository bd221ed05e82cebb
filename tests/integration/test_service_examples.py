"""The small example services, each started as its own text says: they answer as before, and their predictions are in the topic."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
import requests

from config.settings import ROOT, Settings, load_settings
from config.spec import read_spec
from examples.flights import model
from examples.flights.files import HISTORY
from schemas.event import event_schema
from tests.conftest import MakeTopic
from tests.integration.test_emitter_delivery import records
from tests.support.broker import Broker
from tests.support.ports import free_ports
from tests.support.waiting import wait_for
from tests.unit.test_emitter_encoding import decode

pytestmark = pytest.mark.integration
ROW = {"dep_delay": 12.0, "sched_hour": 9.0, "distance": 1400.0, "carrier": "UA", "origin": "EWR", "dest": "IAH", "weekday": "Tue"}
ROWS = [{**ROW, "dep_delay": float(delay)} for delay in (0, 30, 120)]
SCHEMA = event_schema(read_spec(ROOT / "config" / "models" / "flights.yaml"))


@pytest.fixture
def home(flights_home: Path) -> Path:
    """The example's model."""
    return flights_home


@pytest.fixture
def environment(broker: Broker, make_topic: MakeTopic, home: Path) -> dict[str, str]:
    """What a service needs to know: where its files and its broker are, and a topic of this test's own."""
    names = {"TIDEMARK_HOME": str(home), "TIDEMARK_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "TIDEMARK_PREDICTIONS_TOPIC": make_topic()}
    return {**os.environ, **names, "BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}


@pytest.fixture
def wanted(home: Path) -> list[float]:
    """The model's own answer to ``ROWS``."""
    return list(model.load(Settings(home=home)).predict(pd.DataFrame(ROWS)).tolist())


@contextmanager
def served(environment: dict[str, str], home: Path, *command: str) -> Iterator[Callable[..., requests.Response]]:
    """A server on loopback in a process group of its own; yields ``post(path, body)``. ``PORT`` in the command is its port."""
    port = str(free_ports(1)[0])
    log = home / f"{port}.log"
    line = [sys.executable, "-m", *(port if part == "PORT" else part for part in command)]
    with log.open("wb") as out:
        process = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True)

    def post(path: str, body: Any, **headers: str) -> requests.Response:
        return requests.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers, timeout=30)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            return post("/predict", []).status_code != 503
        except (requests.ConnectionError, requests.Timeout):
            return False

    try:
        wait_for(ready, f"{command} answers", 90)
        yield post
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def events(broker: Broker, environment: dict[str, str], count: int) -> list[dict[str, Any]]:
    """The topic's events, once there are so many."""

    def read() -> list[dict[str, Any]]:
        found = [decode(SCHEMA, r.value()) for r in records(broker.bootstrap_servers, environment["TIDEMARK_PREDICTIONS_TOPIC"])]
        return found if len(found) >= count else []

    found = wait_for(read, f"{count} events", 20)
    assert len(found) == count
    return found


def test_asgi_service(broker: Broker, home: Path, environment: dict[str, str], wanted: list[float]) -> None:
    """Starlette under uvicorn: rows by name and the V2 protocol give the model's answers, and an event a row; the flush counts them."""
    with served(environment, home, "uvicorn", "examples.services.asgi:app", "--port", "PORT") as post:
        assert post("/predict", {"rows": ROWS}).json() == {"predictions": wanted}
        inputs = [{"name": n, "shape": [3], "datatype": "BYTES", "data": [row[n] for row in ROWS]} for n in ROW]
        assert post("/v2/models/flights/infer", {"inputs": inputs}).json()["outputs"][0]["data"] == wanted
        assert post("/predict", {"no rows": 1}).status_code == 500
        counted = post("/tidemark/flush", None).json()
        assert (counted["delivered"], counted["pending"], counted["requests"]["read"]) == (6, 0, 2)
    found = events(broker, environment, 6)
    assert [e["features"] for e in found] == [*ROWS, *ROWS]
    assert [e["prediction"] for e in found] == [*wanted, *wanted]


def test_wsgi_service(broker: Broker, home: Path, environment: dict[str, str], wanted: list[float]) -> None:
    """The standard library's WSGI server: the answers are the model's, and each row is an event once the service was told to end."""
    with served(environment, home, "examples.services.wsgi", "--port", "PORT") as post:
        answer = post("/predict", ROWS)
        assert (answer.status_code, answer.json()) == (200, wanted)
        assert post("/other", ROWS).status_code == 404
    found = events(broker, environment, 3)
    assert [e["features"] for e in found] == ROWS
    assert [e["prediction"] for e in found] == wanted


def test_plain_call(broker: Broker, home: Path, environment: dict[str, str]) -> None:
    """A batch job emits each row that it predicts, and leaves nothing in its spill folder."""
    command = [sys.executable, "-m", "examples.services.plain", "--rows", "50"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    counted = ast.literal_eval(done.stdout.splitlines()[-1])
    assert (counted["emitted"], counted["delivered"], counted["pending"]) == (50, 50, 0)
    rows = pl.read_parquet(home / HISTORY, n_rows=50).select(list(ROW)).to_dicts()
    assert [e["features"] for e in events(broker, environment, 50)] == rows
    assert not list((home / "spill").iterdir())


def test_wrap_makes_a_bentoml_service_emit(broker: Broker, home: Path, environment: dict[str, str], wanted: list[float]) -> None:
    """``tidemark wrap`` serves a service that knows nothing of Tidemark: the same answers, an event a row, redaction and headers as asked,
    and what it has accepted is delivered before it ends."""
    command = ["tidemark", "wrap", "examples.services.bento:Delay", "--model", "flights", "--model-version", "7", "--path", "/predict"]
    more = ["--redact", "dest", "--spill", str(home / "wrap"), "--trust-headers", "--port", "PORT"]
    with served(environment, home, *command, *more) as post:
        marks = {"X-Tidemark-Event-Ids": "a,b,c", "X-Tidemark-Event-Times": "1000,2000,3000", "X-Tidemark-Run": "r"}
        assert post("/predict", {"rows": ROWS}, **marks).json() == wanted
        assert post("/predict", {"rows": "no"}).status_code == 400
        assert post("/tidemark/flush", None).json()["delivered"] == 3
        assert post("/predict", {"rows": ROWS[:1]}).json() == wanted[:1]
    found = events(broker, environment, 4)
    assert [e["event_id"] for e in found[:3]] == ["a", "b", "c"]
    assert [e["features"] for e in found[:3]] == [{**row, "dest": None} for row in ROWS]
    assert [e["prediction"] for e in found] == [*wanted, wanted[0]]
    assert {e["model_version"] for e in found} == {"7"}
    assert not list((home / "wrap").iterdir())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["nowhere:Delay", "--model", "flights"], "module 'nowhere' is not found"),
        (["examples.services.bento:Other", "--model", "flights"], "has no 'Other'"),
        (["examples.services.bento", "--model", "flights"], "is not MODULE:SERVICE"),
        (["examples.services.delays:Delays", "--model", "flights"], "not a BentoML service"),
        (["examples.services.bento:Delay", "--model", "none"], "none"),
        (["examples.services.bento:Delay", "--model", "flights", "--redact", "destination"], "'destination'"),
        (["examples.services.bento:Delay", "--model", "flights", "--sample-rate", "2"], "sample_rate=2"),
    ],
)
def test_wrap_says_what_is_wrong_before_it_serves(given: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service, spec or option that cannot work ends ``tidemark wrap`` with one error that names it, before anything is served."""
    from config.errors import TidemarkError
    from tidemark import cli

    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("it served"))
    load_settings()
    with pytest.raises(TidemarkError, match=named):
        cli.main(["wrap", *given], standalone_mode=False)
