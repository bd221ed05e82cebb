"""Runs: replays that open and close themselves in-band, each a stream of its own beside the live one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.errors import InvalidEvent
from schemas.control import Control
from schemas.event import LIVE_RUN
from streams.windows.state import PartitionState, Run, Stream, StreamId, WindowId

if TYPE_CHECKING:
    from streams.windows.core import WindowCore


def apply(core: WindowCore, state: PartitionState, control: Control, offset: int, key: bytes | None, now_s: float) -> list[WindowId]:
    """Open or end a run; returns the windows that its end closes.

    Raises:
        InvalidEvent: the mark does not fit what is open; it is a dead letter and nothing changes.
    """
    if key != control.model.encode():
        raise InvalidEvent(
            "key_mismatch", f"the key of a {control.kind} is not its model {control.model!r}", "send it under the model's name as key"
        )
    open_run = next((s for s in state.open_runs(control.model) if s.run == control.run), None)
    if control.kind == "run_start":
        _start(core, state, control, offset, open_run, now_s)
        return []
    if open_run is None:
        raise InvalidEvent("unknown_run", f"run {control.run!r} of model {control.model!r} is not open")
    stream = state.streams[open_run]
    if stream.run is None or stream.run.token != control.token:
        raise InvalidEvent("wrong_token", f"run_end of run {control.run!r} has another token than its run_start")
    return core.close_run(state, stream)


def _start(core: WindowCore, state: PartitionState, control: Control, offset: int, open_run: StreamId | None, now_s: float) -> None:
    binding = core.catalogue.current(control.model)
    if control.run == LIVE_RUN:
        raise InvalidEvent("bad_id", "a replay cannot be called live", "give the run another name")
    if binding is None:
        raise InvalidEvent("unknown_model", f"no spec for model {control.model!r}", "put its spec into config/models/ and reload")
    if open_run is not None:
        run = state.streams[open_run].run
        if run is not None and run.token == control.token:
            return  # the same mark again: a producer's retry
        raise InvalidEvent(
            "run_is_open", f"run {control.run!r} of model {control.model!r} is open already", "give each replay a name of its own"
        )
    if len(state.open_runs(control.model)) >= core.max_open_runs:
        raise InvalidEvent(
            "too_many_runs", f"model {control.model!r} has {core.max_open_runs} open runs", "end one, or set TIDEMARK_MAX_OPEN_RUNS"
        )
    stream_id = StreamId(control.model, control.run, offset)
    run = Run(control.token, control.span_start_ms, control.span_end_ms, binding.digest)
    state.streams[stream_id] = Stream(stream_id, run=run, seen_s=now_s)
    state.changed = True
