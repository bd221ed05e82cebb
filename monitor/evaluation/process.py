"""The worker's side: hands windows to evaluation processes, and sees to it that each comes back with a result, in bounded time."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.errors import TidemarkError
from config.spec import ModelSpec
from monitor.children import Child, ChildEnded, packed
from monitor.evaluation.tasks import Judge, Load, Loaded
from monitor.outcome import compared_result, failed
from monitor.window import Baseline, WindowData
from schemas.result import WindowResult

log = logging.getLogger(__name__)
LOAD_LIMIT_S = 600.0  # a reference of many millions of rows is read and sorted in this time
SLOW_NICE = 10  # methods that take seconds must not take the processor from the stream


class _Lane:
    """One evaluation process, started when first needed and anew when it is lost. One call at a time."""

    def __init__(self, nice: int) -> None:
        self._nice = nice
        self._child: Child | None = None
        self._closed = False
        self._one_call = threading.Lock()

    def start(self) -> Child:
        if self._closed:
            raise ChildEnded("the worker ends")
        if self._child is None:
            self._child = Child("monitor.evaluation.child", self._nice)
        return self._child

    def call(self, task: Load | Judge, timeout_s: float) -> Any:
        message = packed(task)  # while the process is busy with the one before
        with self._one_call:
            try:
                return self.start().call(message, timeout_s)
            except (TimeoutError, ChildEnded):
                self._drop()
                raise

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def close(self) -> None:
        self._closed = True
        if (child := self._child) is not None:
            child.kill()  # ends a call that waits for its answer
        with self._one_call:
            self._drop()


class Evaluator:
    """Judges windows in processes of their own: one for all, and a second, niced one for specs that name a slow method.

    A window whose judging takes longer than ``timeout_s`` gets a result with status ``error``; where only slow methods are to blame, just
    their columns do. A process that is lost is started anew and the window tried once more, since the cause may lie outside (a system that
    runs out of memory kills whom it likes).

    Args:
        timeout_s: seconds for one window.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._lanes = {False: _Lane(0), True: _Lane(SLOW_NICE)}
        self._lanes[False].start()  # it imports while the worker starts

    def load(self, spec: ModelSpec, path: Path) -> Loaded:
        """Read and fit a reference dataset.

        Raises:
            ReferenceDataError, SpecError: it cannot be used with this spec.
            TidemarkError: the process ended twice, or took longer than 10 minutes.
        """
        answer = self._twice(False, Load(spec, path), LOAD_LIMIT_S)
        if isinstance(answer, TidemarkError):
            raise answer
        if isinstance(answer, str):
            raise TidemarkError(f"reference {path} of model {spec.model}: {answer}", "see the log above; a smaller reference may do")
        assert isinstance(answer, Loaded)
        return answer

    def judge(
        self, window: WindowData, spec: ModelSpec, path: Path, slow: bool, baselines: tuple[Baseline, ...] = ()
    ) -> tuple[WindowResult, ...]:
        """The results of a window: against the reference, which is kept at ``path``, then against each of ``baselines``.

        From any thread; windows are judged one after another. Where a baseline costs the process or the time limit, the window is judged
        once more without any.
        """
        answer = self._judged(slow, Judge(spec, path, window, baselines=baselines))
        given_up = answer if isinstance(answer, str) else ""
        if baselines and isinstance(answer, str):
            answer = self._judged(slow, Judge(spec, path, window))
        if isinstance(answer, str):
            log.error("the window of %s from %d to %d could not be judged: %s", window.model, window.start_ms, window.end_ms, answer)
            answer = (failed(window, spec, answer),)
        return *answer, *(compared_result(window, spec, b, "error", given_up) for b in baselines[len(answer) - 1 :])

    def _judged(self, slow: bool, task: Judge) -> tuple[WindowResult, ...] | str:
        answer = self._twice(slow, task, self.timeout_s)
        if slow and isinstance(answer, str):
            answer = self._twice(False, replace(task, given_up=answer), self.timeout_s)
        return answer if isinstance(answer, tuple) else str(answer)

    def _twice(self, slow: bool, task: Load | Judge, timeout_s: float) -> Any:
        """The answer, or why there is none, as a text."""
        lane, ended = self._lanes[slow], ""
        for _ in range(2):
            try:
                return lane.call(task, timeout_s)
            except TimeoutError:
                return f"it took longer than {timeout_s:g} s (TIDEMARK_EVALUATION_TIMEOUT)"
            except ChildEnded as error:
                ended = str(error)
                log.error("the evaluation process ended: %s", ended)
        return f"the evaluation process ended twice: {ended}"

    def close(self) -> None:
        """End the processes. From any thread; windows in work get no result that counts."""
        for lane in self._lanes.values():
            lane.close()
