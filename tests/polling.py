"""A consumer that stays in its group while a test looks at the group."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def polling(consumer: Any) -> Iterator[None]:
    """Poll in a thread, as a member does. The consumer is the library's or ours."""
    stopping = threading.Event()

    def poll() -> None:
        while not stopping.is_set():
            consumer.poll()

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
