"""Verdicts and repeated requests on real Postgres: what is stored between batches gives the table of one batch."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import at, fold_batches, log, split
from projecting import connected, query
from rows import CALLEE, Columns, answer, delegate, heartbeat, verdict

from projector.domain.outcomes import Outcome
from projector.postgres import delegations
from projector.postgres.connection import Connection
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord


def request(minute: int, delegation_id: str, key: str | None = "k", **columns: Any) -> Columns:
    return delegate(minute, request_body={"delegation_id": delegation_id}, idempotency_key=key, **columns)


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


EARLY = log(
    verdict(20, silent=0, error_detail="silent"),
    verdict(20, silent=1, error_detail="silent"),
    verdict(20, "failed", silent=None),
    heartbeat(2),
    verdict(21, "failed", silent=1, error_detail="late"),
    delegate(1),
)
REPEATED = log(
    request(0, "d-1"), answer(2, "completed", of="d-2"), request(1, "d-2"), request(3, "d-2"), request(4, "d-3"),
    verdict(9, of="d-3", silent=4),
)  # fmt: skip


LOSING = log(request(0, "d-1"), request(1, "d-2", key=None), request(2, "d-2", status="completed"))


@pytest.mark.parametrize("records", [EARLY, REPEATED, LOSING])
@pytest.mark.parametrize("place", range(7))
def test_any_two_batches_store_what_the_fold_says(
    session: Connection, records: list[RecordedRecord], place: int
) -> None:
    expected = fold_batches(records)
    for batch in (*split(records, [place]), *split(records, [place])):
        project(session, batch)
    ids = query(session, "SELECT delegation_id FROM delegations ORDER BY 1")
    assert {row.delegation_id: row for row in delegations.read_delegations(session, ids)} == expected.rows
    parked = delegations.read_parked(session, [f"d-{n}" for n in range(1, 4)])
    assert sorted(parked, key=lambda each: each.offset) == list(expected.parked.values())
    assert delegations.read_repeated_requests(session, ["d-1", "d-2", "d-3"]) == expected.repeated


def test_parked_verdicts_differ_by_their_evidence(session: Connection) -> None:
    twice = [each._replace(offset=0) for each in EARLY[:2]]
    for _ in range(2):
        project(session, twice)
    parked = query(session, 'SELECT "offset", kind, status, silent_since, error_detail FROM parked ORDER BY seq')
    assert parked == [(0, "verdict", "stuck", at(minute), "silent") for minute in (0, 1)]


def test_stale_verdict_changes_no_stored_row(session: Connection) -> None:
    project(session, log(delegate(0), heartbeat(5)))
    before = query(session, "SELECT xmin::text, * FROM delegations")
    assert project(session, log(verdict(20, silent=4))) == {Outcome.STALE: 1}
    assert query(session, "SELECT xmin::text, * FROM delegations") == before
    assert project(session, log(verdict(20, silent=5))) == {Outcome.ADVANCED: 1}


def test_holder_in_another_batch_is_remembered(session: Connection) -> None:
    project(session, log(request(0, "d-1")))
    assert project(session, log(request(1, "d-2"))) == {Outcome.DUPLICATE: 1}
    assert query(session, "SELECT delegation_id, holder_id, requested_at FROM repeated_requests") == [
        ("d-2", "d-1", at(1))
    ]


def test_keys_of_callers_are_apart(session: Connection) -> None:
    project(session, log(request(0, "d-1")))
    assert project(session, log(request(1, "d-2", source_id=CALLEE))) == {Outcome.INSERTED: 1}
