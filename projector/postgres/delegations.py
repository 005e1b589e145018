"""What a batch reads, without locks.

Names are unqualified: the session has the schema `projector` first on its search path, and a shadow schema can stand in
for both that and the view.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from projector.contract.facts import Heartbeat, Reported, Status
from projector.domain.fold import Parked
from projector.domain.lifecycle import Delegation, State
from projector.postgres.connection import Connection


class Seen(NamedTuple):
    """What a row said when it was read, and the version of it (`xmin`) that a later write must still find."""

    state: State
    version: str


def read_states(conn: Connection, ids: Sequence[str]) -> list[Seen]:
    """What a fold needs of the rows of these delegations: not their tasks, which may be long."""
    rows = conn.execute(
        """
        SELECT delegation_id, status, last_heartbeat, result_preview, error_detail, updated_at, xmin::text
          FROM delegations WHERE delegation_id = ANY(%(ids)b)
        """,
        {"ids": ids},
        binary=True,
    ).fetchall()
    return [Seen(State(row[0], Status(row[1]), *row[2:6]), row[6]) for row in rows]


def read_delegations(conn: Connection, ids: Sequence[str]) -> list[Delegation]:
    """The rows of these delegations, whole: for whoever compares or shows them."""
    rows = conn.execute(
        """
        SELECT delegation_id, caller_id::text, callee_id::text, task_preview, status, last_heartbeat, deadline,
               result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key
          FROM delegations WHERE delegation_id = ANY(%(ids)b)
        """,
        {"ids": ids},
        binary=True,
    ).fetchall()
    return [Delegation._make((*row[:4], Status(row[4]), *row[5:])) for row in rows]


def read_holders(conn: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(caller, idempotency key) → the delegation that holds it, for those of `keys` that are held."""
    rows = conn.execute(
        """
        SELECT d.caller_id::text, d.idempotency_key, d.delegation_id
          FROM unnest(%(callers)b::uuid[], %(keys)b::text[]) AS wanted (caller_id, idempotency_key)
          JOIN delegations d USING (caller_id, idempotency_key)
        """,
        {"callers": [caller for caller, _ in keys], "keys": [key for _, key in keys]},
    )
    return {(caller, key): holder for caller, key, holder in rows}


def read_parked(conn: Connection, ids: Sequence[str]) -> list[Parked]:
    """What is parked for these delegations, in the order of parking."""
    rows = conn.execute(
        """
        SELECT topic, partition, "offset", delegation_id, status, at, result_preview, error_detail
          FROM parked WHERE delegation_id = ANY(%(ids)b) ORDER BY seq
        """,
        {"ids": ids},
    )
    return [Parked._make((*row[:3], _parked_event(*row[3:]))) for row in rows]


def _parked_event(
    delegation_id: str, status: str | None, at: datetime, result: str | None, error: str | None
) -> Reported | Heartbeat:
    if status is None:
        return Heartbeat(delegation_id, at)
    return Reported(delegation_id, Status(status), at, result, error)


def read_large_rows(conn: Connection, row_ids: Sequence[str]) -> dict[str, str]:
    """Activity row id → delegation id, for those of the rows that were seen whole."""
    rows = conn.execute(
        "SELECT row_id::text, delegation_id FROM large_rows WHERE row_id = ANY(%(ids)b::uuid[])", {"ids": row_ids}
    )
    return dict(rows)


def read_large_rows_of(conn: Connection, delegation_id: str) -> dict[str, str]:
    """Activity row id → delegation id, for the delegation's rows whose bodies may be left out of updates."""
    rows = conn.execute(
        "SELECT row_id::text, delegation_id FROM large_rows WHERE delegation_id = %(delegation_id)s",
        {"delegation_id": delegation_id},
    )
    return dict(rows)
