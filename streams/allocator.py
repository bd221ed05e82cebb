"""How the worker's process keeps memory: few malloc arenas, so that its resident set stays where it is under full load."""

from __future__ import annotations

import ctypes
import gc
import sys

M_ARENA_MAX = -8  # of glibc's malloc.h
ARENAS = 2
COLLECT_EVERY = 20_000  # containers more than there were: a batch's records come and go between two looks for cycles


def limit_arenas() -> bool:
    """Let glibc's malloc use two arenas; call it before threads begin. True when it does, False where malloc is another one.

    By default glibc makes up to eight arenas a core, and each keeps what it once had: batches are allocated by the consumer's threads and
    freed by others, so the resident set of a worker with thirty threads grew by 50 MiB in four minutes of full load.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS))
    except AttributeError:  # musl has no mallopt, and no arenas
        return False


def keep_what_lives() -> None:
    """Take what lives by now out of the cycle collector's sight, and let it look seldom; call it when everything is imported.

    A record taken from the broker is a few container objects. By Python's default each 700 of them are looked through, those that are
    still there again, and so is all that Faust, Evidently's metrics and polars once made: a fifth of the time it takes to take records.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, *gc.get_threshold()[1:])
