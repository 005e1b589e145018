"""The standard streams of a command: no failed write, closed stream or strange character ends it with a traceback."""

import io
import os
import select
import sys
from collections.abc import Iterable
from typing import Any, TextIO

_lost: list[str] = []
"""Why standard output could not be written, if so."""


class _Stream(io.FileIO):
    """A stream whose writes never fail: what a command does must not depend on who reads its output.

    It has no buffer. The handler of a signal writes too, and Python's buffer refuses a write within a write.
    """

    def write(self, data: Any, /) -> int:
        """Write all bytes, and return their number."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while rest:
                written = super().write(rest)
                if written is None:  # the other end of a pipe made it non-blocking
                    select.select([], [self], [])
                rest = rest[written or 0 :]
        except OSError as error:
            self._failed(error)
        return size

    def _failed(self, _: OSError) -> None:
        pass


class _StandardOutput(_Stream):
    """Remembers the first failure. What comes later goes nowhere."""

    def _failed(self, error: OSError) -> None:
        _lost.append(error.strerror or str(error))
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self.fileno())


def take_over() -> None:
    """Use these streams from now on.

    A stream that the caller closed (`<&-`) is opened as /dev/null, so that no connection gets its descriptor.
    """
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  # until the end
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    sys.stdout = _replaced(sys.stdout, sys.__stdout__, _StandardOutput)
    sys.stderr = _replaced(sys.stderr, sys.__stderr__, _Stream)


def write_all(chunks: Iterable[bytes]) -> bool:
    """Write bytes to standard output, until nobody reads it any more. Returns whether there were any."""
    sys.stdout.flush()
    written = False
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
        written = True
        if _lost:
            break
    return written


def lost_output() -> str | None:
    """Write what is buffered for standard output. The reason, if some of the output was lost."""
    sys.stdout.flush()
    return _lost[0] if _lost else None


def _replaced(stream: TextIO | None, original: TextIO | None, kind: type[_Stream]) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if stream is not original or not isinstance(stream, io.TextIOWrapper):
        return stream  # it was replaced to capture the output
    return io.TextIOWrapper(
        kind(stream.fileno(), "w", closefd=False),  # as `python -u` does
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )
