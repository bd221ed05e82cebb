"""A real Kafka broker as one native process: its files, its command, and the wait until it answers."""

from __future__ import annotations

import base64
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from string import Template

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from compose.native import debian, jars
from config.errors import ServiceUnavailable
from config.settings import Settings

HERE = Path(__file__).parent
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # a short-lived broker of one machine starts in 1-2 s with these


def libs(settings: Settings) -> Path:
    """Where the jars are."""
    return settings.under_home("kafka", "libs")


def properties(settings: Settings) -> str:
    """The text of server.properties for these settings."""
    everywhere = settings.bind in {"0.0.0.0", "::"}
    return Template(HERE.joinpath("server.properties").read_text(encoding="utf-8")).substitute(
        bind=settings.bind,
        advertised="127.0.0.1" if everywhere else settings.bind,
        port=settings.kafka_port,
        controller_port=settings.kafka_controller_port,
        data=settings.under_home("kafka", "data"),
    )


def _java(settings: Settings, main: str, *arguments: str) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}"
    return [shutil.which("java") or "java", *JVM, logging, "-cp", f"{libs(settings)}/*", main, *arguments]


def _config(settings: Settings) -> Path:
    return settings.under_home("kafka", "server.properties")


def prepare(settings: Settings) -> None:
    """Fetch the jars, write server.properties, format the data folder; what is there already stays.

    Raises:
        TidemarkError: Java or Maven is missing, or a download or the formatting failed.
    """
    jars.java()
    jars.fetch(libs(settings))
    config = _config(settings)
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(properties(settings), encoding="utf-8")
    if settings.under_home("kafka", "data", "meta.properties").is_file():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    debian.run(
        _java(settings, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(config)),
        "formatting the broker's data folder",
        f"remove {settings.under_home('kafka', 'data')} and run again",
    )


def command(settings: Settings) -> list[str]:
    """The command line of the broker; ``prepare`` comes first."""
    return _java(settings, "kafka.Kafka", str(_config(settings)))


def answers(brokers: str, timeout_s: float = 1.0) -> bool:
    """True when a broker of ``brokers`` (``host:port`` list) serves metadata that holds at least one live broker."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0, "socket.timeout.ms": int(timeout_s * 1000)})
    try:
        return bool(admin.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def wait_ready(brokers: str, timeout_s: float = 60.0, alive: Callable[[], bool] = lambda: True) -> None:
    """Return as soon as the broker answers.

    Args:
        brokers: ``host:port`` list.
        timeout_s: seconds to wait at most.
        alive: false when waiting has become pointless, because the process ended.

    Raises:
        ServiceUnavailable: the process ended or the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answers(brokers):
            return
        if not alive():
            raise ServiceUnavailable(f"the Kafka broker at {brokers} ended while starting", "read its log: `tidemark logs kafka`")
    raise ServiceUnavailable(
        f"no Kafka broker answers at {brokers} after {timeout_s:g} s", "start it with `make up`; see `tidemark logs kafka`"
    )
