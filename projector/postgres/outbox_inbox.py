"""Replies as rows of the platform's table `activity_logs`, from which a caller's runtime reads its inbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple

import psycopg

from projector.domain.reply import Reply, State, is_definite
from projector.errors import Misconfigured
from projector.postgres.connection import Connection, mapped_errors

_READ_ONLY = "25006"
_SLOW = ("55P03", "57014")
"""A lock or the statement took too long."""
_MAX_ERROR = 500


_SOURCE: LiteralString = """
    SELECT nullif(CASE WHEN %(status)s = 'completed' THEN a.response_body ->> 'text'
                       ELSE coalesce(nullif(a.error_detail, ''), a.response_body ->> 'error') END, '') AS text
      FROM activity_logs a
     WHERE a.id = %(row_id)s::uuid AND a.activity_type = 'delegation'
       AND %(delegation_id)s IN (a.request_body ->> 'delegation_id', a.response_body ->> 'delegation_id')
"""
"""The whole text of a reply, from the activity row that reported it, if that row names the same delegation."""


class Sent(NamedTuple):
    """How a try ended. DUE: it failed because of `error`, and a later try may not. `is_slow`: it took its time."""

    state: State
    error: str | None = None
    is_slow: bool = False


def require_writable(conn: Connection) -> None:
    """Raise Misconfigured, with the cure, if the role cannot insert replies in the table `activity_logs`."""
    with mapped_errors():
        row = conn.execute(
            """
            SELECT c.oid::regclass::text, has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
                   row_security_active(c.oid), quote_ident(current_user),
                   EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id'
                            WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL
                              AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
              FROM pg_class c WHERE c.oid = to_regclass('activity_logs')
            """
        ).fetchone()
    if row is None:
        raise Misconfigured(
            "PROJECTOR_RESULT_PUSH=inbox: the database has no table activity_logs. Set PROJECTOR_ACTIVITY_DATABASE_URL "
            "to the platform's database, and check its search_path"
        )
    name, may_read, may_insert, hides_rows, role, is_unique = row
    if not (may_read and may_insert):
        raise Misconfigured(f"the role may not write the inbox: GRANT SELECT, INSERT ON {name} TO {role};")
    if hides_rows:
        raise Misconfigured(f"row-level security applies to {name}: ALTER ROLE {role} BYPASSRLS;")
    if not is_unique:
        raise Misconfigured(f"{name} has no unique index on id alone, so a reply could be there twice: create one")


def check_at_once(conn: Connection) -> None:
    """Check deferred constraints with each statement of this transaction, so that only the row at fault fails."""
    conn.execute("SET CONSTRAINTS ALL IMMEDIATE")


def told(conn: Connection, replies: Sequence[Reply]) -> tuple[datetime, set[str]]:
    """The time now, and the delegations whose callers the platform has told itself. Reads each inbox once."""
    [(now, delegation_ids)] = conn.execute(
        """
        WITH reply AS (
            SELECT * FROM unnest(%(ids)s::text[], %(event_ids)s::uuid[], %(callers)s::uuid[], %(times)s::timestamptz[])
                     AS r (delegation_id, event_id, caller_id, created_at)
        ), inbox AS (
            SELECT caller_id, min(created_at) AS since FROM reply GROUP BY caller_id
        )
        SELECT clock_timestamp(), ARRAY(
            SELECT DISTINCT r.delegation_id
              FROM inbox i
              JOIN activity_logs t ON t.workspace_id = i.caller_id AND t.activity_type = 'a2a_receive'
                                  AND t.created_at >= i.since AND t.method = 'delegate_result'
              JOIN reply r ON r.caller_id = i.caller_id AND t.created_at >= r.created_at AND t.id <> r.event_id
                          AND r.delegation_id = coalesce(t.request_body ->> 'delegation_id',
                                                         t.response_body ->> 'delegation_id'))
        """,
        {
            "ids": [reply.delegation_id for reply in replies],
            "event_ids": [reply.event_id for reply in replies],
            "callers": [reply.caller_id for reply in replies],
            "times": [reply.created_at for reply in replies],
        },
    ).fetchall()
    return now, set(delegation_ids)


def insert(conn: Connection, reply: Reply, since: datetime) -> Sent:
    """Insert the reply in the inbox of its caller, unless it is there. To be called in a transaction.

    Since this time the platform may have told the caller itself: before it, `told` has looked.

    An error of this row alone is returned. Raises psycopg's error if the session is lost or may not write.
    """
    try:
        with conn.transaction():
            is_inserted, is_there, is_told = _insert(conn, reply, since)
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


def _insert(conn: Connection, reply: Reply, since: datetime) -> tuple[bool, bool, bool]:
    """Whether it was inserted, whether it had been there, and whether the platform has told the caller."""
    [found] = conn.execute(
        f"""
        WITH source AS ({_SOURCE}), told AS MATERIALIZED (
            SELECT FROM activity_logs t
             WHERE t.workspace_id = %(caller_id)s::uuid AND t.activity_type = 'a2a_receive'
               AND t.created_at >= %(since)s::timestamptz AND t.method = 'delegate_result'
               AND t.id <> %(event_id)s::uuid
               AND %(delegation_id)s IN (t.request_body ->> 'delegation_id', t.response_body ->> 'delegation_id')
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
        """,  # noqa: S608 - made of constants
        reply._asdict() | {"status": str(reply.status), "since": since},
    ).fetchall()
    return found


def _is_there(conn: Connection, reply: Reply) -> bool:
    """Whether the reply is in the inbox now: another relay may have inserted it at the same time."""
    [(is_there,)] = conn.execute(
        "SELECT EXISTS (SELECT FROM activity_logs WHERE id = %(event_id)s::uuid)", {"event_id": reply.event_id}
    ).fetchall()
    return bool(is_there)


def has_table(conn: Connection) -> bool:
    """Whether the role can read a table `activity_logs`."""
    with mapped_errors():
        [(has_table,)] = conn.execute(
            "SELECT coalesce(has_table_privilege(to_regclass('activity_logs'), 'SELECT'), false)"
        ).fetchall()
    return bool(has_table)


def source_text(conn: Connection, reply: Reply) -> str | None:
    """The whole text of a reply, from the activity row that reported it; None if the row or its text is gone."""
    names = {"status": str(reply.status), "row_id": reply.row_id, "delegation_id": reply.delegation_id}
    row = conn.execute(_SOURCE, names).fetchone()
    return row[0] if row else None
