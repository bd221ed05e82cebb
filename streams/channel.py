"""A Faust channel that Faust never empties."""

from __future__ import annotations

from typing import Any

import faust
from mode.utils.queues import FlowControlEvent, ThrowableQueue


class KeptChannel(faust.Channel):  # type: ignore[misc]  # faust's types are not followed
    """A bounded channel whose items stay in it until they are taken.

    Whenever the partitions of Faust's own consumer change, Faust clears its channels and cancels who waits to put into one: what they hold
    is read again from Kafka. Ours hold batches that are read once, and Faust's partitions are those of the commands topic only.
    """

    @property
    def queue(self) -> Any:
        """The queue, with a flow control of its own that nobody suspends."""
        if self._queue is None:  # type: ignore[has-type]
            self._queue = ThrowableQueue(maxsize=self.maxsize, flow_control=FlowControlEvent(initially_suspended=False))
        return self._queue
