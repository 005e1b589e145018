"""The ledger's guards with five callers at once: each test lets them pile up behind a lock, and then lets them go."""

from collections import Counter
from functools import partial

import psycopg
import pytest
from racing import race
from rows import CALLEE, CALLER

from projector.domain.lifecycle import Delegation
from projector.ledger import rows
from projector.ledger.rows import AlreadyExists, Conflict, Connection, Effect, Inserted
from projector.postgres import delegations

IDS = [f"d-{n}" for n in range(5)]


def ask(conn: Connection, delegation_id: str = "d-0", key: str | None = None) -> Inserted | AlreadyExists:
    return rows.insert(conn, delegation_id, CALLER, CALLEE, "count to three", idempotency_key=key)


def say(conn: Connection, status: str, result: str | None = None, error: str | None = None) -> Effect:
    return rows.set_status(conn, "d-0", status, result=result, error=error)


def standing(conn: Connection, status: str) -> Connection:
    """The row is there with this status, committed; then it is locked by this connection."""
    ask(conn)
    say(conn, status)
    conn.commit()
    conn.execute("SELECT FROM delegations FOR UPDATE")
    return conn


def row(conn: Connection) -> Delegation:
    (row,) = delegations.read_delegations(conn, ["d-0"])
    return row


def test_one_of_five_inserts_of_an_id_makes_the_row(database_url: str, conn: Connection) -> None:
    ask(conn)
    found = race(database_url, *[ask] * 5, release=conn.rollback)
    assert Counter(found) == {Inserted("d-0"): 1, AlreadyExists("d-0", Conflict.SAME_ID): 4}
    assert [type(each) for each in found].count(Inserted) == 1


def test_one_of_five_inserts_with_a_key_makes_the_row(database_url: str, conn: Connection) -> None:
    ask(conn, "first", "k")
    found = race(database_url, *(partial(ask, delegation_id=each, key="k") for each in IDS), release=conn.rollback)
    (winner,) = (each.delegation_id for each in found if isinstance(each, Inserted))
    assert found.count(AlreadyExists(winner, Conflict.SAME_KEY)) == 4
    assert conn.execute("SELECT delegation_id FROM delegations").fetchall() == [(winner,)]


def test_five_inserts_learn_of_a_row_that_was_committed_while_they_waited(database_url: str, conn: Connection) -> None:
    ask(conn, "first", "k")
    found = race(database_url, *(partial(ask, delegation_id=each, key="k") for each in IDS), release=conn.commit)
    assert found == [AlreadyExists("first", Conflict.SAME_KEY)] * 5


def test_one_of_five_makes_the_transition(database_url: str, conn: Connection) -> None:
    standing(conn, "queued")
    found = race(database_url, *[partial(say, status="dispatched")] * 5, release=conn.commit)
    assert Counter(found) == {Effect.ADVANCED: 1, Effect.DUPLICATE: 4}


def test_the_first_of_five_ends_stands(database_url: str, conn: Connection) -> None:
    standing(conn, "in_progress")
    ends = [partial(say, status="failed", error=each) for each in IDS[:3]]
    ends += [partial(say, status="completed", result="three"), partial(say, status="stuck", error="silence")]
    found = race(database_url, *ends, release=conn.commit)
    assert found.count(Effect.ADVANCED) == 1
    assert set(found) <= {Effect.ADVANCED, Effect.REFUSED, Effect.DUPLICATE}
    won = ends[found.index(Effect.ADVANCED)].keywords
    end = row(conn)
    assert (end.status, end.result_preview, end.error_detail) == (won["status"], won.get("result"), won.get("error"))


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_one_of_five_fills_the_empty_preview(database_url: str, conn: Connection, status: str) -> None:
    standing(conn, status)
    fillers = [partial(say, status=status, result=each, error=each) for each in IDS]
    found = race(database_url, *fillers, release=conn.commit)
    assert Counter(found) == {Effect.FILLED: 1, Effect.DUPLICATE: 4}
    assert (row(conn).result_preview or row(conn).error_detail) == IDS[found.index(Effect.FILLED)]


def test_five_are_stale_behind_one_that_went_further(database_url: str, conn: Connection) -> None:
    say(standing(conn, "queued"), "in_progress")
    found = race(database_url, *[partial(say, status="dispatched")] * 5, release=conn.commit)
    assert found == [Effect.STALE] * 5
    assert row(conn).status == "in_progress"


def test_five_are_refused_behind_an_end(database_url: str, conn: Connection) -> None:
    say(standing(conn, "queued"), "failed", error="too slow")
    found = race(database_url, *[partial(say, status="completed", result="late")] * 5, release=conn.commit)
    assert found == [Effect.REFUSED] * 5
    assert (row(conn).status, row(conn).result_preview) == ("failed", None)


def test_five_make_the_transition_that_another_took_back(database_url: str, conn: Connection) -> None:
    say(standing(conn, "queued"), "completed", result="never said")
    found = race(database_url, *[partial(say, status="completed", result=each) for each in IDS], release=conn.rollback)
    assert Counter(found) == {Effect.ADVANCED: 1, Effect.DUPLICATE: 4}
    assert row(conn).result_preview == IDS[found.index(Effect.ADVANCED)]


def test_five_heartbeats_count_and_the_latest_stands(database_url: str, conn: Connection) -> None:
    standing(conn, "dispatched")
    before = row(conn).updated_at
    found = race(database_url, *[partial(rows.heartbeat, delegation_id="d-0")] * 5, release=conn.commit)
    assert found == [Effect.HEARTBEAT] * 5
    assert row(conn).last_heartbeat == row(conn).updated_at > before


def test_five_heartbeats_are_refused_behind_an_end(database_url: str, conn: Connection) -> None:
    say(standing(conn, "dispatched"), "completed")
    found = race(database_url, *[partial(rows.heartbeat, delegation_id="d-0")] * 5, release=conn.commit)
    assert found == [Effect.REFUSED] * 5
    assert row(conn).last_heartbeat is None


def test_five_callers_find_the_row_gone_that_was_deleted_before_them(database_url: str, conn: Connection) -> None:
    standing(conn, "queued").execute("DELETE FROM delegations")
    found = race(database_url, *[partial(say, status="completed")] * 5, release=conn.commit)
    assert found == [Effect.MISSING] * 5


def test_a_caller_that_promised_one_snapshot_is_told_by_the_database(database_url: str, conn: Connection) -> None:
    standing(conn, "queued")
    with psycopg.connect(database_url) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT FROM delegations")
        say(conn, "completed")
        conn.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            say(other, "failed")
