"""The rows of audit writes: their statements, their results, and what holds a connection back from writing them."""

import json
import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from psycopg.pq import PipelineStatus, TransactionStatus

from projector.contract.facts import FAILED, Status
from projector.contract.unreadable import quoted
from projector.errors import Misconfigured
from projector.ledger import validation
from projector.ledger.connections import AnyConnection
from projector.ledger.steps import Statement, Steps
from projector.ledger.validation import Id, StatusName

T = TypeVar("T")
_log = logging.getLogger("projector.ledger.audit")


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


def request(
    delegation_id: Id, caller_id: Id, callee_id: Id, task: str, idempotency_key: Id | None, deadline: datetime | None
) -> Steps[Written]:
    """Write the `delegate` row."""
    new = validation.new_delegation(delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
    deadline_text = new.deadline.isoformat() if new.deadline else None
    body = {"task": new.task, "delegation_id": new.delegation_id, "deadline": deadline_text}
    return (
        yield from _insert(
            new.caller_id,
            "delegate",
            "pending",
            target_id=new.callee_id,
            request_body=body,
            idempotency_key=new.idempotency_key,
        )
    )


def status(
    delegation_id: Id, status: StatusName, caller_id: Id, result: str | None, error: str | None
) -> Steps[Written]:
    """Write the `delegate_result` row."""
    new = validation.status(status)
    workspace_id = validation.uuid_text(caller_id, "caller_id")
    body = {
        "delegation_id": validation.identifier(delegation_id),
        "text": validation.text(result, "result") if new is Status.COMPLETED else None,
    }
    detail = validation.text(error, "error") if new in FAILED else None
    return (yield from _insert(workspace_id, "delegate_result", new, response_body=body, error_detail=detail))


def heartbeat(delegation_id: Id, caller_id: Id) -> Steps[Written]:
    """Write the `heartbeat` row."""
    body = {"delegation_id": validation.identifier(delegation_id)}
    return (yield from _insert(validation.uuid_text(caller_id, "caller_id"), "heartbeat", "ok", request_body=body))


def limited(steps: Steps[T]) -> Steps[T]:
    """Wait at most two seconds for a lock in this transaction, unless the service has set `lock_timeout`."""
    yield Statement("SELECT set_config('lock_timeout', '2s', true) WHERE current_setting('lock_timeout') = '0'", {})
    return (yield from steps)


def require_outside_transaction(conn: AnyConnection) -> None:
    """Raise Misconfigured if the rows could not be committed when the call returns."""
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


def failed(delegation_id: object, part: str, error: Exception) -> Failed:
    """Log the error of a row, inside its `except` block."""
    fields = {"part": part, "delegation_id": delegation_id, "error": repr(error)}
    _log.error(
        "an audit write failed: the %s row of delegation %s", part, quoted(delegation_id), exc_info=error, extra=fields
    )
    return Failed(error)


def _insert(
    workspace_id: str,
    method: str,
    status: str,
    *,
    target_id: str | None = None,
    request_body: Mapping[str, str | None] | None = None,
    response_body: Mapping[str, str | None] | None = None,
    error_detail: str | None = None,
    idempotency_key: str | None = None,
) -> Steps[Written]:
    activity_id = str(uuid.uuid4())
    yield Statement(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, request_body,
                                   response_body, status, error_detail, idempotency_key, created_at)
        VALUES (%(id)s::uuid, %(workspace_id)s::uuid, 'delegation', %(workspace_id)s::uuid, %(target_id)s::uuid,
                %(method)s, %(request_body)s::jsonb, %(response_body)s::jsonb, %(status)s, %(error_detail)s,
                %(idempotency_key)s, now())
        RETURNING true
        """,
        {
            "id": activity_id,
            "workspace_id": workspace_id,
            "method": method,
            "status": status,
            "target_id": target_id,
            "request_body": _json(request_body),
            "response_body": _json(response_body),
            "error_detail": error_detail,
            "idempotency_key": idempotency_key,
        },
    )
    return Written(activity_id)


def _json(body: Mapping[str, str | None] | None) -> str | None:
    """The body without the values that are None."""
    if body is None:
        return None
    return json.dumps({name: value for name, value in body.items() if value is not None}, ensure_ascii=False)
