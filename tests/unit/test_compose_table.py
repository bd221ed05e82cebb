"""What the native stack starts, rendered from settings."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.native import kafka, monitoring, supervise
from compose.native.start import choose
from compose.services import Service, services
from config.errors import SettingsError, UsageError
from config.settings import ROOT, Settings


def _settings(home: Path, **values: Any) -> Settings:
    return Settings(home=home, **values)


def _parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def test_every_service_comes_after_what_it_needs(tmp_path: Path) -> None:
    """The table's order is an order of starting, and no need is misspelt."""
    seen: set[str] = set()
    for service in services(_settings(tmp_path)):
        assert set(service.needs) <= seen
        seen.add(service.name)


def test_every_port_setting_exists_and_reaches_the_command(tmp_path: Path) -> None:
    """A port from the settings is the one that a service with a port option is started with."""
    settings = _settings(tmp_path, service_port=23005, prometheus_port=29090, alertmanager_port=29093)
    table = {s.name: s for s in services(settings)}
    assert all(s.port(settings) > 0 for s in table.values() if s.port_setting)
    for name, port in (("service", "23005"), ("prometheus", "29090"), ("alertmanager", "29093")):
        assert any(argument.endswith(port) for argument in table[name].command)


def test_a_broker_of_ones_own_replaces_ours(tmp_path: Path) -> None:
    """With bootstrap_servers set no Kafka is started, and nothing waits for it."""
    table = services(_settings(tmp_path, bootstrap_servers="broker.example:9092"))
    assert "kafka" not in {s.name for s in table}
    assert all("kafka" not in s.needs for s in table)
    assert table[-1].needs == ("worker",)


def test_only_brings_what_is_needed(tmp_path: Path) -> None:
    """Choosing the worker chooses Kafka too; an unknown name is a usage error that lists the names."""
    assert [s.name for s in choose(_settings(tmp_path), ["worker"], replay=True)] == ["kafka", "worker"]
    assert "replay" not in {s.name for s in choose(_settings(tmp_path), [], replay=False)}
    with pytest.raises(UsageError, match=r"'promethius'[\s\S]*prometheus"):
        choose(_settings(tmp_path), ["promethius"], replay=True)


def test_supervisor_runs_the_very_commands_of_the_table(tmp_path: Path) -> None:
    """Each command comes back from the configuration word for word, even with blanks, quotes and percent signs in it."""
    settings = _settings(tmp_path / "a home with 100% blanks")
    odd = Service("odd", "", ("/bin/echo", "two words", "50%", "it's", '"q"'), environment={"KEY": "5%, and more"})
    table = [*services(settings), odd]
    parsed = _parsed(supervise.render(table, settings))
    for service in table:
        section = parsed[f"program:{service.name}"]
        assert tuple(shlex.split(section["command"].replace("%%", "%"))) == service.command
        assert section["autostart"] == "false"
        assert section["autorestart"] == ("false" if service.one_shot else "true")
    assert parsed["program:odd"]["environment"] == 'KEY="5%%, and more"'


def test_a_long_home_still_has_a_usable_socket(tmp_path: Path) -> None:
    """A socket's path may have 107 bytes: a longer one moves away, one for each home."""
    first, second = (supervise.socket_path(_settings(tmp_path / name / ("x" * 120))) for name in "ab")
    assert len(str(first)) < 108
    assert first != second
    assert supervise.socket_path(_settings(Path("/srv/t"))) == Path("/srv/t/run/supervisor.sock")


def test_server_properties_follow_the_settings(tmp_path: Path) -> None:
    """Ports, address and data folder are those of the settings; a broker on all addresses tells clients one they can reach."""
    values = kafka.properties(_settings(tmp_path, kafka_port=29092, kafka_controller_port=29192, bind="0.0.0.0"))
    lines = dict(line.split("=", 1) for line in values.splitlines() if "=" in line and not line.startswith("#"))
    assert lines["listeners"] == "PLAINTEXT://0.0.0.0:29092,CONTROLLER://0.0.0.0:29192"
    assert lines["advertised.listeners"] == "PLAINTEXT://127.0.0.1:29092"
    assert lines["controller.quorum.voters"] == "1@127.0.0.1:29192"
    assert lines["log.dirs"] == str(tmp_path / "kafka" / "data")
    assert lines["auto.create.topics.enable"] == "false"


def test_the_webhook_is_the_users_or_the_inbox(tmp_path: Path) -> None:
    """Without a file alerts go to the local inbox, with one to the address in it."""
    assert monitoring.webhook(_settings(tmp_path, pages_port=28502)) == "http://127.0.0.1:28502/slack"
    file = tmp_path / "hook"
    file.write_text("https://hooks.slack.com/services/T/B/x\n")
    assert monitoring.webhook(_settings(tmp_path, slack_webhook_file=file)) == "https://hooks.slack.com/services/T/B/x"


@pytest.mark.parametrize("content", [None, b"", b"not an address", b"https://a https://b", b"\xff\xfe"])
def test_an_unusable_webhook_file_is_a_settings_error(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or wrong file ends with code 2 and names the variable and the file."""
    file = tmp_path / "hook"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"TIDEMARK_SLACK_WEBHOOK_FILE='.*hook'") as caught:
        monitoring.webhook(_settings(tmp_path, slack_webhook_file=file))
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_targets_name_the_jobs_that_the_rules_watch(tmp_path: Path) -> None:
    """Each scraped service has the job name that config/prometheus expects, so no rule waits for a series that cannot come."""
    jobs = {s.job for s in services(_settings(tmp_path)) if s.job}
    readme = (ROOT / "config" / "prometheus" / "README.md").read_text(encoding="utf-8")
    assert jobs == {"tidemark-worker", "tidemark-service", "prometheus", "alertmanager"}
    assert all(f"job: {job}" in readme for job in jobs)
    prometheus = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert prometheus["scrape_configs"][0]["file_sd_configs"][0]["files"] == ["targets/*.yml"]
