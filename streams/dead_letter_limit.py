"""The limit on dead letters: a broken deploy must not send everything to their topic; then it is the deploy that is to be mended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from config.errors import PoisonedStream
from streams.windows.batch import Outcast


def poisoned(dead: Iterable[Outcast]) -> int:
    """How many dead letters speak of broken producers. A model without a spec is none: it must not end the watch over the others."""
    return sum(outcast.reason != "unknown_model" for outcast in dead)


class DeadLetterLimit:
    """Watches the share of dead letters over the last ``span`` records or a little more (whole batches)."""

    def __init__(self, span: int, share: float) -> None:
        self.span = span
        self.share = share
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._dead = 0

    def add(self, records: int, dead: int) -> None:
        """Count a batch.

        Raises:
            PoisonedStream: at least ``span`` records were seen and more than ``share`` of them are dead letters.
        """
        self._batches.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._batches[0][0] >= self.span:
            old_records, old_dead = self._batches.popleft()
            self._records -= old_records
            self._dead -= old_dead
        if self._records >= self.span and self._dead > self.share * self._records:
            text = f"{self._dead} of the last {self._records} records are dead letters, more than TIDEMARK_DEAD_LETTER_SHARE={self.share}"
            raise PoisonedStream(
                text, "mend the producers or the spec; the batch that passed the limit is not committed. Raise the share to let it pass"
            )
