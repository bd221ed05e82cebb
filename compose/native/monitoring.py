"""Prometheus and Alertmanager from Debian's packages, unpacked below TIDEMARK_HOME, with the configuration of config/."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from compose.native import debian
from config.errors import SettingsError
from config.settings import ROOT, Settings
from monitor.alerting import relocate_alertmanager

PACKAGES = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}


def packages(settings: Settings) -> Path:
    """The folder that packages are unpacked in."""
    return settings.under_home("packages")


def programs(settings: Settings, package: str) -> Path:
    """The folder with the programs of an unpacked package."""
    return packages(settings) / package / "usr" / "bin"


def _run(settings: Settings, name: str) -> Path:
    return settings.under_home("run", name)


def prometheus_command(settings: Settings) -> list[str]:
    """Prometheus on its port, with storage and configuration of this installation."""
    return [
        str(programs(settings, PACKAGES["prometheus"]) / "prometheus"),
        f"--config.file={_run(settings, 'prometheus') / 'prometheus.yml'}",
        f"--storage.tsdb.path={settings.under_home('prometheus')}",
        f"--web.listen-address={settings.bind}:{settings.prometheus_port}",
        "--enable-feature=expand-external-labels",
        "--rules.alert.resend-delay=10s",
    ]


def alertmanager_command(settings: Settings) -> list[str]:
    """Alertmanager on its port, alone (no cluster)."""
    return [
        str(_run(settings, "alertmanager") / "alertmanager"),
        "--config.file=alertmanager.yml",
        f"--storage.path={settings.under_home('alertmanager')}",
        f"--web.listen-address={settings.bind}:{settings.alertmanager_port}",
        "--cluster.listen-address=",
        f"--web.external-url=http://127.0.0.1:{settings.alertmanager_port}",  # messages hold a line for amtool with it
    ]


def fetch(settings: Settings) -> None:
    """Unpack what is missing.

    Raises:
        TidemarkError: a download or the unpacking failed.
    """
    for package in PACKAGES.values():
        if not programs(settings, package).is_dir():
            debian.unpack(package, packages(settings) / package)


def inbox(settings: Settings, pages_host: str) -> str:
    """The address of the local inbox, as Alertmanager reaches it."""
    return f"http://{pages_host}:{settings.pages_port}/slack"


def webhook(settings: Settings) -> str:
    """The address that Alertmanager posts Slack messages to: the user's, or the local inbox.

    Raises:
        SettingsError: the user's file cannot be read, or holds no address.
    """
    path = settings.slack_webhook_file
    if path is None:
        return inbox(settings, "127.0.0.1")
    remedy = "write the address (https://hooks.slack.com/services/…) into it and make it readable, or unset TIDEMARK_SLACK_WEBHOOK_FILE"
    try:
        address = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"TIDEMARK_SLACK_WEBHOOK_FILE={str(path)!r} cannot be read: {error}", remedy) from error
    if not address.startswith(("https://", "http://")) or len(address.split()) != 1:
        raise SettingsError(f"TIDEMARK_SLACK_WEBHOOK_FILE={str(path)!r} is empty or holds no http(s) address", remedy)
    return address


def configure(settings: Settings, targets: dict[str, tuple[str, str]], alertmanager: str) -> None:
    """Make ready what both need to start natively: their configuration, and an Alertmanager that runs from where it was unpacked.

    Raises:
        SettingsError: the webhook file cannot be used.
    """
    write(settings, targets, alertmanager)
    if not (_run(settings, "alertmanager") / "alertmanager").is_file():
        relocate_alertmanager(packages(settings) / PACKAGES["alertmanager"], _run(settings, "alertmanager"))


def write(
    settings: Settings,
    targets: dict[str, tuple[str, str]],
    alertmanager: str,
    config: Path = ROOT / "config",
    secret_mode: int = 0o600,
    pages_host: str = "127.0.0.1",
) -> None:
    """Write the configuration that both read: the files of config/, target files, and the webhook.

    Args:
        settings: the installation.
        targets: per service its (``host:port``, job).
        alertmanager: ``host:port`` that alerts go to.
        config: the folder with ``prometheus/`` and ``alertmanager/``.
        secret_mode: permissions of the files with webhook addresses; by default they are readable by us alone.
        pages_host: where Alertmanager reaches the page server, whose inbox gets what Slack does not take.

    Raises:
        SettingsError: the webhook file cannot be used.
    """
    address = webhook(settings)
    for rules in _run(settings, "prometheus").glob("rules/*.yml"):
        rules.unlink()  # one that is gone from config/ must not go on alerting
    for name in ("prometheus", "alertmanager"):
        _copy_files(config / name, _run(settings, name))
    _write_secret(_run(settings, "alertmanager") / "slack_webhook", address, secret_mode)
    _write_secret(_run(settings, "alertmanager") / "inbox_webhook", inbox(settings, pages_host), secret_mode)
    for name, (host, job) in targets.items():
        _write_targets(_run(settings, "prometheus") / "targets" / f"{name}.yml", host, {"job": job})
    _write_targets(_run(settings, "prometheus") / "alertmanagers" / "local.yml", alertmanager, {})


def _copy_files(source: Path, into: Path) -> None:
    """Copy content, not modes: in a container other users read the files, and the folder may be another user's."""
    for file in (f for f in source.rglob("*") if f.is_file()):
        target = into / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _write_secret(path: Path, text: str, mode: int) -> None:
    """Write a file that never has other permissions than these; one that another user wrote is replaced."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def _write_targets(path: Path, host: str, labels: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    group = {"targets": [host], **({"labels": labels} if labels else {})}
    path.write_text(yaml.safe_dump([group]), encoding="utf-8")
