"""Errors that hold on to themselves, and so to whatever their callers had in hand, until garbage is collected."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def none_of(kind: type[BaseException]) -> Iterator[None]:
    """Fails where it takes the collector of garbage to be rid of errors of this kind."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        assert [each for each in gc.garbage if isinstance(each, kind)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
