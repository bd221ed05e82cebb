"""``tidemark replay`` as a user meets it when something is wrong: one message, its remedy, its exit code, no traceback."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from config.errors import ServiceUnavailable, UsageError
from config.settings import ROOT, Settings
from config.spec import read_spec
from producers.artefact import load_artefact
from producers.replay import ReplayOptions, replay
from tests.support.ports import free_ports
from tests.unit.test_replay_parts import FakeClock, Recorder, history

SPEC = read_spec(ROOT / "config" / "models" / "flights.yaml")


def command(home: Path, *arguments: str, port: int = 1) -> subprocess.CompletedProcess[str]:
    """Run the command line on a home of its own, with a broker address where nothing listens."""
    environment = {"TIDEMARK_HOME": str(home), "TIDEMARK_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}", "PATH": "/usr/bin:/bin"}
    call = [sys.executable, "-m", "tidemark", "replay", *arguments]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def complains(done: subprocess.CompletedProcess[str], code: int, *said: str) -> bool:
    """Exit code and words on standard error, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert [s for s in said if s not in done.stderr] == [], done.stderr
    return True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], ["no model 'nosuch'", "flights", "remedy"]),
        (["flights"], ["no data to replay at", "history/flights.parquet", "python -m examples.flights"]),
        (["flights", "--data", "/nosuch.parquet"], ["no data to replay at /nosuch.parquet", "--data"]),
        (["flights", "--speed", "fast"], ["'fast' is not a speed", "7d/5s"]),
        (["flights", "--speed", "max", "--timing", "rebased"], ["rebased", "--speed"]),
        (["flights", "--run", "live"], ["cannot be called live"]),
    ],
)
def test_wrong_input_ends_with_2(tmp_path: Path, arguments: list[str], said: list[str]) -> None:
    """What the user typed or forgot is named, with what to do."""
    assert complains(command(tmp_path, *arguments), 2, *said)


def test_missing_columns_are_listed(tmp_path: Path) -> None:
    """All of them at once, beside those that the file has."""
    path = tmp_path / "h.parquet"
    pl.read_parquet(history(tmp_path, [0, 1])).drop("carrier", "dest").write_parquet(path)
    assert complains(command(tmp_path, "flights", "--data", str(path)), 2, "lacks column carrier, dest", "it has event_time, dep_delay")


def test_a_broker_that_is_not_there_ends_with_1_within_15_s(tmp_path: Path) -> None:
    """The message names the address and the setting; no model is loaded for it."""
    port = free_ports(1)[0]
    began = time.monotonic()
    done = command(tmp_path, "flights", "--data", str(history(tmp_path, [0, 1])), port=port)
    assert complains(done, 1, f"no Kafka broker answers at 127.0.0.1:{port}", "TIDEMARK_BOOTSTRAP_SERVERS", "make up")
    assert time.monotonic() - began < 15


def test_the_library_raises_what_the_command_shows(tmp_path: Path) -> None:
    """``replay`` itself raises ServiceUnavailable, with nothing printed and no run opened."""
    clock = FakeClock()
    settings = Settings(home=tmp_path, bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    recorder = Recorder(clock)
    with pytest.raises(ServiceUnavailable):
        replay(settings, SPEC, ReplayOptions(data=history(tmp_path, [0])), recorder)
    assert recorder.sends == []


def test_a_damaged_artefact_is_named(tmp_path: Path) -> None:
    """A file that is no skops file gives its path and how to make it again."""
    path = tmp_path / "models" / "flights.skops"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(UsageError, match=r"flights\.skops cannot be read") as caught:
        load_artefact(Settings(home=tmp_path), SPEC)
    assert "python -m examples.flights" in caught.value.remedy


def test_a_missing_artefact_is_named(tmp_path: Path) -> None:
    """The path and how to make it."""
    with pytest.raises(UsageError, match=r"no model artefact at .*flights\.skops"):
        load_artefact(Settings(home=tmp_path), SPEC)
