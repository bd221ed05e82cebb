"""Memory of many threads stays in few arenas."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# Threads that all hold memory at once; each new arena is a reservation of 64 MiB.
PROGRAM = """
import re, sys, threading
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
areas = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) ", open("/proc/self/maps").read(), re.M)
print(len({int(low, 16) >> 26 for low, _ in areas if int(low, 16) % 2**26 == 0}))
ready.wait()
"""


def arenas(way: str) -> int:
    return int(subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="another malloc than glibc's")
def test_two_arenas_for_many_threads() -> None:
    """With 32 threads glibc makes many arenas; limited to two, at most one lies beside the heap."""
    assert arenas("free") > 2
    assert arenas("limited") <= 1
