"""The garbage collector, tuned for a process that projects."""

import gc

_ALLOCATIONS = 500_000


def tune_gc() -> None:
    """Collect garbage rarely. A batch makes thousands of values, none of them in cycles, and drops them all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)
