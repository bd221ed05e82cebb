"""The worker stops when a deploy poisons the stream, and not for a few bad records."""

from __future__ import annotations

import pytest

from config.errors import PoisonedStream
from streams.dead_letter_limit import DeadLetterLimit, poisoned
from streams.windows.batch import Outcast


def test_a_poisoned_stream_stops() -> None:
    """Over the span, more than the share of dead letters raises; the message has both numbers and the setting."""
    limit = DeadLetterLimit(span=100, share=0.5)
    limit.add(60, 60)  # fewer than the span: not judged yet
    with pytest.raises(PoisonedStream, match=r"60 of the last 110 .*TIDEMARK_DEAD_LETTER_SHARE=0.5"):
        limit.add(50, 0)


def test_old_batches_are_forgotten() -> None:
    """Poison that lies further back than the span does not count."""
    limit = DeadLetterLimit(span=100, share=0.5)
    limit.add(50, 50)
    limit.add(50, 0)
    limit.add(50, 0)
    limit.add(50, 50)
    limit.add(50, 0)


def test_models_without_a_spec_are_no_poison() -> None:
    """Records of a model that nobody has told the worker of are dead letters, and end nothing."""
    reasons = ["unknown_model"] * 5 + ["undecodable", "wrong_partition"]
    assert poisoned(Outcast(n, b"k", b"", reason, "") for n, reason in enumerate(reasons)) == 2
