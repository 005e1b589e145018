"""Validates the arguments of direct writers by the rules for events. Each ValueError names the argument."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from projector.contract import fields
from projector.contract.facts import Status
from projector.contract.unreadable import Unreadable, quoted

Id: TypeAlias = str | uuid.UUID
"""An id as text or as a uuid."""
StatusName: TypeAlias = Status | Literal["queued", "dispatched", "in_progress", "completed", "failed", "stuck"]
"""A status; `Status(text)` makes one of a text, or raises ValueError."""
T = TypeVar("T")


class NewDelegation(NamedTuple):
    """The arguments of a request. The uuids are lower-case texts, the deadline is in UTC, the task is not cut."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task: str
    idempotency_key: str | None
    deadline: datetime | None


def new_delegation(
    delegation_id: Id,
    caller_id: Id,
    callee_id: Id,
    task: str,
    idempotency_key: Id | None,
    deadline: datetime | None,
) -> NewDelegation:
    """The arguments in storable form. All empty required arguments are named in one ValueError."""
    require(delegation_id=delegation_id, caller_id=caller_id, callee_id=callee_id, task=task)
    return NewDelegation(
        identifier(delegation_id),
        uuid_text(caller_id, "caller_id"),
        uuid_text(callee_id, "callee_id"),
        text(task, "task") or "",
        _checked(fields.identifier, _as_text(idempotency_key), "idempotency_key"),
        None if deadline is None else _in_utc(deadline),
    )


def require(**values: object) -> None:
    """Raise a ValueError with the names of all `values` that are None or empty."""
    empty = [name for name, value in values.items() if value is None or value == ""]
    if empty:
        raise ValueError(f"required, but empty: {', '.join(empty)}")


def identifier(delegation_id: Id) -> str:
    """A delegation's id in storable form, at most 512 bytes of UTF-8."""
    require(delegation_id=delegation_id)
    return _checked(fields.identifier, _as_text(delegation_id), "delegation_id") or ""


def uuid_text(value: Id, name: str) -> str:
    """A uuid as lower-case text."""
    require(**{name: value})
    return _checked(fields.uuid, _as_text(value), name) or ""


def text(value: str | None, name: str) -> str | None:
    """A text in storable form, not cut; None for the empty text."""
    return _checked(fields.text, value, name)


def preview(value: str | None, name: str) -> str | None:
    """The first 4,096 bytes of a text, as the view keeps them; None for the empty text."""
    return _checked(fields.preview, value, name)


def status(value: str) -> Status:
    """One of the six statuses. The other words of activity rows, such as `pending`, are not accepted here."""
    try:
        return Status(value)
    except ValueError:
        raise ValueError(f"status must be one of {', '.join(Status)}: found {quoted(value)}") from None


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, uuid.UUID) else value


def _checked(rule: Callable[[object, str], T], value: object, name: str) -> T:
    try:
        return rule(value, name)
    except Unreadable as error:
        raise ValueError(error.reason) from None


def _in_utc(deadline: datetime) -> datetime:
    if not isinstance(deadline, datetime) or deadline.utcoffset() is None:
        raise ValueError(f"deadline must be a datetime with an offset: found {deadline!r}")
    try:
        return deadline.astimezone(UTC)
    except OverflowError:  # Postgres would store it, but Python could not read it back
        raise ValueError(f"deadline must be within the years 1 to 9999 in UTC: found {deadline.isoformat()}") from None
