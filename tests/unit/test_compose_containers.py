"""The containers are the native stack: same services, order, ports, settings, commands and config files. Read from the real Compose."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from compose.native import jars, kafka
from compose.services import Service, services
from config.settings import ROOT, Settings
from tests.support.containers import OWN_BROKER_FILE, compose, rendered

ONE_SHOTS = {"topics", "example", "configure"}  # what the native `up` does itself before it starts a service
ADDED = {"grafana", "registry"}  # there is no native Grafana, and no native registry
PATH_FLAGS = {"--config.file", "--storage.tsdb.path", "--storage.path"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The project with default settings."""
    return rendered()


@pytest.fixture(scope="module")
def containers(project: dict[str, Any]) -> dict[str, Any]:
    """Its services."""
    found: dict[str, Any] = project["services"]
    return found


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    """The native table, bound as servers inside a container are."""
    settings = Settings(_env_file=None, home=tmp_path_factory.mktemp("home"), bind="0.0.0.0", bootstrap_servers="")
    return {s.name: s for s in services(settings)}


def _defaults() -> Settings:
    return Settings(_env_file=None)


def _published(container: dict[str, Any]) -> dict[int, tuple[str, int]]:
    return {p["target"]: (p["host_ip"], int(p["published"])) for p in container.get("ports", [])}


def _needed(containers: dict[str, Any], name: str) -> set[str]:
    direct = set(containers[name].get("depends_on", {}))
    return direct.union(*(_needed(containers, other) for other in direct))


def _flags(command: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (argument.partition("=") for argument in command if argument.startswith("--"))}


@pytest.mark.parametrize("profiles", [(), ("replay",), ("registry",), ("replay", "registry"), ("*",)])
@pytest.mark.parametrize("own_broker", [False, True])
def test_compose_takes_the_file(profiles: tuple[str, ...], own_broker: bool) -> None:
    """`config --quiet` of the real Compose ends with 0 and says nothing, for every profile, with Kafka and without."""
    files = ["--file", str(OWN_BROKER_FILE)] if own_broker else []
    done = compose(*files, *(f"--profile={p}" for p in profiles), "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_same_services(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """Every native service is a container of the same name; what there is beside them is named here."""
    assert set(containers) == set(native) | ONE_SHOTS | ADDED
    assert {n for n, c in containers.items() if c["restart"] == "no"} == ONE_SHOTS | {s.name for s in native.values() if s.one_shot}


def test_the_same_order(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """A container waits for what its native service needs; the replay for all services; and waiting means ready, or ended with 0."""
    for service in native.values():
        assert set(service.needs) <= _needed(containers, service.name), service.name
    assert set(native) - {"replay"} <= _needed(containers, "replay")
    assert "example" in _needed(containers, "worker") & _needed(containers, "service")
    for container in containers.values():
        for other, how in container.get("depends_on", {}).items():
            ended = containers[other]["restart"] == "no"
            assert (how["condition"], how["required"]) == ("service_completed_successfully" if ended else "service_healthy", True)


def test_the_same_ports(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """By default each is published on 127.0.0.1 at the native port, and inside the container it listens there, too."""
    for service in native.values():
        port = service.port(_defaults())
        assert _published(containers[service.name]) == ({port: ("127.0.0.1", port)} if port else {})
    assert _published(containers["grafana"]) == {_defaults().grafana_port: ("127.0.0.1", _defaults().grafana_port)}
    assert _published(containers["registry"]) == {8080: ("127.0.0.1", _defaults().schema_registry_port)}


def test_the_same_port_settings(native: dict[str, Service]) -> None:
    """TIDEMARK_*_PORT moves the published port and nothing inside; Kafka tells clients of this machine the port that is published."""
    names = {s.name: s.port_setting for s in native.values() if s.port_setting} | {
        "grafana": "grafana_port",
        "registry": "schema_registry_port",
    }
    ports = {name: 20_001 + i for i, name in enumerate(names)}
    moved = rendered(**{f"TIDEMARK_{names[n].upper()}": str(p) for n, p in ports.items()})["services"]
    still = rendered()["services"]
    for name, port in ports.items():
        assert list(_published(moved[name]).values()) == [("127.0.0.1", port)]
        # Alertmanager is told its own address as people have it: messages name it
        address = f"--web.external-url=http://127.0.0.1:{port}"
        command = [address if a.startswith("--web.external-url=") else a for a in still[name].get("command") or []]
        assert (moved[name].get("command") or []) == command
        assert list(_published(moved[name])) == list(_published(still[name]))
    assert moved["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://kafka:29092,HOST://127.0.0.1:{ports['kafka']}"
    assert moved["worker"]["environment"]["TIDEMARK_PUBLIC_URL"] == f"http://127.0.0.1:{ports['pages']}"


def test_the_same_commands(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """Our programs run with the native arguments, and Prometheus and Alertmanager with the native flags, paths aside."""
    for name in ("worker", "service", "pages", "console", "replay"):
        program, *arguments = native[name].command
        assert containers[name]["command"] == [Path(program).name, *arguments]
    for name in ("prometheus", "alertmanager"):
        theirs, ours = _flags(containers[name]["command"]), _flags(list(native[name].command[1:]))
        assert {k: v for k, v in theirs.items() if k not in PATH_FLAGS} == {k: v for k, v in ours.items() if k not in PATH_FLAGS}
        assert set(theirs) == set(ours)
        for flag in PATH_FLAGS & set(theirs):
            assert Path(theirs[flag]).name == Path(ours[flag]).name


def test_the_same_environment(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """A variable that a native service is given stands in its container; paths differ."""
    for service in native.values():
        for key, value in service.environment.items():
            there = containers[service.name]["environment"][key]
            assert Path(there).name == Path(value).name if value.startswith("/") else there == value


def test_every_setting_is_fixed_published_or_handed_on(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """No setting of config/settings.py is forgotten in the containers, and none is there that does not exist."""
    known = {f"TIDEMARK_{name.upper()}" for name in Settings.model_fields}
    given = set(containers["configure"]["environment"])
    ports = {f"TIDEMARK_{name.upper()}" for name in Settings.model_fields if name.endswith("_port")}
    assert known - given == ports, "hand the new setting on: add its variable to x-environment in compose/docker-compose.yml"
    assert given <= known, "x-environment in compose/docker-compose.yml names a setting that is gone"
    named = set(re.findall(r"\$\{(TIDEMARK_[A-Z_]+)", (ROOT / "compose" / "docker-compose.yml").read_text(encoding="utf-8")))
    published = {s.port_setting for s in native.values() if s.port_setting} | {"grafana_port", "schema_registry_port"}
    assert ports & named == {f"TIDEMARK_{name.upper()}" for name in published}


def test_a_setting_of_the_environment_reaches_our_containers() -> None:
    """A handed-on setting has its value in every container of ours, and is absent where nobody set it."""
    ours = [c for c in rendered(TIDEMARK_PARTITIONS="9")["services"].values() if "build" in c]
    assert len(ours) == 8
    assert {c["environment"]["TIDEMARK_PARTITIONS"] for c in ours} == {"9"}
    assert {c["environment"]["TIDEMARK_GROUP_ID"] for c in ours} == {None}


def test_the_same_broker(containers: dict[str, Any], tmp_path: Path) -> None:
    """Every setting of the native server.properties that holds no address or path is the container's, and no other; so is the heap."""
    text = kafka.properties(Settings(home=tmp_path, kafka_port=9092, bind="127.0.0.1"))
    properties = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    elsewhere = {"listeners", "advertised.listeners", "listener.security.protocol.map", "controller.quorum.voters", "log.dirs"}
    wanted = {f"KAFKA_{k.upper().replace('.', '_')}": v for k, v in properties.items() if k not in elsewhere}
    environment = dict(containers["kafka"]["environment"])
    assert environment.pop("KAFKA_HEAP_OPTS") == kafka.JVM[0]
    for name in elsewhere:
        environment.pop(f"KAFKA_{name.upper().replace('.', '_')}")
    assert environment == wanted


def test_the_same_versions(containers: dict[str, Any]) -> None:
    """Kafka is of the pom's version, Grafana of the SDK's that builds the dashboards, uv of the Makefile's, our image of the project's."""
    assert {c["image"] for c in containers.values() if "build" in c} == {f"tidemark:{metadata.version('tidemark')}"}
    pom = ElementTree.parse(jars.POM).getroot()
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    version = pom.findtext(".//m:dependency[m:artifactId='kafka_2.13']/m:version", namespaces=space)
    assert containers["kafka"]["image"] == f"apache/kafka:{version}"
    sdk = re.search(r"grafana-foundation-sdk==\d+!([\d.]+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert sdk
    assert containers["grafana"]["image"] == f"grafana/grafana:{sdk[1]}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("build.in", "build.lock"):
        pinned = re.search(r"^uv==([\d.]+)", (ROOT / "compose" / "docker" / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert pinned
        assert f" uv=={pinned[1]}\n" in makefile


def test_health_is_the_native_question(containers: dict[str, Any], native: dict[str, Service]) -> None:
    """Each container's healthcheck asks the path and port that the native runner asks; Kafka's is answered by the broker itself."""
    for service in native.values():
        check = containers[service.name].get("healthcheck")
        if service.ready_path:
            assert check["test"][-1] == f"http://127.0.0.1:{service.port(_defaults())}{service.ready_path}"
        else:
            assert (check is not None) == (service.name == "kafka")
    assert "--bootstrap-server kafka:29092" in containers["kafka"]["healthcheck"]["test"][-1]


def test_the_same_config_files(project: dict[str, Any], containers: dict[str, Any]) -> None:
    """Prometheus and Alertmanager, Grafana and the specs are read from config/; nothing of it is copied into compose/."""
    binds = {
        (name, Path(v["source"]).relative_to(ROOT).as_posix())
        for name, container in containers.items()
        for v in container.get("volumes", [])
        if v["type"] == "bind"
    }
    ours = {n for n, c in containers.items() if "build" in c} - {"configure"}
    assert binds == {(n, "config/models") for n in ours} | {
        ("configure", "config/prometheus"),
        ("configure", "config/alertmanager"),
        ("grafana", "config/grafana/provisioning"),
        ("grafana", "config/grafana/dashboards"),
        ("pages", "docs/runbooks"),
    }
    assert all(ROOT.joinpath(path).is_dir() for _, path in binds)
    assert all(v["read_only"] for c in containers.values() for v in c.get("volumes", []) if v["type"] == "bind")
    written = {v["source"]: v["target"] for v in containers["configure"]["volumes"] if v["type"] == "volume"}
    home = containers["configure"]["environment"]["TIDEMARK_HOME"]
    for name in ("prometheus", "alertmanager"):
        assert written[f"{name}-config"] == f"{home}/run/{name}"
        read = next(v for v in containers[name]["volumes"] if v["source"] == f"{name}-config")
        assert (read["target"], read["read_only"], read["volume"]["nocopy"]) == (f"/etc/{name}", True, True)
    assert containers["alertmanager"]["working_dir"] == "/etc/alertmanager"
    assert Path(project["secrets"]["slack_webhook"]["file"]).read_text(encoding="utf-8").strip() == "http://pages:8502/slack"


def test_specs_and_webhook_of_ones_own(tmp_path: Path) -> None:
    """TIDEMARK_SPECS_DIR and TIDEMARK_SLACK_WEBHOOK_FILE name files of this machine; one container alone sees the secret."""
    hook = tmp_path / "hook"
    project = rendered(TIDEMARK_SPECS_DIR=str(tmp_path), TIDEMARK_SLACK_WEBHOOK_FILE=str(hook), TIDEMARK_UID="1234")
    assert project["secrets"]["slack_webhook"]["file"] == str(hook)
    assert [n for n, c in project["services"].items() if "secrets" in c] == ["configure"]
    assert project["services"]["configure"]["user"] == "1234:10001"
    specs = {v["source"] for c in project["services"].values() for v in c.get("volumes", []) if v["target"] == "/etc/tidemark/models"}
    assert specs == {str(tmp_path)}


def test_a_broker_of_ones_own_replaces_ours() -> None:
    """With own-broker.yml there is no Kafka, nothing waits for it, and every container of ours gets the brokers' address."""
    project = rendered("--file", str(OWN_BROKER_FILE), TIDEMARK_BOOTSTRAP_SERVERS="broker.example:9092")
    containers = project["services"]
    assert "kafka" not in containers
    assert "kafka" not in project["volumes"]
    assert all("kafka" not in _needed(containers, name) for name in containers)
    ours = [c for c in containers.values() if "build" in c]
    assert {c["environment"]["TIDEMARK_BOOTSTRAP_SERVERS"] for c in ours} == {"broker.example:9092"}


def test_every_container_is_confined(containers: dict[str, Any]) -> None:
    """No root, no capability, no new privileges, limits of memory, processor, processes and logs, ports on loopback, pinned images."""
    for name, container in containers.items():
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert container["user"].split(":")[0] not in ("", "0", "root"), name
        assert "privileged" not in container
        assert "cap_add" not in container
        limits = container["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) > 0
        assert float(limits["cpus"]) > 0
        assert limits["pids"] > 0
        assert container["logging"] == {"driver": "json-file", "options": {"max-size": "20m", "max-file": "11"}}
        assert all(ip == "127.0.0.1" for ip, _ in _published(container).values())
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+(\.Final)?", container["image"]), container["image"]
        assert ("healthcheck" in container) == (container["restart"] != "no")
    # These two write into their own folders when they start, and that it goes without has not been tried: there is no engine here.
    assert {n for n, c in containers.items() if not c.get("read_only")} == {"kafka", "registry"}
