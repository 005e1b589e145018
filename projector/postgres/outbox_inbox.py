"""Replies as rows of the platform's table `activity_logs`, from which a caller's runtime reads its inbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple

import psycopg

from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.domain.reply import Reply, State, is_definite
from projector.errors import Misconfigured
from projector.postgres import activity_bodies, activity_table
from projector.postgres.connection import Connection

_READ_ONLY = "25006"
_SLOW = ("55P03", "57014")
"""A lock or the statement took too long."""
_MAX_ERROR = 500


_SOURCE: LiteralString = """
    SELECT nullif(CASE WHEN %(status)s = 'completed' THEN RESULT
                       ELSE coalesce(nullif(a.error_detail, ''), ERROR) END, '') AS text
      FROM activity_logs a
     WHERE a.id = %(row_id)s::uuid AND a.activity_type = 'delegation' AND %(delegation_id)s IN (REQUEST_ID, RESPONSE_ID)
"""
_TOLD: LiteralString = """
    WITH reply AS (
        SELECT delegation_id, event_id, caller_id, requested_at - %(clocks_differ_by)s::interval AS since
          FROM unnest(%(ids)s::text[], %(event_ids)s::uuid[], %(callers)s::uuid[], %(times)s::timestamptz[])
            AS r (delegation_id, event_id, caller_id, requested_at)
    ), inbox AS (
        SELECT caller_id, min(since) AS since FROM reply GROUP BY caller_id
    )
    SELECT clock_timestamp(), ARRAY(
        SELECT DISTINCT r.delegation_id
          FROM inbox i
          JOIN activity_logs a ON a.workspace_id = i.caller_id AND a.activity_type = 'a2a_receive'
                              AND a.created_at >= i.since AND a.method = 'delegate_result'
          JOIN reply r ON r.caller_id = i.caller_id AND a.created_at >= r.since AND a.id <> r.event_id
                      AND r.delegation_id = coalesce(REQUEST_ID, RESPONSE_ID))
"""
_INSERT: LiteralString = """
    WITH source AS (SOURCE), told AS MATERIALIZED (
        SELECT FROM activity_logs a
         WHERE a.workspace_id = %(caller_id)s::uuid AND a.activity_type = 'a2a_receive'
           AND a.created_at >= %(since)s::timestamptz AND a.method = 'delegate_result'
           AND a.id <> %(event_id)s::uuid AND %(delegation_id)s IN (REQUEST_ID, RESPONSE_ID)
         LIMIT 1
    ), reply AS (
        SELECT coalesce(source.text, %(preview)s::text, '') AS text,
               %(has_text)s AND source.text IS NULL AS is_cut
          FROM (VALUES (1)) AS one LEFT JOIN source ON true
    ), inserted AS (
        INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, summary,
                                   request_body, response_body, status, error_detail, created_at)
        SELECT %(event_id)s::uuid, %(caller_id)s::uuid, 'a2a_receive', %(caller_id)s::uuid, %(callee_id)s::uuid,
               'delegate_result',
               CASE WHEN %(status)s = 'completed' THEN 'Delegation result delivered' ELSE 'Delegation failed' END,
               jsonb_build_object('delegation_id', %(delegation_id)s::text),
               jsonb_build_object('text', text, 'delegation_id', %(delegation_id)s::text)
                   || CASE WHEN is_cut THEN jsonb_build_object('truncated', true) ELSE jsonb_build_object() END,
               CASE WHEN %(status)s = 'completed' THEN 'ok' ELSE 'error' END,
               CASE WHEN %(status)s <> 'completed' THEN nullif(text, '') END,
               clock_timestamp()
          FROM reply WHERE NOT EXISTS (SELECT FROM told)
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    SELECT EXISTS (SELECT FROM inserted), EXISTS (SELECT FROM activity_logs WHERE id = %(event_id)s::uuid),
           EXISTS (SELECT FROM told)
"""


class Statements(NamedTuple):
    """`source`: the whole text of a reply, from the activity row that reported it, if that row names the same
    delegation. `told`: whom the platform has told. `insert`: the reply.
    """

    source: LiteralString
    told: LiteralString
    insert: LiteralString


def statements(conn: Connection) -> Statements:
    """The statements for the table of this database, whose bodies have one of several forms."""
    bodies = activity_bodies.read(conn)
    request_id, response_id = bodies.delegation_id("a.request_body"), bodies.delegation_id("a.response_body")
    result, error = bodies.field("a.response_body", "text"), bodies.field("a.response_body", "error")
    source, told, insert = (
        each.replace("REQUEST_ID", request_id).replace("RESPONSE_ID", response_id)
        for each in (_SOURCE.replace("RESULT", result).replace("ERROR", error), _TOLD, _INSERT)
    )
    return Statements(source, told, insert.replace("SOURCE", source))


class Sent(NamedTuple):
    """How a try ended. DUE: it failed because of `error`, and a later try may not. `is_slow`: it took its time."""

    state: State
    error: str | None = None
    is_slow: bool = False


def require_writable(conn: Connection) -> None:
    """Raise Misconfigured, with the cure, if the role cannot insert replies in the table `activity_logs`."""
    found = activity_table.find(conn)
    if found is None:
        raise Misconfigured(
            "PROJECTOR_RESULT_PUSH=inbox: the database has no table activity_logs. Set PROJECTOR_ACTIVITY_DATABASE_URL "
            "to the platform's database, and check its search_path"
        )
    if lacks := found.lacks(writes=True):
        raise Misconfigured(f"{lacks}, so it may not write the inbox: {lacks.grant}")
    found.require_all_rows()
    found.require_unique_id()


def check_at_once(conn: Connection) -> None:
    """Check deferred constraints with each statement of this transaction, so that only the row at fault fails."""
    conn.execute("SET CONSTRAINTS ALL IMMEDIATE")


def told(conn: Connection, statements: Statements, replies: Sequence[Reply]) -> tuple[datetime, set[str]]:
    """The time now, and the delegations whose callers the platform has told itself. Reads each inbox once."""
    [(now, delegation_ids)] = conn.execute(
        statements.told,
        {
            "ids": [reply.delegation_id for reply in replies],
            "event_ids": [reply.event_id for reply in replies],
            "callers": [reply.caller_id for reply in replies],
            "times": [reply.created_at for reply in replies],
            "clocks_differ_by": CLOCKS_DIFFER_BY,
        },
    ).fetchall()
    return now, set(delegation_ids)


def insert(conn: Connection, statements: Statements, reply: Reply, since: datetime) -> Sent:
    """Insert the reply in the inbox of its caller, unless it is there. To be called in a transaction.

    Since this time the platform may have told the caller itself: before it, `told` has looked.

    An error of this row alone is returned. Raises psycopg's error if the session is lost or may not write.
    """
    try:
        with conn.transaction():
            names = reply._asdict() | {"status": str(reply.status), "since": since}
            # Whether it was inserted, whether it had been there, and whether the platform has told the caller.
            [(is_inserted, is_there, is_told)] = conn.execute(statements.insert, names).fetchall()
    except psycopg.Error as error:
        state = error.sqlstate
        if state is None or state == _READ_ONLY or conn.closed:
            raise
        message = f"{error.diag.message_primary} (SQLSTATE {state})"[:_MAX_ERROR]
        return Sent(State.GIVEN_UP if is_definite(state) else State.DUE, message, state in _SLOW)
    if is_inserted or is_there or (not is_told and _is_there(conn, reply)):
        return Sent(State.SENT)
    if is_told:
        return Sent(State.TOLD_BY_PLATFORM)
    return Sent(State.DUE, "a trigger or a rule of activity_logs did not let the row in")


def _is_there(conn: Connection, reply: Reply) -> bool:
    """Whether the reply is in the inbox now: another relay may have inserted it at the same time."""
    [(is_there,)] = conn.execute(
        "SELECT EXISTS (SELECT FROM activity_logs WHERE id = %(event_id)s::uuid)", {"event_id": reply.event_id}
    ).fetchall()
    return bool(is_there)


def source_text(conn: Connection, statements: Statements, reply: Reply) -> str | None:
    """The whole text of a reply, from the activity row that reported it; None if the row or its text is gone."""
    names = {"status": str(reply.status), "row_id": reply.row_id, "delegation_id": reply.delegation_id}
    row = conn.execute(statements.source, names).fetchone()
    return row[0] if row else None
