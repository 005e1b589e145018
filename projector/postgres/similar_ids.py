"""Ids that are like one that was typed: of the view, of parked events, of repeated requests, and of dead letters."""

from datetime import timedelta

from projector.errors import StatementTimeout
from projector.postgres.connection import Connection, mapped_errors, transaction

_MILLISECOND = timedelta(milliseconds=1)
_IN_LETTER = r'"delegation_id[\\]*"\s*:\s*[\\]*"([^"\\]+)[\\]*"'
"""An id of plain characters in a value whose bytes are shown by `encode(…, 'escape')`, also in JSON within JSON."""


def beginning(conn: Connection, start: str, *, limit: int, timeout: timedelta) -> list[str] | None:
    """Ids that begin with this text, regardless of case and of spaces around them. None if it takes too long."""
    text = start.strip().lower()
    return _select(conn, (text,), (), limit, timeout)


def sharing(conn: Connection, text: str, *, length: int, limit: int, timeout: timedelta) -> list[str] | None:
    """Ids that have the first or the last `length` characters of this text, as `beginning`."""
    text = text.strip().lower()
    return _select(conn, (text[:length],), (text[-length:],), limit, timeout)


def _select(
    conn: Connection, starts: tuple[str, ...], ends: tuple[str, ...], limit: int, timeout: timedelta
) -> list[str] | None:
    """No index serves this: each table is read until `limit` ids are found, or until the time is over."""
    try:
        with mapped_errors(), transaction(conn):
            conn.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": str(timeout // _MILLISECOND)})
            rows = conn.execute(
                """
                WITH letters AS (
                    SELECT DISTINCT substring(encode(value, 'escape') FROM %(in_letter)s) AS delegation_id
                      FROM (SELECT value FROM dead_letters WHERE octet_length(value) < 100000
                             ORDER BY died_at DESC LIMIT 1000) AS latest
                ), found AS (
                    (SELECT delegation_id FROM delegations
                      WHERE EXISTS (SELECT FROM unnest(%(starts)s::text[]) AS s (text)
                                     WHERE starts_with(lower(ltrim(delegation_id)), s.text))
                         OR EXISTS (SELECT FROM unnest(%(ends)s::text[]) AS e (text)
                                     WHERE right(lower(rtrim(delegation_id)), length(e.text)) = e.text)
                      LIMIT %(limit)s)
                    UNION
                    SELECT delegation_id
                      FROM (SELECT delegation_id FROM parked UNION SELECT delegation_id FROM repeated_requests
                            UNION SELECT delegation_id FROM letters WHERE delegation_id IS NOT NULL) AS others
                     WHERE EXISTS (SELECT FROM unnest(%(starts)s::text[]) AS s (text)
                                    WHERE starts_with(lower(ltrim(delegation_id)), s.text))
                        OR EXISTS (SELECT FROM unnest(%(ends)s::text[]) AS e (text)
                                    WHERE right(lower(rtrim(delegation_id)), length(e.text)) = e.text)
                )
                SELECT delegation_id FROM found ORDER BY delegation_id LIMIT %(limit)s
                """,
                {"starts": list(starts), "ends": list(ends), "limit": limit, "in_letter": _IN_LETTER},
                prepare=False,
            ).fetchall()
    except StatementTimeout:
        return None
    return [delegation_id for (delegation_id,) in rows]
