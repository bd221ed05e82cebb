"""Where the tables are printed: as wide as the terminal, and wide enough to be read in a log."""

from __future__ import annotations

import sys

from rich.console import Console

LOG_WIDTH = 140


def console_for() -> Console:
    """A console on standard output."""
    return Console() if sys.stdout.isatty() else Console(width=LOG_WIDTH)
