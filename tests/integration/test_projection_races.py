"""Batches that race with other writers of the same rows and positions: each race ends as in some serial order."""

from collections.abc import Iterator

import psycopg
import pytest
from builders import log
from projecting import claim_partition, connected, expected_rows, fence, position, query, racing_batch, view_rows
from racing import race
from reference_cycles import no_reference_cycles
from rows import CALLEE, CALLER, answer, delegate, heartbeat

from projector.domain.fold import TranslatedBatch
from projector.domain.positions import Fence
from projector.errors import DatabaseUnavailable, WriteConflict
from projector.ledger import rows
from projector.postgres.connection import Connection
from projector.projection import sending, transaction
from projector.projection.transaction import Outcomes, project

FIVE = 5


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    """Another writer, in a transaction that it has not committed yet."""
    with psycopg.connect(database_url, options="-c search_path=projector,public") as conn:
        yield conn


# --- a row changes between the read and the write of the batch


def test_row_changed_by_another_writer_is_read_again(database_url: str, session: Connection, other: Connection) -> None:
    project(session, log(delegate(0)))
    rows.set_status(other, "d-1", "failed", error="by the ledger")
    events = log(answer(1, "in_progress"), answer(2, "completed", text="by the batch"))
    assert race(database_url, racing_batch(events), release=other.commit) == [{"refused": 2}]
    assert query(session, "SELECT status, error_detail, result_preview FROM delegations") == [
        ("failed", "by the ledger", None)
    ]


def test_repeated_batch_leaves_no_reference_cycle(database_url: str, session: Connection, other: Connection) -> None:
    project(session, log(delegate(0)))
    rows.heartbeat(other, "d-1")
    with no_reference_cycles(WriteConflict):
        events = race(database_url, racing_batch(log(answer(1, "completed"))), release=other.commit)
    assert events == [{"advanced": 1}]


def test_rolled_back_change_of_another_writer_is_ignored(
    database_url: str, session: Connection, other: Connection
) -> None:
    project(session, log(delegate(0)))
    rows.set_status(other, "d-1", "failed", error="by the ledger")
    events = log(answer(2, "completed", text="by the batch"))
    assert race(database_url, racing_batch(events), release=other.rollback) == [{"advanced": 1}]
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "by the batch")]


def test_heartbeat_of_another_writer_is_not_overwritten(
    database_url: str, session: Connection, other: Connection
) -> None:
    project(session, log(delegate(0)))
    rows.heartbeat(other, "d-1")
    assert race(database_url, racing_batch(log(heartbeat(1))), release=other.commit) == [{"heartbeat": 1}]
    assert query(session, "SELECT last_heartbeat > created_at + interval '1 day' FROM delegations") == [True]


def test_whole_batch_waits_for_the_second_try(database_url: str, session: Connection, other: Connection) -> None:
    project(session, log(delegate(0)))
    token = claim_partition(session)
    rows.set_status(other, "d-1", "stuck")
    request = delegate(1, request_body={"delegation_id": "d-2"})
    events = log(answer(1, "completed"), request, b"garbage", answer(2, "completed", of="d-3"))
    [outcomes] = race(database_url, racing_batch(events, fence(token, (0, 0, 4))), release=other.commit)
    assert outcomes == {"refused": 1, "inserted": 1, "dead_letter": 1, "parked": 1}
    assert query(session, "SELECT status FROM delegations ORDER BY delegation_id") == ["stuck", "queued"]
    assert query(session, "SELECT (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM parked)") == [(1, 1)]
    assert position(session) == 4


# --- a row is inserted between the read and the write of the batch


def test_row_inserted_by_another_writer_is_updated(database_url: str, session: Connection, other: Connection) -> None:
    rows.insert(other, "d-1", CALLER, CALLEE, "by the ledger")
    events = log(delegate(0, "dispatched"))
    assert race(database_url, racing_batch(events), release=other.commit) == [{"advanced": 1}]
    assert query(session, "SELECT status, task_preview FROM delegations") == [("dispatched", "by the ledger")]


def test_row_of_a_rolled_back_insert_is_inserted(database_url: str, session: Connection, other: Connection) -> None:
    rows.insert(other, "d-1", CALLER, CALLEE, "by the ledger")
    assert race(database_url, racing_batch(log(delegate(0))), release=other.rollback) == [{"inserted": 1}]
    assert view_rows(session) == expected_rows(log(delegate(0)))


def test_key_taken_by_another_writer_makes_a_duplicate(
    database_url: str, session: Connection, other: Connection
) -> None:
    rows.insert(other, "d-9", CALLER, CALLEE, "by the ledger", idempotency_key="k")
    events = log(delegate(0, "dispatched", idempotency_key="k"))
    assert race(database_url, racing_batch(events), release=other.commit) == [{"duplicate": 1}]
    assert query(session, "SELECT delegation_id, status FROM delegations") == [("d-9", "queued")]


# --- fences


def test_one_of_five_batches_passes_the_same_fence(database_url: str, session: Connection, other: Connection) -> None:
    same_fence = fence(claim_partition(session), (0, 0, 2))
    other.execute("SELECT FROM positions FOR UPDATE")
    events = log(delegate(0), heartbeat(1))
    outcomes = race(database_url, *[racing_batch(events, same_fence)] * FIVE, release=other.commit)
    assert sorted(outcomes, key=bool) == [None] * (FIVE - 1) + [{"inserted": 1, "heartbeat": 1}]
    assert position(session) == 2


def test_claim_fences_a_waiting_batch(database_url: str, session: Connection, other: Connection) -> None:
    token = claim_partition(session)
    other.execute("UPDATE positions SET owner = gen_random_uuid()")
    assert race(database_url, racing_batch(log(delegate(0)), fence(token, (0, 0, 1))), release=other.commit) == [None]
    assert view_rows(session) == []
    assert position(session) == 0


@pytest.mark.parametrize("writable", [1, 3])
def test_conflicting_batch_is_halved_until_it_is_written(
    session: Connection, monkeypatch: pytest.MonkeyPatch, writable: int
) -> None:
    send = sending.send_batch

    def conflicting(conn: Connection, batch: TranslatedBatch, fence: Fence | None, *, push: bool) -> object:
        if len(batch.records) > writable:
            raise WriteConflict("a delegation was changed by another writer")
        return send(conn, batch, fence, push=push)

    monkeypatch.setattr(transaction, "send_batch", conflicting)
    events = log(*[delegate(n, request_body={"delegation_id": f"d-{n}", "task": "count"}) for n in range(8)])
    token = claim_partition(session)
    assert project(session, events, fence(token, (0, 0, 8))) == {"inserted": 8}
    assert view_rows(session) == expected_rows(events)
    assert position(session) == 8


def test_record_with_endless_conflicts_is_no_dead_letter(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def conflicting(*_: object, **__: object) -> Outcomes:
        raise WriteConflict("a delegation was changed by another writer")

    token = claim_partition(session)
    monkeypatch.setattr(transaction, "send_batch", conflicting)
    with pytest.raises(DatabaseUnavailable, match="gave up after 10 tries"):
        project(session, log(delegate(0), heartbeat(1)), fence(token, (0, 0, 2)))
    assert query(session, "SELECT count(*) FROM dead_letters") == [0]
    assert position(session) == 0
