"""Work that is ended once it has begun: cancelling the caller breaks nothing and hides no error."""

from __future__ import annotations

import asyncio

import pytest

from streams.unbroken import Unbroken


class Step:
    """A call that lies between two halves until it is let go on."""

    def __init__(self, done: list[str], name: str, error: Exception | None = None) -> None:
        self.done, self.name, self.error = done, name, error
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        """Both halves, or the first and the error."""
        self.done.append(f"{self.name} drafted")
        self.begun.set()
        await self.go_on.wait()
        if self.error:
            raise self.error
        self.done.append(f"{self.name} committed")


async def cancelled_amid(unbroken: Unbroken, step: Step) -> None:
    """Cancel who waits for the step, while it lies between its halves."""
    caller = asyncio.ensure_future(unbroken.run(step))
    await step.begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


def test_a_cancelled_caller_does_not_break_the_call() -> None:
    """The call's second half comes though its caller is gone, and before the next call's first."""

    async def scene() -> list[str]:
        done: list[str] = []
        unbroken, first, last = Unbroken(), Step(done, "first"), Step(done, "last")
        await cancelled_amid(unbroken, first)
        after = asyncio.ensure_future(unbroken.run(last))
        first.go_on.set()
        await unbroken.ended()
        last.go_on.set()
        await after
        return done

    assert asyncio.run(scene()) == ["first drafted", "first committed", "last drafted", "last committed"]


def test_an_error_that_nobody_waited_for_is_told() -> None:
    """What a call fails with after its caller was cancelled comes out of ``ended``, once; a caller that still waits gets it itself."""

    async def scene() -> None:
        unbroken = Unbroken()
        left = Step([], "left", RuntimeError("left"))
        await cancelled_amid(unbroken, left)
        left.go_on.set()
        with pytest.raises(RuntimeError, match="left"):
            await unbroken.ended()
        await unbroken.ended()
        waited = Step([], "waited", RuntimeError("waited"))
        waited.go_on.set()
        with pytest.raises(RuntimeError, match="waited"):
            await unbroken.run(waited)
        await unbroken.ended()

    asyncio.run(scene())
