"""Settings of this installation, from ``TIDEMARK_*`` environment variables or ``.env``. Models have specs instead: ``config.spec``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ByteSize, Field, PlainSerializer, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.durations import parse_ms, show_ms
from config.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
AgeMs = Annotated[int, BeforeValidator(parse_ms), Field(gt=0), PlainSerializer(show_ms, when_used="json")]  # as text, to be read back


class Settings(BaseSettings):
    """Every setting with its default. The environment variable is ``TIDEMARK_`` plus the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_file=ROOT / ".env", extra="ignore", frozen=True)

    # Where things are
    home: Path = Field(ROOT / "var", description="what is made at run time: models, references, reports, broker data")
    specs_dir: Path = Field(ROOT / "config" / "models", description="the model specs, one YAML file a model")
    bind: str = Field("127.0.0.1", description="address that every server of ours listens on")

    # Ports
    kafka_port: Port = 9092
    kafka_controller_port: Port = 19092
    schema_registry_port: Port = 8081
    prometheus_port: Port = 9090
    alertmanager_port: Port = 9093
    grafana_port: Port = 3000
    service_port: Port = 3005
    console_port: Port = 8501
    pages_port: Port = 8502
    worker_metrics_port: Port = 9108
    evidently_port: Port = 8000
    public_url: str = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known.get('pages_port', 8502)}",
        description="how a reader of Slack reaches the report server; from pages_port unless it is set",
    )

    prometheus_url: str = Field("", description="where the console reaches Prometheus; empty means bind:prometheus_port")

    # Kafka
    bootstrap_servers: str = Field("", description="host:port of the brokers; empty means bind:kafka_port")
    predictions_topic: str = "tidemark.predictions"
    results_topic: str = "tidemark.results"
    late_topic: str = "tidemark.late"
    dead_letter_topic: str = "tidemark.dead-letters"
    checkpoint_topic: str = "tidemark.checkpoints"
    commands_topic: str = "tidemark.commands"
    partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    replication_factor: Annotated[int, Field(ge=1, le=10)] = 1
    group_id: str = "tidemark"
    session_timeout: Seconds = Field(6.0, description="s without a heartbeat before the group gives a worker's partitions away")
    max_poll_interval: Seconds = 300.0
    transaction_timeout: Seconds = Field(10.0, description="s that a dead worker's open transaction can hold up its successor")
    cut_interval: Seconds = Field(1.0, description="s between commits while records flow")
    schema_registry_url: str = Field("", description="a Confluent-compatible registry; empty means schemas as files under home")
    schema_registry_user: str = Field("", description="for a registry with basic authentication")
    schema_registry_password_file: Path | None = Field(None, description="file with that user's password, and nothing else")

    # The worker
    idle_timeout: Seconds = Field(60.0, description="s without live records before a passed window of a model closes anyway")
    run_timeout: Seconds = Field(900.0, description="s without records before an open replay run ends as aborted")
    future_tolerance: Seconds = Field(300.0, description="s that a live event may lie ahead of the broker's clock")
    max_record_bytes: Annotated[int, Field(ge=1024)] = 1_000_000
    max_open_runs: Annotated[int, Field(ge=1)] = 16
    dead_letter_share: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="of records, unknown models apart; more stop it")
    dead_letter_span: Annotated[int, Field(ge=100)] = Field(10_000, description="records over which that share is taken")
    forget_after: Seconds = Field(
        21_600.0, description="s without records of a live model before its metrics are removed; 900 s alert first"
    )
    forget_replay_after: Seconds = Field(900.0, description="s after a replay's end before its metrics are removed")
    stall_timeout: Seconds = Field(120.0, description="s with lag and no progress before the worker ends itself")

    # What is kept of each window: reports (HTML), samples (the judged rows), snapshots (the verdicts, for Evidently's own pages)
    evaluation_timeout: Seconds = Field(60.0, description="s for judging one window; then it gets a result with status error")
    report_timeout: Seconds = Field(120.0, description="s that one full report may take")
    report_every: Annotated[int, Field(ge=0)] = Field(0, description="a full report of every Nth window of a run too; 0: drifted ones only")
    archive: bool = Field(True, description="keep the judged rows of each window, so that a full report of it can be made later")
    workspace: bool = Field(True, description="keep a snapshot of each window in a workspace that Evidently's pages open")
    reports_max_age: AgeMs = Field("30d", validate_default=True)
    reports_max_bytes: ByteSize = Field(ByteSize(2_000_000_000), gt=0)
    archive_max_age: AgeMs = Field("30d", validate_default=True)
    archive_max_bytes: ByteSize = Field(ByteSize(2_000_000_000), gt=0)
    workspace_max_age: AgeMs = Field("90d", validate_default=True)
    workspace_max_bytes: ByteSize = Field(ByteSize(100_000_000), gt=0)

    # Alerts
    slack_webhook_file: Path | None = Field(None, description="file with the Slack webhook address; none: the local inbox page")
    dashboard_url: str = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known.get('console_port', 8501)}/",
        description="where messages lead for a model's dashboard: the console's Live page unless set, or Grafana's …/d/tidemark-model",
    )
    runbooks_dir: Path = Field(
        ROOT / "docs" / "runbooks", description="what the page server shows below /runbooks/, one Markdown file an alert"
    )

    @field_validator("home", "specs_dir", "slack_webhook_file", "runbooks_dir", "schema_registry_password_file", mode="after")
    @classmethod
    def _from_root(cls, path: Path | None) -> Path | None:
        return None if path is None else (ROOT / path.expanduser()).resolve()

    @property
    def brokers(self) -> str:
        """``host:port`` list for Kafka clients."""
        return self.bootstrap_servers or f"{self.bind}:{self.kafka_port}"

    def under_home(self, *parts: str) -> Path:
        """A path below ``home``; nothing is made."""
        return self.home.joinpath(*parts)


def load_settings() -> Settings:
    """Read the settings now.

    Raises:
        SettingsError: naming every variable that cannot be used, its value and what is wanted.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"TIDEMARK_{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(lines), "correct the variable in the environment or in .env, or unset it") from error


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
