"""The writes of the ledger: one row of `delegations` per call. `projector.ledger` exports the public functions."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import psycopg

from projector.contract.facts import DEFAULT_DEADLINE, FAILED, RANK, Status
from projector.contract.fields import preview
from projector.domain.outcomes import Outcome
from projector.errors import WriteConflict
from projector.ledger import validation
from projector.ledger.cursors import plain_cursor, require_all_rows
from projector.ledger.validation import NewDelegation, Uuid

Connection: TypeAlias = psycopg.Connection[Any]

_TRIES = 10
_IN_FLIGHT = [status.value for status in RANK]


class Conflict(StrEnum):
    """What the existing row has in common with the one that was to be inserted."""

    SAME_ID = "same id"
    SAME_KEY = "same caller and idempotency key"


class Inserted(NamedTuple):
    """A row was inserted."""

    delegation_id: str


class AlreadyExists(NamedTuple):
    """No row was inserted; `delegation_id` is the id of the existing row."""

    delegation_id: str
    why: Conflict


class Effect(StrEnum):
    """What a call did to the row. If several writers make the same transition, exactly one gets `ADVANCED`."""

    ADVANCED = Outcome.ADVANCED
    """The row has the new status."""
    FILLED = Outcome.FILLED
    """The row had this final status without a text; now it has the text."""
    HEARTBEAT = Outcome.HEARTBEAT
    """The row is in flight; its `last_heartbeat` is now."""
    DUPLICATE = Outcome.DUPLICATE
    """The row has this status already. A text that is stored is never replaced."""
    STALE = Outcome.STALE
    """The row is in flight and has a later status."""
    REFUSED = Outcome.REFUSED
    """The delegation has ended: with another status, or the call was a heartbeat."""
    MISSING = "missing"
    """There is no row. The projector would park such an event; the ledger keeps nothing."""


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
    """Insert the row of a new delegation, with the status `queued`.

    - `conn`: the service's connection. The insert is part of its transaction and is not committed here.
    - `delegation_id`: unique; at most 512 bytes of UTF-8.
    - `caller_id`, `callee_id`: uuids, as texts or as `uuid.UUID`.
    - `task`: not empty. The row keeps its first 4,096 bytes of UTF-8.
    - `idempotency_key`: unique per caller; at most 512 bytes of UTF-8. None and the empty text mean no key.
    - `deadline`: a datetime with an offset. None means 6 hours after the start of the transaction.

    Returns `Inserted`, or `AlreadyExists` if a row has this id, or this caller and idempotency key. If another
    transaction has inserted such a row and not committed it yet, the call waits for the end of that transaction.

    Raises ValueError for a bad argument; WriteConflict if the existing row was deleted again in each of 10 tries (try
    again); Misconfigured as `set_status`; and psycopg's own errors.
    """
    new = validation.new_delegation(delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
    for _ in range(_TRIES):
        if _insert(conn, new):
            return Inserted(new.delegation_id)
        # A second statement: the first cannot see a row that was committed while it waited for that row.
        if existing := _existing(conn, new):
            return existing
        require_all_rows(conn)
    raise WriteConflict(
        f"delegation {new.delegation_id} was not inserted: in each of {_TRIES} tries another row with its id or its "
        "idempotency key was in the way, and was deleted a moment later; try again"
    )


def _insert(conn: Connection, new: NewDelegation) -> bool:
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, deadline, idempotency_key)
            VALUES (%(delegation_id)s, %(caller_id)s::uuid, %(callee_id)s::uuid, %(task_preview)s,
                    coalesce(%(deadline)s::timestamptz, now() + %(default_deadline)s::interval), %(idempotency_key)s)
            ON CONFLICT DO NOTHING RETURNING true
            """,
            new._asdict() | {"task_preview": preview(new.task, "task"), "default_deadline": DEFAULT_DEADLINE},
        )
        return cursor.fetchone() is not None  # in pipeline mode `rowcount` is not known yet


def _existing(conn: Connection, new: NewDelegation) -> AlreadyExists | None:
    """The row with the same id, or else the one that holds the key; None if it was deleted in the meantime."""
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
            SELECT delegation_id FROM delegations
             WHERE delegation_id = %(delegation_id)s
                OR (caller_id = %(caller_id)s::uuid AND idempotency_key = %(idempotency_key)s)
             ORDER BY delegation_id = %(delegation_id)s DESC LIMIT 1
            """,
            new._asdict(),
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return AlreadyExists(row[0], Conflict.SAME_ID if row[0] == new.delegation_id else Conflict.SAME_KEY)


def set_status(
    conn: Connection, delegation_id: str, status: str, *, result: str | None = None, error: str | None = None
) -> Effect:
    """Advance the status of a delegation, or add the text that its final status lacks.

    - `conn`: the service's connection. The update is part of its transaction and is not committed here.
    - `delegation_id`: at most 512 bytes of UTF-8.
    - `status`: queued, dispatched, in_progress, completed, failed or stuck.
    - `result`: used with completed only. The row keeps its first 4,096 bytes of UTF-8.
    - `error`: used with failed and stuck only. The row keeps its first 4,096 bytes of UTF-8.

    Returns the `Effect`: advanced, filled, duplicate, stale, refused or missing. The row is locked first: if another
    transaction has locked it, the call waits for the end of that transaction, and compares with the row as it is then.

    Raises ValueError for a bad argument, and psycopg's own errors. Raises Misconfigured if row-level security may hide
    the row from the role of `conn`, or if the client encoding of `conn` is not UTF-8.
    """
    new = validation.status(status)
    return _set_status(
        conn,
        {
            "delegation_id": validation.identifier(delegation_id),
            "status": new.value,
            "earlier": [earlier.value for earlier in RANK if RANK[earlier] < RANK.get(new, len(RANK))],
            "in_flight": _IN_FLIGHT,
            "result": validation.preview(result, "result") if new is Status.COMPLETED else None,
            "error": validation.preview(error, "error") if new in FAILED else None,
        },
    )


def _set_status(conn: Connection, arguments: dict[str, object]) -> Effect:
    """`earlier`: the states from which the new status is a step forward."""
    with plain_cursor(conn) as cursor:
        # The row is locked before the effect is decided, so the decision holds until the row is written.
        cursor.execute(
            """
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
                   SET status = %(status)s, result_preview = coalesce(%(result)s, d.result_preview),
                       error_detail = coalesce(%(error)s, d.error_detail), updated_at = greatest(d.updated_at, now())
                  FROM decided e
                 WHERE d.delegation_id = e.delegation_id AND d.status = e.status AND e.effect IN ('advanced', 'filled')
            )
            SELECT effect FROM decided
            """,
            arguments,
        )
        return _effect(cursor)


def heartbeat(conn: Connection, delegation_id: str) -> Effect:
    """Record that the callee is still working: `last_heartbeat` becomes now, by the clock of the database.

    - `conn`: the service's connection. The update is part of its transaction and is not committed here.
    - `delegation_id`: at most 512 bytes of UTF-8.

    Returns the `Effect`: heartbeat, refused if the delegation has ended, or missing. The call waits for other
    transactions that have locked the row. `last_heartbeat` and `updated_at` never go back.

    Raises ValueError for a bad argument, Misconfigured as `set_status`, and psycopg's own errors.
    """
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
    row = cursor.fetchone()
    if row is None:
        require_all_rows(cursor.connection)
    return Effect(row[0]) if row else Effect.MISSING
