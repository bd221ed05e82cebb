"""Memory of many threads stays in few arenas, and what is unused goes back to the kernel."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# Threads that all hold memory at once; glibc itself says how many arenas it has.
PROGRAM = """
import ctypes, sys, threading
from streams.allocator import limit_arenas
if sys.argv[1] == "limited":
    assert limit_arenas()
ready = threading.Barrier(33)
def hold():
    kept = [bytes(2000 + n) for n in range(100)]
    ready.wait(); ready.wait()
threads = [threading.Thread(target=hold) for _ in range(32)]
for t in threads: t.start()
ready.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
assert libc.malloc_info(0, stream) == 0
libc.fflush(stream)
ready.wait()
"""


def arenas(way: str) -> int:
    told = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True, timeout=60).stdout
    return told.count("<heap nr=")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another malloc than glibc's")
def test_two_arenas_for_many_threads() -> None:
    """With 32 threads glibc makes many arenas; limited to two, it has no more than two."""
    assert arenas("free") > 2
    assert arenas("limited") <= 2


# 60 MB of small blocks of which only the last one stays: it lies at the heap's end, so glibc itself gives nothing back.
UNUSED = """
import re
from pathlib import Path
from streams.allocator import give_back
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
kept = [bytes(2000) for _ in range(30_000)]
full = resident()
del kept[:-1]
freed = resident()
assert give_back()
print(full, freed, resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another malloc than glibc's")
def test_what_is_unused_goes_back_to_the_kernel() -> None:
    """Of 57 MiB in small blocks below one that is still in use, glibc gives nothing back by itself; asked for it, more than 50 MiB."""
    told = subprocess.run([sys.executable, "-c", UNUSED], capture_output=True, text=True, check=True, timeout=60).stdout
    full, freed, returned = map(float, told.split())
    assert full - freed < 5
    assert freed - returned > 50
