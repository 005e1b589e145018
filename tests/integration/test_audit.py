"""Audit writes: each call writes an activity row and a row of the view; the events of the former change nothing."""

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from activity_table import SEARCH_PATH, activities, create_activity_table, view
from rows import CALLEE, CALLER, TEN, record_at

from projector.domain.lifecycle import Delegation
from projector.ledger import AlreadyExists, Conflict, Effect, Inserted, audit
from projector.ledger.audit import Recorded, Written
from projector.ledger.rows import Connection
from projector.postgres import write_batch
from projector.projection import transaction

TASK = "count to three\x00" + "é" * 5000


@pytest.fixture
def platform(database_url: str) -> Iterator[Connection]:
    """A service's connection, not in autocommit, to a database with the table `activity_logs`."""
    create_activity_table(database_url)
    with psycopg.connect(database_url, options=SEARCH_PATH) as conn:
        yield conn


def request(conn: Connection, **options: Any) -> Recorded[Inserted | AlreadyExists]:
    return audit.record_request(conn, "d-1", CALLER, CALLEE, TASK, **options)


def test_request_writes_an_activity_row_and_a_view_row(platform: Connection) -> None:
    deadline = datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    found = request(platform, idempotency_key="k", deadline=deadline)
    (activity,) = activities(platform)
    assert found == Recorded(Written(activity["id"]), Inserted("d-1"))
    assert activity.pop("created_at")
    assert {name: value for name, value in activity.items() if value is not None} == {
        "id": activity["id"],
        "workspace_id": CALLER,
        "activity_type": "delegation",
        "source_id": CALLER,
        "target_id": CALLEE,
        "method": "delegate",
        "request_body": {
            "task": "count to three\ufffd" + "é" * 5000,
            "delegation_id": "d-1",
            "deadline": "2029-12-31T22:00:00+00:00",
        },
        "status": "pending",
        "idempotency_key": "k",
    }
    assert view(platform)[0].deadline == deadline


def record_all(conn: Connection) -> list[Recorded[Any]]:
    """Three delegations: completed, stuck, and never requested."""
    audit.record_request(conn, "d-2", uuid.UUID(CALLER), CALLEE, "fail", idempotency_key="k")
    return [
        request(conn),
        audit.record_status(conn, "d-1", "dispatched", caller_id=CALLER, result="not", error="counted"),
        audit.record_heartbeat(conn, "d-1", caller_id=CALLER),
        audit.record_status(conn, "d-1", "completed", caller_id=CALLER, result="1 2 3\x00", error="not counted"),
        audit.record_status(conn, "d-1", "failed", caller_id=CALLER, error="late"),
        audit.record_status(conn, "d-2", "stuck", caller_id=CALLER, result="not counted", error="é" * 3000),
        audit.record_heartbeat(conn, "d-2", caller_id=CALLER),
        audit.record_status(conn, "d-3", "queued", caller_id=CALLER),
    ]


def test_result_has_both_rows(platform: Connection) -> None:
    found = record_all(platform)
    assert all(isinstance(each.activity, Written) for each in found)
    assert [each.view for each in found] == [
        Inserted("d-1"),
        Effect.ADVANCED,
        Effect.HEARTBEAT,
        Effect.ADVANCED,
        Effect.REFUSED,
        Effect.ADVANCED,
        Effect.REFUSED,
        Effect.MISSING,
    ]


def project_activities(conn: Connection) -> None:
    records = [record_at(offset, json.dumps(row).encode()) for offset, row in enumerate(activities(conn))]
    write_batch.prepare(conn)
    conn.commit()
    transaction.project(conn, records)


def test_events_of_the_activity_rows_change_nothing(platform: Connection) -> None:
    record_all(platform)
    before = view(platform)
    project_activities(platform)
    assert view(platform) == before


def test_events_of_the_activity_rows_make_the_same_rows(platform: Connection) -> None:
    record_all(platform)
    before = [timeless(row) for row in view(platform)]
    platform.execute("DELETE FROM delegations")
    project_activities(platform)
    assert [timeless(row) for row in view(platform)] == before


def timeless(row: Delegation) -> Delegation:
    """The row with fixed times; the time to the deadline, and whether there was a heartbeat, stay."""
    beat_at = row.last_heartbeat and TEN
    return row._replace(
        created_at=TEN, updated_at=TEN, last_heartbeat=beat_at, deadline=TEN + (row.deadline - row.created_at)
    )


def test_activity_row_is_written_first(platform: Connection) -> None:
    request(platform)
    (activity,) = activities(platform)
    assert datetime.fromisoformat(activity["created_at"]) < view(platform)[0].created_at


def test_repeated_request_writes_an_activity_row(platform: Connection) -> None:
    request(platform)
    assert request(platform).view == AlreadyExists("d-1", Conflict.SAME_ID)
    assert len(activities(platform)) == 2


def test_both_rows_are_committed_when_the_call_returns(platform: Connection, database_url: str) -> None:
    request(platform)
    platform.rollback()
    assert (len(activities(platform)), len(view(platform))) == (1, 1)
