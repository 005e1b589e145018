"""What a direct writer passes, cleaned by the rules that events are read by; each ValueError names its argument."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias, TypeVar

from projector.contract import fields
from projector.contract.facts import Status
from projector.contract.unreadable import Unreadable, quoted

Uuid: TypeAlias = str | uuid.UUID
T = TypeVar("T")


class NewDelegation(NamedTuple):
    """A request; uuids are lower-case texts, the deadline is in UTC, the task is whole."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task: str
    idempotency_key: str | None
    deadline: datetime | None


def new_delegation(
    delegation_id: str,
    caller_id: Uuid,
    callee_id: Uuid,
    task: str,
    idempotency_key: str | None,
    deadline: datetime | None,
) -> NewDelegation:
    """A request whose required values are all there."""
    require(delegation_id=delegation_id, caller_id=caller_id, callee_id=callee_id, task=task)
    return NewDelegation(
        identifier(delegation_id),
        uuid_text(caller_id, "caller_id"),
        uuid_text(callee_id, "callee_id"),
        text(task, "task") or "",
        _read(fields.identifier, idempotency_key, "idempotency_key"),
        None if deadline is None else _in_utc(deadline),
    )


def require(**values: object) -> None:
    """Raise a ValueError that names all of `values` that are none or empty."""
    empty = [name for name, value in values.items() if value is None or value == ""]
    if empty:
        raise ValueError(f"required, and empty: {', '.join(empty)}")


def identifier(delegation_id: str) -> str:
    """A delegation's id, storable, of at most 512 bytes."""
    require(delegation_id=delegation_id)
    return _read(fields.identifier, delegation_id, "delegation_id") or ""


def uuid_text(value: Uuid, name: str) -> str:
    """A uuid as lower-case text."""
    require(**{name: value})
    return _read(fields.uuid, str(value) if isinstance(value, uuid.UUID) else value, name) or ""


def text(value: str | None, name: str) -> str | None:
    """A text, storable and whole; None for the empty one."""
    return _read(fields.text, value, name)


def preview(value: str | None, name: str) -> str | None:
    """The start of a text, as the view keeps it; None for the empty one."""
    return _read(fields.preview, value, name)


def status(value: str) -> Status:
    """One of the six states; the platform's other words for them are the activity rows' business."""
    try:
        return Status(value)
    except ValueError:
        raise ValueError(f"status must be one of {', '.join(Status)}: found {quoted(value)}") from None


def _read(rule: Callable[[object, str], T], value: object, name: str) -> T:
    try:
        return rule(value, name)
    except Unreadable as error:
        raise ValueError(error.reason) from None


def _in_utc(deadline: datetime) -> datetime:
    """Raises ValueError without an offset, and where UTC has no such year: Python could not read it back."""
    if not isinstance(deadline, datetime) or deadline.utcoffset() is None:
        raise ValueError(f"deadline must be a datetime with an offset: found {deadline!r}")
    try:
        return deadline.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"deadline must be within the years 1 to 9999 in UTC: found {deadline.isoformat()}") from None
