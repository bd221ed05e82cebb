"""What a user is told when the native stack cannot start."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from compose.native import debian, jars
from compose.native.ports import is_free, require_free
from compose.services import Service
from config.errors import TidemarkError, UsageError
from config.settings import Settings
from tests.support.ports import free_ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this very process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_names_port_setting_and_process(tmp_path: Path, taken: int) -> None:
    """The message holds the port, the variable that moves it, and name and pid of the process that has it."""
    settings = Settings(home=tmp_path, prometheus_port=taken)
    with pytest.raises(UsageError) as caught:
        require_free([Service("prometheus", "", ("x",), "prometheus_port")], settings)
    said = str(caught.value)
    assert f"port {taken} (TIDEMARK_PROMETHEUS_PORT) is taken by {psutil.Process().name()} (pid {os.getpid()})" in said
    assert "remedy:" in said


def test_two_settings_with_one_port_are_refused(tmp_path: Path) -> None:
    """Kafka's controller counts as a server of its own."""
    (port,) = free_ports(1)
    settings = Settings(home=tmp_path, kafka_port=port, kafka_controller_port=port)
    with pytest.raises(UsageError, match=r"TIDEMARK_KAFKA_CONTROLLER_PORT"):
        require_free([Service("kafka", "", ("x",), "kafka_port")], settings)


def test_free_ports_pass(tmp_path: Path, taken: int) -> None:
    """A port nobody listens on is free, one with a listener is not, and only the chosen services' ports matter."""
    (port,) = free_ports(1)
    assert is_free("127.0.0.1", port)
    assert not is_free("127.0.0.1", taken)
    require_free([Service("pages", "", ("x",), "pages_port")], Settings(home=tmp_path, pages_port=port, prometheus_port=taken))


def test_no_java_is_one_message_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Java, and without apt to install it, the error says what is missing and how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TidemarkError, match="java is not installed") as caught:
        jars.java()
    assert caught.value.exit_code == 1
    assert "openjdk-17" in caught.value.remedy


@pytest.mark.parametrize(("version", "fine"), [("1.8.0_392", False), ("11.0.2", False), ("17.0.15", True), ("21", True)])
def test_an_old_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, fine: bool) -> None:
    """A Java before 17 is named with its version."""
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if fine:
        assert jars.java() == str(program)
    else:
        with pytest.raises(TidemarkError, match=r"is Java \d+: the native Kafka broker needs 17"):
            jars.java()


def test_unpacking_without_apt_offers_other_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a system without Debian's tools the error names the package and what to do instead."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TidemarkError, match="prometheus is not there") as caught:
        debian.unpack("prometheus", tmp_path / "into")
    assert caught.value.remedy


def test_a_failed_program_gives_its_last_lines() -> None:
    """The error of a helper program holds what it wrote and its exit code."""
    with pytest.raises(TidemarkError, match=r"(?s)ended with 3.*broken pipe of dreams"):
        debian.run(["sh", "-c", "echo broken pipe of dreams >&2; exit 3"], "trying", "try again")
