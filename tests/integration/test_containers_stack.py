"""The whole compose file run in namespaces: every command, healthcheck, address, user and volume of it, but no engine and no pulled image.

Kafka is started as the image apache/kafka starts it (its own KafkaDockerWrapper makes server.properties of the environment) from the native
jars; Prometheus and Alertmanager are Debian's builds of the same versions. Grafana and the registry are not here.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.native import jars
from config.settings import ROOT, Settings
from monitor.alerting import relocate_alertmanager
from tests.integration.test_containers import build_image
from tests.support.alerting import fetch_programs
from tests.support.broker import SHARED_LIBS
from tests.support.containers import rendered
from tests.support.namespaces import MEMORY, Image, Network, possible
from tests.support.waiting import wait_for

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not possible(), reason="needs root for namespaces, and 2.5 GB in /dev/shm"),
]
LOG4J = """Configuration:
  Appenders:
    Console: {name: STDOUT, PatternLayout: {pattern: "%p %m%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: STDOUT}]}
    Logger: []
"""
NAMED = 'mount --bind "$0" /etc/hosts && exec "$@"'


class Stack:
    """The containers of the compose file, each started when what it depends on is healthy or has ended with 0."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.image, self.folder, self.network = image, folder, Network()
        self.services: dict[str, Any] = rendered()["services"]
        self.volumes = {"/run/secrets/slack_webhook": ROOT / "compose" / "docker" / "local_inbox"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        hosts = "127.0.0.1 localhost " + " ".join(self.services) + "\n"
        for path in (folder / "hosts", image.upper / "etc" / "hosts"):
            path.write_text(hosts)
        for service in self.services.values():
            for volume in (v for v in service.get("volumes", []) if v["type"] == "volume"):
                self._volume(volume["source"], volume["target"], service["user"])

    def _volume(self, name: str, target: str, user: str) -> None:
        """Empty, with the owner that the image's folder has: ours from the Dockerfile, the others' that of their images' users."""
        path, inside = self.folder / name, self.image.upper / target.lstrip("/")
        if name not in self.volumes:
            path.mkdir()
        elif not inside.exists():
            return
        self.volumes[name] = path
        if inside.exists():
            os.chown(path, inside.stat().st_uid, inside.stat().st_gid)
            path.chmod(inside.stat().st_mode)
        elif user != "appuser":
            os.chown(path, *map(int, user.split(":")))

    def start(self, name: str) -> None:
        """Start it after what it depends on, and wait until it is healthy, or has ended with 0."""
        if name in self.processes:
            return
        service = self.services[name]
        for other in service.get("depends_on") or {}:
            self.start(other)
        prepare: Callable[[], list[str]] = getattr(self, f"_{name}", lambda: self.image.container(service, self.volumes))
        with (self.folder / f"{name}.log").open("wb") as log:
            command = self.network.inside(prepare())
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.processes[name] = process
        if service["restart"] == "no":
            assert process.wait(300) == 0, self.log(name)
        else:
            wait_for(lambda: self.healthy(name), f"{name} healthy: {self.log(name)}", timeout_s=120, every_s=0.5)

    def healthy(self, name: str) -> bool:
        """What the container's healthcheck says."""
        service = self.services[name]
        assert self.processes[name].poll() is None, self.log(name)
        kind, *test = service["healthcheck"]["test"]
        if name == "kafka":
            words = shlex.split(test[0])
            assert (kind, words[:2]) == ("CMD-SHELL", ["KAFKA_HEAP_OPTS=-Xmx64m", "/opt/kafka/bin/kafka-configs.sh"])
            command = self._named(_java("-Xmx64m", "kafka.admin.ConfigCommand", *words[2:]))
        else:
            command = self.image.container(service, self.volumes, test) if "build" in service else test
        return subprocess.run(self.network.inside(command), capture_output=True, timeout=60, check=False).returncode == 0

    def log(self, name: str) -> str:
        """The end of what it wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def get(self, url: str) -> str:
        """What a server in the containers' network answers."""
        done = subprocess.run(self.network.inside(["curl", "-sfG", *shlex.split(url)]), capture_output=True, text=True, check=False)
        return done.stdout

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Another command in a container of that service."""
        line = self.network.inside(self.image.container(self.services[name], self.volumes, command))
        return subprocess.run(line, capture_output=True, text=True, timeout=400, check=False)

    def stop(self) -> None:
        """End all, those first that others need last, each given its grace period."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.network.close()

    def _named(self, command: list[str]) -> list[str]:
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", NAMED, str(self.folder / "hosts"), *command]

    def _kafka(self) -> list[str]:
        """As the image's `launch` does: KafkaDockerWrapper renders the environment and formats the data folder, then the broker starts."""
        folders = {name: self.folder / f"kafka-{name}" for name in ("default", "mounted", "final")}
        for path in folders.values():
            path.mkdir()
        for file in ("log4j2.yaml", "tools-log4j2.yaml"):
            (folders["default"] / file).write_text(LOG4J)
        (folders["default"] / "server.properties").touch()
        options = [part for name, path in folders.items() for part in (f"--{name}-configs-dir", str(path))]
        environment = {**os.environ, **self.services["kafka"]["environment"], "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}
        environment["KAFKA_LOG_DIRS"] = str(self.volumes["kafka"])
        setup = self._named(_java("-Xmx128m", "kafka.docker.KafkaDockerWrapper", "setup", *options))
        done = subprocess.run(self.network.inside(setup), env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        logging = f"-Dlog4j2.configurationFile={folders['final'] / 'log4j2.yaml'}"
        return self._named(_java(environment["KAFKA_HEAP_OPTS"], logging, "kafka.Kafka", str(folders["final"] / "server.properties")))

    def _prometheus(self) -> list[str]:
        service = self.services["prometheus"]
        self._install(self._programs("prometheus") / "usr" / "bin" / "prometheus", "prometheus")
        return self.image.container(service, self.volumes, ["/usr/local/bin/prometheus", *service["command"]])

    def _alertmanager(self) -> list[str]:
        service, folder = self.services["alertmanager"], self.volumes["alertmanager-config"]
        relocate_alertmanager(self._programs("prometheus-alertmanager"), folder)  # Debian's build wants its templates beside it
        return self.image.container(service, self.volumes, ["/etc/alertmanager/alertmanager", *service["command"]])

    @staticmethod
    def _programs(package: str) -> Path:
        return fetch_programs().under_home("packages", package)

    def _install(self, program: Path, name: str) -> None:
        target = self.image.upper / "usr" / "local" / "bin" / name
        shutil.copyfile(program, target)
        target.chmod(0o755)


def _java(*arguments: str) -> list[str]:
    return [jars.java(), "-cp", f"{SHARED_LIBS}/*", *arguments]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything up but the replay, Grafana and the registry."""
    jars.fetch(SHARED_LIBS)
    with tempfile.TemporaryDirectory(prefix="tidemark-image-", dir=MEMORY) as folder:
        made = Stack(build_image(Path(folder)), tmp_path_factory.mktemp("stack"))
        try:
            for name in set(made.services) - {"grafana", "registry", "replay"}:
                made.start(name)
            yield made
        finally:
            made.stop()


def test_all_are_healthy_and_scraped(stack: Stack) -> None:
    """Every healthcheck succeeds again; Prometheus has all four targets up, under the containers' names, and knows Alertmanager."""
    assert all(stack.healthy(n) for n in ("kafka", "worker", "service", "pages", "prometheus", "alertmanager"))

    def scraped() -> dict[str, str]:
        answer = stack.get("http://127.0.0.1:9090/api/v1/query --data-urlencode query=up")
        found = {r["metric"]["instance"]: r["value"][1] for r in json.loads(answer)["data"]["result"]}
        return found if set(found.values()) == {"1"} and len(found) == 4 else {}

    up = wait_for(scraped, "four targets up", timeout_s=60)
    assert set(up) == {"worker:9108", "service:3005", "prometheus:9090", "alertmanager:9093"}
    managers = json.loads(stack.get("http://127.0.0.1:9090/api/v1/alertmanagers"))["data"]["activeAlertmanagers"]
    assert [m["url"] for m in managers] == ["http://alertmanager:9093/api/v2/alerts"]


def test_a_replay_ends_in_the_inbox(stack: Stack) -> None:
    """The flights of 2013 are replayed in their container; the drift of June becomes a Slack message in the inbox, with its report."""
    program, *arguments = stack.services["replay"]["command"]
    assert arguments[-2:] == ["--speed", "7d/5s"]
    done = stack.run("replay", program, *arguments[:-1], "max")
    assert done.returncode == 0, done.stdout + done.stderr
    message = wait_for(lambda: "flights" in (page := stack.get("http://127.0.0.1:8502/")) and page, "a message", timeout_s=120)
    assert "REPLAY" in message
    assert "http://127.0.0.1:8502/" in message


def test_the_same_through_the_service(stack: Stack) -> None:
    """`make replay ARGS="--via service"` runs in the service's container, where its own port and the shared volume are."""
    week = ("--from", "2013-03-04", "--to", "2013-03-06", "--speed", "max", "--via", "service")
    done = stack.run("service", "tidemark", "replay", "flights", *week)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_settings_reach_the_broker(stack: Stack) -> None:
    """A client of this machine is told the published address; internal topics have the few partitions of the native broker."""
    ask = (
        "from confluent_kafka.admin import AdminClient as A; "
        "found = A({'bootstrap.servers': '127.0.0.1:9092'}).list_topics(timeout=10); "
        "print(sorted(found.brokers.values(), key=str), {n: len(t.partitions) for n, t in found.topics.items() if n[0] == '_'})"
    )
    said = stack.run("worker", "python", "-c", ask)
    assert "[BrokerMetadata(1, 127.0.0.1:9092)]" in said.stdout, said.stderr
    assert "'__consumer_offsets': 4" in said.stdout
    assert "'__transaction_state': 4" in said.stdout
    assert Settings().predictions_topic in stack.run("topics", "tidemark", "topics").stdout
