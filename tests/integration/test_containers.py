"""What the Dockerfile and the compose file run, run: in namespaces, without a Docker engine (tests/support/namespaces.py)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import ROOT
from tests.support.containers import rendered, run_instructions
from tests.support.namespaces import MEMORY, Image, Network, possible
from tests.support.waiting import wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not possible(), reason="needs root for namespaces, and 2.5 GB in /dev/shm"),
]
SETTINGS = ("pyproject.toml", "requirements.lock")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image: every RUN instruction of the Dockerfile as it is written, in its order. Bytecode is left out, for it takes a minute."""
    with tempfile.TemporaryDirectory(prefix="tidemark-image-", dir=MEMORY) as folder:
        yield build_image(Path(folder))


def build_image(folder: Path) -> Image:
    """Carry out the Dockerfile below ``folder``."""
    made, stages = Image(folder), run_instructions()
    made.copy(ROOT / "compose" / "docker" / "build.lock", "/build/build.lock")
    for name in SETTINGS:
        made.copy(ROOT / name, f"/build/{name}")
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            made.copy(ROOT / line[1:], f"/src/{line[1:]}")
    for command in stages["tools"]:
        made.build(command, "/build")
    for command in stages["packages"]:
        made.build(command, "/build", VIRTUAL_ENV="/opt/tidemark", UV_LINK_MODE="copy", EXTRAS="")
    for command in stages["project"]:
        made.build(command, "/src")
    for command in stages[""]:
        made.build(command, VIRTUAL_ENV="/opt/tidemark")
    return made


@pytest.fixture
def volumes(image: Image, tmp_path: Path) -> dict[str, Path]:
    """Named volumes as an engine makes them: empty, with owner and mode of the folder in the image that they are first mounted on."""
    project = rendered()
    found = {"/run/secrets/slack_webhook": Path(project["secrets"]["slack_webhook"]["file"])}
    places = {v["source"]: v["target"] for n in ("worker", "configure") for v in project["services"][n]["volumes"] if v["type"] == "volume"}
    for name, target in places.items():
        like = (image.upper / target.lstrip("/")).stat()
        found[name] = tmp_path / name
        found[name].mkdir()
        os.chown(found[name], like.st_uid, like.st_gid)
        found[name].chmod(like.st_mode)
    return found


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as Compose renders them."""
    found: dict[str, Any] = rendered()["services"]
    return found


def test_the_image_holds_what_it_should(image: Image, services: dict[str, Any], volumes: dict[str, Path]) -> None:
    """As the user of the image, the entry points answer; nothing of the dev extra is in it; its root cannot be written, /tmp can."""
    pages = services["pages"]
    said = _run(image.container(pages, volumes, ["tidemark", "--help"]))
    assert said.returncode == 0, said.stderr
    assert "worker" in said.stdout
    assert _run(image.container(pages, volumes, ["bentoml", "--version"])).returncode == 0
    assert _run(image.container(pages, volumes, ["python", "-c", "import pytest"])).returncode == 1
    look = "id -u; id -g; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; touch /tmp/x && touch /opt/x"
    inside = _run(image.container(pages, volumes, ["sh", "-c", look]))
    assert inside.stdout.split() == ["10001", "10001", "CapEff:", "0000000000000000", "NoNewPrivs:", "1"]
    assert "Read-only file system" in inside.stderr


def test_batches_are_decoded_in_machine_code(image: Image, services: dict[str, Any], volumes: dict[str, Path]) -> None:
    """The image has the compiled walk, and its user loads it from there: nothing can be compiled on the container's read-only root."""
    look = "from streams.decode.native import library; print(library()._name)"
    said = _run(image.container(services["worker"], volumes, ["python", "-c", look]))
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("/opt/tidemark/"), said.stdout


def test_configure_fills_the_volumes(image: Image, services: dict[str, Any], volumes: dict[str, Path]) -> None:
    """The one-shot ends with 0 as its user on a read-only root, twice, also when another user of the group ran it before."""
    configure = services["configure"]
    for user in ("1234:10001", "10001:10001", "10001:10001"):
        done = _run(image.container({**configure, "user": user}, volumes))
        assert done.returncode == 0, done.stderr
    webhook = volumes["alertmanager-config"] / "slack_webhook"
    assert (webhook.stat().st_mode & 0o777, webhook.stat().st_gid, webhook.read_text()) == (0o640, 10001, "http://pages:8502/slack")
    assert (volumes["prometheus-config"] / "targets" / "worker.yml").is_file()


def test_pages_answer_their_healthcheck(image: Image, services: dict[str, Any], volumes: dict[str, Path]) -> None:
    """The container's command serves; its healthcheck fails before, succeeds then, and fails again when the server has been stopped."""
    pages, network = services["pages"], Network()
    kind, *check = pages["healthcheck"]["test"]
    assert kind == "CMD"

    def healthy() -> bool:
        return _run(network.inside(image.container(pages, volumes, check))).returncode == 0

    try:
        assert not healthy()
        server = subprocess.Popen(network.inside(image.container(pages, volumes)))
        wait_for(healthy, "a healthy page server", timeout_s=60)
        server.terminate()
        assert server.wait(30) in (0, -15, 143)
        assert not healthy()
    finally:
        network.close()
