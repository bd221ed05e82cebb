"""What the image is made of, as far as it shows without an engine."""

from __future__ import annotations

import re
import subprocess

from config.settings import ROOT
from tests.support.containers import DOCKERFILE, rendered, run_instructions, tool


def test_hadolint_finds_nothing() -> None:
    """hadolint ends with 0 without a word, and no rule is switched off in the file."""
    done = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "hadolint ignore" not in DOCKERFILE.read_text(encoding="utf-8")


def test_build_arguments_reach_the_image() -> None:
    """Base, extras and network settings come from the environment; the default base is the Dockerfile's own, and no host is named."""
    network = {
        "HTTPS_PROXY": "http://proxy.example",
        "UV_DEFAULT_INDEX": "http://index.example/uv",
        "PIP_INDEX_URL": "http://index.example",
    }
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert not re.search(r"https?://", text)
    args = rendered()["services"]["worker"]["build"]["args"]
    assert f"ARG BASE={args['BASE']}\nARG BUILD_BASE=${{BASE}}\n" in text
    assert (args["BUILD_BASE"], args["EXTRAS"]) == (args["BASE"], "")
    changed = rendered(TIDEMARK_IMAGE_BASE="other:1", TIDEMARK_IMAGE_EXTRAS="a,b", **network)["services"]["worker"]["build"]["args"]
    assert changed.items() >= {"BASE": "other:1", "BUILD_BASE": "other:1", "EXTRAS": "a,b", **network}.items()


def test_the_packages_layer_depends_on_the_lock_alone() -> None:
    """Before the packages are installed only the two lock files and pyproject.toml are copied: a change of code leaves that layer."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    before = text[: text.index("AS project")]
    assert re.findall(r"^COPY (.*)$", before, re.MULTILINE) == ["compose/docker/build.lock ./", "pyproject.toml requirements.lock ./"]
    (install,) = run_instructions()["packages"]
    assert "--require-hashes" in install


def test_the_context_holds_no_secret() -> None:
    """.dockerignore lets in by name only; neither .env, nor var/, nor .git, nor tests are among the names, and every name exists."""
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    names = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in names)
    assert not names & {".env", "var", ".git", ".venv", "tests"}
    wheel = re.search(r"only-include = \[(.*)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert wheel
    assert names == set(re.findall(r'"([^"]+)"', wheel[1])) | {"pyproject.toml", "requirements.lock", "README.md"}
