"""Audit writes: a fact goes into `activity_logs` and, through the ledger, into the view; neither failure stops anybody.

The activity row is written first: it is the truth, and what the view misses comes by the event made of it. Each row
has a transaction of its own, so the connection must not be inside one; if it is, nothing is written. No error is
raised: each is logged, and stands in the result in its row's place.
"""

import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from psycopg.pq import TransactionStatus

from projector.contract.facts import FAILED, Status
from projector.errors import Misconfigured
from projector.ledger import rows, validation
from projector.ledger.rows import AlreadyExists, Connection, Effect, Inserted
from projector.ledger.validation import Uuid

T = TypeVar("T")
log = logging.getLogger(__name__)


class Written(NamedTuple):
    """An activity row was made, under this id."""

    activity_id: str


class Failed(NamedTuple):
    """A row was not written, and why."""

    error: Exception


class Recorded(NamedTuple, Generic[T]):
    """What became of the activity row, and of the view's."""

    activity: Written | Failed
    view: T | Failed


class _Activity(NamedTuple):
    """A row of `activity_logs`; bodies without the values that are none."""

    workspace_id: str
    method: str
    status: str
    target_id: str | None = None
    request_body: dict[str, str | None] | None = None
    response_body: dict[str, str | None] | None = None
    error_detail: str | None = None
    idempotency_key: str | None = None


def record_request(
    conn: Connection,
    delegation_id: str,
    caller_id: Uuid,
    callee_id: Uuid,
    task: str,
    *,
    idempotency_key: str | None = None,
    deadline: datetime | None = None,
) -> Recorded[Inserted | AlreadyExists]:
    """A caller handed a task to a callee: a `delegate` row with the whole task, and `ledger.insert`."""

    def activity() -> _Activity:
        asked = validation.new_delegation(delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
        return _Activity(
            asked.caller_id,
            "delegate",
            "pending",
            target_id=asked.callee_id,
            request_body={
                "task": asked.task,
                "delegation_id": asked.delegation_id,
                "deadline": asked.deadline.isoformat() if asked.deadline else None,
            },
            idempotency_key=asked.idempotency_key,
        )

    def row() -> Inserted | AlreadyExists:
        return rows.insert(
            conn, delegation_id, caller_id, callee_id, task, idempotency_key=idempotency_key, deadline=deadline
        )

    return _record(conn, delegation_id, activity, row)


def record_status(
    conn: Connection,
    delegation_id: str,
    status: str,
    *,
    caller_id: Uuid,
    result: str | None = None,
    error: str | None = None,
) -> Recorded[Effect]:
    """Somebody said where the delegation stands: a `delegate_result` row, and `ledger.set_status`."""

    def activity() -> _Activity:
        told = validation.status(status)
        return _Activity(
            validation.uuid_text(caller_id, "caller_id"),
            "delegate_result",
            told,
            response_body={
                "delegation_id": validation.identifier(delegation_id),
                "text": validation.text(result, "result") if told is Status.COMPLETED else None,
            },
            error_detail=validation.text(error, "error") if told in FAILED else None,
        )

    return _record(
        conn,
        delegation_id,
        activity,
        lambda: rows.set_status(conn, delegation_id, status, result=result, error=error),
    )


def record_heartbeat(conn: Connection, delegation_id: str, *, caller_id: Uuid) -> Recorded[Effect]:
    """The callee is alive and still at it: a `heartbeat` row, and `ledger.heartbeat`."""

    def activity() -> _Activity:
        body: dict[str, str | None] = {"delegation_id": validation.identifier(delegation_id)}
        return _Activity(validation.uuid_text(caller_id, "caller_id"), "heartbeat", "ok", request_body=body)

    return _record(conn, delegation_id, activity, lambda: rows.heartbeat(conn, delegation_id))


def _record(
    conn: Connection, delegation_id: str, activity: Callable[[], _Activity], row: Callable[[], T]
) -> Recorded[T]:
    return Recorded(
        _in_own_transaction(conn, delegation_id, "activity", lambda: _insert_activity(conn, activity())),
        _in_own_transaction(conn, delegation_id, "view", row),
    )


def _in_own_transaction(conn: Connection, delegation_id: str, part: str, write: Callable[[], T]) -> T | Failed:
    """Write in a transaction of its own; an error is logged and returned."""
    try:
        if conn.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            raise Misconfigured(
                "the connection is inside a transaction, whose rollback would take the audit write with it: "
                "give it a connection of its own, or commit before"
            )
        with conn.transaction():
            _limit_waiting(conn)
            return write()
    except Exception as error:
        fields = {"part": part, "delegation_id": delegation_id, "error": repr(error)}
        log.error("an audit write failed", exc_info=error, extra=fields)
        return Failed(error)


def _limit_waiting(conn: Connection) -> None:
    """Wait no more than two seconds for another's lock in this transaction, unless the caller set a limit."""
    with rows.plain_cursor(conn) as cursor:
        cursor.execute(
            """
            SELECT set_config('lock_timeout', '2s', true) WHERE current_setting('lock_timeout') = '0'
            """
        )


def _insert_activity(conn: Connection, activity: _Activity) -> Written:
    row_id = str(uuid.uuid4())
    bodies = {"request_body": _json(activity.request_body), "response_body": _json(activity.response_body)}
    with rows.plain_cursor(conn) as cursor:
        cursor.execute(
            """
            INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, request_body,
                                       response_body, status, error_detail, idempotency_key, created_at)
            VALUES (%(id)s::uuid, %(workspace_id)s::uuid, 'delegation', %(workspace_id)s::uuid, %(target_id)s::uuid,
                    %(method)s, %(request_body)s::jsonb, %(response_body)s::jsonb, %(status)s, %(error_detail)s,
                    %(idempotency_key)s, now())
            """,
            activity._asdict() | bodies | {"id": row_id},
        )
    return Written(row_id)


def _json(body: dict[str, str | None] | None) -> str | None:
    """A body as JSON, without the values that are none."""
    if body is None:
        return None
    return json.dumps({name: value for name, value in body.items() if value is not None}, ensure_ascii=False)
