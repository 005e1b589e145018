"""Work whose end nothing guarantees, such as a request to a server that is frozen: waited for, but not forever."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

ResultT = TypeVar("ResultT")


def within(
    seconds: float, work: Callable[[], ResultT], *, late: Callable[[ResultT], object] = lambda _: None
) -> ResultT:
    """The result of `work`, which runs in a thread of its own. A result that comes later goes to `late`.

    Raises TimeoutError, and what `work` raises.
    """
    done: Future[ResultT] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            with suppress(InvalidStateError):
                done.set_exception(error)
            return
        try:
            done.set_result(result)
        except InvalidStateError:  # cancelled below
            late(result)

    threading.Thread(target=run, name="patience", daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError:
        if done.cancel():
            raise
        return done.result()
