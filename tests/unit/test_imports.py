"""The imports go one way, as docs/architecture.md draws it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"streams", "producers", "monitor", "schemas", "config", "compose", "tidemark", "examples", "benchmarks", "tests"}
MAY = {
    "config": set(),
    "schemas": {"config"},
    "monitor": {"schemas", "config"},
    "producers": {"schemas", "config"},
    "streams": {"monitor", "schemas", "config"},
}
ONLY_IN = {
    "faust": ("streams/",),
    "mode": ("streams/",),
    "evidently": (
        "monitor/drift.py",
        "monitor/reports/",
        "monitor/workspace/",
        "monitor/statistics/",
        "monitor/suites/evidently_metrics.py",
    ),
    "prometheus_client": (
        "monitor/",
        "streams/app.py",
        "streams/worker.py",
        "producers/emitter/metrics.py",
        "compose/onboard/",
        "examples/",
    ),
    "confluent_kafka": ("streams/", "producers/", "schemas/", "compose/native/kafka.py"),
    "bentoml": ("examples/", "producers/"),
}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, anywhere in it; relative imports stay within their package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(MAY))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    """No file of the package imports a package of ours that it may not know."""
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path) & OURS - MAY[package] - {package}
    }
    assert not wrong


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_is_met_in_its_place_only(library: str) -> None:
    """Each heavy library is imported where the design puts it, and nowhere else."""
    files = [p for top in [*MAY, "compose", "examples"] for p in (ROOT / top).rglob("*.py")] + [ROOT / "tidemark.py"]
    where = {str(p.relative_to(ROOT)) for p in files if library in imported(p)}
    assert {w for w in where if not w.startswith(ONLY_IN[library])} == set()


def test_the_emitter_stands_alone() -> None:
    """The emitter imports nothing of ours by an absolute name: it runs beside other people's config.py."""
    names = set().union(*(imported(p) for p in (ROOT / "producers" / "emitter").rglob("*.py")))
    assert not names & OURS
