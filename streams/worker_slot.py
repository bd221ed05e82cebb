"""A worker's place among those of its home: it gives a restarted worker the transactional id of the one that died before it."""

from __future__ import annotations

import fcntl
import itertools
import socket
import uuid
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import quote

from config.settings import Settings


class WorkerSlot:
    """The first free slot of home and group, held by a file lock until the process ends, however it ends.

    A killed worker leaves a transaction open. Its partitions cannot be restored before that is gone, which takes a broker up to twenty
    seconds. A worker with the same transactional id ends it at once, so a restarted one had better have the same. Workers that run (or are
    stopped, as a zombie is) hold their locks, so no two of them share an id.

    Attributes:
        transactional_id: of group, host and slot; the slot's own random part tells homes apart.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.under_home("run", "workers")
        folder.mkdir(parents=True, exist_ok=True)
        group = quote(settings.group_id, safe="")
        self._file, number = next((file, n) for n in itertools.count() if (file := _locked(folder / f"{group}.{n}")) is not None)
        self.transactional_id = f"{settings.group_id}-{socket.gethostname()}-{number}-{self._name()}"

    def _name(self) -> str:
        self._file.seek(0)
        name = self._file.read().strip()
        if not name:
            name = uuid.uuid4().hex[:12]
            self._file.write(name)
            self._file.flush()
        return name

    def close(self) -> None:
        """Give the slot back before the process ends."""
        self._file.close()


def _locked(path: Path) -> TextIOWrapper | None:
    """The file, open and locked; None when another process has it. A record lock: children do not inherit it."""
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
