"""What rebuilds have deleted, as it is kept in `projector.deleted`: list it, put it back, or discard it."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from projector.domain.fold import Changes
from projector.domain.lifecycle import evolve
from projector.errors import Unwritable, WriteConflict
from projector.postgres import delegations
from projector.postgres.connection import Connection, transaction
from projector.postgres.write_batch import exclude_requests, write

_TRIES = 3


class Selection(NamedTuple):
    """Entries of these delegations that this run deleted, up to the entry `last`. None means any."""

    ids: Collection[str] | None = None
    run_id: UUID | None = None
    last: int | None = None


class Deleted(NamedTuple):
    """A row of `delegations`, or a parked event, that a rebuild deleted. `status` is empty for a heartbeat."""

    deleted_at: datetime
    run_id: str
    kind: str
    delegation_id: str
    status: str
    source: str


class Restored(NamedTuple):
    """An entry that was to be put back; `problem` is None if it is back, else the reason why it is still kept."""

    kind: str
    delegation_id: str
    problem: str | None


def latest(conn: Connection, selected: Selection, *, limit: int) -> list[Deleted]:
    """The entries, the latest first."""
    rows = conn.execute(
        """
        SELECT deleted_at, run_id::text, kind, delegation_id, coalesce(content ->> 'status', ''), source FROM deleted
         WHERE (%(ids)s::text[] IS NULL OR delegation_id = ANY(%(ids)s)) AND run_id = coalesce(%(run_id)s, run_id)
         ORDER BY id DESC LIMIT %(limit)s
        """,
        {**_parameters(selected), "limit": limit},
    )
    return [Deleted._make(row) for row in rows]


def count(conn: Connection, selected: Selection) -> int:
    """How many entries there are."""
    row = conn.execute(
        """
        SELECT count(*) FROM deleted
         WHERE (%(ids)s::text[] IS NULL OR delegation_id = ANY(%(ids)s)) AND run_id = coalesce(%(run_id)s, run_id)
           AND id <= coalesce(%(last)s, id)
        """,
        _parameters(selected),
    ).fetchone()
    return int(row[0]) if row else 0


def until_now(conn: Connection, selected: Selection) -> Selection:
    """The selection without the entries of later rebuilds. Only one rebuild runs at a time, so its ids are higher."""
    row = conn.execute("SELECT coalesce(max(id), 0) FROM deleted").fetchone()
    return selected._replace(last=row[0] if row else 0)


def unknown(conn: Connection, selected: Selection) -> list[str]:
    """The selected delegations of which nothing is kept."""
    rows = conn.execute(
        """
        SELECT delegation_id FROM deleted
         WHERE delegation_id = ANY(%(ids)s) AND run_id = coalesce(%(run_id)s, run_id)
        """,
        _parameters(selected),
    )
    return sorted(set(selected.ids or ()).difference(delegation_id for (delegation_id,) in rows))


def discard(conn: Connection, selected: Selection) -> int:
    """Delete the entries permanently; return how many."""
    return conn.execute(
        """
        DELETE FROM deleted
         WHERE (%(ids)s::text[] IS NULL OR delegation_id = ANY(%(ids)s)) AND run_id = coalesce(%(run_id)s, run_id)
           AND id <= coalesce(%(last)s, id)
        """,
        _parameters(selected),
    ).rowcount


def restore(conn: Connection, selected: Selection) -> Iterator[Restored]:
    """Put the entries back, each in its own transaction: of a delegation the latest row, then its parked events.

    `conn` is in autocommit and prepared for batches. An entry that cannot be put back is kept.
    """
    with conn.cursor("deleted_entries", withhold=True) as entries:
        entries.execute(
            """
            SELECT id, kind, delegation_id FROM deleted
             WHERE (%(ids)s::text[] IS NULL OR delegation_id = ANY(%(ids)s)) AND run_id = coalesce(%(run_id)s, run_id)
             ORDER BY kind = 'row' DESC, CASE kind WHEN 'row' THEN -id ELSE id END
            """,
            _parameters(selected),
        )
        for entry, kind, delegation_id in entries:
            yield Restored(kind, delegation_id, _put_back(conn, entry, kind, delegation_id))


def _put_back(conn: Connection, entry: int, kind: str, delegation_id: str) -> str | None:
    """Put an entry back; return what prevents it. A repair that writes the same row can be a deadlock (0004)."""
    put_back = _put_row_back if kind == "row" else _park_again
    problem: str | None = None
    for _ in range(_TRIES):
        try:
            with transaction(conn):
                problem = put_back(conn, entry, delegation_id)
                if problem is None:
                    conn.execute("DELETE FROM deleted WHERE id = %(id)s", {"id": entry})
            return problem
        except WriteConflict as error:
            problem = str(error)
        except Unwritable as error:
            return str(error)
    return problem


def _put_row_back(conn: Connection, entry: int, delegation_id: str) -> str | None:
    """Insert the row, then apply the events that were parked for it since; return what prevents it."""
    # The entry is locked first: in one SELECT, Postgres would insert before it waits for another session's discard.
    row = conn.execute(
        """
        WITH kept AS MATERIALIZED (SELECT content FROM deleted WHERE id = %(id)s FOR UPDATE)
        SELECT projector.insert_delegation(content) FROM kept
        """,
        {"id": entry},
    ).fetchone()
    if row is None:
        return "another session has put it back or discarded it"
    if not row[0]:
        return _what_prevents(conn, entry, delegation_id)
    exclude_requests(conn)  # after the row, as a batch does
    _apply_parked(conn, delegation_id)
    return None


def _apply_parked(conn: Connection, delegation_id: str) -> None:
    (stored,) = delegations.read_states(conn, [delegation_id])
    parked = delegations.read_parked(conn, [delegation_id])
    state = stored.state
    for each in parked:
        state = evolve(state, each.event).after  # type: ignore[assignment]  # of a State comes a State
    updated = [state] if state != stored.state else []
    changes = Changes(updated=updated, requested=[delegation_id], unparked=len(parked))
    write(conn, changes, {delegation_id: stored.version})()


def _what_prevents(conn: Connection, entry: int, delegation_id: str) -> str:
    row = conn.execute(
        """
        SELECT d.delegation_id FROM deleted e JOIN delegations d
            ON d.delegation_id = e.delegation_id
            OR (d.caller_id, d.idempotency_key) = ((e.content ->> 'caller_id')::uuid, e.content ->> 'idempotency_key')
         WHERE e.id = %(id)s ORDER BY d.delegation_id <> e.delegation_id LIMIT 1
        """,
        {"id": entry},
    ).fetchone()
    if row is None:
        return "a trigger or rule of the table delegations did not let it in"
    if row[0] == delegation_id:
        return "a row with its id exists"
    return f"delegation {row[0]} has its idempotency key"


def _park_again(conn: Connection, entry: int, delegation_id: str) -> str | None:
    exclude_requests(conn)
    states, pruned = delegations.read_states_and_pruned(conn, [delegation_id])
    if states:
        return "its delegation has a row, and events are parked only for delegations without one"
    if pruned:
        return "its delegation was pruned"
    parked = conn.execute(
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since, result_preview,
                            error_detail, parked_at)
        SELECT p.topic, p.partition, p."offset", p.delegation_id, p.kind, p.status, p.at, p.silent_since,
               p.result_preview, p.error_detail, p.parked_at
          FROM deleted e, jsonb_populate_record(NULL::parked, e.content) AS p WHERE e.id = %(id)s
        ON CONFLICT DO NOTHING
        """,
        {"id": entry},
    ).rowcount
    return None if parked else "it is parked already"


def _parameters(selected: Selection) -> dict[str, object]:
    return {**selected._asdict(), "ids": None if selected.ids is None else list(selected.ids)}
