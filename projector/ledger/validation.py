"""Validates the arguments of direct writers by the rules for events. Each ValueError names the argument."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias, TypeVar

from projector.contract import fields
from projector.contract.facts import Status
from projector.contract.unreadable import Unreadable, quoted

Uuid: TypeAlias = str | uuid.UUID
"""A uuid as text or as an object."""
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
    delegation_id: str,
    caller_id: Uuid,
    callee_id: Uuid,
    task: str,
    idempotency_key: str | None,
    deadline: datetime | None,
) -> NewDelegation:
    """The arguments in storable form. All empty required arguments are named in one ValueError."""
    require(delegation_id=delegation_id, caller_id=caller_id, callee_id=callee_id, task=task)
    return NewDelegation(
        identifier(delegation_id),
        uuid_text(caller_id, "caller_id"),
        uuid_text(callee_id, "callee_id"),
        text(task, "task") or "",
        _checked(fields.identifier, idempotency_key, "idempotency_key"),
        None if deadline is None else _in_utc(deadline),
    )


def require(**values: object) -> None:
    """Raise a ValueError with the names of all `values` that are None or empty."""
    empty = [name for name, value in values.items() if value is None or value == ""]
    if empty:
        raise ValueError(f"required, but empty: {', '.join(empty)}")


def identifier(delegation_id: str) -> str:
    """A delegation's id in storable form, at most 512 bytes of UTF-8."""
    require(delegation_id=delegation_id)
    return _checked(fields.identifier, delegation_id, "delegation_id") or ""


def uuid_text(value: Uuid, name: str) -> str:
    """A uuid as lower-case text."""
    require(**{name: value})
    return _checked(fields.uuid, str(value) if isinstance(value, uuid.UUID) else value, name) or ""


def text(value: str | None, name: str) -> str | None:
    """A text in storable form, not cut; None for the empty text."""
    return _checked(fields.text, value, name)


def preview(value: str | None, name: str) -> str | None:
    """The first 4,096 bytes of a text, as the view keeps them; None for the empty text."""
    return _checked(fields.preview, value, name)


def status(value: str) -> Status:
    """One of the six states. The other words of activity rows, such as `pending`, are not accepted here."""
    try:
        return Status(value)
    except ValueError:
        raise ValueError(f"status must be one of {', '.join(Status)}: found {quoted(value)}") from None


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
