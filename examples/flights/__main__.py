"""``python -m examples.flights``: make the example's model, reference dataset and history unless they are there."""

from __future__ import annotations

import sys

import click

from config.errors import TidemarkError
from config.settings import load_settings
from examples.flights.prepare import prepare


def main() -> int:
    """Prepare with this installation's settings; returns the exit code."""
    try:
        prepare(load_settings(), click.echo)
    except TidemarkError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
