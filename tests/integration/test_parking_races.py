"""A request and its early events at the same time, in different batches: none of them stays parked."""

from collections.abc import Iterator

import psycopg
import pytest
from builders import log, record
from projecting import connected, lock_parking, query, racing_batch
from racing import race
from rows import CALLEE, CALLER, answer, delegate

from projector.ledger import rows
from projector.postgres import write_batch
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
