"""What the dashboard reads of the platform's table `activity_logs`, where Kafka does not answer."""

from datetime import timedelta

from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.views_delegations import DelegationRow

MOST = 1_000
_MARGIN = timedelta(days=1)


def rows_of(conn: Connection, row: DelegationRow) -> list[str]:
    """The activity rows of a delegation as JSON, oldest first, verdicts last: the table has no order of changes.

    Only rows of its two workspaces from a day before its request on are read, by the index that the sweeper uses too.
    """
    with mapped_errors():
        found = conn.execute(
            """
            SELECT row_to_json(a)::text FROM activity_logs a
             WHERE workspace_id = ANY (%(workspaces)s::uuid[]) AND activity_type = 'delegation'
               AND created_at >= %(requested_at)s::timestamptz - %(margin)s::interval
               AND %(id)s IN (request_body::jsonb ->> 'delegation_id', response_body::jsonb ->> 'delegation_id')
             ORDER BY method IS NOT DISTINCT FROM 'verdict', created_at, id LIMIT %(most)s
            """,
            {
                "workspaces": [row.caller_id, row.callee_id],
                "requested_at": row.created_at,
                "margin": _MARGIN,
                "id": row.delegation_id,
                "most": MOST,
            },
            prepare=False,
        ).fetchall()
    return [text for (text,) in found]
