"""The statements of the ledger, and what their answers mean. `run` and `aio.run` send them to Postgres.

Each function makes a generator: it yields one statement after another, receives the first row of the answer of each,
and returns the result. So the synchronous and the asynchronous functions follow the same rules, with the same SQL.
"""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, TypeAlias, TypeVar

from projector.contract.facts import DEFAULT_DEADLINE, FAILED, RANK, Status
from projector.contract.fields import preview
from projector.errors import Misconfigured, WriteConflict
from projector.ledger import validation
from projector.ledger.results import AlreadyExists, Conflict, Effect, Inserted
from projector.ledger.validation import Id, NewDelegation, StatusName

T = TypeVar("T")

_TRIES = 10
_IN_FLIGHT = [status.value for status in RANK]


class Statement(NamedTuple):
    """One statement with its named arguments. Each returns a row or none."""

    sql: LiteralString
    arguments: Mapping[str, Any]


Row: TypeAlias = tuple[Any, ...] | None
Steps: TypeAlias = Generator[Statement, Row, T]


def insert(
    delegation_id: Id, caller_id: Id, callee_id: Id, task: str, idempotency_key: Id | None, deadline: datetime | None
) -> Steps[Inserted | AlreadyExists]:
    new = validation.new_delegation(delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
    arguments = new._asdict() | {"task_preview": preview(new.task, "task"), "default_deadline": DEFAULT_DEADLINE}
    for _ in range(_TRIES):
        # `rowcount` is not known yet in pipeline mode
        if (yield Statement(_INSERT, arguments)):
            return Inserted(new.delegation_id)
        # A second statement: the first cannot see a row that was committed while it waited for that row.
        if existing := (yield Statement(_EXISTING, arguments)):
            return _already_exists(existing[0], new)
        yield from _require_all_rows()
    raise WriteConflict(
        f"delegation {new.delegation_id} was not inserted: in each of {_TRIES} tries another row with its id or its "
        "idempotency key was in the way, and was deleted a moment later; try again"
    )


def _already_exists(found: str, new: NewDelegation) -> AlreadyExists:
    return AlreadyExists(found, Conflict.SAME_ID if found == new.delegation_id else Conflict.SAME_KEY)


_INSERT = """
INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, deadline, idempotency_key)
VALUES (%(delegation_id)s, %(caller_id)s::uuid, %(callee_id)s::uuid, %(task_preview)s,
        coalesce(%(deadline)s::timestamptz, now() + %(default_deadline)s::interval), %(idempotency_key)s)
ON CONFLICT DO NOTHING RETURNING true
"""
_EXISTING = """
SELECT delegation_id FROM delegations
 WHERE delegation_id = %(delegation_id)s
    OR (caller_id = %(caller_id)s::uuid AND idempotency_key = %(idempotency_key)s)
 ORDER BY delegation_id = %(delegation_id)s DESC LIMIT 1
"""
"""The row with the same id, or else the one that holds the key; none if it was deleted in the meantime."""


def set_status(delegation_id: Id, status: StatusName, result: str | None, error: str | None) -> Steps[Effect]:
    new = validation.status(status)
    return (
        yield from _effect(
            _SET_STATUS,
            {
                "delegation_id": validation.identifier(delegation_id),
                "status": new.value,
                # the states from which the new status is a step forward
                "earlier": [earlier.value for earlier in RANK if RANK[earlier] < RANK.get(new, len(RANK))],
                "in_flight": _IN_FLIGHT,
                "result": validation.preview(result, "result") if new is Status.COMPLETED else None,
                "error": validation.preview(error, "error") if new in FAILED else None,
            },
        )
    )


# The row is locked before the effect is decided, so the decision holds until the row is written.
_SET_STATUS = """
WITH locked AS (
    SELECT * FROM delegations WHERE delegation_id = %(delegation_id)s FOR NO KEY UPDATE
), decided AS (
    SELECT delegation_id, status, CASE
               WHEN status = ANY (%(earlier)s::text[]) THEN 'advanced'
               WHEN status <> %(status)s AND status = ANY (%(in_flight)s::text[]) THEN 'stale'
               WHEN status <> %(status)s THEN 'refused'
               WHEN %(result)s::text IS NOT NULL AND coalesce(result_preview, '') = '' THEN 'filled'
               WHEN %(error)s::text IS NOT NULL AND coalesce(error_detail, '') = '' THEN 'filled'
               ELSE 'duplicate'
           END AS effect
      FROM locked
), written AS (
    UPDATE delegations d
       SET status = %(status)s, updated_at = greatest(d.updated_at, now()),
           result_preview = CASE WHEN %(status)s = 'completed' THEN %(result)s ELSE d.result_preview END,
           error_detail = CASE WHEN %(status)s IN ('failed', 'stuck') THEN %(error)s ELSE d.error_detail END
      FROM decided e
     WHERE d.delegation_id = e.delegation_id AND d.status = e.status AND e.effect IN ('advanced', 'filled')
)
SELECT effect FROM decided
"""


def heartbeat(delegation_id: Id) -> Steps[Effect]:
    arguments = {"delegation_id": validation.identifier(delegation_id), "in_flight": _IN_FLIGHT}
    return (yield from _effect(_HEARTBEAT, arguments))


_HEARTBEAT = """
WITH locked AS (
    SELECT delegation_id, status = ANY (%(in_flight)s::text[]) AS is_in_flight
      FROM delegations WHERE delegation_id = %(delegation_id)s FOR NO KEY UPDATE
), written AS (
    UPDATE delegations d
       SET last_heartbeat = greatest(d.last_heartbeat, now()), updated_at = greatest(d.updated_at, now())
      FROM locked l
     WHERE d.delegation_id = l.delegation_id AND l.is_in_flight AND d.status = ANY (%(in_flight)s::text[])
)
SELECT CASE WHEN is_in_flight THEN 'heartbeat' ELSE 'refused' END FROM locked
"""


def _effect(sql: LiteralString, arguments: Mapping[str, object]) -> Steps[Effect]:
    if row := (yield Statement(sql, arguments)):
        return Effect(row[0])
    yield from _require_all_rows()
    return Effect.MISSING


def _require_all_rows() -> Steps[None]:
    """Raise Misconfigured if a row that was not found may be there, hidden from this role by row-level security."""
    row = yield Statement("SELECT row_security_active('delegations'::regclass), current_user", {})
    if row and row[0]:
        raise Misconfigured(
            f"row-level security of the table delegations applies to the role {row[1]}, and may hide the "
            "row: use a role with BYPASSRLS, or the owner of the table"
        )
