"""The command line: gathers the commands of the packages. Their modules are imported only when a command of theirs is used."""

from __future__ import annotations

import importlib
import sys

import click

from config.errors import TidemarkError

_MODULES = {
    "up": "compose.native.cli",
    "down": "compose.native.cli",
    "status": "compose.native.cli",
    "logs": "compose.native.cli",
    "run": "compose.native.cli",
    "prepare": "compose.docker.prepare",
    "init": "compose.onboard.cli",
    "check": "compose.onboard.cli",
    "worker": "streams.cli",
    "topics": "streams.cli",
    "reload": "streams.reload",
    "replay": "producers.cli",
    "wrap": "producers.wrap.cli",
    "console": "monitor.cli",
    "fit": "monitor.cli",
    "pages": "monitor.cli",
    "report": "monitor.cli",
    "ui": "monitor.cli",
    "watch": "monitor.cli",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        commands: list[click.Command] = importlib.import_module(_MODULES[cmd_name]).commands
        return next(c for c in commands if c.name == cmd_name)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tidemark")
def cli() -> None:
    """Tidemark, a streaming drift monitor on Kafka."""


def main() -> None:
    """Run a command; an error a user can act on ends with its message, its remedy and its exit code, without a traceback."""
    try:
        cli()
    except TidemarkError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
