"""A platform after a week: its table `activity_logs`, and the view with what is in flight. Made by single statements.

600 workspaces call, 300 are called. Callers have written an activity row at each step of time, half of them about
delegations that ended, from seven days ago to an hour after now: so the platform does not seem to be down while the
rows are inserted and the sweeper is measured. Callees have written nothing for eight days.

What is in flight has a request and a heartbeat a minute later. The first 500 were requested seven days ago, the next
500 six hours ago, all others an hour ago. So each of the first pages of the sweeper has one age.
"""

from typing import Any

import psycopg

from benchmarks.growth import insert_history
from projector.postgres.sweep_candidates import PAGE
from testbed.workload.table import TABLES

AGES = ("7 days", "6 hours", "1 hour")
"""Of the first pages."""

_WORKSPACES = """
    INSERT INTO workspaces SELECT md5(n::text)::uuid FROM generate_series(0, 599) AS n
     UNION ALL SELECT md5('callee ' || n)::uuid FROM generate_series(0, 299) AS n
"""
_ACTIVITIES = """
    INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, status, request_body,
                               response_body, created_at)
    SELECT gen_random_uuid(), caller, (ARRAY['delegation', 'delegation', 'delegation', 'delegation', 'a2a_send',
                                             'a2a_receive', 'tool_call', 'llm_call'])[step + 1],
           caller, md5('callee ' || n %% 300)::uuid,
           (ARRAY['delegate', 'heartbeat', 'heartbeat', 'delegate_result'])[step + 1], 'completed',
           jsonb_build_object('delegation_id', delegation, 'task', repeat('task ', 20)),
           CASE WHEN step = 3 THEN jsonb_build_object('delegation_id', delegation, 'text', repeat('result ', 15)) END,
           now() + interval '1 hour' - n * (interval '7 days 1 hour' / %(rows)s)
      FROM (SELECT n, md5((n %% 600)::text)::uuid AS caller, (n / 600) %% 8 AS step,
                   md5('ended ' || n / 4800 || ' ' || n %% 600)::uuid::text AS delegation
              FROM generate_series(1, %(rows)s) AS n) AS history
"""
_OF_CALLEES = """
    INSERT INTO activity_logs (workspace_id, activity_type, status, created_at)
    SELECT md5('callee ' || n % 300)::uuid, 'llm_call', 'ok', now() - interval '8 days'
      FROM generate_series(1, 3000) AS n
"""
_IN_FLIGHT = """
    CREATE TEMPORARY TABLE in_flight AS
    SELECT md5('in flight ' || n)::uuid::text AS delegation_id, md5((n %% 600)::text)::uuid AS caller_id,
           md5('callee ' || n %% 300)::uuid AS callee_id,
           now() - (%(ages)s::interval[])[least((n - 1) / %(page)s + 1, 3)] + n %% %(page)s * interval '0.1 s'
               AS created_at,
           now() + CASE WHEN n > %(silent)s THEN interval '-1 hour' ELSE interval '1 day' END AS deadline
      FROM generate_series(1, %(silent)s + %(overdue)s) AS n
"""
_VIEW = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                             created_at, updated_at)
    SELECT delegation_id, caller_id, callee_id, repeat('task ', 20), 'in_progress', created_at + interval '1 min',
           deadline, created_at, created_at + interval '1 min'
      FROM in_flight
"""
_REQUESTS = """
    INSERT INTO activity_logs (workspace_id, activity_type, source_id, target_id, method, status, request_body,
                               created_at)
    SELECT caller_id, 'delegation', caller_id, callee_id, method, status,
           jsonb_build_object('delegation_id', delegation_id, 'task', repeat('task ', 20)), created_at + later
      FROM in_flight, (VALUES ('delegate', 'pending', interval '0'), ('heartbeat', 'ok', interval '1 min'))
                      AS rows (method, status, later)
"""


def fill(conn: psycopg.Connection[Any], *, ended: int, activities: int, silent: int, overdue: int) -> None:
    """Insert rows: delegations that have ended, activities, delegations in flight that are silent or overdue.

    `conn` is in autocommit, the session of a superuser.
    """
    insert_history(conn, ended)
    conn.execute(TABLES)
    conn.execute("CREATE INDEX activity_logs_created ON activity_logs (created_at)")
    conn.execute(_WORKSPACES)
    conn.execute("SET session_replication_role = replica")  # millions of checks of a foreign key that holds
    conn.execute(_ACTIVITIES, {"rows": activities})
    conn.execute(_OF_CALLEES)
    conn.execute(_IN_FLIGHT, {"ages": list(AGES), "page": PAGE, "silent": silent, "overdue": overdue})
    conn.execute(_VIEW)
    conn.execute(_REQUESTS)
    conn.execute("RESET session_replication_role")
    conn.execute("VACUUM ANALYZE delegations, activity_logs")
