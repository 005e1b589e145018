"""The view after a hundred days of work, for the benchmark of the pages. Made by single statements.

Callers and callees are 900 workspaces of very different weight: the first one has a tenth of all, the last one a few
thousandths of a percent. Durations are exponentially distributed. What is in flight was requested within six hours; the
work of three callees is older than an hour, and none of it was completed: they are wedged. Ids are random.
"""

from typing import Any

import psycopg

WORKSPACES = 900
HISTORY = "100 days"
"""Of this, the requests of the delegations that have ended are evenly distributed."""

_ENDED = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                             result_preview, error_detail, created_at, updated_at, idempotency_key)
    SELECT gen_random_uuid()::text, md5('workspace ' || caller)::uuid, md5('workspace ' || callee)::uuid,
           'task ' || n || repeat(' of the work', 8), status,
           CASE WHEN n %% 3 > 0 THEN at + span / 2 END, at + interval '6 hours',
           CASE WHEN status = 'completed' THEN repeat('result ', 15) END,
           CASE WHEN status <> 'completed'
                THEN format('the tool ''search %%s'' gave up after %%s s: %%s', n %% 200, n %% 90,
                            (ARRAY['no answer', 'rate limit', 'not found', 'refused', 'no memory'])[n %% 5 + 1]) END,
           at, least(at + span, now()), CASE WHEN n %% 3 = 0 THEN 'key-' || n END
      FROM (SELECT n, now() - (%(rows)s - n) * (%(history)s::interval / %(rows)s) AS at,
                   -ln(1 - random()) * interval '5 min' AS span,
                   floor(%(workspaces)s * power(random(), 3))::int AS caller,
                   floor(%(workspaces)s * power(random(), 3))::int AS callee,
                   CASE WHEN n %% 100 < 94 THEN 'completed' WHEN n %% 100 < 99 THEN 'failed' ELSE 'stuck' END AS status
              FROM generate_series(1, %(rows)s) AS n) AS history
"""
_IN_FLIGHT = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                             created_at, updated_at)
    SELECT gen_random_uuid()::text, md5('workspace ' || n %% %(workspaces)s)::uuid,
           md5(CASE WHEN n %% 20 = 0 THEN 'wedged ' || n %% 3 ELSE 'workspace ' || n %% 300 END)::uuid,
           repeat('task ', 20), (ARRAY['queued', 'dispatched', 'in_progress', 'in_progress'])[n %% 4 + 1],
           CASE WHEN n %% 4 > 1 THEN at + span END, at + interval '6 hours', at, at + span
      FROM (SELECT n, at, random() * (now() - at) AS span
              FROM (SELECT n, now() - random() * interval '6 hours 10 min' AS at
                      FROM generate_series(1, %(in_flight)s) AS n) AS requested) AS flying
"""
_LEFTOVERS = (
    """
    INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason, died_at)
    SELECT 'activity', n %% 6, n, 'x', 'status ' || n %% 30 || ' is unknown', now() - n * interval '20 s'
      FROM generate_series(1, %(leftovers)s) AS n
    """,
    """
    INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, at, parked_at)
    SELECT 'activity', n %% 6, n, 'parked ' || n / 3, 'heartbeat', now(), now() - n * interval '20 s'
      FROM generate_series(1, %(leftovers)s) AS n
    """,
    """
    INSERT INTO projector.repeated_requests
    SELECT 'parked ' || n, 'holder ' || n, 'activity', 0, n, now() FROM generate_series(1, %(leftovers)s / 10) AS n
    """,
    """
    INSERT INTO projector.outbox (delegation_id, due_at, next_attempt_at, attempts, ended_as, sent_at, given_up_at)
    SELECT delegation_id, updated_at, updated_at, 1, ended_as, CASE WHEN ended_as = 'sent' THEN updated_at END,
           CASE WHEN ended_as IN ('given_up', 'expired') THEN updated_at END
      FROM (SELECT *, CASE WHEN hash %% 10 < 7 THEN 'sent' WHEN hash %% 10 = 7 THEN 'given_up'
                           WHEN hash %% 10 = 8 THEN 'expired' END AS ended_as
              FROM (SELECT *, abs(hashtext(delegation_id)) AS hash FROM delegations
                     WHERE status <> 'completed' AND updated_at >= now() - interval '7 days'
                     LIMIT %(leftovers)s * 10) AS d) AS ends
    """,
)
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
     WHERE schemaname = 'public' AND tablename = 'delegations' AND indexname <> 'delegations_pkey'
"""


def fill(conn: psycopg.Connection[Any], *, rows: int, in_flight: int = 10_000) -> None:
    """Insert the rows, then create the indexes again, which takes a fifth of the time. `conn` is in autocommit."""
    values = {
        "rows": rows,
        "in_flight": in_flight,
        "history": HISTORY,
        "workspaces": WORKSPACES,
        "leftovers": min(rows // 10, 100_000),
    }
    indexes = conn.execute(_INDEXES).fetchall()
    conn.execute("SET maintenance_work_mem = '512MB'")
    for name, _ in indexes:
        conn.execute(f'DROP INDEX public."{name}"'.encode())
    conn.execute("ALTER TABLE delegations DROP CONSTRAINT delegations_pkey")
    conn.execute(_ENDED, values)
    conn.execute(_IN_FLIGHT, values)
    conn.execute("ALTER TABLE delegations ADD PRIMARY KEY (delegation_id)")
    for _, definition in indexes:
        conn.execute(definition.encode())
    conn.execute("VACUUM ANALYZE delegations")
    for statement in _LEFTOVERS:
        conn.execute(statement, values)
    conn.execute("VACUUM ANALYZE")
