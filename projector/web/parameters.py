"""The parameters of a URL. Each wrong one is refused with a sentence that names it."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from projector.contract.facts import Status
from projector.errors import ProjectorError

IN_FLIGHT = ("queued", "dispatched", "in_progress")
STATUSES: Mapping[str, tuple[str, ...]] = {
    "in_flight": IN_FLIGHT,
    "stuck": ("stuck",),
    "failed": ("failed",),
    "completed": ("completed",),
}
"""A value of the parameter `status` → the statuses that it stands for."""
MAX_LIMIT = 1_000
MAX_HOURS = 24 * 31


class BadParameter(ProjectorError):
    """A parameter of the URL is wrong: answer with 400."""


class Parameters:
    """The parameters of one request. Every one that is read is known; `refuse_unknown` refuses the others."""

    def __init__(self, given: Iterable[tuple[str, str]]) -> None:
        self._given: dict[str, str] = {}
        for name, value in given:
            if name in self._given:
                raise BadParameter(f"{name} is given twice")
            if "\0" in value:
                raise BadParameter(f"{name} contains U+0000")
            self._given[name] = value
        self._known: set[str] = set()

    def text(self, name: str) -> str | None:
        """The value, or None if it is missing or empty."""
        self._known.add(name)
        return self._given.get(name) or None

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        """One of these values, or None."""
        value, allowed = self.text(name), list(choices)
        if value is not None and value not in allowed:
            raise BadParameter(f"{name}={value} is unknown: use one of {', '.join(allowed)}")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= most):
            raise BadParameter(f"{name}={value} is not a whole number from 1 to {most}")
        return int(value)

    def hours(self) -> int:
        """The hours of a window that ends now."""
        return self.number("hours", 24, MAX_HOURS)

    def workspace(self, name: str) -> str | None:
        """A UUID in its canonical form, or None."""
        value = self.text(name)
        try:
            return value and str(uuid.UUID(value.strip()))
        except ValueError:
            raise BadParameter(f"{name}={value} is not a UUID") from None

    def instant(self, name: str) -> datetime | None:
        """A time in ISO 8601; without an offset it is UTC."""
        value = self.text(name)
        try:
            at = value and datetime.fromisoformat(value)
        except ValueError:
            raise BadParameter(f"{name}={value} is not a time as 2026-11-26T14:00:00Z") from None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)) if at else None

    def refuse_unknown(self) -> None:
        """Refuse parameters that nobody has read: a typing error would show everything in place of a part."""
        if unknown := sorted(self._given.keys() - self._known):
            raise BadParameter(f"unknown parameter {unknown[0]}: use {', '.join(sorted(self._known)) or 'none'}")


ALL_STATUSES = tuple(str(status) for status in Status)
