"""What a user gets wrong ends a command with one message, the remedy and the right exit code, and never with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT
from tests.support.ports import free_ports

SPEC = (ROOT / "config" / "models" / "flights.yaml").read_text()


def tidemark(home: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command in an installation of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TIDEMARK_")}
    environment = {**clean, "TIDEMARK_HOME": str(home), **{f"TIDEMARK_{k.upper()}": str(v) for k, v in settings.items()}}
    command = [sys.executable, "-m", "tidemark", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def assert_told(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """One error with a remedy and everything that it has to name."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "remedy: " in done.stderr
    for word in said:
        assert word in done.stderr


def test_a_missing_reference(tmp_path: Path) -> None:
    """The worker names the file that is missing."""
    assert_told(tidemark(tmp_path, "worker"), 2, "references/flights.parquet")


def test_a_spec_with_an_unknown_column(tmp_path: Path) -> None:
    """The worker names file, field and column."""
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "flights.yaml").write_text(SPEC.replace("drift:\n", "drift:\n  columns: {dep_dly: {threshold: 0.2}}\n"))
    assert_told(tidemark(tmp_path, "worker", specs_dir=specs), 2, "flights.yaml", "drift.columns", "'dep_dly'")


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    """The address and the setting are named, within seconds."""
    port = free_ports(1)[0]
    assert_told(tidemark(tmp_path, "topics", kafka_port=port), 1, f"127.0.0.1:{port}", "TIDEMARK_BOOTSTRAP_SERVERS")


@pytest.mark.parametrize("content", [None, "", "not an address"])
def test_a_webhook_file_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    """`up` names variable and file before anything is started."""
    path = tmp_path / "webhook"
    if content is not None:
        path.write_text(content)
    ports = dict(zip(("prometheus_port", "alertmanager_port"), free_ports(2), strict=True))
    (tmp_path / "packages").symlink_to(ROOT / "var" / "packages")
    done = tidemark(tmp_path, "up", "--stack", "native", "--no-replay", "--only", "alertmanager", slack_webhook_file=path, **ports)
    assert_told(done, 2, "TIDEMARK_SLACK_WEBHOOK_FILE", str(path))


def test_a_wrong_setting(tmp_path: Path) -> None:
    """The variable and its value are named."""
    assert_told(tidemark(tmp_path, "topics", partitions="four"), 2, "TIDEMARK_PARTITIONS='four'")


def test_an_unknown_model(tmp_path: Path) -> None:
    """A replay of a model without a spec names the models there are."""
    assert_told(tidemark(tmp_path, "replay", "trains"), 2, "trains", "flights")
