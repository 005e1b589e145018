"""Checks for errors in reference cycles, which keep the variables of their callers alive until a collection."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_reference_cycles(kind: type[BaseException]) -> Iterator[None]:
    """Fail if errors of this kind are freed by the garbage collector only."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        assert [item for item in gc.garbage if isinstance(item, kind)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
