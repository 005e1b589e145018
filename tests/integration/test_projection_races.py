"""Other writers at the same time: each race is held at its start until all are blocked, and ends as in some order."""

from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest
from builders import log, record
from projecting import claim_partition, connected, expected_rows, fence, lock_parking, position, query, view_rows
from racing import race
from reference_cycles import no_reference_cycles
from rows import CALLEE, CALLER, answer, delegate, heartbeat

from projector.domain.fold import TranslatedBatch
from projector.domain.positions import Fence
from projector.errors import DatabaseUnavailable, Fenced, WriteConflict
from projector.ledger import rows
from projector.postgres import write_batch
from projector.postgres.connection import Connection
from projector.projection import transaction
from projector.projection.transaction import Outcomes, project
from projector.recordings.file import RecordedRecord

Call = Callable[[Connection], Outcomes | None]
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


def projecting(records: Sequence[RecordedRecord], fence: Fence | None = None) -> Call:
    """A racer that projects; it says none where it is fenced."""

    def call(conn: Connection) -> Outcomes | None:
        conn.execute("SET search_path TO projector, public")
        write_batch.prepare(conn)
        try:
            return project(conn, records, fence)
        except Fenced:
            return None

    return call


def parking_is_over(conn: Connection) -> None:
    """Take the lock that requests and parking exclude each other by, so that both wait with what they read."""
    write_batch.exclude_requests(conn)


# --- a row that is changed between our read and our write


def test_row_changed_by_another_writer_is_read_again(database_url: str, session: Connection, other: Connection) -> None:
    project(session, log(delegate(0)))
    rows.set_status(other, "d-1", "failed", error="theirs")
    told = log(answer(1, "in_progress"), answer(2, "completed", text="ours"))
    assert race(database_url, projecting(told), release=other.commit) == [{"refused": 2}]
    assert query(session, "SELECT status, error_detail, result_preview FROM delegations") == [
        ("failed", "theirs", None)
    ]


def test_repeated_batch_leaves_no_reference_cycle(database_url: str, session: Connection, other: Connection) -> None:
    project(session, log(delegate(0)))
    rows.heartbeat(other, "d-1")
    with no_reference_cycles(WriteConflict):
        told = race(database_url, projecting(log(answer(1, "completed"))), release=other.commit)
    assert told == [{"advanced": 1}]


def test_rolled_back_change_of_another_writer_is_ignored(
    database_url: str, session: Connection, other: Connection
) -> None:
    project(session, log(delegate(0)))
    rows.set_status(other, "d-1", "failed", error="theirs")
    told = log(answer(2, "completed", text="ours"))
    assert race(database_url, projecting(told), release=other.rollback) == [{"advanced": 1}]
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "ours")]


def test_heartbeat_of_another_writer_is_not_overwritten(
    database_url: str, session: Connection, other: Connection
) -> None:
    project(session, log(delegate(0)))
    rows.heartbeat(other, "d-1")
    assert race(database_url, projecting(log(heartbeat(1))), release=other.commit) == [{"heartbeat": 1}]
    assert query(session, "SELECT last_heartbeat > created_at + interval '1 day' FROM delegations") == [True]


def test_whole_batch_waits_for_the_second_try(database_url: str, session: Connection, other: Connection) -> None:
    project(session, log(delegate(0)))
    token = claim_partition(session)
    rows.set_status(other, "d-1", "stuck")
    neighbour = delegate(1, request_body={"delegation_id": "d-2"})
    told = log(answer(1, "completed"), neighbour, b"garbage", answer(2, "completed", of="d-3"))
    [outcomes] = race(database_url, projecting(told, fence(token, (0, 0, 4))), release=other.commit)
    assert outcomes == {"refused": 1, "inserted": 1, "dead_letter": 1, "parked": 1}
    assert query(session, "SELECT status FROM delegations ORDER BY delegation_id") == ["stuck", "queued"]
    assert query(session, "SELECT (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM parked)") == [(1, 1)]
    assert position(session) == 4


# --- a row that is made between our read and our write


def test_row_inserted_by_another_writer_is_updated(database_url: str, session: Connection, other: Connection) -> None:
    rows.insert(other, "d-1", CALLER, CALLEE, "theirs")
    told = log(delegate(0, "dispatched"))
    assert race(database_url, projecting(told), release=other.commit) == [{"advanced": 1}]
    assert query(session, "SELECT status, task_preview FROM delegations") == [("dispatched", "theirs")]


def test_row_of_a_rolled_back_insert_is_inserted(database_url: str, session: Connection, other: Connection) -> None:
    rows.insert(other, "d-1", CALLER, CALLEE, "theirs")
    assert race(database_url, projecting(log(delegate(0))), release=other.rollback) == [{"inserted": 1}]
    assert view_rows(session) == expected_rows(log(delegate(0)))


def test_key_taken_by_another_writer_makes_a_duplicate(
    database_url: str, session: Connection, other: Connection
) -> None:
    rows.insert(other, "d-9", CALLER, CALLEE, "theirs", idempotency_key="k")
    told = log(delegate(0, "dispatched", idempotency_key="k"))
    assert race(database_url, projecting(told), release=other.commit) == [{"duplicate": 1}]
    assert query(session, "SELECT delegation_id, status FROM delegations") == [("d-9", "queued")]


# --- a request and its early result on two partitions at once


def test_concurrent_request_and_early_results_end_in_one_row(
    database_url: str, session: Connection, other: Connection
) -> None:
    results = [[record(answer(n, "completed", text="early"), n, partition=n)] for n in range(1, FIVE)]
    requests = [[record(delegate(0), n, partition=n)] for n in (10, 11)]
    parking_is_over(other)
    outcomes = race(database_url, *map(projecting, [*results, *requests]), release=other.commit)
    assert [outcome.total() for outcome in outcomes if outcome] == [1] * 6
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "early")]
    assert query(session, "SELECT * FROM parked") == []


@pytest.mark.parametrize("turn", [1, -1])
def test_concurrent_request_and_early_result_see_each_other(
    database_url: str, session: Connection, other: Connection, turn: int
) -> None:
    result, request = [record(answer(2, "failed", error="early"), 0)], [record(delegate(0), 0, partition=1)]
    parking_is_over(other)
    outcomes = race(database_url, *map(projecting, [result, request][::turn]), release=other.commit)
    assert sum((outcome for outcome in outcomes if outcome), Outcomes()).total() == 2
    assert query(session, "SELECT status, error_detail FROM delegations") == [("failed", "early")]
    assert query(session, "SELECT * FROM parked") == []


def test_requests_do_not_wait_for_each_other(database_url: str, session: Connection, other: Connection) -> None:
    lock_parking(other)  # as a batch does that inserts, and has not committed yet
    assert project(session, log(delegate(0))) == {"inserted": 1}


# --- one gate


def test_one_of_five_batches_passes_the_same_fence(database_url: str, session: Connection, other: Connection) -> None:
    one = fence(claim_partition(session), (0, 0, 2))
    other.execute("SELECT FROM positions FOR UPDATE")
    told = log(delegate(0), heartbeat(1))
    outcomes = race(database_url, *[projecting(told, one)] * FIVE, release=other.commit)
    assert sorted(outcomes, key=bool) == [None] * (FIVE - 1) + [{"inserted": 1, "heartbeat": 1}]
    assert position(session) == 2


def test_claim_fences_a_waiting_batch(database_url: str, session: Connection, other: Connection) -> None:
    token = claim_partition(session)
    other.execute("UPDATE positions SET owner = gen_random_uuid()")
    assert race(database_url, projecting(log(delegate(0)), fence(token, (0, 0, 1))), release=other.commit) == [None]
    assert view_rows(session) == []
    assert position(session) == 0


def test_request_applies_event_parked_during_ledger_insert(
    database_url: str, session: Connection, other: Connection
) -> None:
    rows.insert(other, "d-1", CALLER, CALLEE, "count to three")
    request = log(answer(1, "completed"), delegate(0))[1:]
    with psycopg.connect(database_url, options="-c search_path=projector,public") as holder:
        # it parks without having seen the ledger's row, and is about to commit
        write_batch.exclude_requests(holder)
        holder.execute(
            'INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, result_preview) '
            "VALUES ('activity-log', 0, 0, 'd-1', 'status', 'completed', %s, 'three')",
            ["2025-05-05T10:01:00Z"],
        )
        other.commit()
        race(database_url, projecting(request), release=holder.commit)
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "three")]
    assert query(session, "SELECT count(*) FROM parked") == [0]


@pytest.mark.parametrize("bearable", [1, 3])
def test_conflicting_batch_is_halved_until_it_is_written(
    session: Connection, monkeypatch: pytest.MonkeyPatch, bearable: int
) -> None:
    send = transaction._send

    def contested(conn: Connection, reading: TranslatedBatch, fence: Fence | None) -> object:
        if len(reading.records) > bearable:
            raise WriteConflict("a delegation was changed by another writer")
        return send(conn, reading, fence)

    monkeypatch.setattr(transaction, "_send", contested)
    asking = [delegate(n, request_body={"delegation_id": f"d-{n}", "task": "count"}) for n in range(8)]
    told = log(*asking)
    token = claim_partition(session)
    assert project(session, told, fence(token, (0, 0, 8))) == {"inserted": 8}
    assert view_rows(session) == expected_rows(told)
    assert position(session) == 8


def test_record_with_endless_conflicts_is_no_dead_letter(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def contested(*_: object) -> Outcomes:
        raise WriteConflict("a delegation was changed by another writer")

    token = claim_partition(session)
    monkeypatch.setattr(transaction, "_send", contested)
    with pytest.raises(DatabaseUnavailable, match="gave up after 10 tries"):
        project(session, log(delegate(0), heartbeat(1)), fence(token, (0, 0, 2)))
    assert query(session, "SELECT count(*) FROM dead_letters") == [0]
    assert position(session) == 0
