"""A check, its levels, and how the checks of one server are made within a bounded time."""

import threading
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from projector.errors import ProjectorError


class Level(StrEnum):
    """`change`: something must be changed. `note`: nothing must be changed, or the check could not be made."""

    OK = "ok"
    NOTE = "note"
    CHANGE = "change"


class Check(NamedTuple):
    """One line of the report. `remedy` is what to do, or SQL to run."""

    name: str
    level: Level
    found: str
    remedy: str | None = None


def ok(name: str, found: str) -> Check:
    """Nothing is wrong."""
    return Check(name, Level.OK, found)


def note(name: str, found: str, remedy: str | None = None) -> Check:
    """Something to know."""
    return Check(name, Level.NOTE, found, remedy)


def change(name: str, found: str, remedy: str) -> Check:
    """Something must be changed."""
    return Check(name, Level.CHANGE, found, remedy)


class Checks(list[Check]):
    """The checks of one server, as far as they are made."""

    def add(self, name: str, make: Callable[[], Iterable[Check]]) -> None:
        """Make checks. What cannot be found out is a note."""
        try:
            self += list(make())
        except (ProjectorError, UnicodeError) as error:
            self.append(note(name, f"cannot be checked: {error}"))


class Part:
    """The checks of one server, made in a thread of their own: `make` may wait for a frozen server for ever."""

    def __init__(self, name: str, make: Callable[[Checks], object], remedy: str) -> None:
        """`remedy`: what to do if the server cannot be reached."""
        self.checks = Checks()
        self._name = name
        self._make = make
        self._remedy = remedy
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._make(self.checks)
        except ProjectorError as error:
            self.checks[:] = self._failed(str(error), self._remedy)
        except BaseException as error:
            self._error = error

    def _failed(self, found: str, remedy: str) -> list[Check]:
        """The checks that were made, and a line of the server instead of the one that it had at first."""
        return [*(check for check in self.checks if check.name != self._name), change(self._name, found, remedy)]

    def wait(self, until: float) -> list[Check]:
        """The checks that are made until then, by the monotonic clock. Raises what is an error of ours."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._error is not None:
            raise self._error
        if self._thread.is_alive():
            frozen = "it accepts the connection and does not answer: look whether it is frozen or overloaded"
            return self._failed("does not answer; its other checks were not made", frozen)
        return self.checks
