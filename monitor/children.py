"""A child process of ours that answers one message after another, and can be ended when it takes too long."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

START_LIMIT_S = 120.0  # imports take seconds of CPU, more on a busy machine
LOOK_S = 0.2  # how often a wait looks whether its answer is still wanted
SOCKET_BYTES = 4 << 20  # asked for; a window of megabytes through a small buffer makes both processes wait for each other many times


def packed(message: Any) -> memoryview:
    """A message for :meth:`Child.call`, pickled before it is its turn."""
    return ForkingPickler.dumps(message)


class ChildEnded(Exception):
    """The child process ended instead of answering; the message says how."""


class Child:
    """A process that runs ``python -m MODULE FD``, and the connection to it. One call at a time.

    Args:
        module: answers by :func:`serve`.
        nice: how much it gives way to other processes, 0 to 19; from its first import on.
    """

    def __init__(self, module: str, nice: int = 0) -> None:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        with theirs:
            fd = theirs.fileno()
            self.process = subprocess.Popen([sys.executable, "-m", module, str(fd)], pass_fds=[fd], stdin=subprocess.DEVNULL)
        if nice:
            os.setpriority(os.PRIO_PROCESS, self.process.pid, nice)
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._ready = False

    def call(self, message: Any, timeout_s: float, is_unwanted: Callable[[], bool] = lambda: False) -> Any:
        """The answer to a message, as it is or :func:`packed`; what the child needs to come up is not part of ``timeout_s``.

        Raises:
            TimeoutError: no answer in time, or it is not wanted any more; the child is of no further use, close it.
            ChildEnded: it ended.
        """
        try:
            if not self._ready:
                self._receive(START_LIMIT_S, is_unwanted)
                self._ready = True
            self._connection.send_bytes(message if isinstance(message, memoryview) else packed(message))
            return self._receive(timeout_s, is_unwanted)
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ChildEnded(self._how_it_ended()) from error

    def _receive(self, timeout_s: float, is_unwanted: Callable[[], bool]) -> Any:
        deadline_s = time.monotonic() + timeout_s
        while not self._connection.poll(min(LOOK_S, timeout_s)):
            if time.monotonic() >= deadline_s or is_unwanted():
                raise TimeoutError
        return self._connection.recv()

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process, whatever it does. From any thread: a call that waits for an answer raises ``ChildEnded``."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process and give the connection back. No call may be under way."""
        self.kill()
        self._connection.close()


def serve(answer: Callable[[Any], Any]) -> None:
    """Be the child: answer each message on the connection named by the first argument, until the parent is gone.

    Signals from a terminal or a supervisor are for the parent, which may still need answers for its orderly end.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, args=[connection.fileno()], name="parent", daemon=True).start()
    going = _sent(connection, "ready")
    while going:
        try:
            message = connection.recv()
        except (EOFError, ConnectionError):
            return
        going = _sent(connection, answer(message))


def _sent(connection: Connection[Any, Any], message: Any) -> bool:
    """False when the parent is gone."""
    try:
        connection.send(message)
    except ConnectionError:
        return False
    return True


def _end_with_parent(fd: int) -> None:
    """End at once when the parent is gone, even amid an answer that nobody waits for: its successor needs the processor."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    poll.poll()
    os._exit(0)
