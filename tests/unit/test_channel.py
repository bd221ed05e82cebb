"""Channels between the worker's stages."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
import pytest

from streams.channel import KeptChannel


async def through_a_rebalance(app: faust.App, channel: Any) -> list[int]:
    """What a reader of a full channel of two gets of four items, when Faust's own partitions change meanwhile."""
    reader = channel.clone(is_iterator=True)
    channel._subscribers.add(reader)
    app.flow_control.resume()
    waiting = asyncio.gather(*(channel.put(n) for n in range(4)), return_exceptions=True)
    await asyncio.sleep(0)  # the first two are in, the others wait for room
    app.flow_control.suspend()
    app.flow_control.clear()
    app.flow_control.resume()
    found = []
    while True:
        try:
            found.append(await asyncio.wait_for(reader.queue.get(), 0.2))
        except TimeoutError:
            waiting.cancel()
            return found


@pytest.mark.asyncio
async def test_nothing_is_lost_when_fausts_partitions_change() -> None:
    """Items in the channel, and those that wait for room in it, come out once each and in order. A stock channel loses them."""
    app = faust.App("test-channel", store="memory://", web_enabled=False)
    assert await through_a_rebalance(app, KeptChannel(app, maxsize=2)) == [0, 1, 2, 3]
    assert await through_a_rebalance(app, app.channel(maxsize=2)) == []
