"""How the worker's process keeps memory: few malloc arenas and nothing unused for long, so that full load adds nothing to it."""

from __future__ import annotations

import ctypes
import sys

M_ARENA_MAX = -8  # of glibc's malloc.h
ARENAS = 2


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


def give_back() -> bool:
    """Return the pages that malloc holds and nothing is in to the kernel; True when there were some. Tens of milliseconds, without the GIL.

    glibc itself gives back only what lies at a heap's end, where some small block always is. So the resident set follows the highest use
    there ever was, which a stream's chances push up for hours (15 MiB in half an hour of full load), and not the use there is.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except AttributeError:  # musl has no malloc_trim
        return False
