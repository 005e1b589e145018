"""The naive way, as written in an hour: a pydantic model and one autocommitted statement per event.

No positions, no parked events, no dead letters, no batches. It skips unrelated records before the database.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from pydantic import BaseModel, ValidationError, field_validator

STATUS = {
    "pending": "queued",
    "received": "in_progress",
    "delivered": "in_progress",
    "error": "failed",
    "timeout": "failed",
}


class Body(BaseModel):
    delegation_id: str | None = None
    task: str | None = None
    text: str | None = None
    error: str | None = None
    deadline: datetime | None = None


class Activity(BaseModel):
    id: UUID | None = None
    workspace_id: UUID | None = None
    activity_type: str
    source_id: UUID | None = None
    target_id: UUID | None = None
    method: str | None = None
    request_body: Body | None = None
    response_body: Body | None = None
    status: str | None = None
    error_detail: str | None = None
    idempotency_key: str | None = None
    created_at: datetime | None = None

    @field_validator("request_body", "response_body", mode="before")
    @classmethod
    def _parse_text(cls, body: Any) -> Any:
        return json.loads(body) if isinstance(body, str) else body


def write(conn: psycopg.Connection[Any], value: bytes | None) -> None:
    """Write one event by one statement; skip what is unrelated or invalid."""
    try:
        row = json.loads(value or b"null")
        row = row.get("payload", row)
        row = row.get("after", row.get("data", row))
        activity = Activity.model_validate(row)
    except (ValueError, AttributeError, TypeError, ValidationError):
        return
    if activity.activity_type != "delegation":
        return
    try:
        _write(conn, activity)
    except (ValueError, OverflowError, psycopg.DataError, psycopg.IntegrityError):
        return


def _write(conn: psycopg.Connection[Any], activity: Activity) -> None:
    at = activity.created_at or datetime.now(UTC)
    request, response = activity.request_body or Body(), activity.response_body or Body()
    delegation_id = response.delegation_id or request.delegation_id
    status = STATUS.get(activity.status or "", activity.status)
    if activity.method == "delegate":
        conn.execute(
            """
            INSERT INTO delegations AS d (delegation_id, caller_id, callee_id, task_preview, status, result_preview,
                                          error_detail, deadline, created_at, updated_at, idempotency_key)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (delegation_id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at
             WHERE d.status IN ('queued', 'dispatched', 'in_progress')
            """,
            [
                delegation_id,
                activity.source_id or activity.workspace_id,
                activity.target_id,
                (request.task or "")[:1000],
                status,
                (response.text or "")[:1000] or None,
                (activity.error_detail or "")[:1000] or None,
                request.deadline or at + timedelta(hours=6),
                at,
                at,
                None,
            ],
        )
    elif activity.method == "delegate_result":
        conn.execute(
            """
            UPDATE delegations SET status = %s, result_preview = %s, error_detail = %s, updated_at = %s
             WHERE delegation_id = %s AND status IN ('queued', 'dispatched', 'in_progress')
            """,
            [status, (response.text or "")[:1000], (activity.error_detail or "")[:1000], at, delegation_id],
        )
    elif activity.method == "heartbeat":
        conn.execute(
            "UPDATE delegations SET last_heartbeat = %s, updated_at = %s WHERE delegation_id = %s "
            "AND status IN ('queued', 'dispatched', 'in_progress')",
            [at, at, delegation_id],
        )
