"""Memory, tuned for a process that projects records from Kafka."""

from projector.process.allocator import tune_malloc
from projector.process.garbage_collector import tune_gc


def tune_memory() -> None:
    """Tune the C library's allocator and the garbage collector."""
    tune_malloc()
    tune_gc()
