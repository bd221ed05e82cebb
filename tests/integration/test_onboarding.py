"""From a file to verdicts, by the commands a user types: init, check, replay, on five public data sets of different shape."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from config.settings import Settings
from config.spec import read_spec
from producers.files import read_batches
from schemas.result import WindowResult
from tests.support.alerting import AlertPath, until
from tests.support.broker import Broker
from tests.support.public_data import ALL, PublicData
from tests.support.worker import World
from tidemark import cli

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@dataclass
class Installation:
    """A worker, Prometheus and Alertmanager, and the five models that were attached before they started."""

    world: World
    said: dict[str, Result] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.world.settings

    def tidemark(self, *arguments: str) -> Result:
        """A command of the command line, in this process: five times the imports of `init` would take longer than all the rest."""
        environment = {k: v for k, v in self.world.environment().items() if k.startswith("TIDEMARK_")}
        clean: dict[str, Any] = dict.fromkeys((k for k in os.environ if k.startswith("TIDEMARK_")), None)
        return CliRunner().invoke(cli, arguments, env={**clean, **environment})


@pytest.fixture(scope="module")
def installation(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with AlertPath(tmp_path_factory.mktemp("alerting")) as path:
        ports = ("prometheus_port", "alertmanager_port", "pages_port", "worker_metrics_port")
        home = tmp_path_factory.mktemp("home")
        world = World.make(home, broker.bootstrap_servers, (), **{p: getattr(path.settings, p) for p in ports})
        made = Installation(world)
        try:
            for data in ALL:
                file = data.write(home)
                made.said[data.name] = made.tidemark("init", "--data", str(file), "--model", data.name, *data.options)
                assert made.said[data.name].exit_code == 0, f"{data.name}: {made.said[data.name].output}{made.said[data.name].exception}"
            world.start()
            world.wait_for(world.metrics, 60, "the worker's metrics")
            until(lambda: path.query('up{job="tidemark-worker"} == 1'), "Prometheus scrapes the worker", 60)
            yield made
        finally:
            world.stop()


def expected_rows(installation: Installation, name: str) -> dict[int, int]:
    """Rows by window start (ms), counted from the file."""
    spec = read_spec(installation.settings.specs_dir / f"{name}.yaml")
    assert spec.data is not None
    times = np.concatenate([b.times_ms.to_numpy() for b in read_batches(spec.data, {}, installation.settings.home)])
    starts, counts = np.unique(times // spec.window.size * spec.window.size, return_counts=True)
    return dict(zip(starts.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("data", ALL, ids=lambda d: d.name)
def test_from_file_to_verdicts(installation: Installation, data: PublicData) -> None:
    """init and check name the next command, replay sends all rows, each window gets its rows and a verdict on every feature."""
    assert installation.said[data.name].output.rstrip().endswith(f"next: tidemark check {data.name}")
    check = installation.tidemark("check", data.name)
    assert check.exit_code == 0, check.output
    assert f"next: tidemark replay {data.name}" in check.output
    expected = expected_rows(installation, data.name)
    reader = installation.world.reader("results")
    replay = installation.tidemark("replay", data.name, "--speed", "max")
    assert replay.exit_code == 0, f"{replay.output}{replay.exception}"
    found: dict[int, WindowResult] = {}

    def all_judged() -> bool:
        found.update({r.start_ms: r for r in reader.results() if r.model == data.name})
        return len(found) >= len(expected)

    installation.world.wait_for(all_judged, 60, f"{len(expected)} windows of {data.name}")
    assert {start: r.rows for start, r in found.items()} == expected
    shown = installation.world.metrics()
    assert shown[f'tidemark_records_total{{model="{data.name}",run_kind="replay"}}'] == sum(expected.values())
    spec = read_spec(installation.settings.specs_dir / f"{data.name}.yaml")
    judged = [r for _, r in sorted(found.items()) if r.status == "ok"]
    assert {r.status for r in found.values()} <= {"ok", "insufficient_data"}
    assert len(judged) >= 3
    assert len(spec.features) == data.features
    for result in judged:
        assert {c.name for c in result.columns if c.role == "feature"} == set(spec.features)
    last = {c.name: c for c in judged[-1].columns}
    if data.moved:
        assert last[data.moved].drifted
    else:
        assert not any(r.drifted for r in judged)


def test_check_tells_what_is_wrong(installation: Installation, tmp_path: Path) -> None:
    """A lost reference, a moved history and a broker that is gone are three rows, each with its remedy, and exit code 1."""
    home = tmp_path / "home"
    (home / "specs").mkdir(parents=True)
    text = (installation.settings.specs_dir / "nulls.yaml").read_text()
    (home / "specs" / "nulls.yaml").write_text(text.replace("titanic.csv", "titanic-moved.csv"))
    (home / "specs" / "broken.yaml").write_text("model: broken\nfeatures: {}\n")
    installation_values = {
        **installation.settings.model_dump(),
        "home": home,
        "specs_dir": home / "specs",
        "bootstrap_servers": "127.0.0.1:9",
    }
    elsewhere = Installation(World(Settings.model_validate(installation_values), []))
    check = elsewhere.tidemark("check")
    assert check.exit_code == 1
    lines = " ".join(check.output.split())
    for said in (
        "spec broken.yaml wrong",
        "nulls: reference wrong",
        "nulls: history wrong",
        "broker wrong",
        "Prometheus right",
        "mend the first",
    ):
        assert said in lines, check.output


def test_a_model_is_attached_while_the_worker_runs(installation: Installation, tmp_path: Path) -> None:
    """check tells of a new spec, and of a changed one, until `reload`; then the new model's replay is judged."""
    file = tmp_path / "new.csv"
    rows = (f"{1_700_000_000 + 60 * i},{i * 7 % 11},{i % 2}" for i in range(600))
    file.write_text("\n".join(["ts,x,prediction", *rows]))
    done = installation.tidemark("init", "--data", str(file), "--model", "new", "--window", "1h")
    assert done.exit_code == 0, done.output
    check = installation.tidemark("check", "new")
    assert check.exit_code == 0, check.output
    assert "does not know: new" in " ".join(check.output.split())
    assert "next: tidemark reload" in check.output
    world = installation.world

    def reload() -> None:
        assert installation.tidemark("reload").exit_code == 0
        world.wait_for(lambda: "next: tidemark replay new" in installation.tidemark("check", "new").output, 30, "the reload")

    reload()
    spec = installation.settings.specs_dir / "new.yaml"
    spec.write_text(spec.read_text().replace("size: 1h", "size: 2h"))
    assert "has an earlier spec of: new" in " ".join(installation.tidemark("check", "new").output.split())
    reload()
    reader = world.reader("results")
    replay = installation.tidemark("replay", "new", "--speed", "max")
    assert replay.exit_code == 0, replay.output
    world.wait_for(lambda: sum(r.rows for r in reader.results() if r.model == "new") == 600, 60, "600 judged rows")
