"""Memory of many threads stays in few arenas."""

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


SEEN = """
import gc
from streams.allocator import keep_what_lives
cycle = []
cycle.append(cycle)
del cycle
keep_what_lives()
assert gc.get_freeze_count() > 1000, gc.get_freeze_count()
assert gc.get_threshold()[0] == 20_000
made = gc.get_stats()[0]["collections"]
records = [[n] for n in range(15_000)]
assert gc.get_stats()[0]["collections"] == made
class Node: pass
import weakref
node = Node(); node.itself = node; seen = weakref.ref(node); del node
records += [[n] for n in range(15_000)]
assert seen() is None
"""


def test_what_lives_is_kept_from_the_collector() -> None:
    """It is frozen, a batch's records make no look for cycles, and cycles are found all the same, later."""
    subprocess.run([sys.executable, "-c", SEEN], check=True, timeout=60)
