"""The image built and its containers run without an engine: Linux namespaces, with this machine's own root in place of the base image.

What stands as written: the Dockerfile's RUN instructions, the containers' commands, environment, users, working directories, healthchecks,
read-only root, tmpfs, no capabilities, no new privileges, and which paths are mounted where. What is not here: pulled images, the engine's
network (all containers share one loopback of their own, names are in /etc/hosts), cgroup limits, the engine's system call filter.
Needs root, as an engine does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BUILD = """set -eu
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
exec chroot "$1/root" env -C "$2" sh -c "$3"
"""
RUN = """set -eu
mount -t overlay overlay -o "lowerdir=$1/upper:/" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
test -z "$2" || mount -t tmpfs -o "nosuid,nodev,mode=1777,$2" tmpfs "$1/root/tmp"
folder="$1"; ids="$3"; directory="$4"; mounts="$5"; shift 5
for mount in $mounts; do
  mount --bind "${mount%%,*}" "$folder/root${mount##*,}"
done
for mount in $mounts; do
  case "$mount" in *,ro,*) mount -o remount,ro,bind "$folder/root${mount##*,}";; esac
done
exec chroot "$folder/root" setpriv $ids --bounding-set=-all --inh-caps=-all --no-new-privs env -i -C "$directory" "$@"
"""


MEMORY = Path("/dev/shm")  # where an image is made: a gigabyte of small files; and a layer below / may not lie inside /
NEEDED_BYTES = 2_500_000_000


def possible() -> bool:
    """True where mount and network namespaces can be made and memory holds an image."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < NEEDED_BYTES:
        return False
    try:
        return subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Network:
    """A network namespace with nothing but a loopback: the containers' ports are free in it, whatever runs on this machine."""

    def __init__(self) -> None:
        up = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))"  # SIOCSIFFLAGS
        keep = f"{up}; print(flush=True); input()"
        command = ["unshare", "--net", sys.executable, "-c", keep]
        self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout
        self._keeper.stdout.readline()

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` in this network."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", "--", *command]

    def close(self) -> None:
        """Let go of it; it ends with its last process."""
        self._keeper.communicate("\n", timeout=10)


class Image:
    """A root file system that the Dockerfile's instructions are carried out in; what they change lies below ``folder/upper``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.upper = folder / "upper"
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True)
        real = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        python = self.upper / "usr" / "local" / "bin" / "python"  # where the base image has it
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {real} "$@"\n')  # not a link: from there Python would look for its library in /usr/local
        python.chmod(0o755)
        for parent in reversed(real.parents):  # another user has to reach it, below /root too
            made = self.upper / parent.relative_to("/")
            made.mkdir(exist_ok=True)
            made.chmod(0o755)

    def copy(self, source: Path, target: str) -> None:
        """A file or folder, as COPY does it."""
        into = self.upper / target.lstrip("/")
        into.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copyfile(source, into)

    def build(self, command: str, directory: str = "/", **variables: str) -> None:
        """Carry out a RUN instruction as root, with this machine's package settings and a PATH as the base image's."""
        kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_")) or k.lower().endswith("_proxy")}
        environment = {**kept, "HOME": "/root", "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", **variables}
        line = ["unshare", "--mount", "--propagation", "private", "sh", "-c", BUILD, "sh", str(self.folder), directory, command]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def container(self, service: Mapping[str, Any], volumes: Mapping[str, Path], command: Sequence[str] = ()) -> list[str]:
        """The command line of a service's process (or of another ``command`` in its container).

        Args:
            service: as Compose renders it; its image is this one, or its program is given as ``command``.
            volumes: per named volume, and per path of a secret, what is mounted.
            command: instead of the service's own.
        """
        assert service["read_only"]
        mounts = [self._mount(v, volumes) for v in service.get("volumes", [])]
        mounts += [f"{volumes[s['target']]},ro,{s['target']}" for s in service.get("secrets", [])]
        tmpfs = [t.removeprefix("/tmp:") for t in service.get("tmpfs", [])]
        for mount in mounts:  # an engine makes these before the container starts
            point = self.upper / mount.split(",")[2].lstrip("/")
            if Path(mount.split(",")[0]).is_dir():
                point.mkdir(parents=True, exist_ok=True)
            else:
                point.parent.mkdir(parents=True, exist_ok=True)
                point.touch()
        user, group = service["user"].split(":")
        ids = f"--reuid {user} --regid {group} " + (
            f"--groups {','.join(service['group_add'])}" if "group_add" in service else "--clear-groups"
        )
        values = {"PATH": "/opt/tidemark/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
        values |= {k: v for k, v in (service.get("environment") or {}).items() if v is not None}
        line = ["unshare", "--mount", "--propagation", "private", "sh", "-c", RUN, "sh", str(self.folder), *(tmpfs or [""]), ids]
        line += [service.get("working_dir", "/var/lib/tidemark"), " ".join(mounts), *(f"{k}={v}" for k, v in values.items())]
        return [*line, *(command or service["command"])]

    @staticmethod
    def _mount(volume: Mapping[str, Any], volumes: Mapping[str, Path]) -> str:
        source = volumes[volume["source"]] if volume["type"] == "volume" else Path(volume["source"])
        return f"{source},{'ro' if volume.get('read_only') else 'rw'},{volume['target']}"
