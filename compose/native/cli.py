"""The commands that bring the stack up and down, and look at it: natively here, or in containers by ``compose.docker``."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import cast

import click
from rich.console import Console
from rich.table import Table

from compose.docker import choice, engine, stack
from compose.native import start, supervise
from compose.native.health import healthy
from compose.services import Service, program, services
from config.errors import UsageError
from config.settings import Settings, load_settings

console = Console(highlight=False, soft_wrap=True)


@click.command()
@click.option("--only", default="", help="Start only these services (comma-separated) and those they need.")
@click.option("--replay/--no-replay", default=True, show_default=True, help="Replay the flights of 2013 once all is up.")
@click.option(
    "--stack", "wanted", type=click.Choice(["native", "docker"]), help="Default: containers when a Docker engine answers, else native."
)
def up(only: str, replay: bool, wanted: str | None) -> None:
    """Set up what is missing, start the stack, wait until every service answers."""
    settings = load_settings()
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    kind = choice.choose(settings, cast(choice.Stack | None, wanted))
    if kind == "docker":
        _up_in_containers(settings, chosen, replay)
    else:
        _up_natively(settings, chosen, replay)


def _up_in_containers(settings: Settings, chosen: list[str], replay: bool) -> None:
    began = time.monotonic()
    engine.check(settings)
    choice.remember(settings)
    stack.up(settings, chosen, replay)
    console.print(f"up in containers after {time.monotonic() - began:.1f} s")
    wanted = start.choose(settings, chosen, replay) if not chosen else []
    _print_addresses(settings, wanted)
    if not chosen:
        console.print(f"  {'grafana':<13}http://127.0.0.1:{settings.grafana_port}  dashboards")


def _up_natively(settings: Settings, chosen: list[str], replay: bool) -> None:
    began = time.monotonic()
    with console.status("looking at the stack") as status:

        def progress(line: str) -> None:
            console.print(f"  {line}", markup=False)
            status.update(line)

        changed = start.up(settings, progress, chosen, replay)
    console.print(f"up after {time.monotonic() - began:.1f} s" if changed else "already up")
    _print_addresses(settings, start.choose(settings, chosen, replay))


def _print_addresses(settings: Settings, wanted: list[Service]) -> None:
    for service in wanted:
        if service.port_setting:
            scheme = "" if service.name == "kafka" else "http://"
            path = service.ready_path if service.name == "worker" else ""
            console.print(f"  {service.name:<13}{scheme}{service.address(settings)}{path}  {service.about}")
    if any(s.one_shot for s in wanted):
        console.print(
            "A week of 2013 is replayed every 5 s. Until June the weeks are quiet; from the week of 10 June (in 2 minutes) the share of\n"
            f"drifted columns passes its limit, the alert fires, and Slack's message stands in the inbox: {settings.public_url}\n"
            "Watch it: `tidemark watch`. Again: `make replay`. Stop: `make down`."
        )


@click.command()
def down() -> None:
    """Stop everything that `up` started; no process is left."""
    settings = load_settings()
    if choice.current(settings) == "docker":
        stack.down(settings)
        choice.forget(settings)
        console.print("down; the volumes stay (`docker volume ls --filter name=tidemark`)")
        return
    with console.status("stopping"):
        supervisor = supervise.Supervisor(settings)
        was_up = supervisor.running()
        supervisor.shutdown()
        orphans = supervise.sweep(settings)
    console.print("down" if was_up or orphans else "nothing runs")


@click.command()
def status() -> None:
    """A table of the services; ends with code 1 when one that should run is not healthy."""
    settings = load_settings()
    if choice.current(settings) == "docker":
        raise SystemExit(0 if stack.status(settings) else 1)
    supervisor = supervise.Supervisor(settings)
    states = supervisor.states() if supervisor.running() else {}
    table = Table("service", "state", "pid", "uptime", "address", "healthy", box=None)
    unwell = False
    for service in services(settings):
        state = states.get(service.name)
        running = state is not None and state.pid > 0
        fine = running and healthy(service, settings)
        expected = state is not None and state.state not in {"STOPPED", "EXITED"}
        unwell |= expected and not fine
        uptime = f"{max(0.0, time.time() - state.since):.0f} s" if state and running else ""
        pid = str(state.pid) if state and running else ""
        verdict = "yes" if fine else "no" if expected else "-"
        table.add_row(service.name, state.state if state else "DOWN", pid, uptime, service.address(settings), verdict)
    console.print(table)
    if unwell or not states:
        raise SystemExit(1)


@click.command()
@click.argument("service", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is written.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many of the last lines of each log.")
def logs(service: str | None, follow: bool, lines: int) -> None:
    """Print the log of one service, or of all."""
    settings = load_settings()
    if choice.current(settings) == "docker":
        with contextlib.suppress(KeyboardInterrupt):
            stack.logs(settings, service, follow, lines)
        return
    names = [s.name for s in services(settings)]
    if service is not None and service not in [*names, "supervisord"]:
        raise UsageError(f"there is no service {service!r}", f"the services are {', '.join(names)}, supervisord")
    logged = [supervise.log_file(settings, n) for n in ([service] if service else names)]
    files = [str(f) for f in logged if f.is_file()]
    if not files:
        raise UsageError(f"no log of {service or 'any service'} below {supervise.run_dir(settings)}", "start the stack: `make up`")
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(["tail", "-n", str(lines), *(["-F"] if follow else []), *files], check=False)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run another `tidemark` command where the stack runs: here, or in a container beside its broker and data."""
    settings = load_settings()
    if choice.current(settings) == "docker":
        stack.run(settings, arguments, terminal=sys.stdin.isatty() and sys.stdout.isatty())
    else:
        raise SystemExit(subprocess.run([program("tidemark"), *arguments], check=False).returncode)


commands = [up, down, status, logs, run]
