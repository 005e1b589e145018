"""The texts of a workspace: where the projector's tables have them, and how they go (docs/erasing.md)."""

from typing import NamedTuple
from uuid import UUID

from projector.postgres.connection import Connection

_ERASED = """
    ('[erased]', CASE WHEN d.status = 'completed' OR d.result_preview <> '' THEN '[erased]' END,
     CASE WHEN d.status IN ('failed', 'stuck') OR d.error_detail <> '' THEN '[erased]' END)
"""
"""As `projector.domain.erasing`."""
_HAS_TEXTS = f"(d.task_preview, d.result_preview, d.error_detail) IS DISTINCT FROM {_ERASED}"
_CLOSED = """
    d.status IN ('completed', 'failed', 'stuck')
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.delegation_id = d.delegation_id AND o.ended_as IS NULL)
"""
"""No event brings another text, and no relay needs the texts."""
_NAMES_IT = """
    strpos(lower(encode(value, 'escape')), %(workspace)s::text) > 0
    OR strpos(lower(encode(coalesce(key, ''), 'escape')), %(workspace)s::text) > 0
"""


class Found(NamedTuple):
    """What there is of a workspace, as caller or callee.

    `delegations`: all rows. `with_texts`: those that can be erased now. `open`: those with texts that are in flight, or
    whose reply is due. `dead_letters`: records that name the workspace. `copies`: rows in `projector.deleted`.
    """

    delegations: int
    with_texts: int
    open: int
    dead_letters: int
    copies: int


def find(conn: Connection, workspace: UUID) -> Found:
    """Count it."""
    [counts] = conn.execute(
        f"""
        SELECT (SELECT count(*) FROM delegations WHERE caller_id = %(workspace)s OR callee_id = %(workspace)s),
               (SELECT count(*) FROM delegations d
                 WHERE (caller_id = %(workspace)s OR callee_id = %(workspace)s) AND {_HAS_TEXTS} AND {_CLOSED}),
               (SELECT count(*) FROM delegations d
                 WHERE (caller_id = %(workspace)s OR callee_id = %(workspace)s) AND {_HAS_TEXTS} AND NOT ({_CLOSED})),
               (SELECT count(*) FROM dead_letters WHERE {_NAMES_IT}),
               (SELECT count(*) FROM deleted
                 WHERE %(workspace)s::text IN (lower(content ->> 'caller_id'), lower(content ->> 'callee_id')))
        """,  # noqa: S608 - made of constants
        {"workspace": workspace},
    ).fetchall()
    return Found._make(counts)


def erase_rows(conn: Connection, workspace: UUID, *, limit: int) -> int:
    """Erase the texts of up to this number of delegations that have ended. Returns how many.

    Rows that another session has locked are left out.
    """
    return conn.execute(
        f"""
        WITH found AS (
            SELECT d.delegation_id FROM delegations d
             WHERE (d.caller_id = %(workspace)s OR d.callee_id = %(workspace)s) AND {_HAS_TEXTS} AND {_CLOSED}
             LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
        ), noted AS (
            INSERT INTO projector.erased (delegation_id) SELECT delegation_id FROM found ON CONFLICT DO NOTHING
        ), replies AS (
            UPDATE outbox o SET last_error = '[erased]' FROM found
             WHERE o.delegation_id = found.delegation_id AND o.last_error IS NOT NULL
        )
        UPDATE delegations d SET (task_preview, result_preview, error_detail) = {_ERASED}
          FROM found WHERE d.delegation_id = found.delegation_id
        """,  # noqa: S608 - made of constants
        {"workspace": workspace, "limit": limit},
    ).rowcount


def close_repeated(conn: Connection, workspace: UUID) -> int:
    """Prune the requests that lost to a delegation of this workspace. Returns how many.

    What is parked for them is never applied, and has texts. Parked events of what was pruned can be deleted then.
    """
    return conn.execute(
        """
        WITH lost AS (
            DELETE FROM repeated_requests r
             WHERE EXISTS (SELECT FROM delegations d WHERE d.delegation_id = r.holder_id
                              AND (d.caller_id = %(workspace)s OR d.callee_id = %(workspace)s))
                OR EXISTS (SELECT FROM projector.pruned p
                            WHERE p.delegation_id = r.holder_id AND p.caller_id = %(workspace)s)
            RETURNING delegation_id
        )
        INSERT INTO projector.pruned (delegation_id) SELECT delegation_id FROM lost ON CONFLICT DO NOTHING
        """,
        {"workspace": workspace},
    ).rowcount


def delete_dead_letters(conn: Connection, workspace: UUID) -> int:
    """Delete the dead letters whose record names the workspace. Returns how many."""
    return conn.execute(
        f"DELETE FROM dead_letters WHERE {_NAMES_IT}",  # noqa: S608 - made of constants
        {"workspace": workspace},
    ).rowcount


def delete_copies(conn: Connection, workspace: UUID) -> int:
    """Delete what rebuilds kept of delegations of the workspace. Returns how many rows and events.

    The texts of these delegations stay erased, should a rebuild make a row again.
    """
    return conn.execute(
        """
        WITH copied AS (
            SELECT DISTINCT delegation_id FROM deleted
             WHERE %(workspace)s::text IN (lower(content ->> 'caller_id'), lower(content ->> 'callee_id'))
        ), noted AS (
            INSERT INTO projector.erased (delegation_id) SELECT delegation_id FROM copied
             WHERE NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = copied.delegation_id)
            ON CONFLICT DO NOTHING
        )
        DELETE FROM deleted d
         WHERE EXISTS (SELECT FROM copied WHERE copied.delegation_id = d.delegation_id)
            OR EXISTS (SELECT FROM delegations r WHERE r.delegation_id = d.delegation_id
                          AND (r.caller_id = %(workspace)s OR r.callee_id = %(workspace)s))
        """,
        {"workspace": workspace},
    ).rowcount


def erase_shadow(shadow_conn: Connection) -> None:
    """Erase the texts that a fold of the source brought back, so that view and shadow agree about them."""
    shadow_conn.execute(
        f"""
        UPDATE projector_shadow.delegations d SET (task_preview, result_preview, error_detail) = {_ERASED}
          FROM projector.erased e WHERE e.delegation_id = d.delegation_id AND {_HAS_TEXTS}
        """  # noqa: S608 - made of constants
    )


def is_erased(conn: Connection, delegation_id: str) -> bool:
    """Whether the texts of this delegation were erased."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM projector.erased WHERE delegation_id = %(id)s)", {"id": delegation_id}
    ).fetchone()
    return bool(row and row[0])
