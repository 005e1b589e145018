"""Pruning: delegations that ended long ago are deleted, in many short transactions beside the members.

A delegation goes with its reply, its ends and its deleted copies. Its id and its idempotency key stay in
`projector.pruned` (decision 0020), so that no record and no other writer makes its row again.
"""

from datetime import datetime
from functools import partial
from typing import NamedTuple

from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.postgres.connection import Connection, mapped_errors, transaction
from projector.postgres.write_batch import exclude_requests
from projector.projection.transaction import with_retries
from projector.rebuild import reconcile, shadow

_CHUNK = 500


class Plan(NamedTuple):
    """What a pruning would delete: delegations, of the rows of the view.

    `owed`: delegations that are old enough and stay, because their callers were not told.
    """

    delegations: int
    view_rows: int
    owed: int


class Pruned(NamedTuple):
    """What was deleted: delegations, repeated requests that had lost to a pruned one, and their parked events."""

    delegations: int
    repeated_requests: int
    parked_events: int


_ENDED = """
    d.status IN ('completed', 'failed', 'stuck') AND d.updated_at < %(before)s AND d.created_at < %(before)s
"""
_OWED = """
    CASE WHEN EXISTS (SELECT FROM outbox o WHERE o.delegation_id = d.delegation_id)
         THEN EXISTS (SELECT FROM outbox o WHERE o.delegation_id = d.delegation_id
                         AND (o.ended_as IS NULL OR o.ended_as IN ('given_up', 'expired')))
         ELSE EXISTS (SELECT FROM push p
                       WHERE d.updated_at >= coalesce(p.pruned_before + %(clocks)s, '-infinity')
                         AND (d.updated_at >= p.switched_on_at - %(clocks)s
                              OR EXISTS (SELECT FROM ends e WHERE e.delegation_id = d.delegation_id)))
    END
"""
"""A reply is due, was given up or has expired; or there is none, as `projector push missing` would find."""


def hold_off_rebuilds(conn: Connection) -> None:
    """Keep verify and rebuild out until the connection closes. An interrupted one cannot be resumed any more.

    Its shadow has rows that are going to be pruned. Raises Busy.
    """
    with mapped_errors():
        reconcile.require_free(conn)
        shadow.release(conn)


def plan(conn: Connection, before: datetime) -> Plan:
    """Count what a pruning of delegations that ended before then would delete."""
    with transaction(conn):
        conn.execute("SET LOCAL statement_timeout = 0")
        [(rows, owed, old)] = conn.execute(
            f"""
            SELECT count(*), count(*) FILTER (WHERE {_ENDED} AND {_OWED}), count(*) FILTER (WHERE {_ENDED})
              FROM delegations d
            """,  # noqa: S608 - made of constants
            {"before": before, "clocks": CLOCKS_DIFFER_BY},
        ).fetchall()
    return Plan(old - owed, rows, owed)


def prune(conn: Connection, before: datetime) -> Pruned:
    """Delete the delegations that ended before then, and what belongs to them.

    After an interruption run it again: each chunk is one transaction. A row that another session has locked is left
    for the next pruning.
    """
    done = repeated = 0
    last: _Place = ("-infinity", None)
    while chunk := with_retries(partial(_prune_chunk, conn, before, last)):
        done, last = done + chunk.pruned, chunk.last
    last_id = ""
    while found := with_retries(partial(_prune_repeated, conn, before, last_id)):
        repeated, last_id = repeated + len(found), found[-1]
    return Pruned(done, repeated, delete_parked_of_pruned(conn))


def delete_parked_of_pruned(conn: Connection) -> int:
    """Delete the parked events of everything that is pruned. Returns how many."""
    with transaction(conn):
        exclude_requests(conn)  # batches that have parked events without having seen the list have committed now
    total, last = 0, 0
    while gone := with_retries(partial(_prune_parked, conn, last)):
        total, last = total + len(gone), gone[-1]
    return total


_Place = tuple[str, str | None]
"""A `created_at` as a text, which may be infinite, and an id."""


class _Chunk(NamedTuple):
    """How many were pruned, and the last that was looked at."""

    pruned: int
    last: _Place


def _prune_chunk(conn: Connection, before: datetime, after: _Place) -> _Chunk | None:
    """Prune the next delegations in the order of the index on `created_at`; None if there are no more."""
    with transaction(conn):
        found = conn.execute(
            f"""
            SELECT d.created_at::text, d.delegation_id FROM delegations d
             WHERE {_ENDED} AND d.created_at >= %(after)s::timestamptz
               AND (%(after_id)s::text IS NULL OR d.created_at > %(after)s::timestamptz
                    OR d.delegation_id < %(after_id)s)
               AND NOT {_OWED}
             ORDER BY d.created_at, d.delegation_id DESC LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
            """,  # noqa: S608 - made of constants
            {"before": before, "after": after[0], "after_id": after[1], "clocks": CLOCKS_DIFFER_BY, "limit": _CHUNK},
        ).fetchall()
        if not found:
            return None
        ids = [delegation_id for _, delegation_id in found]
        owed = conn.execute(  # `push retry` may have made one due since; no relay holds a reply that has ended
            "SELECT delegation_id, ended_as FROM outbox WHERE delegation_id = ANY(%(ids)s) ORDER BY 1 FOR UPDATE",
            {"ids": ids},
        )
        kept = {delegation_id for delegation_id, state in owed if state in (None, "given_up", "expired")}
        return _Chunk(_delete(conn, [each for each in ids if each not in kept]), found[-1])


def _delete(conn: Connection, ids: list[str]) -> int:
    [(count,)] = conn.execute(
        """
        WITH gone AS (
            DELETE FROM delegations WHERE delegation_id = ANY(%(ids)s)
            RETURNING delegation_id, caller_id, idempotency_key
        ), noted AS (
            INSERT INTO projector.pruned (delegation_id, caller_id, idempotency_key)
            SELECT delegation_id, CASE WHEN idempotency_key IS NOT NULL THEN caller_id END, idempotency_key FROM gone
            ON CONFLICT DO NOTHING
        ), replies AS (
            DELETE FROM outbox o USING gone WHERE o.delegation_id = gone.delegation_id
        ), marks AS (
            DELETE FROM projector.erased e USING gone WHERE e.delegation_id = gone.delegation_id
        ), reports AS (
            DELETE FROM ends e USING gone WHERE e.delegation_id = gone.delegation_id
        ), copies AS (
            DELETE FROM deleted WHERE id = ANY (ARRAY(
                SELECT d.id FROM deleted d JOIN gone USING (delegation_id) FOR UPDATE OF d SKIP LOCKED))
        )
        SELECT count(*) FROM gone
        """,
        {"ids": ids},
    ).fetchall()
    return int(count)


def _prune_repeated(conn: Connection, before: datetime, after: str) -> list[str]:
    """Prune the next repeated requests of before then whose holder was pruned, in the order of their ids.

    Their ids stay used too. Returns them.
    """
    with transaction(conn):
        rows = conn.execute(
            """
            WITH lost AS (
                SELECT r.delegation_id FROM repeated_requests r
                 WHERE r.delegation_id > %(after)s
                   AND EXISTS (SELECT FROM projector.pruned p WHERE p.delegation_id = r.holder_id)
                   AND r.requested_at < %(before)s ORDER BY r.delegation_id
                 LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED
            ), noted AS (
                INSERT INTO projector.pruned (delegation_id) SELECT delegation_id FROM lost ON CONFLICT DO NOTHING
            ), copies AS (
                DELETE FROM deleted WHERE id = ANY (ARRAY(
                    SELECT d.id FROM deleted d JOIN lost USING (delegation_id) FOR UPDATE OF d SKIP LOCKED))
            ), gone AS (
                DELETE FROM repeated_requests r USING lost WHERE r.delegation_id = lost.delegation_id
            )
            SELECT delegation_id FROM lost ORDER BY 1
            """,
            {"after": after, "before": before, "limit": _CHUNK},
        ).fetchall()
    return [delegation_id for (delegation_id,) in rows]


def _prune_parked(conn: Connection, after: int) -> list[int]:
    """Delete the next parked events of what was pruned. A request that comes again does not apply them.

    Returns their numbers, in the order of parking.
    """
    with transaction(conn):
        conn.execute("SELECT set_config('projector.reads_verdicts', 'on', true)")
        rows = conn.execute(
            """
            WITH gone AS (
                DELETE FROM parked WHERE seq = ANY (ARRAY(
                    SELECT p.seq FROM parked p JOIN projector.pruned USING (delegation_id) WHERE p.seq > %(after)s
                     ORDER BY p.seq LIMIT %(limit)s))
                RETURNING seq
            )
            SELECT seq FROM gone ORDER BY 1
            """,
            {"after": after, "limit": _CHUNK},
        ).fetchall()
    return [seq for (seq,) in rows]
