"""Debian packages: installed when we are root, or unpacked into a folder without installing anything."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import TidemarkError

APT_LISTS = Path("/var/lib/apt/lists")


def run(command: list[str], doing: str, remedy: str, cwd: Path | None = None) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        TidemarkError: the program is missing or failed; holds the last lines it wrote.
    """
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise TidemarkError(f"{doing}: program {command[0]!r} is not installed", remedy) from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise TidemarkError(f"{doing} failed ({' '.join(command[:4])} … ended with {done.returncode}):\n{said}", remedy)
    return done.stdout


def can_install() -> bool:
    """True as root on a system with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _update_lists() -> None:
    if not any(APT_LISTS.glob("*_Packages*")):
        run(["apt-get", "update", "-q"], "reading the package lists", "check the network and /etc/apt/sources.list")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Alone among the processes that ask for the same file."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt(arguments: list[str], doing: str, remedy: str, cwd: Path | None = None) -> None:
    """Run apt-get; when it fails, its lists may name a version that is gone: read them again and try once more.

    One at a time: a second apt-get that needs the lists would fail at once instead of waiting.
    """
    with _locked(Path(tempfile.gettempdir()) / f"tidemark-apt-{os.geteuid()}.lock"):
        _update_lists()
        try:
            run(["apt-get", *arguments], doing, remedy, cwd)
        except TidemarkError:
            if not can_install():
                raise
            run(["apt-get", "update", "-q"], "reading the package lists", remedy)
            run(["apt-get", *arguments], doing, remedy, cwd)


def install(packages: list[str]) -> None:
    """Install packages; only sensible when ``can_install()``."""
    names = " ".join(packages)
    _apt(["install", "-y", "-q", "--no-install-recommends", *packages], f"installing {names}", f"run: apt-get install {names}")


def unpack(package: str, into: Path) -> None:
    """Download a package with its distribution's keys and unpack its files into ``into``, once however many processes ask; nothing is
    installed.

    Raises:
        TidemarkError: apt-get or dpkg-deb is missing or failed.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise TidemarkError(
            f"{package} is not there and cannot be unpacked: this system has no apt-get and dpkg-deb",
            f"install {package} yourself so that it is on PATH, or use Docker: install it and run `make up` again",
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    with _locked(into.with_name(f".{package}.lock")):
        if not into.is_dir():  # by another process, while this one waited
            _unpack(package, into)


def _unpack(package: str, into: Path) -> None:
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{package}-") as name:
        part = Path(name)
        part.chmod(0o755)
        user = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
        _apt([*user, "download", "-q", package], f"downloading {package}", f"run: apt-get download {package}", cwd=part)
        (archive,) = part.glob("*.deb")
        run(["dpkg-deb", "-x", str(archive), str(part / "files")], f"unpacking {package}", "remove the file and run again")
        (part / "files").rename(into)
