"""What a batch reads, without locks.

Table names are unqualified. The search path decides: `projector` and the view, or the shadow schema of a rebuild.
`projector.pruned` is qualified: view and shadow have the same list, so that a rebuild brings no pruned row back.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from projector.contract.facts import Heartbeat, Report, Reported, Status, Verdict
from projector.domain.fold import Parked, RepeatedRequest
from projector.domain.lifecycle import Delegation, State
from projector.errors import TooManyParked, Unwritable
from projector.postgres.connection import Connection


class StoredState(NamedTuple):
    """A row as it was read, and its version (`xmin`), which a later write must still find."""

    state: State
    version: str


def read_states(conn: Connection, ids: Sequence[str]) -> list[StoredState]:
    """The columns of these rows that events change. Their tasks, which can be long, are not read."""
    return read_states_and_pruned(conn, ids)[0]


def read_states_and_pruned(conn: Connection, ids: Sequence[str]) -> tuple[list[StoredState], list[str]]:
    """As `read_states`, and those of these delegations that were pruned. One statement, so no row is missed between."""
    rows = conn.execute(
        """
        SELECT delegation_id, status, last_heartbeat, result_preview, error_detail, updated_at, xmin::text
          FROM delegations WHERE delegation_id = ANY(%(ids)b)
        UNION ALL
        SELECT delegation_id, NULL, NULL, NULL, NULL, NULL, NULL
          FROM projector.pruned WHERE delegation_id = ANY(%(ids)b)
        """,
        {"ids": ids},
        binary=True,
    ).fetchall()
    with _known_statuses((row[0], row[1]) for row in rows):
        states = [StoredState(State(row[0], Status(row[1]), *row[2:6]), row[6]) for row in rows if row[6] is not None]
    return states, [row[0] for row in rows if row[6] is None]


def read_pruned_at(conn: Connection, delegation_id: str) -> datetime | None:
    """When the delegation was pruned; None if it was not."""
    found = {"id": delegation_id}
    row = conn.execute("SELECT pruned_at FROM projector.pruned WHERE delegation_id = %(id)s", found).fetchone()
    return row[0] if row else None


def read_delegations(conn: Connection, ids: Sequence[str]) -> list[Delegation]:
    """The whole rows of these delegations, to compare or show them."""
    rows = conn.execute(
        """
        SELECT delegation_id, caller_id::text, callee_id::text, task_preview, status, last_heartbeat, deadline,
               result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key
          FROM delegations WHERE delegation_id = ANY(%(ids)b)
        """,
        {"ids": ids},
        binary=True,
    ).fetchall()
    with _known_statuses((row[0], row[4]) for row in rows):
        return [Delegation._make((*row[:4], Status(row[4]), *row[5:])) for row in rows]


@contextmanager
def _known_statuses(statuses: Iterable[tuple[str, str | None]]) -> Iterator[None]:
    """Raise Unwritable if the block fails because a row has a status without a rank."""
    try:
        yield
    except ValueError:
        for delegation_id, status in statuses:
            if status is not None and status not in set(map(str, Status)):
                raise Unwritable(
                    f"delegation {delegation_id} has the status {status}, which no event can give it: correct the row "
                    "and the CHECK of the table, then run `projector dead-letters retry`"
                ) from None
        raise


def read_holders(conn: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(caller, idempotency key) → the delegation that holds it, for those of `keys` that are held.

    A delegation that was pruned holds its key for ever.
    """
    rows = conn.execute(
        """
        SELECT d.caller_id::text, d.idempotency_key, d.delegation_id
          FROM unnest(%(callers)b::uuid[], %(keys)b::text[]) AS wanted (caller_id, idempotency_key)
          JOIN delegations d USING (caller_id, idempotency_key)
        UNION ALL
        SELECT p.caller_id::text, p.idempotency_key, p.delegation_id
          FROM unnest(%(callers)b::uuid[], %(keys)b::text[]) AS wanted (caller_id, idempotency_key)
          JOIN projector.pruned p USING (caller_id, idempotency_key)
        """,
        {"callers": [caller for caller, _ in keys], "keys": [key for _, key in keys]},
    )
    return {(caller, key): holder for caller, key, holder in rows}


def read_parked(conn: Connection, ids: Sequence[str], *, most: int | None = None) -> list[Parked]:
    """The events parked for these delegations, in the order of parking. Raises TooManyParked if there are more."""
    rows = conn.execute(
        """
        SELECT topic, partition, "offset", kind, delegation_id, status, at, silent_since, result_preview, error_detail
          FROM (SELECT * FROM parked WHERE delegation_id = ANY(%(ids)b) LIMIT %(most)s + 1) AS found ORDER BY seq
        """,
        {"ids": ids, "most": most},
    ).fetchall()
    if most is not None and len(rows) > most:
        raise TooManyParked(f"its delegations have more than {most:,} parked events")
    return [Parked._make((*row[:3], _parked_event(*row[3:]))) for row in rows]


def _parked_event(
    kind: str,
    delegation_id: str,
    status: str | None,
    at: datetime,
    silent_since: datetime | None,
    result: str | None,
    error: str | None,
) -> Report:
    if status is None:
        return Heartbeat(delegation_id, at)
    if kind == "verdict":
        return Verdict(delegation_id, Status(status), at, silent_since, error)
    return Reported(delegation_id, Status(status), at, result, error)


def read_repeated_requests(conn: Connection, ids: Sequence[str]) -> dict[str, RepeatedRequest]:
    """Delegation id → its repeated request, for those of these delegations that have one."""
    rows = conn.execute(
        """
        SELECT delegation_id, holder_id, topic, partition, "offset", requested_at
          FROM repeated_requests WHERE delegation_id = ANY(%(ids)b)
        """,
        {"ids": ids},
    )
    return {row[0]: RepeatedRequest._make(row) for row in rows}


def read_large_rows(conn: Connection, row_ids: Sequence[str]) -> dict[str, str]:
    """Activity row id → delegation id, for those of these rows that are known as large."""
    rows = conn.execute(
        "SELECT row_id::text, delegation_id FROM large_rows WHERE row_id = ANY(%(ids)b::uuid[])", {"ids": row_ids}
    )
    return dict(rows)


def read_large_rows_of(conn: Connection, delegation_id: str) -> dict[str, str]:
    """Activity row id → delegation id, for the large rows of one delegation."""
    rows = conn.execute(
        "SELECT row_id::text, delegation_id FROM large_rows WHERE delegation_id = %(delegation_id)s",
        {"delegation_id": delegation_id},
    )
    return dict(rows)
