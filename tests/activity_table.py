"""The platform's table `activity_logs` beside the view, and the rows of both."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from rows import CALLER

from projector.domain.lifecycle import Delegation
from projector.ledger.rows import Connection
from projector.postgres import delegations

SEARCH_PATH = "-c search_path=projector,public -c TimeZone=UTC"


def create_activity_table(url: str) -> None:
    """Create the table of events/README.md, section 2, with the indexes that the sweeper needs."""
    with psycopg.connect(url) as conn:
        conn.execute(
            """
            CREATE TABLE activity_logs (
                id uuid PRIMARY KEY, workspace_id uuid NOT NULL, activity_type text NOT NULL, source_id uuid,
                target_id uuid, method text, summary text, request_body jsonb, response_body jsonb, duration_ms int,
                status text, error_detail text, idempotency_key text, tool_trace jsonb,
                created_at timestamptz NOT NULL DEFAULT now()
            );
            CREATE INDEX activity_logs_workspace ON activity_logs (workspace_id, activity_type, created_at DESC);
            CREATE INDEX activity_logs_created ON activity_logs (created_at)
            """
        )


def insert_activities(conn: Connection, *rows: Mapping[str, Any]) -> None:
    """Insert rows of the caller; each gets a random id unless it has one."""
    for row in rows:
        conn.execute(
            "INSERT INTO activity_logs SELECT * FROM jsonb_populate_record(NULL::activity_logs, %s::jsonb)",
            [json.dumps({"id": str(uuid4()), "workspace_id": CALLER, **row})],
        )


def activities(conn: Connection) -> list[dict[str, Any]]:
    """Return the activity rows as JSON, oldest first."""
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("SELECT to_jsonb(a) AS row FROM activity_logs a ORDER BY created_at").fetchall()
    return [row["row"] for row in rows]


def view(conn: Connection) -> list[Delegation]:
    """Return the rows of the view, sorted by id."""
    with conn.transaction():
        ids = [row[0] for row in conn.execute("SELECT delegation_id FROM delegations ORDER BY 1")]
        return sorted(delegations.read_delegations(conn, ids))
