"""The ledger with five writers at once: each test blocks them behind a lock, and then releases the lock."""

from collections import Counter
from functools import partial

import psycopg
import pytest
from racing import race
from rows import CALLEE, CALLER

from projector import ledger
from projector.domain.lifecycle import Delegation
from projector.ledger import AlreadyExists, Conflict, Effect, Inserted, StatusName
from projector.ledger.rows import Connection
from projector.postgres import delegations

IDS = [f"d-{n}" for n in range(5)]


def insert(conn: Connection, delegation_id: str = "d-0", key: str | None = None) -> Inserted | AlreadyExists:
    return ledger.insert(conn, delegation_id, CALLER, CALLEE, "count to three", idempotency_key=key)


def set_status(conn: Connection, status: StatusName, result: str | None = None, error: str | None = None) -> Effect:
    return ledger.set_status(conn, "d-0", status, result=result, error=error)


def locked(conn: Connection, status: StatusName) -> Connection:
    """A connection that holds the lock of the row, which has this status and is committed."""
    insert(conn)
    set_status(conn, status)
    conn.commit()
    conn.execute("SELECT FROM delegations FOR UPDATE")
    return conn


def row(conn: Connection) -> Delegation:
    (row,) = delegations.read_delegations(conn, ["d-0"])
    return row


def test_one_of_five_inserts_of_an_id_succeeds(database_url: str, conn: Connection) -> None:
    insert(conn)
    found = race(database_url, *[insert] * 5, release=conn.rollback)
    assert Counter(found) == {Inserted("d-0"): 1, AlreadyExists("d-0", Conflict.SAME_ID): 4}
    assert [type(each) for each in found].count(Inserted) == 1


def test_one_of_five_inserts_with_a_key_succeeds(database_url: str, conn: Connection) -> None:
    insert(conn, "first", "k")
    found = race(database_url, *(partial(insert, delegation_id=each, key="k") for each in IDS), release=conn.rollback)
    (winner,) = (each.delegation_id for each in found if isinstance(each, Inserted))
    assert found.count(AlreadyExists(winner, Conflict.SAME_KEY)) == 4
    assert conn.execute("SELECT delegation_id FROM delegations").fetchall() == [(winner,)]


def test_five_inserts_find_the_row_committed_meanwhile(database_url: str, conn: Connection) -> None:
    insert(conn, "first", "k")
    found = race(database_url, *(partial(insert, delegation_id=each, key="k") for each in IDS), release=conn.commit)
    assert found == [AlreadyExists("first", Conflict.SAME_KEY)] * 5


def test_one_of_five_makes_the_transition(database_url: str, conn: Connection) -> None:
    locked(conn, "queued")
    found = race(database_url, *[partial(set_status, status="dispatched")] * 5, release=conn.commit)
    assert Counter(found) == {Effect.ADVANCED: 1, Effect.DUPLICATE: 4}


def test_first_of_five_final_states_stands(database_url: str, conn: Connection) -> None:
    locked(conn, "in_progress")
    ends = [partial(set_status, status="failed", error=each) for each in IDS[:3]]
    ends += [
        partial(set_status, status="completed", result="three"),
        partial(set_status, status="stuck", error="silence"),
    ]
    found = race(database_url, *ends, release=conn.commit)
    assert found.count(Effect.ADVANCED) == 1
    assert set(found) <= {Effect.ADVANCED, Effect.REFUSED, Effect.DUPLICATE}
    won = ends[found.index(Effect.ADVANCED)].keywords
    end = row(conn)
    assert (end.status, end.result_preview, end.error_detail) == (won["status"], won.get("result"), won.get("error"))


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_one_of_five_fills_the_empty_preview(database_url: str, conn: Connection, status: StatusName) -> None:
    locked(conn, status)
    fillers = [partial(set_status, status=status, result=each, error=each) for each in IDS]
    found = race(database_url, *fillers, release=conn.commit)
    assert Counter(found) == {Effect.FILLED: 1, Effect.DUPLICATE: 4}
    assert (row(conn).result_preview or row(conn).error_detail) == IDS[found.index(Effect.FILLED)]


def test_five_are_stale_after_a_later_status(database_url: str, conn: Connection) -> None:
    set_status(locked(conn, "queued"), "in_progress")
    found = race(database_url, *[partial(set_status, status="dispatched")] * 5, release=conn.commit)
    assert found == [Effect.STALE] * 5
    assert row(conn).status == "in_progress"


def test_five_are_refused_after_a_final_state(database_url: str, conn: Connection) -> None:
    set_status(locked(conn, "queued"), "failed", error="too slow")
    found = race(database_url, *[partial(set_status, status="completed", result="late")] * 5, release=conn.commit)
    assert found == [Effect.REFUSED] * 5
    assert (row(conn).status, row(conn).result_preview) == ("failed", None)


def test_one_of_five_advances_after_a_rollback(database_url: str, conn: Connection) -> None:
    set_status(locked(conn, "queued"), "completed", result="rolled back")
    found = race(
        database_url, *[partial(set_status, status="completed", result=each) for each in IDS], release=conn.rollback
    )
    assert Counter(found) == {Effect.ADVANCED: 1, Effect.DUPLICATE: 4}
    assert row(conn).result_preview == IDS[found.index(Effect.ADVANCED)]


def test_five_heartbeats_are_recorded(database_url: str, conn: Connection) -> None:
    locked(conn, "dispatched")
    before = row(conn).updated_at
    found = race(database_url, *[partial(ledger.heartbeat, delegation_id="d-0")] * 5, release=conn.commit)
    assert found == [Effect.HEARTBEAT] * 5
    assert row(conn).last_heartbeat == row(conn).updated_at > before


def test_five_heartbeats_are_refused_after_a_final_state(database_url: str, conn: Connection) -> None:
    set_status(locked(conn, "dispatched"), "completed")
    found = race(database_url, *[partial(ledger.heartbeat, delegation_id="d-0")] * 5, release=conn.commit)
    assert found == [Effect.REFUSED] * 5
    assert row(conn).last_heartbeat is None


def test_five_writers_miss_a_row_deleted_meanwhile(database_url: str, conn: Connection) -> None:
    locked(conn, "queued").execute("DELETE FROM delegations")
    found = race(database_url, *[partial(set_status, status="completed")] * 5, release=conn.commit)
    assert found == [Effect.MISSING] * 5


def test_repeatable_read_raises_a_serialization_failure(database_url: str, conn: Connection) -> None:
    locked(conn, "queued")
    with psycopg.connect(database_url) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT FROM delegations")
        set_status(conn, "completed")
        conn.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            set_status(other, "failed")
