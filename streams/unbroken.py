"""Work that is ended once it has begun, though whoever waits for it be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Unbroken:
    """Runs calls one after another, each to its end."""

    def __init__(self) -> None:
        self._one_call = asyncio.Lock()
        self._left: list[asyncio.Task[None]] = []  # their callers were cancelled

    async def run(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run a call. Where the caller is cancelled it goes on, and :meth:`ended` tells what it came to."""
        task = asyncio.get_running_loop().create_task(self._alone(call))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self._left.append(task)
            raise

    async def _alone(self, call: Callable[[], Awaitable[None]]) -> None:
        async with self._one_call:
            await call()

    async def ended(self) -> None:
        """Wait for the calls whose callers were cancelled.

        Raises:
            Exception: what the first of them has failed with; nobody else was told.
        """
        while self._left:
            await self._left.pop(0)
