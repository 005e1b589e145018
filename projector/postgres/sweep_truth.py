"""What the sweeper asks and writes in the platform's table `activity_logs`, which alone decides about a verdict."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import product, starmap
from typing import LiteralString, NamedTuple

from projector.domain.overdue import Verdict
from projector.postgres import activity_bodies
from projector.postgres.activity_bodies import Bodies
from projector.postgres.connection import Connection, mapped_errors


class Found(StrEnum):
    """What the table says about one candidate."""

    DUE = "due"
    """Nothing speaks against the verdict, and it is not there yet."""
    WRITTEN = "written"
    REPEATED = "repeated"
    """The same verdict is there already."""
    UNKNOWN = "unknown"
    """The table has no request of this delegation."""
    ENDED = "ended"
    ALIVE = "alive"
    """A heartbeat or a report of the delegation is newer than the evidence."""
    CALLEE_ALIVE = "callee alive"


class Checked(NamedTuple):
    """The answer about one verdict. `written_at`: since when the same verdict is in the table."""

    found: Found
    written_at: datetime | None


class Signs(NamedTuple):
    """The latest sign of life of the platform, and the end of the latest long gap between signs; None for none."""

    latest_at: datetime | None
    gap_ended_at: datetime | None


def signs(conn: Connection, *, now: datetime, threshold: timedelta) -> Signs:
    """The signs of life within two thresholds before now. A gap is longer than half a threshold.

    The beginning of this time counts as a sign, so that a gap that began earlier is seen. A gap that lasts ends now.
    """
    with mapped_errors():
        [row] = conn.execute(SIGNS, {"now": now, "threshold": threshold}).fetchall()
    return Signs(*row)


SIGNS: LiteralString = """
    WITH signs AS (
        SELECT created_at FROM activity_logs
         WHERE created_at > %(now)s::timestamptz - 2 * %(threshold)s::interval AND created_at <= %(now)s::timestamptz
           AND activity_type <> 'a2a_receive' AND method IS DISTINCT FROM 'verdict'
    ), edges AS (
        SELECT created_at FROM signs
        UNION ALL SELECT %(now)s::timestamptz - 2 * %(threshold)s::interval
        UNION ALL SELECT %(now)s::timestamptz
    ), steps AS (
        SELECT created_at AS ended_at, created_at - lag(created_at) OVER (ORDER BY created_at) AS length FROM edges
    )
    SELECT (SELECT max(created_at) FROM signs),
           (SELECT max(ended_at) FROM steps WHERE length > %(threshold)s::interval / 2)
    """

_JUDGED: LiteralString = """
    WITH RECURSIVE candidates AS MATERIALIZED (
        SELECT id, delegation_id, caller_id, callee_id, requested_at, status, body, error, n,
               -- a change feed may cut times to milliseconds: then the event that is the evidence is a little later
               CASE WHEN evidence = date_trunc('milliseconds', evidence) THEN evidence + interval '999 microseconds'
                    ELSE evidence END AS evidence
          FROM unnest(%(ids)s::uuid[], %(delegations)s::text[], %(callers)s::uuid[], %(callees)s::uuid[],
                      %(requested)s::timestamptz[], %(evidence)s::timestamptz[], %(statuses)s::text[],
                      %(bodies)s::text[], %(errors)s::text[])
          WITH ORDINALITY AS c (id, delegation_id, caller_id, callee_id, requested_at, evidence, status, body, error, n)
    ), types AS ( -- the activity types of each callee, one step in the index per type
        SELECT callee_id, since, (SELECT min(a.activity_type) FROM activity_logs a
                                   WHERE a.workspace_id = c.callee_id) AS type
          FROM (SELECT callee_id, min(evidence) AS since FROM candidates
                 WHERE status = 'stuck' AND callee_id <> caller_id GROUP BY callee_id) c
        UNION ALL
        SELECT callee_id, since, (SELECT min(a.activity_type) FROM activity_logs a
                                   WHERE a.workspace_id = t.callee_id AND a.activity_type > t.type)
          FROM types t WHERE type IS NOT NULL
    ), callees AS (
        SELECT t.callee_id, max(latest.created_at) AS latest_at
          FROM types t, LATERAL (
               SELECT a.created_at FROM activity_logs a
                WHERE a.workspace_id = t.callee_id AND a.activity_type = t.type
                  AND a.created_at > t.since AND a.created_at <= clock_timestamp() -- not now(): an INSERT can wait
                  AND a.method IS DISTINCT FROM 'verdict'
                  -- a heartbeat has the workspace of the caller, which did not write it
                  AND (a.activity_type <> 'delegation' OR a.method IS DISTINCT FROM 'heartbeat')
                ORDER BY a.created_at DESC LIMIT 1) latest
         WHERE t.type <> 'a2a_receive' GROUP BY t.callee_id
    ), owned AS MATERIALIZED (
        SELECT c.*, (SELECT e.created_at FROM activity_logs e WHERE e.id = c.id) AS written_at,
               coalesce(by_caller.workspace_id, elsewhere.workspace_id) AS workspace_id,
               CASE WHEN by_caller.workspace_id IS NULL THEN elsewhere.source_id
                    ELSE by_caller.source_id END AS source_id,
               CASE WHEN by_caller.workspace_id IS NULL THEN elsewhere.target_id
                    ELSE by_caller.target_id END AS target_id
          FROM candidates c
          LEFT JOIN LATERAL ( -- its own request row, near its time first: the caller may have very many rows
               (SELECT a.workspace_id, a.source_id, a.target_id FROM activity_logs a
                 WHERE a.workspace_id = c.caller_id AND a.activity_type = 'delegation'
                   AND a.created_at BETWEEN c.requested_at - interval '5 min' AND c.requested_at + interval '5 min'
                   AND a.method = 'delegate' AND REQUEST_ID = c.delegation_id
                 ORDER BY a.created_at LIMIT 1)
               UNION ALL
               (SELECT a.workspace_id, a.source_id, a.target_id FROM activity_logs a
                 WHERE a.workspace_id = c.caller_id AND a.activity_type = 'delegation'
                   AND a.created_at > c.requested_at + interval '5 min'
                   AND a.method = 'delegate' AND REQUEST_ID = c.delegation_id
                 ORDER BY a.created_at LIMIT 1)
               LIMIT 1) by_caller ON true
          LEFT JOIN LATERAL ( -- the caller may be its `source_id`, and the workspace another one
               SELECT a.workspace_id, a.source_id, a.target_id FROM activity_logs a
                WHERE by_caller.workspace_id IS NULL AND a.activity_type = 'delegation'
                  AND a.created_at BETWEEN c.requested_at - interval '5 min' AND c.requested_at + interval '5 min'
                  AND a.method = 'delegate' AND REQUEST_ID = c.delegation_id
                ORDER BY a.created_at LIMIT 1) elsewhere ON true
    ), places AS ( -- where rows of the candidates may be: each workspace is read once
        SELECT place, min(requested_at) - interval '5 min' AS since
          FROM owned, unnest(ARRAY[caller_id, callee_id, workspace_id]) AS place
         WHERE place IS NOT NULL GROUP BY place
    ), told AS MATERIALIZED ( -- narrow, since there may be very many rows
        SELECT a.workspace_id, a.method, a.status, a.created_at,
               coalesce(CASE WHEN a.method = 'delegate_result'
                             THEN nullif(RESPONSE_ID, '') END,
                        REQUEST_ID) AS delegation_id
          FROM places p
          JOIN activity_logs a ON a.workspace_id = p.place AND a.activity_type = 'delegation'
                              AND a.created_at >= p.since AND a.method IS DISTINCT FROM 'verdict'
    ), reports AS (
        SELECT o.n, bool_or(r.method IN ('delegate', 'delegate_result')
                            AND r.status IN ('completed', 'failed', 'error', 'timeout')) AS has_ended,
               bool_or(r.created_at > o.evidence AND r.created_at <= clock_timestamp()) AS is_alive
          FROM told r
          JOIN owned o ON o.delegation_id = r.delegation_id
                      AND r.workspace_id IN (o.caller_id, o.callee_id, o.workspace_id)
         GROUP BY o.n
    ), judged AS MATERIALIZED (
        SELECT o.n, o.id, o.status, o.body, o.error, o.workspace_id, o.source_id, o.target_id, o.written_at,
               CASE WHEN o.workspace_id IS NULL THEN 'unknown'
                    WHEN r.has_ended THEN 'ended'
                    WHEN o.status <> 'stuck' THEN 'due'
                    WHEN r.is_alive THEN 'alive'
                    WHEN k.latest_at > o.evidence AND o.callee_id <> o.caller_id THEN 'callee alive'
                    ELSE 'due' END AS found
          FROM owned o LEFT JOIN reports r USING (n) LEFT JOIN callees k ON k.callee_id = o.callee_id
    )
    """
_CHECK: LiteralString = (
    _JUDGED  # noqa: S608 - both parts are constants
    + """
    SELECT CASE WHEN found = 'due' AND written_at IS NOT NULL THEN 'repeated' ELSE found END, written_at
      FROM judged ORDER BY n
    """
)
_WRITE: LiteralString = (
    _JUDGED  # noqa: S608 - both parts are constants
    + """
    , written AS (
        INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, status, request_body,
                                   error_detail, created_at)
        SELECT id, workspace_id, 'delegation', source_id, target_id, 'verdict', status, body::jsonb, error,
               clock_timestamp()
          FROM judged WHERE found = 'due'
        ON CONFLICT (id) DO NOTHING RETURNING id
    )
    SELECT CASE WHEN j.found <> 'due' THEN j.found WHEN w.id IS NULL THEN 'repeated' ELSE 'written' END, j.written_at
      FROM judged j LEFT JOIN written w USING (id) ORDER BY j.n
    """
)


class Statements(NamedTuple):
    """`check`: what the table says about each verdict now. `write`: checks again, and writes what is due.

    A verdict that is there already stays as it is.
    """

    check: LiteralString
    write: LiteralString


def _statements(bodies: Bodies) -> Statements:
    request_id, response_id = bodies.delegation_id("a.request_body"), bodies.delegation_id("a.response_body")
    check, write = (
        statement.replace("REQUEST_ID", request_id).replace("RESPONSE_ID", response_id)
        for statement in (_CHECK, _WRITE)
    )
    return Statements(check, write)


_STATEMENTS = {bodies: _statements(bodies) for bodies in starmap(Bodies, product((True, False), repeat=2))}


def statements(conn: Connection) -> Statements:
    """The statements for the table of this database."""
    return _STATEMENTS[activity_bodies.read(conn)]


def run(conn: Connection, statement: LiteralString, verdicts: Sequence[Verdict]) -> list[Checked]:
    """Run one of the statements."""
    with mapped_errors():
        # Not prepared: a generic plan does not know how many candidates there are.
        rows = conn.execute(statement, parameters(verdicts), prepare=False).fetchall()
    return [Checked(Found(found), written_at) for found, written_at in rows]


def parameters(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """The parameters of a statement."""
    return {
        "ids": [each.id for each in verdicts],
        "delegations": [each.row.delegation_id for each in verdicts],
        "callers": [each.row.caller_id for each in verdicts],
        "callees": [each.row.callee_id for each in verdicts],
        "requested": [each.row.created_at for each in verdicts],
        "evidence": [each.evidence for each in verdicts],
        "statuses": [str(each.status) for each in verdicts],
        "bodies": [each.body for each in verdicts],
        "errors": [each.error_detail for each in verdicts],
    }
