"""The one table of what a running Tidemark consists of. The native runner starts it; the compose file is tested against it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from compose.native import kafka, monitoring
from config.settings import ROOT, Settings

REPLAY_SPEED = "7d/5s"  # event time / wall time: the year takes less than five minutes


@dataclass(frozen=True, slots=True)
class Service:
    """One program of the stack.

    Attributes:
        name: as in `tidemark status`, and of its log file.
        about: what it is for, in a few words.
        command: program and arguments.
        port_setting: name in ``Settings`` of the port it listens on; empty for none.
        ready_path: answers below 500 here when it is ready; empty: ready when a Kafka client gets metadata, or, without a port, at once.
        needs: services that must be ready before it starts.
        job: Prometheus' job name; empty: not scraped.
        directory: working directory.
        one_shot: starts after all others, ends by itself and is not restarted.
        environment: variables beside those of the installation.
    """

    name: str
    about: str
    command: tuple[str, ...]
    port_setting: str = ""
    ready_path: str = ""
    needs: tuple[str, ...] = ()
    job: str = ""
    directory: Path = ROOT
    one_shot: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def port(self, settings: Settings) -> int:
        """The port it listens on; 0 for none."""
        return int(getattr(settings, self.port_setting)) if self.port_setting else 0

    def address(self, settings: Settings) -> str:
        """``host:port``; empty when it listens on nothing."""
        return f"{reachable(settings)}:{self.port(settings)}" if self.port_setting else ""


def reachable(settings: Settings) -> str:
    """The host under which this machine reaches servers bound to ``settings.bind``."""
    return "127.0.0.1" if settings.bind in {"0.0.0.0", "::"} else settings.bind


def program(name: str) -> str:
    """A program of this Python environment."""
    return str(Path(sys.executable).with_name(name))


def services(settings: Settings) -> list[Service]:
    """The stack for these settings, each service after those it needs; no Kafka when ``bootstrap_servers`` names another."""
    table = [*([] if settings.bootstrap_servers else [_kafka(settings)]), *_tidemark(settings), *_monitoring(settings), _replay()]
    names = {s.name for s in table}
    return [_with_needs(s, names) for s in table]


def _with_needs(service: Service, names: set[str]) -> Service:
    """Without our own Kafka nobody waits for it: the topics step says when a foreign broker does not answer."""
    if all(n in names for n in service.needs):
        return service
    values = {name: getattr(service, name) for name in Service.__slots__}
    return Service(**{**values, "needs": tuple(n for n in service.needs if n in names)})


def _kafka(settings: Settings) -> Service:
    return Service("kafka", "event log", tuple(kafka.command(settings)), "kafka_port")


def _tidemark(settings: Settings) -> list[Service]:
    port = str(settings.service_port)
    bentoml = (program("bentoml"), "serve", "examples.flights.service:FlightDelay", "--host", settings.bind, "--port", port)
    return [
        Service(
            "worker",
            "windows and verdicts",
            (program("tidemark"), "worker"),
            "worker_metrics_port",
            "/metrics",
            needs=("kafka",),
            job="tidemark-worker",
        ),
        Service(
            "service",
            "the flights model (BentoML)",
            bentoml,
            "service_port",
            "/readyz",
            needs=("kafka",),
            job="tidemark-service",
            environment={"BENTOML_HOME": str(settings.under_home("bentoml")), "BENTOML_DO_NOT_TRACK": "True"},
        ),
        Service("pages", "reports and Slack inbox", (program("tidemark"), "pages"), "pages_port", "/healthz"),
    ]


def _monitoring(settings: Settings) -> list[Service]:
    run = settings.under_home("run")
    return [
        Service(
            "alertmanager",
            "sends alerts to Slack",
            tuple(monitoring.alertmanager_command(settings)),
            "alertmanager_port",
            "/-/ready",
            job="alertmanager",
            directory=run / "alertmanager",
        ),
        Service(
            "prometheus",
            "metrics and rules",
            tuple(monitoring.prometheus_command(settings)),
            "prometheus_port",
            "/-/ready",
            job="prometheus",
            directory=run / "prometheus",
            environment={"TIDEMARK_PUBLIC_URL": settings.public_url.rstrip("/")},
        ),
        Service(
            "console",
            "live dashboards",
            (program("tidemark"), "console"),
            "console_port",
            "/_stcore/health",
            needs=("prometheus",),
        ),
    ]


def _replay() -> Service:
    command = (program("tidemark"), "replay", "flights", "--speed", REPLAY_SPEED)
    return Service("replay", "history of 2013", command, needs=("kafka", "worker"), one_shot=True)
