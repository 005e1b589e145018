"""The texts of a workspace: where the projector's tables have them, and how they go (docs/erasing.md)."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from projector.postgres.connection import Connection

_ERASED = """
    ('[erased]', CASE WHEN d.status = 'completed' OR d.result_preview <> '' THEN '[erased]' END,
     CASE WHEN d.status IN ('failed', 'stuck') OR d.error_detail <> '' THEN '[erased]' END)
"""
"""As `projector.domain.erasing`."""
_HAS_TEXTS = f"(d.task_preview, d.result_preview, d.error_detail) IS DISTINCT FROM {_ERASED}"
_ERASED_EVENT = """
    (CASE WHEN d.result_preview <> '' THEN '[erased]' END, CASE WHEN d.error_detail <> '' THEN '[erased]' END)
"""
_EVENT_HAS_TEXTS = f"(d.result_preview, d.error_detail) IS DISTINCT FROM {_ERASED_EVENT}"
_IS_ERASED = """
    e.delegation_id = d.delegation_id AND (%(ids)s::text[] IS NULL OR e.delegation_id = ANY(%(ids)s))
"""
_CLOSED = """
    d.status IN ('completed', 'failed', 'stuck')
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.delegation_id = d.delegation_id AND o.ended_as IS NULL)
"""
"""No event brings another text, and no relay needs the texts."""
_NAMES_IT = """
    strpos(lower(encode(value, 'escape')), %(workspace)s::text) > 0
    OR strpos(lower(encode(coalesce(key, ''), 'escape')), %(workspace)s::text) > 0
"""
_AFTER = """
    created_at >= %(after)s::timestamptz
    AND (created_at > %(after)s::timestamptz OR delegation_id > %(after_id)s::text)
"""
_LOST = """
    EXISTS (SELECT FROM delegations d WHERE d.delegation_id = r.holder_id
               AND (d.caller_id = %(workspace)s OR d.callee_id = %(workspace)s))
    OR EXISTS (SELECT FROM projector.pruned p WHERE p.delegation_id = r.holder_id AND p.caller_id = %(workspace)s)
"""
"""The request lost its idempotency key to a delegation of the workspace."""
_COPIES = f"""
    WHERE delegation_id IN (
        SELECT delegation_id FROM deleted
         WHERE %(workspace)s::text IN (lower(content ->> 'caller_id'), lower(content ->> 'callee_id'))
        UNION ALL
        SELECT delegation_id FROM delegations WHERE caller_id = %(workspace)s OR callee_id = %(workspace)s
        UNION ALL
        SELECT r.delegation_id FROM repeated_requests r WHERE {_LOST})
"""  # noqa: S608 - made of constants
"""Rows of the workspace that a rebuild deleted, and parked events of its delegations and of what lost to them."""

Place = tuple[str, str]
"""A `created_at` as a text, which may be infinite, and an id."""
FIRST: Place = ("-infinity", "")


class Found(NamedTuple):
    """What there is of a workspace, as caller or callee.

    `delegations`: all rows. `with_texts`: those that can be erased now. `open`: those with texts that are in flight, or
    whose reply is due. `dead_letters`: records that name the workspace. `copies`: what `projector.deleted` has of it.
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
               (SELECT count(*) FROM deleted {_COPIES})
        """,  # noqa: S608 - made of constants
        {"workspace": workspace},
    ).fetchall()
    return Found._make(counts)


class Chunk(NamedTuple):
    """How many rows were erased, and the last that was looked at."""

    erased: int
    last: Place


def erase_rows(conn: Connection, workspace: UUID, after: Place, *, limit: int) -> Chunk | None:
    """Erase the texts of those that have ended among the next rows, in the order of `created_at`; None after the last.

    Rows that another session has locked are left out.
    """
    row = conn.execute(
        f"""
        WITH next AS (
            (SELECT created_at, delegation_id FROM delegations WHERE caller_id = %(workspace)s AND {_AFTER}
              ORDER BY 1, 2 LIMIT %(limit)s)
            UNION
            (SELECT created_at, delegation_id FROM delegations WHERE callee_id = %(workspace)s AND {_AFTER}
              ORDER BY 1, 2 LIMIT %(limit)s)
            ORDER BY 1, 2 LIMIT %(limit)s
        ), found AS (
            SELECT d.delegation_id FROM delegations d JOIN next USING (delegation_id)
             WHERE {_HAS_TEXTS} AND {_CLOSED} FOR UPDATE OF d SKIP LOCKED
        ), noted AS (
            INSERT INTO projector.erased (delegation_id) SELECT delegation_id FROM found ON CONFLICT DO NOTHING
        ), replies AS (
            UPDATE outbox o SET last_error = '[erased]' FROM found
             WHERE o.delegation_id = found.delegation_id AND o.last_error IS NOT NULL
        ), erased AS (
            UPDATE delegations d SET (task_preview, result_preview, error_detail) = {_ERASED}
              FROM found WHERE d.delegation_id = found.delegation_id RETURNING d.delegation_id
        )
        SELECT (SELECT count(*) FROM erased), created_at::text, delegation_id
          FROM next ORDER BY next.created_at DESC, delegation_id DESC LIMIT 1
        """,  # noqa: S608 - made of constants
        {"workspace": workspace, "after": after[0], "after_id": after[1], "limit": limit},
    ).fetchone()
    return Chunk(row[0], (row[1], row[2])) if row else None


def erase_parked(conn: Connection) -> None:
    """Erase the texts of events that are parked for an erased delegation: another writer made its row."""
    conn.execute(
        f"""
        UPDATE parked d SET (result_preview, error_detail) = {_ERASED_EVENT}
          FROM projector.erased e WHERE e.delegation_id = d.delegation_id AND {_EVENT_HAS_TEXTS}
        """  # noqa: S608 - made of constants
    )


def close_repeated(conn: Connection, workspace: UUID) -> int:
    """Prune the requests that lost to a delegation of this workspace. Returns how many.

    What is parked for them is never applied, and has texts. Parked events of what was pruned can be deleted then.
    """
    return conn.execute(
        f"""
        WITH lost AS (DELETE FROM repeated_requests r WHERE {_LOST} RETURNING delegation_id)
        INSERT INTO projector.pruned (delegation_id) SELECT delegation_id FROM lost ON CONFLICT DO NOTHING
        """,  # noqa: S608 - made of constants
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
        f"""
        WITH gone AS (DELETE FROM deleted {_COPIES} RETURNING kind, delegation_id)
        , noted AS (
            INSERT INTO projector.erased (delegation_id) SELECT DISTINCT delegation_id FROM gone
             WHERE kind = 'row' AND NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = gone.delegation_id)
            ON CONFLICT DO NOTHING
        )
        SELECT FROM gone
        """,  # noqa: S608 - made of constants
        {"workspace": workspace},
    ).rowcount


def erase_shadow(shadow_conn: Connection, ids: Sequence[str] | None = None) -> None:
    """Erase the texts that a fold of the source brought back, so that view and shadow agree about them.

    `ids`: only those of these delegations; None means all.
    """
    shadow_conn.execute(
        f"""
        UPDATE projector_shadow.delegations d SET (task_preview, result_preview, error_detail) = {_ERASED}
          FROM projector.erased e WHERE {_IS_ERASED} AND {_HAS_TEXTS}
        """,  # noqa: S608 - made of constants
        {"ids": ids},
    )
    shadow_conn.execute(
        f"""
        UPDATE projector_shadow.parked d SET (result_preview, error_detail) = {_ERASED_EVENT}
          FROM projector.erased e WHERE {_IS_ERASED} AND {_EVENT_HAS_TEXTS}
        """,  # noqa: S608 - made of constants
        {"ids": ids},
    )


def is_erased(conn: Connection, delegation_id: str) -> bool:
    """Whether the texts of this delegation were erased."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM projector.erased WHERE delegation_id = %(id)s)", {"id": delegation_id}
    ).fetchone()
    return bool(row and row[0])
