"""`tidemark up`, `status`, `logs` and `down` with the real broker, Prometheus and Alertmanager under the real supervisord."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from confluent_kafka.admin import AdminClient

from compose.native import supervise
from config.settings import ROOT, Settings
from tests.support.broker import SHARED_LIBS
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PORTS = (
    "kafka_port", "kafka_controller_port", "prometheus_port", "alertmanager_port", "pages_port", "worker_metrics_port", "service_port",
    "console_port",
)  # fmt: skip
ONLY = ("--stack", "native", "--no-replay", "--only", "kafka,prometheus,alertmanager")
STARTED = ("kafka", "alertmanager", "prometheus")


class Installation:
    """A home and free ports of its own, and the command line run against them."""

    def __init__(self, home: Path) -> None:
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.settings = Settings(home=home, bootstrap_servers="", slack_webhook_file=None, **ports)  # type: ignore[arg-type]
        values = {f"TIDEMARK_{name.upper()}": str(port) for name, port in ports.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TIDEMARK_")}
        self.environment = {**kept, **values, "TIDEMARK_HOME": str(home), "TIDEMARK_BOOTSTRAP_SERVERS": "", "COLUMNS": "200"}
        for part, shared in (("kafka/libs", SHARED_LIBS), ("packages", ROOT / "var" / "packages")):
            shared.mkdir(parents=True, exist_ok=True)
            (home / part).parent.mkdir(parents=True, exist_ok=True)
            (home / part).symlink_to(shared)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``tidemark ARGUMENTS`` as a process of its own."""
        program = [str(Path(sys.executable).with_name("tidemark")), *arguments]
        return subprocess.run(program, env={**self.environment, **variables}, capture_output=True, text=True, timeout=200, check=False)

    def pids(self) -> dict[str, int]:
        """Process ids of what runs, by service."""
        return {s.name: s.pid for s in supervise.Supervisor(self.settings).states().values() if s.pid}

    def url(self, port: int, path: str) -> str:
        """An address on this installation."""
        return f"http://127.0.0.1:{port}{path}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that is down, and is down again afterwards whatever happened."""
    installation = Installation(tmp_path_factory.mktemp("stack"))
    try:
        yield installation
    finally:
        installation.run("down")
        supervise.sweep(installation.settings)


@pytest.fixture
def up(installed: Installation) -> Installation:
    """The same, with Kafka, Prometheus and Alertmanager up."""
    done = installed.run("up", *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    return installed


def test_up_waits_until_every_service_answers(up: Installation) -> None:
    """When `up` returns, each service answers at once, the topics exist, and Prometheus scrapes Alertmanager and sends its alerts there."""
    s = up.settings
    assert requests.get(up.url(s.prometheus_port, "/-/ready"), timeout=5).status_code == 200
    assert requests.get(up.url(s.alertmanager_port, "/-/ready"), timeout=5).status_code == 200

    def scraped() -> bool:
        found = requests.get(up.url(s.prometheus_port, "/api/v1/query"), params={"query": 'up{job="alertmanager"} == 1'}, timeout=5).json()
        return bool(found["data"]["result"])

    known = AdminClient({"bootstrap.servers": s.brokers}).list_topics(timeout=10).topics
    assert {s.predictions_topic, s.results_topic, s.checkpoint_topic} <= set(known)
    wait_for(scraped, "Alertmanager scraped by Prometheus")
    active = requests.get(up.url(s.prometheus_port, "/api/v1/alertmanagers"), timeout=5).json()["data"]["activeAlertmanagers"]
    assert [a["url"] for a in active] == [up.url(s.alertmanager_port, "/api/v2/alerts")]


def test_rules_are_loaded(up: Installation) -> None:
    """Prometheus runs the rules of config/prometheus without an error in any group."""
    groups = requests.get(up.url(up.settings.prometheus_port, "/api/v1/rules"), timeout=5).json()["data"]["groups"]
    assert groups
    assert all(not rule.get("lastError") for group in groups for rule in group["rules"])


def test_the_webhook_is_readable_by_us_alone(up: Installation) -> None:
    """Without a webhook of the user's, Alertmanager posts to the local inbox; the file is not for other users."""
    file = up.settings.under_home("run", "alertmanager", "slack_webhook")
    assert file.read_text() == up.url(up.settings.pages_port, "/slack")
    assert file.stat().st_mode & 0o777 == 0o600


def test_up_twice_is_harmless(up: Installation) -> None:
    """A second `up` says so, ends with 0, and every process is the same as before."""
    before = up.pids()
    again = up.run("up", *ONLY)
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert up.pids() == before
    assert set(before) == set(STARTED)


def test_status_tells_what_runs(up: Installation) -> None:
    """`status` ends with 0 and shows state, pid and address of each service; those not started are STOPPED."""
    shown = up.run("status")
    assert shown.returncode == 0, shown.stdout
    rows = {line.split()[0]: line.split() for line in shown.stdout.splitlines() if line.split()}
    for name, pid in up.pids().items():
        assert rows[name][1:3] == ["RUNNING", str(pid)]
        assert rows[name][-1] == "yes"
    assert rows["worker"][1] == "STOPPED"


def test_logs_print_a_services_log(up: Installation) -> None:
    """`logs kafka` prints the broker's own lines; an unknown name ends with 2."""
    assert "kafka.server" in up.run("logs", "kafka").stdout
    wrong = up.run("logs", "kafak")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_a_killed_service_is_restarted(up: Installation) -> None:
    """Prometheus, killed, is running again under another pid and answers."""
    old = up.pids()["prometheus"]
    os.kill(old, signal.SIGKILL)
    new = wait_for(lambda: up.pids().get("prometheus", old) != old and up.pids()["prometheus"], "a new Prometheus")
    assert new != old

    def ready() -> bool:
        try:
            return requests.get(up.url(up.settings.prometheus_port, "/-/ready"), timeout=2).status_code == 200
        except requests.ConnectionError:
            return False

    wait_for(ready, "Prometheus ready again")


def test_other_settings_than_the_running_ones_are_refused(up: Installation) -> None:
    """`up` with another port while the stack runs changes nothing and ends with 2."""
    before = up.pids()
    (port,) = free_ports(1)
    done = up.run("up", *ONLY, TIDEMARK_PROMETHEUS_PORT=str(port))
    assert done.returncode == 2
    assert "make down" in done.stderr
    assert up.pids() == before


def test_down_leaves_nothing(up: Installation) -> None:
    """After `down` none of its processes lives, nor any child of theirs, the ports are free; a second `down` is harmless."""
    tree = [psutil.Process(pid) for pid in up.pids().values()]
    tree += [child for process in list(tree) for child in process.children(recursive=True)]
    supervisord = psutil.Process(tree[0].ppid())
    assert up.run("down").returncode == 0
    assert [p for p in [supervisord, *tree] if p.is_running()] == []
    assert supervise.leftovers(up.settings) == []
    assert not supervise.socket_path(up.settings).exists()
    again = up.run("down")
    assert (again.returncode, again.stdout.strip()) == (0, "nothing runs")
    assert up.run("status").returncode == 1


def test_down_finds_what_outlived_a_killed_supervisord(up: Installation) -> None:
    """With supervisord killed its services are orphans; `down` ends them all the same."""
    tree = [psutil.Process(pid) for pid in up.pids().values()]
    os.kill(tree[0].ppid(), signal.SIGKILL)
    assert up.run("down").returncode == 0
    assert [p for p in tree if p.is_running()] == []


def test_a_taken_port_stops_up_before_anything_starts(installed: Installation) -> None:
    """The message names port, setting and process; the exit code is 2 and no process has been started."""
    installed.run("down")
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the one before it may linger
        server.bind(("127.0.0.1", installed.settings.alertmanager_port))
        server.listen()
        done = installed.run("up", *ONLY)
    assert done.returncode == 2
    said = f"port {installed.settings.alertmanager_port} (TIDEMARK_ALERTMANAGER_PORT) is taken by"
    assert said in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr
    assert "Traceback" not in done.stderr
    assert supervise.leftovers(installed.settings) == []


def test_an_unreadable_webhook_file_stops_up(installed: Installation) -> None:
    """A missing file in TIDEMARK_SLACK_WEBHOOK_FILE ends with 2, names the variable, and starts nothing."""
    done = installed.run("up", *ONLY, TIDEMARK_SLACK_WEBHOOK_FILE="/nonexistent/hook")
    assert done.returncode == 2
    assert "TIDEMARK_SLACK_WEBHOOK_FILE='/nonexistent/hook' cannot be read" in done.stderr
    assert supervise.leftovers(installed.settings) == []
