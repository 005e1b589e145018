"""Audit writes: one row in `activity_logs` and one in the view per call; a failure is returned and never raised.

    from projector.ledger import audit

    recorded = audit.record_request(conn, "d-1", caller_id, callee_id, "Summarise the report")
    if isinstance(recorded.activity, audit.Failed):
        ...  # recorded.activity.error

The activity row is written first. It is the source of truth: if the write to the view fails, the projector writes that
row when the event of the activity row arrives.

Each of the two rows has its own transaction, which is committed when the call returns. So `conn` must not be inside a
transaction nor in pipeline mode: if it is, nothing is written. Each error is logged and stands in the result in place
of its row.
"""

import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from psycopg.pq import PipelineStatus, TransactionStatus

from projector.contract.facts import FAILED, Status
from projector.errors import Misconfigured
from projector.ledger import rows, validation
from projector.ledger.cursors import plain_cursor
from projector.ledger.rows import AlreadyExists, Connection, Effect, Inserted
from projector.ledger.validation import Uuid

T = TypeVar("T")
log = logging.getLogger(__name__)


class Written(NamedTuple):
    """The activity row was written with this id."""

    activity_id: str


class Failed(NamedTuple):
    """A row was not written because of this error."""

    error: Exception


class Recorded(NamedTuple, Generic[T]):
    """The result for the activity row, and the result for the row of the view."""

    activity: Written | Failed
    view: T | Failed


class _Activity(NamedTuple):
    """A row of `activity_logs`. Values that are None are left out of the bodies."""

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
    """Record that a caller delegates a task: a `delegate` row, then `ledger.insert`.

    The arguments are those of `ledger.insert`; `conn` must not be inside a transaction. The activity row keeps the
    whole task. It is written for a repeated request too.

    Returns `Recorded`: `activity` is `Written` or `Failed`, `view` is the result of `ledger.insert` or `Failed`. Both
    rows are committed when the call returns. Raises nothing: bad arguments and database errors are logged and returned.
    """

    def activity() -> _Activity:
        new = validation.new_delegation(delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
        return _Activity(
            new.caller_id,
            "delegate",
            "pending",
            target_id=new.callee_id,
            request_body={
                "task": new.task,
                "delegation_id": new.delegation_id,
                "deadline": new.deadline.isoformat() if new.deadline else None,
            },
            idempotency_key=new.idempotency_key,
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
    """Record the status of a delegation: a `delegate_result` row, then `ledger.set_status`.

    The arguments are those of `ledger.set_status`, and the uuid of the delegation's caller, which the activity row
    needs. `conn` must not be inside a transaction. The activity row keeps the whole result or error.

    Returns `Recorded`: `activity` is `Written` or `Failed`, `view` is the `Effect` or `Failed`. Both rows are committed
    when the call returns. Raises nothing: bad arguments and database errors are logged and returned.
    """

    def activity() -> _Activity:
        new = validation.status(status)
        return _Activity(
            validation.uuid_text(caller_id, "caller_id"),
            "delegate_result",
            new,
            response_body={
                "delegation_id": validation.identifier(delegation_id),
                "text": validation.text(result, "result") if new is Status.COMPLETED else None,
            },
            error_detail=validation.text(error, "error") if new in FAILED else None,
        )

    return _record(
        conn,
        delegation_id,
        activity,
        lambda: rows.set_status(conn, delegation_id, status, result=result, error=error),
    )


def record_heartbeat(conn: Connection, delegation_id: str, *, caller_id: Uuid) -> Recorded[Effect]:
    """Record that the callee is still working: a `heartbeat` row, then `ledger.heartbeat`.

    The arguments are those of `ledger.heartbeat`, and the uuid of the delegation's caller, which the activity row
    needs. `conn` must not be inside a transaction.

    Returns `Recorded`: `activity` is `Written` or `Failed`, `view` is the `Effect` or `Failed`. Both rows are committed
    when the call returns. Raises nothing: bad arguments and database errors are logged and returned.
    """

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
    """Write in a new transaction; log and return an error."""
    try:
        _require_outside_transaction(conn)
        with conn.transaction():
            _limit_lock_wait(conn)
            return write()
    except Exception as error:
        fields = {"part": part, "delegation_id": delegation_id, "error": repr(error)}
        log.error("an audit write failed", exc_info=error, extra=fields)
        return Failed(error)


def _require_outside_transaction(conn: Connection) -> None:
    if conn.pgconn.pipeline_status != PipelineStatus.OFF:
        raise Misconfigured(
            "the connection is in pipeline mode, in which a commit is not known when the call returns: use a separate "
            "connection, or leave the block of the pipeline first"
        )
    if conn.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        raise Misconfigured(
            "the connection is inside a transaction, and its rollback would undo the audit write: use a separate "
            "connection, or commit first"
        )


def _limit_lock_wait(conn: Connection) -> None:
    """Wait at most two seconds for a lock in this transaction, unless the caller has set `lock_timeout`."""
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
            SELECT set_config('lock_timeout', '2s', true) WHERE current_setting('lock_timeout') = '0'
            """
        )


def _insert_activity(conn: Connection, activity: _Activity) -> Written:
    activity_id = str(uuid.uuid4())
    bodies = {"request_body": _json(activity.request_body), "response_body": _json(activity.response_body)}
    with plain_cursor(conn) as cursor:
        cursor.execute(
            """
            INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, request_body,
                                       response_body, status, error_detail, idempotency_key, created_at)
            VALUES (%(id)s::uuid, %(workspace_id)s::uuid, 'delegation', %(workspace_id)s::uuid, %(target_id)s::uuid,
                    %(method)s, %(request_body)s::jsonb, %(response_body)s::jsonb, %(status)s, %(error_detail)s,
                    %(idempotency_key)s, now())
            """,
            activity._asdict() | bodies | {"id": activity_id},
        )
    return Written(activity_id)


def _json(body: dict[str, str | None] | None) -> str | None:
    if body is None:
        return None
    return json.dumps({name: value for name, value in body.items() if value is not None}, ensure_ascii=False)
