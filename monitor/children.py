"""A child process of ours that answers one message after another, and can be ended when it takes too long."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

START_LIMIT_S = 120.0  # imports take seconds of CPU, more on a busy machine


class ChildEnded(Exception):
    """The child process ended instead of answering; the message says how."""


class Child:
    """A process that runs ``python -m MODULE FD ARGUMENTS``, and the connection to it. One call at a time."""

    def __init__(self, module: str, *arguments: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-m", module, str(fd), *arguments]
            self.process = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL)
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._ready = False

    def call(self, message: Any, timeout_s: float) -> Any:
        """The answer to a message; what the child needs to come up is not part of ``timeout_s``.

        Raises:
            TimeoutError: no answer in time; the child is of no further use, kill it.
            ChildEnded: it ended.
        """
        try:
            if not self._ready:
                self._receive(START_LIMIT_S)
                self._ready = True
            self._connection.send(message)
            return self._receive(timeout_s)
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ChildEnded(self._how_it_ended()) from error

    def _receive(self, timeout_s: float) -> Any:
        if not self._connection.poll(timeout_s):
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


def serve(answer: Callable[[Any], Any], nice: int = 0) -> None:
    """Be the child: answer each message on the connection named by the first argument, until the parent is gone.

    Signals from a terminal or a supervisor are for the parent, which may still need answers for its orderly end.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    if nice:
        os.nice(nice)
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, args=[connection.fileno()], name="parent", daemon=True).start()
    connection.send("ready")
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        try:
            connection.send(answer(message))
        except BrokenPipeError:  # the parent ended meanwhile
            return


def _end_with_parent(fd: int) -> None:
    """End at once when the parent is gone, even amid an answer that nobody waits for: its successor needs the processor."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    poll.poll()
    os._exit(0)
