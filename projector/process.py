"""The garbage collector, kept from walking through each batch."""

import gc

_ALLOCATIONS = 50_000


def tune_gc() -> None:
    """For a process that projects: a batch makes thousands of values, none of them in cycles, and all gone after it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)
