"""Windows judged in processes of their own: the same results, and a result whatever becomes of the process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from config.errors import ReferenceDataError
from config.settings import ROOT
from config.spec import ModelSpec
from monitor.children import Child
from monitor.evaluate import evaluate
from monitor.evaluation import Evaluator
from monitor.reference import load_reference
from monitor.window import Baseline, WindowData

SPEC = {
    "model": "m",
    "reference": "m.parquet",
    "features": {"x": {"type": "double"}, "colour": {"type": "string", "kind": "categorical"}},
    "prediction": {"column": "y", "type": "double"},
    "window": {"size": "10s"},
}


def frame(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    colours = pl.Series(rng.choice(["rot", "grün"], rows), dtype=pl.String)
    return pl.DataFrame({"x": rng.normal(size=rows), "colour": colours, "y": rng.normal(size=rows)})


def window(spec: ModelSpec, fingerprint: str, rows: int = 1000) -> WindowData:
    return WindowData("m", "live", "live", 0, 10_000, spec.digest(fingerprint), 0, ("1",), frame(rows, 1), rows, 0, True, {})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "m.parquet"
    frame(3000, 0).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def shared() -> Iterator[Evaluator]:
    made = Evaluator(timeout_s=20)
    yield made
    made.close()


@pytest.fixture
def evaluator(shared: Evaluator) -> Evaluator:
    shared.timeout_s = 20
    return shared


def pid(evaluator: Evaluator, slow: bool = False) -> int:
    return evaluator._lanes[slow].start().process.pid


def test_the_result_is_the_one_of_this_process(evaluator: Evaluator, path: Path) -> None:
    """A window judged over there has the very result that it has here, and the reference the same fingerprint."""
    spec = ModelSpec.model_validate(SPEC)
    profile = load_reference(spec, path)
    loaded = evaluator.load(spec, path)
    assert (loaded.fingerprint, loaded.slow) == (profile.fingerprint, False)
    data = window(spec, loaded.fingerprint)
    assert evaluator.judge(data, spec, path, slow=False) == (evaluate(data, spec, profile),)


def test_a_calibrated_spec_is_judged_over_there_as_here(evaluator: Evaluator, path: Path) -> None:
    """The process calibrates by itself, and its thresholds are those of this process; its windows are bound to another digest."""
    spec = ModelSpec.model_validate(SPEC | {"min_rows": 10, "drift": {"thresholds": "calibrated"}})
    loaded = evaluator.load(spec, path)
    data = window(spec, loaded.fingerprint)
    (result,) = evaluator.judge(data, spec, path, slow=False)
    assert result.thresholds == "calibrated"
    assert result == evaluate(data, spec, load_reference(spec, path))
    assert data.spec_digest != ModelSpec.model_validate(SPEC | {"min_rows": 10}).digest(loaded.fingerprint)


def test_errors_of_a_reference_come_back_as_themselves(evaluator: Evaluator, tmp_path: Path) -> None:
    """A reference that is not there raises the error that names it, with its remedy; the process goes on."""
    spec = ModelSpec.model_validate(SPEC)
    before = pid(evaluator)
    with pytest.raises(ReferenceDataError, match=r"no reference dataset at .*gone") as raised:
        evaluator.load(spec, tmp_path / "gone.parquet")
    assert raised.value.remedy
    assert pid(evaluator) == before


def test_a_killed_process_costs_no_window(evaluator: Evaluator, path: Path) -> None:
    """After SIGKILL the next window is judged by a new process, which reads the reference again by itself."""
    spec = ModelSpec.model_validate(SPEC)
    loaded = evaluator.load(spec, path)
    before = pid(evaluator)
    os.kill(before, signal.SIGKILL)
    data = window(spec, loaded.fingerprint)
    assert evaluator.judge(data, spec, path, slow=False) == (evaluate(data, spec, load_reference(spec, path)),)
    assert pid(evaluator) != before


def test_a_hanging_process_costs_one_window(evaluator: Evaluator, path: Path) -> None:
    """A process that stands still is ended after the time limit; its window's result says so, and the next window is judged."""
    spec = ModelSpec.model_validate(SPEC)
    loaded = evaluator.load(spec, path)
    os.kill(pid(evaluator), signal.SIGSTOP)
    evaluator.timeout_s = 0.3
    (result,) = evaluator.judge(window(spec, loaded.fingerprint), spec, path, slow=False)
    assert (result.status, result.rows, result.drifted) == ("error", 1000, False)
    assert result.reason == "it took longer than 0.3 s (TIDEMARK_EVALUATION_TIMEOUT)"
    evaluator.timeout_s = 20
    assert evaluator.judge(window(spec, loaded.fingerprint), spec, path, slow=False)[0].status == "ok"


def test_a_slow_method_costs_its_column_only(evaluator: Evaluator, path: Path) -> None:
    """A method that exceeds the time limit leaves its column with status error and the reason; the others have their verdicts."""
    spec = ModelSpec.model_validate({**SPEC, "drift": {"columns": {"x": {"method": "empirical_mmd"}}}})
    loaded = evaluator.load(spec, path)
    assert loaded.slow
    fast_process = pid(evaluator)
    evaluator.timeout_s = 1.0
    (result,) = evaluator.judge(window(spec, loaded.fingerprint, 5000), spec, path, slow=True)
    by_name = {c.name: c for c in result.columns}
    assert (by_name["x"].status, by_name["colour"].status, by_name["y"].status) == ("error", "ok", "ok")
    assert by_name["x"].reason == "empirical_mmd: it took longer than 1 s (TIDEMARK_EVALUATION_TIMEOUT)"
    assert pid(evaluator) == fast_process


def test_a_hanging_baseline_costs_that_baseline_only(evaluator: Evaluator, path: Path, tmp_path: Path) -> None:
    """Where reading an earlier window's rows never ends, the window is judged without: its verdict against the reference stands, and the
    comparisons say why there are none."""
    spec = ModelSpec.model_validate({**SPEC, "baselines": ["previous"]})
    loaded = evaluator.load(spec, path)
    os.mkfifo(tmp_path / "rows.parquet")  # nobody ever writes to it
    evaluator.judge(window(spec, loaded.fingerprint), spec, path, slow=False)
    evaluator.timeout_s = 3.0
    data = window(spec, loaded.fingerprint)
    result, compared = evaluator.judge(data, spec, path, False, (Baseline("previous", tmp_path / "rows.parquet", -10_000, 0),))
    assert result == evaluate(data, spec, load_reference(spec, path))
    assert (compared.kind, compared.status, compared.columns) == ("previous", "error", ())
    assert compared.reason == "it took longer than 3 s (TIDEMARK_EVALUATION_TIMEOUT)"


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """When the parent is killed amid an answer that would take minutes, the child ends at once."""
    script = (
        "import sys; from monitor.children import Child\n"
        "child = Child('tests.support.endless_child')\n"
        "child._receive(60, lambda: False); child._ready = True; print(child.process.pid, flush=True); child.call('work', 600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([child], [], [], 20)[0], "the child outlived its parent by 20 s"
    os.close(child)


def test_after_close_no_process_is_left(path: Path) -> None:
    """Closing ends the process; a judge that is asked all the same says why there is no verdict."""
    spec = ModelSpec.model_validate(SPEC)
    evaluator = Evaluator(timeout_s=20)
    process = evaluator._lanes[False].start().process
    evaluator.close()
    assert process.poll() is not None
    (result,) = evaluator.judge(window(spec, "0" * 16), spec, path, slow=False)
    assert (result.status, "the worker ends" in result.reason) == ("error", True)


def test_a_nice_process_is_nice_from_the_start() -> None:
    """What imports for seconds gives way while it imports, not only afterwards."""
    child = Child("tests.support.endless_child", nice=12)
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.process.pid) == 12
    finally:
        child.close()
