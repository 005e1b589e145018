"""The ledger: one row of `delegations` at a time, for services that record a delegation themselves (docs/ledger.md).

`conn` is the caller's own psycopg connection, and its search path finds `delegations`. Nothing here commits: outside
autocommit a row stays locked, and unseen by others, until the caller does. `projector.audit` writes the activity row
as well.

A bad argument is a ValueError that names it; errors of the database pass as psycopg raises them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg.rows import tuple_row

from projector.contract.facts import FAILED, RANK, Status
from projector.contract.fields import preview
from projector.contract.translate import DEFAULT_DEADLINE
from projector.domain.outcomes import Outcome
from projector.errors import WriteConflict
from projector.ledger import validation
from projector.ledger.validation import NewDelegation, Uuid

Connection: TypeAlias = psycopg.Connection[Any]

_TRIES = 10
_IN_FLIGHT = [each.value for each in RANK]


class Conflict(StrEnum):
    """What the row in the way shares with the one that was to be inserted."""

    SAME_ID = "same id"
    SAME_KEY = "same caller and idempotency key"


class Inserted(NamedTuple):
    """A row was made."""

    delegation_id: str


class AlreadyExists(NamedTuple):
    """No row was made; `delegation_id` is that of the row in the way."""

    delegation_id: str
    why: Conflict


class Effect(StrEnum):
    """What a call did to a row. Of callers that race for a transition, exactly one hears `advanced`."""

    ADVANCED = Outcome.ADVANCED
    FILLED = Outcome.FILLED
    HEARTBEAT = Outcome.HEARTBEAT
    DUPLICATE = Outcome.DUPLICATE
    STALE = Outcome.STALE
    REFUSED = Outcome.REFUSED
    MISSING = "missing"
    """There is no row. (An event would be parked; the ledger leaves it at that.)"""


def insert(
    conn: Connection,
    delegation_id: str,
    caller_id: Uuid,
    callee_id: Uuid,
    task: str,
    *,
    idempotency_key: str | None = None,
    deadline: datetime | None = None,
) -> Inserted | AlreadyExists:
    """Make a queued row, unless its id is there or the caller used the key before; the default deadline is in 6 hours.

    Raises Contested where the row in the way was gone each time one looked for it.
    """
    asked = validation.new_delegation(delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
    for _ in range(_TRIES):
        if _insert(conn, asked):
            return Inserted(asked.delegation_id)
        # A statement of its own: the one above cannot see a row that was committed while it waited for it.
        if in_the_way := _conflict(conn, asked):
            return in_the_way
    raise WriteConflict(f"whatever stands in the way of delegation {asked.delegation_id} is gone when one looks for it")


def _insert(conn: Connection, asked: NewDelegation) -> bool:
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, deadline, idempotency_key)
            VALUES (%(delegation_id)s, %(caller_id)s::uuid, %(callee_id)s::uuid, %(task_preview)s,
                    coalesce(%(deadline)s::timestamptz, now() + %(default_deadline)s::interval), %(idempotency_key)s)
            ON CONFLICT DO NOTHING
            """,
            asked._asdict() | {"task_preview": preview(asked.task, "task"), "default_deadline": DEFAULT_DEADLINE},
        )
        return cursor.rowcount == 1


def _conflict(conn: Connection, asked: NewDelegation) -> AlreadyExists | None:
    """The row with the same id, or else the holder of the key; None where it vanished meanwhile."""
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
            SELECT delegation_id FROM delegations
             WHERE delegation_id = %(delegation_id)s
                OR (caller_id = %(caller_id)s::uuid AND idempotency_key = %(idempotency_key)s)
             ORDER BY delegation_id = %(delegation_id)s DESC LIMIT 1
            """,
            asked._asdict(),
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return AlreadyExists(row[0], Conflict.SAME_ID if row[0] == asked.delegation_id else Conflict.SAME_KEY)


def set_status(
    conn: Connection, delegation_id: str, status: str, *, result: str | None = None, error: str | None = None
) -> Effect:
    """Move a row forward, or fill its empty preview; `result` counts with completed, `error` with failed and stuck."""
    told = validation.status(status)
    return _set_status(
        conn,
        {
            "delegation_id": validation.identifier(delegation_id),
            "status": told.value,
            "behind": [each.value for each in RANK if RANK[each] < RANK.get(told, len(RANK))],
            "in_flight": _IN_FLIGHT,
            "result": validation.preview(result, "result") if told is Status.COMPLETED else None,
            "error": validation.preview(error, "error") if told in FAILED else None,
        },
    )


def _set_status(conn: Connection, told: dict[str, object]) -> Effect:
    """`behind`: the states from which this status is a step forward."""
    with plain_cursor(conn) as cursor:
        # The row is locked first, so that what is judged is what is written, however many callers are at it.
        cursor.execute(
            """
            WITH locked AS (
                SELECT * FROM delegations WHERE delegation_id = %(delegation_id)s FOR NO KEY UPDATE
            ), judged AS (
                SELECT delegation_id, status, CASE
                           WHEN status = ANY (%(behind)s::text[]) THEN 'advanced'
                           WHEN status <> %(status)s AND status = ANY (%(in_flight)s::text[]) THEN 'stale'
                           WHEN status <> %(status)s THEN 'refused'
                           WHEN %(result)s::text IS NOT NULL AND coalesce(result_preview, '') = '' THEN 'filled'
                           WHEN %(error)s::text IS NOT NULL AND coalesce(error_detail, '') = '' THEN 'filled'
                           ELSE 'duplicate'
                       END AS effect
                  FROM locked
            ), written AS (
                UPDATE delegations d
                   SET status = %(status)s, result_preview = coalesce(%(result)s, d.result_preview),
                       error_detail = coalesce(%(error)s, d.error_detail), updated_at = greatest(d.updated_at, now())
                  FROM judged j
                 WHERE d.delegation_id = j.delegation_id AND d.status = j.status AND j.effect IN ('advanced', 'filled')
            )
            SELECT effect FROM judged
            """,
            told,
        )
        return _effect(cursor)


def heartbeat(conn: Connection, delegation_id: str) -> Effect:
    """Note that the callee is alive: `heartbeat` where it counted, `refused` where the delegation is over."""
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
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
            """,
            {"delegation_id": validation.identifier(delegation_id), "in_flight": _IN_FLIGHT},
        )
        return _effect(cursor)


def _effect(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Effect:
    judged = cursor.fetchone()
    return Effect(judged[0]) if judged else Effect.MISSING


def plain_cursor(conn: Connection) -> psycopg.Cursor[tuple[Any, ...]]:
    """A plain cursor, whatever kind of cursor and row the connection is set up for."""
    return psycopg.Cursor(conn, row_factory=tuple_row)
