"""What the one-shot container writes for Prometheus and Alertmanager is what the native runner writes, addresses aside."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.docker.healthcheck import answers
from compose.native import monitoring
from config.settings import ROOT, Settings
from tests.support.containers import rendered, tool
from tests.support.ports import free_ports


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The rendered compose file."""
    return rendered()


def _files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def written(project: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder after the very command of the container `configure`, run with its environment; its paths are this machine's."""
    home = tmp_path_factory.mktemp("home")
    configure = project["services"]["configure"]
    secret = project["secrets"]["slack_webhook"]["file"]
    paths = {"TIDEMARK_HOME": str(home), "TIDEMARK_SPECS_DIR": str(ROOT / "config" / "models"), "TIDEMARK_SLACK_WEBHOOK_FILE": secret}
    environment = {**{k: v for k, v in configure["environment"].items() if v is not None}, **paths}
    program, *arguments = configure["command"]
    command = [tool(program), *(str(ROOT / "config") if a == "/etc/tidemark" else a for a in arguments)]
    for _ in range(2):  # each `up` runs it anew
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    return home / "run"


def test_the_files_are_those_of_the_native_stack(written: Path, tmp_path: Path) -> None:
    """Same files with the same content; what differs is the addresses in the target files, and the local inbox's."""
    settings = Settings(_env_file=None, home=tmp_path)
    jobs = {name: ("127.0.0.1:1", job) for name, job in _jobs(written).items()}
    monitoring.write(settings, jobs, "127.0.0.1:1")
    ours, theirs = _files(tmp_path / "run"), _files(written)
    assert set(ours) == set(theirs)
    addressed = {n for n in ours if "/targets/" in n or "/alertmanagers/" in n or n.endswith("_webhook")}
    assert {n for n in ours if ours[n] != theirs[n]} == addressed
    assert theirs["alertmanager/slack_webhook"] == theirs["alertmanager/inbox_webhook"] == "http://pages:8502/slack"


def _jobs(written: Path) -> dict[str, str]:
    groups = {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in (written / "prometheus" / "targets").iterdir()}
    return {name: group[0]["labels"]["job"] for name, group in groups.items()}


def test_addresses_are_containers(written: Path, project: dict[str, Any]) -> None:
    """Every target and the Alertmanager are a container's name and the port that it listens on in there."""
    files = [*(written / "prometheus" / "targets").iterdir(), written / "prometheus" / "alertmanagers" / "local.yml"]
    hosts = {p.stem: yaml.safe_load(p.read_text(encoding="utf-8"))[0]["targets"] for p in files}
    inside = {name: [f"{name}:{p['target']}" for p in c.get("ports", [])] for name, c in project["services"].items()}
    assert hosts.pop("local") == inside["alertmanager"]
    assert hosts == {name: inside[name] for name in hosts}
    assert set(hosts) == {"worker", "service", "prometheus", "alertmanager"}


def test_the_webhook_is_for_owner_and_group_alone(written: Path) -> None:
    """Alertmanager reads it by group; others may not. The rest anybody may read, and the group may write, whoever runs next."""
    assert all((written / "alertmanager" / n).stat().st_mode & 0o777 == 0o640 for n in ("slack_webhook", "inbox_webhook"))
    others = [p for p in written.rglob("*") if p.is_file() and not p.name.endswith("_webhook")]
    assert {p.stat().st_mode & 0o777 for p in others} == {0o664}


def test_no_webhook_at_all_is_a_usage_error(tmp_path: Path) -> None:
    """Without the secret the command ends with 2 and names the variable: in a container there is no inbox of its own."""
    command = [sys.executable, "-m", "tidemark", "prepare", "monitoring"]
    done = subprocess.run(command, cwd=ROOT, env={"TIDEMARK_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "TIDEMARK_SLACK_WEBHOOK_FILE" in done.stderr
    assert not any(tmp_path.iterdir())


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server that answers /200 with 200, and so on."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "well"), [(200, True), (204, True), (404, False), (503, False)])
def test_the_healthcheck_asks_for_a_good_answer(server: str, status: int, well: bool) -> None:
    """Below 400 is well, as for the native runner."""
    assert answers(f"{server}/{status}") is well


def test_the_healthcheck_without_a_server() -> None:
    """As the program that the containers run: nobody listens, so it ends with 1 and says nothing."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "compose.docker.healthcheck", f"http://127.0.0.1:{port}/"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
