"""The C library's allocator, tuned for a process that receives large responses."""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # the options of mallopt(3)
_BYTES = 32 * 1024 * 1024


def tune_malloc() -> None:
    """Let glibc keep up to 32 MiB of freed memory.

    By default it returns the memory of a response to the kernel, because several copies of it are freed at once. The
    kernel then clears pages again for the next response, which takes longer than to receive it. Does nothing with
    another C library.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        # Both: the first one that is set ends glibc's own adaption of the other, which is then 128 KiB.
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(option, _BYTES)
