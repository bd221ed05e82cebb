"""Bringing the stack up: prepare what is missing, then start each service as soon as those it needs are ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from compose.native import kafka, monitoring
from compose.native.health import healthy
from compose.native.ports import require_free
from compose.native.supervise import Supervisor, config_file, log_file, render
from compose.services import Service, services
from config.errors import ServiceUnavailable, UsageError
from config.settings import Settings

ALIVE = ("STARTING", "RUNNING", "BACKOFF")
READY_TIMEOUT_S = 120.0
Progress = Callable[[str], None]


def choose(settings: Settings, only: Collection[str], replay: bool) -> list[Service]:
    """The services to start: all, or those named together with what they need.

    Raises:
        UsageError: a name is none of ours.
    """
    table = {s.name: s for s in services(settings)}
    if unknown := [n for n in only if n not in table]:
        raise UsageError(f"there is no service {unknown[0]!r}", f"the services are {', '.join(table)}")
    wanted = set(only or table)
    for service in reversed(table.values()):  # each stands after those it needs
        if service.name in wanted:
            wanted.update(service.needs)
    return [s for s in table.values() if s.name in wanted and (replay or not s.one_shot)]


def prepare(settings: Settings, wanted: list[Service], progress: Progress) -> None:
    """Fetch, unpack, train and write whatever the services need and is not there yet."""
    names = {s.name for s in wanted}
    if "kafka" in names:
        progress("Kafka: jars and data folder")
        kafka.prepare(settings)
    if names & {"prometheus", "alertmanager"}:
        progress("Prometheus and Alertmanager: Debian's packages")
        monitoring.fetch(settings)
        table = services(settings)
        targets = {s.name: (s.address(settings), s.job) for s in table if s.job}
        monitoring.configure(settings, targets, next(s.address(settings) for s in table if s.name == "alertmanager"))
    if names & {"worker", "service", "replay"}:
        from examples.flights.prepare import prepare as prepare_flights  # noqa: PLC0415 - pandas and polars take a second to import

        progress("the example: model and reference dataset")
        prepare_flights(settings, progress)


def _launch(settings: Settings, supervisor: Supervisor) -> None:
    text = render(services(settings), settings)
    if not supervisor.running():
        supervisor.launch(text)
    elif config_file(settings).read_text(encoding="utf-8") != text:
        raise UsageError("the stack runs with other settings than these", "run `make down`, then `make up`")


def _topics(settings: Settings) -> None:
    from streams.topics import ensure_topics  # noqa: PLC0415 - not needed by `up --only prometheus`

    ensure_topics(settings)


def _failure(service: Service, settings: Settings, detail: str) -> ServiceUnavailable:
    log = log_file(settings, service.name)
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:] if log.is_file() else []
    return ServiceUnavailable("\n  ".join([f"{service.name} does not start: {detail}", *tail]), f"read `tidemark logs {service.name}`")


def _start_in_order(settings: Settings, supervisor: Supervisor, pending: list[Service], progress: Progress) -> None:
    """Start each service when what it needs is ready, until all are; kafka is ready once our topics are made, too."""
    ready: set[str] = set()
    started: dict[str, Service] = {}
    others = [s.name for s in pending if not s.one_shot]
    deadline = time.monotonic() + READY_TIMEOUT_S
    if settings.bootstrap_servers:
        _topics(settings)
    while len(ready) < len(pending):
        for service in pending:
            after = others if service.one_shot else service.needs  # a job begins when all else answers, and does not slow it down
            if service.name not in started and ready.issuperset(after):
                supervisor.start(service.name)
                started[service.name] = service
        states = supervisor.states()
        for service in [s for n, s in started.items() if n not in ready]:
            if states[service.name].state == "FATAL":
                raise _failure(service, settings, states[service.name].detail)
            if healthy(service, settings):
                if service.name == "kafka":
                    _topics(settings)
                ready.add(service.name)
                progress(f"{service.name} is ready")
        if time.monotonic() > deadline:
            late = next(s for s in pending if s.name not in ready)
            raise _failure(late, settings, f"not ready after {READY_TIMEOUT_S:g} s")
        time.sleep(0.1)


def up(settings: Settings, progress: Progress, only: Collection[str] = (), replay: bool = True) -> bool:
    """Bring the chosen services up and return when all answer; False when they did before.

    A replay that has ended is not started again here: `tidemark replay` does that.

    Raises:
        UsageError: a taken port, other settings than the running stack's, an unknown service, a wrong setting.
        ServiceUnavailable: a service does not become ready; holds the end of its log.
    """
    supervisor = Supervisor(settings)
    wanted = choose(settings, only, replay)
    states = supervisor.states() if supervisor.running() else {}
    missing = [s for s in wanted if s.name not in states or states[s.name].state not in ALIVE]
    missing = [s for s in missing if not (s.one_shot and s.name in states and states[s.name].state == "EXITED")]
    if not missing and all(healthy(s, settings) for s in wanted):
        _launch(settings, supervisor)
        return False
    require_free(missing, settings)
    prepare(settings, wanted, progress)
    _launch(settings, supervisor)
    _start_in_order(settings, supervisor, [s for s in wanted if s in missing or not s.one_shot], progress)
    return True
