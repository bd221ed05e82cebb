"""A steady feed of live events for ``benchmarks.latency``: ``python -m benchmarks.latency_feed SECONDS EVENTS_PER_S SHIFT``.

A process of its own, so that the measuring process has time to look. SHIFT is added to every number: 1 makes every window drift.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import polars as pl

from benchmarks.ingest import NUMBERS, values
from config.settings import settings
from config.spec import read_specs
from schemas.event import event_schema
from schemas.store import FileSchemaStore
from tests.support.feed import Feeder, Template

TICK_S = 0.02


def main() -> None:
    """Send until the time is over."""
    seconds, rate, shift = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    specs = read_specs(settings())
    store = FileSchemaStore(settings().under_home("schemas"))
    rows = values(5_000, 3).with_columns(pl.col(*NUMBERS, "y") + shift)
    templates = {name: Template(spec, store.register(name, event_schema(spec)), rows) for name, spec in specs.items()}
    feeder = Feeder(settings())
    sent, began = 0, time.time()
    while (now := time.time()) - began < seconds:
        due = int((now - began) * rate / len(templates))
        if due > sent:
            times = np.linspace(now - TICK_S, now, due - sent, dtype=np.float64)
            for name, template in templates.items():
                feeder.send(name, template.values(sent, (times * 1000).astype(np.int64)))
            sent = due
        time.sleep(max(0.0, now + TICK_S - time.time()))
    feeder.flush()


if __name__ == "__main__":
    main()
