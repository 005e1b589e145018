"""`verify` and `rebuild` from the platform's table: the status of each delegation, without its steps."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from activity_table import insert_activities
from projecting import query as query
from reconciling import At, Log, change, plant, request
from reconciling_activity_logs import counts, log_of_table, reconcile, table, write_both
from rows import TEN, answer

from projector.errors import Misconfigured


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with log_of_table(database_url, kafka, topic) as log:
        yield log


def update(log: Log, of: str, status: str, minute: int) -> None:
    """Update the row of the request in place, as the platform does, and project the record of it."""
    log.conn.execute(
        "UPDATE activity_logs SET status = %s WHERE method = 'delegate' AND request_body->>'delegation_id' = %s",
        [status, of],
    )
    log.produce(answer(minute, status, of=of)).project()


def now() -> int:
    """Minutes since ten."""
    return int((datetime.now(UTC) - TEN).total_seconds() / 60)


# --- drift


def test_view_equals_the_table(log: Log) -> None:
    """It has an early result, a request with a taken key, a heartbeat and a row updated in place."""
    update(log, "early", "in_progress", 10)
    versions = log.versions()
    done = reconcile(log, repair=True)
    assert (counts(done), done.written, done.report.totals.records) == ((0, 0, 0), None, 7)
    assert log.versions() == versions


def test_table_is_read_with_a_server_cursor(log: Log) -> None:
    cursors: list[Any] = []
    with table(log) as source:
        observe = At(lambda: cursors.extend(query(source.conn, "SELECT name FROM pg_cursors")), records=1)
        log.reconcile(source, progress=observe, batch=1)
    assert cursors == ["activity_rows"]


def test_each_kind_of_drift_is_repaired(log: Log) -> None:
    update(log, "early", "completed", 10)
    rows = log.rows()
    change(log, "UPDATE delegations SET status = 'queued', result_preview = NULL WHERE delegation_id = 'done'")
    change(log, "DELETE FROM delegations WHERE delegation_id IN ('keyed', 'early')")
    done = reconcile(log, repair=True)
    assert (done.written, done.report.columns) == ((2, 1, 0), {"status": 1, "result_preview": 1})
    without_times = [row._replace(updated_at=TEN) for row in log.rows().values()]
    assert without_times == [row._replace(updated_at=TEN) for row in rows.values()]
    assert counts(reconcile(log)) == (0, 0, 0)


def test_later_times_of_steps_are_kept(log: Log) -> None:
    change(
        log,
        """
        UPDATE delegations
           SET task_preview = 'edited', last_heartbeat = updated_at + '1 h', updated_at = updated_at + '2 h'
        """,
    )
    before = log.rows()
    assert reconcile(log, repair=True).written == (0, 3, 0)
    for delegation_id, row in log.rows().items():
        assert row.task_preview == f"do {delegation_id}"
        assert (row.last_heartbeat, row.updated_at) == before[delegation_id][5:12:6]


def test_delegation_without_activity_rows_is_not_covered(log: Log) -> None:
    change(log, "DELETE FROM activity_logs WHERE request_body->>'delegation_id' = 'done'")
    plant(log, "planted", 60)
    before = log.versions()
    assert counts(reconcile(log, repair=True)) == (0, 2, 0)
    assert log.versions() == before
    assert reconcile(log, repair=True, drop_uncovered=True).written == (0, 0, 2)


def test_row_changed_after_the_snapshot_is_ahead(log: Log) -> None:
    def continue_log() -> None:
        log.produce(answer(now() + 5, "completed", of="early"), request(now() + 6, "new")).project()

    with table(log) as source:
        done = log.reconcile(source, repair=True, progress=At(continue_log, "comparing"))
    assert counts(done) == (0, 1, 1)
    assert log.statuses() == {"done": "completed", "early": "completed", "keyed": "queued", "new": "queued"}


def test_rows_of_one_instant_are_ordered_by_seq(log: Log) -> None:
    log.conn.execute("ALTER TABLE activity_logs ADD COLUMN seq bigserial")
    for n in range(8):  # the first status stands; ordered by their random ids, half of the pairs would be exchanged
        rows = request(20, f"d-{n}"), answer(21, "failed", of=f"d-{n}"), answer(21, "completed", of=f"d-{n}")
        write_both(log, *({**row, "seq": 100 + 3 * n + i} for i, row in enumerate(rows)))
    log.project()
    assert counts(reconcile(log)) == (0, 0, 0)


def test_parked_events_are_applied_to_a_restored_row(log: Log) -> None:
    """The request is in the table, and the record of the result was deleted from the log."""
    insert_activities(log.conn, request(30, "lost"))
    log.produce(answer(40, "completed", of="lost", text="the result"), request(41, "kept")).project()
    log.shorten({0: 8})
    assert [each[0] for each in log.parked()] == ["lost"]
    assert reconcile(log, repair=True).written == (1, 0, 0)
    assert log.rows()["lost"].result_preview == "the result"
    assert log.parked() == []


def test_missing_activity_table_is_reported(log: Log) -> None:
    log.conn.execute("DROP TABLE activity_logs")
    with pytest.raises(Misconfigured, match=r"no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL"):
        reconcile(log)


# --- the positions


def test_records_shortly_before_the_snapshot_are_projected_again(log: Log) -> None:
    log.produce(request(now() - 60, "an hour ago"))
    log.produce(request(now() - 2, "just now"), request(now() - 1, "now"), answer(now(), "failed", of="done")).project()
    insert_activities(
        log.conn, request(now() - 60, "an hour ago"), request(now() - 2, "just now"), request(now() - 1, "now")
    )
    assert log.positions() == {0: 11, 1: 0, 2: 0}
    assert reconcile(log, repair=True).written is None
    assert log.positions() == {0: 11, 1: 0, 2: 0}
    change(log, "DELETE FROM delegations WHERE delegation_id = 'done'")
    owners = log.owners()
    assert reconcile(log, repair=True).written == (1, 0, 0)
    assert log.positions() == {0: 8, 1: 0, 2: 0}
    assert [owner for _, owner, _ in log.owners()] == [None] * 3 != [owner for _, owner, _ in owners]
    assert log.project().verify() == {}


def test_positions_never_move_forward(log: Log) -> None:
    log.produce(request(now() - 60, "unread"), request(now() - 1, "unread too"))
    change(log, "DELETE FROM delegations WHERE delegation_id = 'done'")
    assert reconcile(log, repair=True).written == (1, 0, 0)
    assert log.positions() == {0: 7, 1: 0, 2: 0}
