"""Which stack is chosen, and what then goes to Docker.

There is no engine here. Where one has to answer, a small program named ``docker`` on PATH stands in for the client: the boundary of this
process, and no more is proved than what is asked of it. Whether an engine does what it is asked for is not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from compose.docker import choice, engine, stack
from config.errors import SettingsError, UsageError
from config.settings import ROOT, Settings

FAKE = """#!/bin/sh
echo "$* | $TIDEMARK_KAFKA_PORT $TIDEMARK_SLACK_WEBHOOK_FILE $TIDEMARK_UID" >> "{log}"
case "$*" in {cases}
esac
"""


class Docker:
    """A program named docker that is first on PATH, and what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "calls"

    def answer(self, cases: str = "") -> None:
        """Let it do what a shell's ``case`` says for its arguments; otherwise it ends with 0 without a word."""
        program = self.folder / "docker"
        program.write_text(FAKE.format(log=self._log, cases=cases))
        program.chmod(0o755)

    def calls(self) -> list[str]:
        """The command lines since the last look, without the files' paths."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return [line.split(" | ")[0].replace(f"{ROOT}/compose/", "") for line in lines]

    def environments(self) -> set[str]:
        """The variables of every call since the last look at the calls."""
        return {line.split(" | ")[1] for line in self._log.read_text().splitlines()}


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """An empty folder is all of PATH, but for the shell: no docker until a test says what it answers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "sleep"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    return Docker(folder)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation in which nothing runs."""
    return Settings(_env_file=None, home=tmp_path / "home")


def test_without_docker_the_stack_is_native(docker: Docker, settings: Settings) -> None:
    """No program docker: native by default; forced containers are a usage error with a remedy."""
    assert choice.choose(settings, None) == "native"
    with pytest.raises(UsageError, match="the program docker is not installed") as caught:
        choice.choose(settings, "docker")
    assert caught.value.exit_code == 2
    assert "make up STACK=native" in caught.value.remedy


def test_an_engine_that_answers_is_chosen(docker: Docker, settings: Settings) -> None:
    """With engine and Compose: containers by default, native when forced, and nothing is asked of Docker for that."""
    docker.answer()
    assert choice.choose(settings, None) == "docker"
    assert docker.calls() == ["info", "compose version"]
    assert choice.choose(settings, "native") == "native"
    assert docker.calls() == []


@pytest.mark.parametrize("broken", ["info", "compose version"])
def test_engine_and_compose_are_both_needed(docker: Docker, settings: Settings, broken: str) -> None:
    """A client whose engine or Compose plugin is missing counts as no Docker; the error names what failed and its last line."""
    docker.answer(f'"{broken}") echo "more" >&2; echo "it is gone" >&2; exit 1;;')
    assert choice.choose(settings, None) == "native"
    with pytest.raises(UsageError, match=f"`docker {broken}` fails: it is gone"):
        choice.choose(settings, "docker")


def test_a_hanging_engine_does_not_answer(docker: Docker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that says nothing for the limit is taken as absent."""
    docker.answer("info) exec sleep 60;;")
    monkeypatch.setattr(engine, "ANSWER_S", 0.2)
    assert choice.choose(settings, None) == "native"
    with pytest.raises(UsageError, match=r"no answer within 0\.2 s"):
        choice.choose(settings, "docker")


def test_containers_that_are_up_stay_the_choice(docker: Docker, settings: Settings) -> None:
    """Until `down`, containers are what every command is about, and a native stack beside them is refused."""
    docker.answer()
    choice.remember(settings)
    assert choice.current(settings) == choice.choose(settings, None) == "docker"
    with pytest.raises(UsageError, match="the docker stack is up") as caught:
        choice.choose(settings, "native")
    assert "make down" in caught.value.remedy
    choice.forget(settings)
    assert choice.current(settings) is None


def _tidemark(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIDEMARK_", "DOCKER_"))}
    environment = {**kept, "TIDEMARK_HOME": str(settings.home), **variables}
    command = [sys.executable, "-m", "tidemark", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_real_client_without_an_engine(tmp_path: Path) -> None:
    """`up --stack docker` where no engine listens ends with 2, one message and its remedy, and nothing is remembered. No stand-in."""
    settings = Settings(_env_file=None, home=tmp_path)
    done = _tidemark(settings, "up", "--stack", "docker", DOCKER_HOST=f"unix://{tmp_path}/no.sock")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the containers need a Docker engine: ")
    assert "make up STACK=native" in done.stderr
    assert "Traceback" not in done.stderr
    assert choice.current(settings) is None


def test_up_status_logs_run_and_down_go_to_compose(docker: Docker, settings: Settings, tmp_path: Path) -> None:
    """Each command becomes the Compose command that does it, with the settings as variables; after `down` Docker is not asked any more."""
    docker.answer('*"ps --all --format json"*) echo \'{"Service":"worker","State":"running","Health":"healthy","ExitCode":0}\';;')
    hook = tmp_path / "hook"
    hook.write_text("https://hooks.slack.example/x\n")
    hook.chmod(0o600)
    given = {"TIDEMARK_KAFKA_PORT": "19999", "TIDEMARK_SLACK_WEBHOOK_FILE": str(hook)}

    up = _tidemark(settings, "up", **given)
    assert up.returncode == 0, up.stderr
    owner = str(hook.stat().st_uid) if hook.stat().st_uid else ""
    assert f"19999 {hook} {owner}" in docker.environments()
    compose = "compose --file docker-compose.yml"
    assert docker.calls() == [
        "info",
        "compose version",
        f"{compose} up --detach --build --wait --wait-timeout {stack.WAIT_S}",
        f"{compose} --profile * ps --all --format json",
        f"{compose} --profile replay up --detach --no-deps replay",
    ]
    for address in ("127.0.0.1:19999", "http://127.0.0.1:9090", "http://127.0.0.1:3000"):
        assert address in up.stdout

    assert _tidemark(settings, "status", **given).returncode == 0
    assert docker.calls() == [f"{compose} --profile * ps --all", f"{compose} --profile * ps --all --format json"]
    assert _tidemark(settings, "logs", "worker", "-n", "7", **given).returncode == 0
    assert docker.calls() == [f"{compose} --profile * logs --tail 7 worker"]
    assert _tidemark(settings, "run", "replay", "flights", "--speed", "max", **given).returncode == 0
    assert docker.calls() == [f"{compose} exec --no-TTY service tidemark replay flights --speed max"]
    assert _tidemark(settings, "down", **given).returncode == 0
    assert docker.calls() == [f"{compose} --profile * down --remove-orphans"]
    assert _tidemark(settings, "status", **given).returncode == 1
    assert docker.calls() == []


def test_a_replay_is_not_repeated_and_parts_can_be_chosen(docker: Docker, settings: Settings) -> None:
    """`up` leaves a replay that ran alone; `--only` starts these and no replay; brokers of one's own bring the file without Kafka."""
    docker.answer('*"ps --all --format json"*) echo \'{"Service":"replay","State":"exited","ExitCode":0}\';;')
    assert _tidemark(settings, "up").returncode == 0
    assert not [call for call in docker.calls() if call.endswith(" replay")]
    done = _tidemark(settings, "up", "--only", "prometheus,pages", TIDEMARK_BOOTSTRAP_SERVERS="broker.example:9092")
    assert done.returncode == 0, done.stderr
    started = docker.calls()[2:]
    files = "compose --file docker-compose.yml --file docker/own-broker.yml"
    assert started == [f"{files} up --detach --build --wait --wait-timeout {stack.WAIT_S} prometheus pages"]


def test_a_failing_compose_is_one_error(docker: Docker, settings: Settings) -> None:
    """What Compose writes is shown as it is; our error names the command; the containers that may be there stay remembered."""
    docker.answer('*" up "*) echo "port is already allocated" >&2; exit 1;;')
    done = _tidemark(settings, "up")
    assert done.returncode == 1
    assert "port is already allocated" in done.stderr
    assert "error: `docker compose up --detach" in done.stderr
    assert choice.current(settings) == "docker"


def test_settings_that_cannot_hold_in_containers(tmp_path: Path) -> None:
    """Another bind address, brokers on this machine's loopback, an unreadable webhook file: each is named before anything starts."""
    fine = Settings(_env_file=None, home=tmp_path, bootstrap_servers="broker.example:9092")
    engine.check(fine)
    with pytest.raises(UsageError, match=r"TIDEMARK_BIND='0\.0\.0\.0'"):
        engine.check(fine.model_copy(update={"bind": "0.0.0.0"}))
    for brokers in ("localhost:9092", "b.example:1,127.0.0.1:9092"):
        with pytest.raises(UsageError, match="TIDEMARK_BOOTSTRAP_SERVERS"):
            engine.check(fine.model_copy(update={"bootstrap_servers": brokers}))
    with pytest.raises(SettingsError, match="TIDEMARK_SLACK_WEBHOOK_FILE"):
        engine.check(fine.model_copy(update={"slack_webhook_file": tmp_path / "none"}))


def test_settings_come_back_from_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a setting's type and wherever it came from: the variables that Compose is given make the same settings."""
    values = {"partitions": 9, "cut_interval": 0.5, "specs_dir": tmp_path, "group_id": "g", "home": tmp_path, "reports_max_age": "9d"}
    given = Settings(_env_file=None, **values)
    variables = {k: v for k, v in engine.environment(given).items() if k.startswith("TIDEMARK_")}
    for name in [k for k in os.environ if k.startswith("TIDEMARK_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == given
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "none")
    with pytest.raises(ValidationError):
        Settings(_env_file=None)


@pytest.mark.parametrize("as_array", [False, True])
def test_a_listing_tells_who_is_well(as_array: bool) -> None:
    """Running without a healthcheck or healthy, and ended with 0, is well; starting, unhealthy, restarting, ended otherwise is not."""
    rows = [
        ({"Service": "worker", "State": "running", "Health": "healthy", "ExitCode": 0}, True),
        ({"Service": "x", "State": "running", "Health": "", "ExitCode": 0}, True),
        ({"Service": "topics", "State": "exited", "Health": "", "ExitCode": 0}, True),
        ({"Service": "service", "State": "running", "Health": "starting", "ExitCode": 0}, False),
        ({"Service": "pages", "State": "running", "Health": "unhealthy", "ExitCode": 0}, False),
        ({"Service": "kafka", "State": "restarting", "Health": "", "ExitCode": 1}, False),
        ({"Service": "example", "State": "exited", "Health": "", "ExitCode": 137}, False),
    ]
    listing = json.dumps([r for r, _ in rows]) if as_array else "\n".join(json.dumps(r) for r, _ in rows)
    assert [(c.service, c.well) for c in stack.containers(listing)] == [(r["Service"], well) for r, well in rows]
    assert stack.containers("") == []
