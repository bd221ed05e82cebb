"""The Faust app: ``faust -A streams.app worker``. A service reads batches, two agents on channels turn them into windows and verdicts."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from typing import Any

import faust
from confluent_kafka import KafkaException
from mode import Service
from prometheus_client import REGISTRY

from config.errors import TidemarkError
from config.settings import settings
from monitor.metrics_server import serve
from monitor.reports.process import process_reports
from streams.allocator import give_back, limit_arenas
from streams.channel import KeptChannel
from streams.cut_times import CutTimes
from streams.judge import ClosedWindow, process_judge
from streams.pace import Pace
from streams.partition import Partition
from streams.topics import check_partitions, ensure_topics
from streams.worker import THREADS, Worker

logger = logging.getLogger(__name__)
BROKER_LIMIT_S = 12.0  # without an answer of any broker; then the process ends, and its supervisor starts it anew
BROKER_LOOK_S = 2.0  # between two looks; with the 3 s that one may take, the process is gone within 30 s of the last answer
PATIENCE_S = 0.2  # for windows that are being judged
CUTS_AT_ONCE, CUT_EVERY_S = 4, 0.25  # a cut costs 20-40 ms: a few follow each other at once, but a replay's results go together
GIVE_BACK_S = 60.0  # between two times that unused memory goes back to the kernel: 20-50 ms on a thread that waits for the broker else
END_LIMIT_S = 12.0  # for an orderly end after a fatal error

limit_arenas()

# A group of its own for each process: every worker gets every command, and none waits for a dead one's session to end.
app = faust.App(
    f"{settings().group_id}.commands.{socket.gethostname()}.{os.getpid()}",
    consumer_auto_offset_reset="latest",
    broker=f"kafka://{settings().brokers}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    datadir=str(settings().under_home("faust")),
    stream_wait_empty=False,
)
batches = KeptChannel(app, maxsize=1)
closed_windows = KeptChannel(app, maxsize=64)
slow_windows = KeptChannel(app, maxsize=64)  # of specs with a method that takes seconds: the others do not wait for them
commands_topic = app.topic(settings().commands_topic, value_type=bytes, value_serializer="raw", key_serializer="raw", partitions=1)
_running: dict[str, Worker] = {}


async def fatal(error: BaseException) -> None:
    """End the process with a non-zero code: never alive but stuck."""
    logger.critical("the worker ends: %s", error, exc_info=None if isinstance(error, TidemarkError) else error)
    threading.Timer(END_LIMIT_S, os._exit, [getattr(error, "exit_code", 1)]).start()
    await app.crash(error if isinstance(error, Exception) else RuntimeError(repr(error)))


@app.service
class Source(Service):  # type: ignore[misc]
    """Reads the predictions topic and cuts. Everything of a worker begins and ends here."""

    worker: Worker

    async def on_start(self) -> None:
        """Check topics, load specs and references, join the group."""
        judge, registry = process_judge(), REGISTRY
        if not judge.catalogue.models:  # started by faust's own command line; ours has loaded and checked before
            await asyncio.to_thread(ensure_topics, settings())
            await asyncio.to_thread(judge.load)
        self.worker = Worker(settings(), registry, judge, process_reports())
        self.worker.verdicts.on_closed = self._to_be_judged
        self.worker.on_fatal = fatal
        _running["worker"] = self.worker
        serve(registry, settings().bind, settings().worker_metrics_port)
        await self.worker.start()

    async def _to_be_judged(self, partition: Partition, closed: ClosedWindow) -> None:
        channel = slow_windows if self.worker.judge.slow(closed.id) else closed_windows
        await channel.put([partition, closed])

    async def on_shutdown(self) -> None:
        """One last cut, then leave the group. The tasks above have ended by now."""
        worker = _running.pop("worker", None)
        if worker is not None:
            await worker.stop()

    @Service.task  # type: ignore[untyped-decorator]
    async def read(self) -> None:
        """Poll for batches and hand them on; hold while the stages behind are full."""
        try:
            while not self.should_stop:
                if taken := await self.worker.take():
                    put = asyncio.ensure_future(batches.put(taken))
                    while not (await asyncio.wait({put}, timeout=1.0))[0]:
                        await self.worker.hold(0.1)
                    await self.worker.go_on()
        except Exception as error:  # noqa: BLE001
            await fatal(error)

    @Service.task  # type: ignore[untyped-decorator]
    async def cut(self) -> None:
        """Cut every second or so, and at once what has a result."""
        pace, times = Pace(CUTS_AT_ONCE, CUT_EVERY_S), CutTimes(settings().cut_interval, time.monotonic())
        wake = self.worker.verdicts.wake
        try:
            while not self.should_stop:
                await _wait(wake, times.wait_s(time.monotonic()))
                if self.worker.verdicts.soon:  # a cut that begins now would let the result wait for the next one
                    await _wait(wake, PATIENCE_S)
                if not self.worker.quiet.is_set():  # else there is nothing that a cut could hold up
                    await _wait(self.worker.quiet, pace.wait_s(time.monotonic()))
                await self.worker.cut(only_results=not times.all_now(time.monotonic(), wake.is_set()))
        except Exception as error:  # noqa: BLE001
            await fatal(error)

    @Service.timer(1.0)  # type: ignore[untyped-decorator]
    async def silence(self) -> None:
        """Close what silence has made due."""
        try:
            await self.worker.look_for_silence()
        except Exception as error:  # noqa: BLE001
            await fatal(error)

    @Service.timer(GIVE_BACK_S)  # type: ignore[untyped-decorator]
    async def give_back_memory(self) -> None:
        """Give unused memory back to the kernel."""
        await self.worker.run_in("aux", give_back)

    @Service.timer(1.0)  # type: ignore[untyped-decorator]
    async def watch_progress(self) -> None:
        """Show the lag, and end the worker when it makes no progress. Waits for none of the threads that may hang."""
        limit_s = settings().stall_timeout
        try:
            lag = self.worker.show_lag()
            if not lag:
                self.worker.progress_s = time.monotonic()  # waiting for records is no stall, however long it takes
            elif time.monotonic() - self.worker.progress_s > limit_s:
                raise TidemarkError(f"lag of {lag} records and no progress for {limit_s:.0f} s", "see the log above")
            if time.monotonic() - self.worker.source.polled_s > limit_s:  # without it no lag is seen either
                raise TidemarkError(f"the consumer has not been polled for {limit_s:.0f} s", "see the log above")
        except Exception as error:  # noqa: BLE001
            await fatal(error)

    @Service.task  # type: ignore[untyped-decorator]
    async def watch_broker(self) -> None:
        """End the worker when no broker answers for long, or when the topic's partitions have changed."""
        heard_s = time.monotonic()
        try:
            while not self.should_stop:
                await self.sleep(BROKER_LOOK_S)
                try:
                    await asyncio.to_thread(check_partitions, self.worker.producer, settings())
                    heard_s = time.monotonic()
                except KafkaException as error:
                    if time.monotonic() - heard_s > BROKER_LIMIT_S:
                        text = f"no broker at {settings().brokers} answers for {BROKER_LIMIT_S:.0f} s"
                        raise TidemarkError(text, "start it; the supervisor starts the worker anew") from error
        except Exception as error:  # noqa: BLE001
            await fatal(error)


@app.agent(batches)  # type: ignore[untyped-decorator]
async def windows(stream: Any) -> None:
    """Batches to windows, one after another: order is what stream time is made of."""
    async for item in stream:
        worker = _running.get("worker")
        if worker is None:  # it makes its last cut: what is left is read again by whoever comes next
            return
        try:
            await worker.process(_taken(item))
        except Exception as error:  # noqa: BLE001
            await fatal(error)
            return


@app.agent(closed_windows, concurrency=THREADS["judge"])  # type: ignore[untyped-decorator]
async def verdicts(stream: Any) -> None:
    """Closed windows to results, off the event loop."""
    async for item in stream:
        await _judge(*_taken(item))


@app.agent(slow_windows)  # type: ignore[untyped-decorator]
async def slow_verdicts(stream: Any) -> None:
    """The same for windows that take seconds."""
    async for item in stream:
        await _judge(*_taken(item))


def _taken(item: list[Any]) -> list[Any]:
    """What an item of a channel holds. It is left empty: Faust's stream remembers its last item, which would keep a window's rows alive."""
    content = item.copy()
    item.clear()
    return content


async def _judge(partition: Partition, closed: ClosedWindow) -> None:
    worker = _running.get("worker")
    if worker is None:  # it makes its last cut: the window stays in the checkpoint, without a verdict
        return
    try:
        await worker.verdicts.verdict(partition, closed)
    except Exception as error:  # noqa: BLE001
        await fatal(error)


@app.agent(commands_topic)  # type: ignore[untyped-decorator]
async def commands(stream: Any) -> None:
    """``reload`` reads the specs anew: they hold from the next boundary on. What else comes is logged."""
    async for value in stream:
        word = bytes(value or b"").decode(errors="replace").strip()
        if word != "reload":
            logger.warning("unknown command %r: the one there is is reload", word[:100])
            continue
        try:
            await _reload()
        except Exception as error:  # noqa: BLE001 - Faust would start the agent anew and go on
            await fatal(error)
            return


async def _reload() -> None:
    worker = _running.get("worker")
    if worker is None:
        return
    try:
        bindings = await worker.run_in("aux", worker.judge.load)
        await worker.run_in("core", worker.adopt_specs)
        logger.info("specs reloaded: %s", ", ".join(f"{b.spec.model} {b.digest}" for b in bindings))
    except TidemarkError as error:
        logger.error("the specs stay as they were: %s", error)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
