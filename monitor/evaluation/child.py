"""The evaluation process: fits references and judges windows for the process that started it, until that one is gone."""

from __future__ import annotations

import gc
import logging
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.baselines import compare, with_season
from monitor.children import serve
from monitor.columns import ReadColumn, read_columns
from monitor.evaluate import evaluate
from monitor.evaluation.tasks import Judge, Load, Loaded
from monitor.outcome import failed
from monitor.profile_store import stored_reference
from monitor.reference import ReferenceProfile
from schemas.result import WindowResult

log = logging.getLogger(__name__)
PROFILES = 64  # fitted references kept in memory; windows are mostly bound to the current one of their model


class Evaluations:
    """Judges windows by references that are fitted once each."""

    def __init__(self) -> None:
        self._profiles: OrderedDict[str, ReferenceProfile] = OrderedDict()

    def answer(self, task: Load | Judge) -> Loaded | tuple[WindowResult, ...] | TidemarkError:
        """What a task comes to. A window that cannot be judged has a result that says so: the stream goes on."""
        return self._load(task) if isinstance(task, Load) else self._judge(task)

    def _load(self, task: Load) -> Loaded | TidemarkError:
        try:
            profile = stored_reference(task.spec, task.path)
        except TidemarkError as error:
            return error
        self._keep(task.spec.digest(profile.fingerprint), profile)
        return Loaded(profile.fingerprint, profile.slow)

    def _judge(self, task: Judge) -> tuple[WindowResult, ...]:
        read = read_columns(task.window.frame, task.spec.columns)
        result = self._against_reference(task, read)
        compared = [compare(task.window, task.spec, read, baseline) for baseline in task.baselines]
        return with_season(result, compared), *compared

    def _against_reference(self, task: Judge, read: Mapping[str, ReadColumn]) -> WindowResult:
        window = task.window
        try:
            return evaluate(window, task.spec, self._profile(window.spec_digest, task.spec, task.path), task.given_up, read)
        except Exception as error:
            log.exception("the window of %s from %d to %d could not be judged", window.model, window.start_ms, window.end_ms)
            reason = error.message if isinstance(error, TidemarkError) else f"{type(error).__name__}: {error}"
            return failed(window, task.spec, reason)

    def _profile(self, digest: str, spec: ModelSpec, path: Path) -> ReferenceProfile:
        if digest not in self._profiles:
            self._keep(digest, stored_reference(spec, path))
        self._profiles.move_to_end(digest)
        return self._profiles[digest]

    def _keep(self, digest: str, profile: ReferenceProfile) -> None:
        self._profiles[digest] = profile
        while len(self._profiles) > PROFILES:
            self._profiles.popitem(last=False)


def main() -> None:
    """Answer tasks."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    gc.freeze()  # what importing made stays: no collection walks through it again
    serve(Evaluations().answer)


if __name__ == "__main__":
    main()
