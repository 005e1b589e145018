"""Memory of large blocks, in processes of their own, since the allocator is tuned for a whole process."""

import ctypes
import platform
import subprocess
import sys

import pytest

from projector.process.allocator import tune_malloc

ROUNDS = 20
BLOCKS = 6  # of 4 MiB at a time
PAGES_PER_BLOCK = 1024
COUNT_FAULTS = f"""
import resource
from projector.process.allocator import tune_malloc
if {{tuned}}:
    tune_malloc()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def make():
    for _ in range({ROUNDS}):
        [bytearray({PAGES_PER_BLOCK} * resource.getpagesize()) for _ in range({BLOCKS})]
make()
before = faults()
make()
print(faults() - before)
"""


def page_faults(*, tuned: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS.format(tuned=tuned)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has its own rules")
def test_memory_of_large_blocks_is_used_again() -> None:
    assert page_faults(tuned=False) > ROUNDS * PAGES_PER_BLOCK
    assert page_faults(tuned=True) < PAGES_PER_BLOCK


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    tune_malloc()
