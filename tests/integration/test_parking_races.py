"""A request and its early events at the same time, in different batches: none of them stays parked."""

from collections.abc import Iterator

import psycopg
import pytest
from builders import log, record
from projecting import connected, lock_parking, query, racing_batch
from racing import POINTS, overtake, race, without_deadlocks
from rows import CALLEE, CALLER, answer, delegate

from projector.ledger import rows
from projector.postgres import deleted, write_batch
from projector.postgres.connection import Connection
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


def test_concurrent_request_and_early_results_end_in_one_row(
    database_url: str, session: Connection, other: Connection
) -> None:
    results = [[record(answer(n, "completed", text="early"), n, partition=n)] for n in range(1, FIVE)]
    requests = [[record(delegate(0), n, partition=n)] for n in (10, 11)]
    write_batch.exclude_requests(other)
    outcomes = race(database_url, *map(racing_batch, [*results, *requests]), release=other.commit)
    assert [outcome.total() for outcome in outcomes if outcome] == [1] * 6
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "early")]
    assert query(session, "SELECT * FROM parked") == []


@pytest.mark.parametrize("turn", [1, -1])
def test_concurrent_request_and_early_result_see_each_other(
    database_url: str, session: Connection, other: Connection, turn: int
) -> None:
    result, request = [record(answer(2, "failed", error="early"), 0)], [record(delegate(0), 0, partition=1)]
    write_batch.exclude_requests(other)
    outcomes = race(database_url, *map(racing_batch, [result, request][::turn]), release=other.commit)
    assert sum((outcome for outcome in outcomes if outcome), Outcomes()).total() == 2
    assert query(session, "SELECT status, error_detail FROM delegations") == [("failed", "early")]
    assert query(session, "SELECT * FROM parked") == []


def test_requests_do_not_wait_for_each_other(database_url: str, session: Connection, other: Connection) -> None:
    lock_parking(other)  # as a batch with requests that has not committed yet
    assert project(session, log(delegate(0))) == {"inserted": 1}


def test_request_applies_event_parked_during_ledger_insert(
    database_url: str, session: Connection, other: Connection
) -> None:
    rows.insert(other, "d-1", CALLER, CALLEE, "count to three")
    request = log(answer(1, "completed"), delegate(0))[1:]
    with psycopg.connect(database_url, options="-c search_path=projector,public") as holder:
        # This batch parks the event without having seen the ledger's row, and has not committed yet.
        write_batch.exclude_requests(holder)
        holder.execute(
            'INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, result_preview) '
            "VALUES ('activity-log', 0, 0, 'd-1', 'status', 'completed', %s, 'three')",
            ["2025-05-05T10:01:00Z"],
        )
        other.commit()
        race(database_url, racing_batch(request), release=holder.commit)
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "three")]
    assert query(session, "SELECT count(*) FROM parked") == [0]


# --- one batch overtakes another one that is paused at some point of its call

REQUEST, RESULT = delegate(0), answer(2, "completed", text="early")
OTHER_REQUEST = delegate(0, request_body={"delegation_id": "d-2", "task": "count"})
OTHER_RESULT = answer(2, "completed", of="d-2", text="early")
WHERE_REQUESTS, WHERE_PARKS = [*POINTS][:4], [*POINTS][4:]


@pytest.mark.parametrize("point", WHERE_REQUESTS)
def test_result_overtakes_request(database_url: str, session: Connection, point: str) -> None:
    assert_both_are_written(database_url, session, [REQUEST], [RESULT], point)


@pytest.mark.parametrize("point", WHERE_PARKS)
def test_request_overtakes_result(database_url: str, session: Connection, point: str) -> None:
    assert_both_are_written(database_url, session, [RESULT], [REQUEST], point)


@pytest.mark.parametrize("point", POINTS)
def test_batches_that_request_and_park_do_not_deadlock(database_url: str, session: Connection, point: str) -> None:
    assert_both_are_written(database_url, session, [OTHER_REQUEST, RESULT], [REQUEST, OTHER_RESULT], point)


@pytest.mark.parametrize("point", POINTS)
def test_batches_with_a_common_row_do_not_deadlock(database_url: str, session: Connection, point: str) -> None:
    project(session, log(delegate(0, request_body={"delegation_id": "d-0", "task": "count"})))
    common = answer(1, "completed", of="d-0", text="early")
    assert_both_are_written(
        database_url, session, [common, OTHER_REQUEST, RESULT], [common, REQUEST, OTHER_RESULT], point
    )


def assert_both_are_written(
    url: str, session: Connection, first: list[dict[str, object]], second: list[dict[str, object]], point: str
) -> None:
    batches = [[record(each, n, partition=p) for n, each in enumerate(each)] for p, each in enumerate((first, second))]
    outcomes = overtake(url, *map(racing_batch, batches), point=point)
    assert [outcome and outcome.total() for outcome in outcomes] == [len(first), len(second)]
    assert query(session, "SELECT DISTINCT status, result_preview FROM delegations") == [("completed", "early")]
    assert query(session, "SELECT * FROM parked") == []


def test_lock_is_taken_once(database_url: str, session: Connection, other: Connection) -> None:
    """Two batches that request and park: both first in shared mode, and then exclusively, would be a deadlock."""
    write_batch.exclude_requests(other)
    batches = [[record(OTHER_REQUEST), record(RESULT, 1)], [record(REQUEST, partition=1), record(OTHER_RESULT, 1)]]
    calls = [without_deadlocks(racing_batch(batch)) for batch in batches]
    assert [outcome and outcome.total() for outcome in race(database_url, *calls, release=other.commit)] == [2, 2]
    assert query(session, "SELECT DISTINCT status FROM delegations") == ["completed"]


def test_batch_that_waits_for_a_row_does_not_block_requests(
    database_url: str, session: Connection, other: Connection
) -> None:
    project(session, log(delegate(0, request_body={"delegation_id": "d-2", "task": "count"})))
    rows.heartbeat(other, "d-2")
    session.execute("SET lock_timeout = '5s'")

    def request_and_release() -> None:
        try:
            assert project(session, log(REQUEST)) == {"inserted": 1}
        finally:
            other.commit()

    batch = racing_batch(log(OTHER_RESULT, answer(2, "completed", of="d-9")))
    assert race(database_url, batch, release=request_and_release) == [{"advanced": 1, "parked": 1}]


def keep_as_deleted(session: Connection) -> None:
    """Project the request, and delete its row as a rebuild does."""
    project(session, log(REQUEST))
    session.execute(
        "INSERT INTO deleted (run_id, source, kind, delegation_id, content) "
        "SELECT gen_random_uuid(), 'topic', 'row', delegation_id, to_jsonb(d) FROM delegations d"
    )
    session.execute("DELETE FROM delegations")


def restore(conn: Connection) -> object:
    conn.execute("SET search_path TO projector, public")
    write_batch.prepare(conn)
    return [each.problem for each in deleted.restore(conn, deleted.Selection())]


def test_restored_row_and_its_request_do_not_deadlock(database_url: str, session: Connection) -> None:
    keep_as_deleted(session)
    batch = racing_batch(log(REQUEST))
    outcomes = overtake(database_url, batch, restore, point="after the rows")
    assert outcomes == [{"inserted": 1}, ["a row with its id exists"]]


def test_restored_row_that_a_repair_writes_too(database_url: str, session: Connection, other: Connection) -> None:
    """A repair takes the lock before the rows. Postgres ends the deadlock, and the entry is tried again."""
    keep_as_deleted(session)
    other.execute("SET deadlock_timeout = '100s'")
    write_batch.exclude_requests(other)

    def insert_too() -> None:
        other.execute("SELECT projector.insert_delegation(content) FROM deleted")
        other.commit()

    assert race(database_url, restore, release=insert_too) == [["a row with its id exists"]]


def test_row_that_is_discarded_during_its_restore_does_not_come_back(
    database_url: str, session: Connection, other: Connection
) -> None:
    keep_as_deleted(session)
    deleted.discard(other, deleted.Selection())
    assert race(database_url, restore, release=other.commit) == [["another session has put it back or discarded it"]]
    assert query(session, "SELECT * FROM delegations") == []


def test_writer_that_takes_the_lock_before_the_rows_is_waited_for(
    database_url: str, session: Connection, other: Connection
) -> None:
    """As a batch of an earlier release, and a repair: Postgres ends the deadlock, and the batch is written again."""
    project(session, log(delegate(0)))
    other.execute("SET deadlock_timeout = '100s'")  # so that Postgres aborts the batch and not this session
    write_batch.exclude_requests(other)
    batch = racing_batch(log(answer(1, "in_progress"), answer(2, "completed", of="d-9")))

    def update_too() -> None:
        other.execute("UPDATE delegations SET retry_count = 1")
        other.commit()

    assert race(database_url, batch, release=update_too) == [{"advanced": 1, "parked": 1}]
    assert query(session, "SELECT status, retry_count FROM delegations") == [("in_progress", 1)]
