"""`verify` and `rebuild` from the platform's own table: where each delegation stands, and not each step of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from activity_table import create_activity_table
from cluster import until
from kafka import KafkaAdminClient
from projecting import asked as told
from reconciling import At, Log, asked, change, plant
from rows import CALLER, TEN, Columns, answer, beat
from topics import create_topic

from projector.errors import LogGap, Misconfigured
from projector.postgres import connection
from projector.rebuild.drift import Classification
from projector.rebuild.from_activity_logs import FromActivityLogs
from projector.rebuild.from_recordings import FromRecordings
from projector.rebuild.reconcile import Result
from projector.recordings.file import RecordedRecord, write_recording
from projector.settings import PostgresSettings


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """The table `activity_logs` with what a log tells of it, projected."""
    create_activity_table(database_url)
    with Log(database_url, kafka, topic) as log:
        happened(log, asked(0, "done"), answer(1, "completed", of="done", text="one"))
        happened(log, asked(2, "keyed", idempotency_key="k"), asked(3, "repeat", idempotency_key="k"))
        happened(log, answer(4, "dispatched", of="early", text="so soon"), asked(5, "early"), beat(6, of="keyed"))
        yield log.projected()


def happened(log: Log, *rows: Columns) -> None:
    """The platform writes these rows, and its log tells of them."""
    write(log, *rows)
    log.say(*rows)


def write(log: Log, *rows: Columns) -> None:
    for row in rows:
        whole = {"id": str(uuid4()), "workspace_id": CALLER, **row}
        log.conn.execute(
            "INSERT INTO activity_logs SELECT * FROM jsonb_populate_record(NULL::activity_logs, %s::jsonb)",
            [json.dumps(whole)],
        )


def moved(log: Log, of: str, status: str, minute: int) -> None:
    """The platform updates its row of the request in place, as it does; the log tells of it so much later."""
    log.conn.execute(
        "UPDATE activity_logs SET status = %s WHERE method = 'delegate' AND request_body->>'delegation_id' = %s",
        [status, of],
    )
    log.say(answer(minute, status, of=of)).projected()


def now() -> int:
    """In minutes since ten."""
    return int((datetime.now(UTC) - TEN).total_seconds() / 60)


@contextmanager
def table(log: Log) -> Iterator[FromActivityLogs]:
    with connection.connect(PostgresSettings(database_url=log.url)) as conn:
        yield FromActivityLogs(conn, log.topic)


def compared(log: Log, **options: Any) -> Result:
    with table(log) as source:
        return log.reconcile(source, **options)


def counts(done: Result) -> tuple[int, int, int]:
    """Drift, not covered, ahead."""
    report = done.report
    return report.drift, report.not_covered, report.verdicts[Classification.AHEAD]


# --- what the table says


def test_view_equals_the_table(log: Log) -> None:
    """An early result, a key that was lost, a heartbeat and a row updated in place are in it."""
    moved(log, "early", "in_progress", 10)
    versions = log.versions()
    done = compared(log, repair=True)
    assert (counts(done), done.applied, done.report.records) == ((0, 0, 0), None, 7)
    assert log.versions() == versions


def test_table_is_read_by_a_cursor_of_the_server(log: Log) -> None:
    cursors: list[Any] = []
    with table(log) as source:
        look = At(lambda: cursors.extend(told(source.conn, "SELECT name FROM pg_cursors")), records=1)
        log.reconcile(source, progress=look, batch=1)
    assert cursors == ["activity_rows"]


def test_each_kind_of_drift_is_found_and_mended(log: Log) -> None:
    moved(log, "early", "completed", 10)
    rows = log.rows()
    change(log, "UPDATE delegations SET status = 'queued', result_preview = NULL WHERE delegation_id = 'done'")
    change(log, "DELETE FROM delegations WHERE delegation_id IN ('keyed', 'early')")
    done = compared(log, repair=True)
    assert (done.applied, done.report.columns) == ((2, 1, 0), {"status": 1, "result_preview": 1})
    without_times = [row._replace(updated_at=TEN) for row in log.rows().values()]
    assert without_times == [row._replace(updated_at=TEN) for row in rows.values()]
    assert counts(compared(log)) == (0, 0, 0)


def test_times_of_steps_that_a_row_has_stay_where_they_are_later(log: Log) -> None:
    change(
        log,
        """
        UPDATE delegations
           SET task_preview = 'edited', last_heartbeat = updated_at + '1 h', updated_at = updated_at + '2 h'
        """,
    )
    before = log.rows()
    assert compared(log, repair=True).applied == (0, 3, 0)
    for delegation_id, row in log.rows().items():
        assert row.task_preview == f"do {delegation_id}"
        assert (row.last_heartbeat, row.updated_at) == before[delegation_id][5:12:6]


def test_delegation_whose_activity_rows_were_deleted_is_not_covered(log: Log) -> None:
    change(log, "DELETE FROM activity_logs WHERE request_body->>'delegation_id' = 'done'")
    plant(log, "planted", 60)
    before = log.versions()
    assert counts(compared(log, repair=True)) == (0, 2, 0)
    assert log.versions() == before
    assert compared(log, repair=True, drop_uncovered=True).applied == (0, 0, 2)


def test_row_that_changed_after_the_snapshot_is_ahead(log: Log) -> None:
    def go_on() -> None:
        log.say(answer(now() + 5, "completed", of="early"), asked(now() + 6, "new")).projected()

    with table(log) as source:
        done = log.reconcile(source, repair=True, progress=At(go_on, "comparing"))
    assert counts(done) == (0, 1, 1)
    assert log.statuses() == {"done": "completed", "early": "completed", "keyed": "queued", "new": "queued"}


def test_rows_of_one_instant_are_read_in_the_order_of_seq_where_there_is_one(log: Log) -> None:
    log.conn.execute("ALTER TABLE activity_logs ADD COLUMN seq bigserial")
    for n in range(8):  # the first stands; by their ids, which are random, half of the pairs would be exchanged
        rows = asked(20, f"d-{n}"), answer(21, "failed", of=f"d-{n}"), answer(21, "completed", of=f"d-{n}")
        happened(log, *({**row, "seq": 100 + 3 * n + i} for i, row in enumerate(rows)))
    log.projected()
    assert counts(compared(log)) == (0, 0, 0)


def test_what_is_parked_heals_the_row_that_was_lost(log: Log) -> None:
    """The request is in the table, and the record of the end is in no log any more."""
    write(log, asked(30, "lost"))
    log.say(answer(40, "completed", of="lost", text="the end"), asked(41, "kept")).projected()
    log.shorten({0: 8})
    assert [each[0] for each in log.parked()] == ["lost"]
    assert compared(log, repair=True).applied == (1, 0, 0)
    assert log.rows()["lost"].result_preview == "the end"
    assert log.parked() == []


def test_database_without_the_table_is_named(log: Log) -> None:
    log.conn.execute("DROP TABLE activity_logs")
    with pytest.raises(Misconfigured, match=r"no table activity_logs .* PROJECTOR_ACTIVITY_DATABASE_URL"):
        compared(log)


# --- the positions


def test_members_project_again_what_came_shortly_before_the_snapshot(log: Log) -> None:
    log.say(asked(now() - 60, "an hour ago"))
    log.say(asked(now() - 2, "just now"), asked(now() - 1, "now"), answer(now(), "failed", of="done")).projected()
    write(log, asked(now() - 60, "an hour ago"), asked(now() - 2, "just now"), asked(now() - 1, "now"))
    assert log.positions() == {0: 11, 1: 0, 2: 0}
    assert compared(log, repair=True).applied is None
    assert log.positions() == {0: 11, 1: 0, 2: 0}
    change(log, "DELETE FROM delegations WHERE delegation_id = 'done'")
    owners = log.owners()
    assert compared(log, repair=True).applied == (1, 0, 0)
    assert log.positions() == {0: 8, 1: 0, 2: 0}
    assert [owner for _, owner, _ in log.owners()] == [None] * 3 != [owner for _, owner, _ in owners]
    assert log.projected().verify() == {}


def test_positions_are_never_put_forward(log: Log) -> None:
    log.say(asked(now() - 60, "unread"), asked(now() - 1, "unread too"))
    change(log, "DELETE FROM delegations WHERE delegation_id = 'done'")
    assert compared(log, repair=True).applied == (1, 0, 0)
    assert log.positions() == {0: 7, 1: 0, 2: 0}


# --- a gap in the log


@pytest.fixture
def gap(log: Log) -> Log:
    """A log that lost two records which nobody had projected: an end and a request, both in the table."""
    happened(log, answer(10, "completed", of="keyed", text="two"), asked(11, "lost"))
    happened(log, asked(12, "next"))
    return log.shorten({0: 9})


def test_gap_is_mended_from_the_table(gap: Log) -> None:
    with pytest.raises(LogGap, match=r"partition 0 .* offset 7.* 9 to 10\. .projector rebuild --from activity-logs."):
        gap.verify()
    assert compared(gap, repair=True).applied == (2, 1, 0)
    assert gap.positions()[0] == 9
    gap.projected()
    assert counts(compared(gap)) == (0, 0, 0)
    assert gap.rows()["keyed"].result_preview == "two"
    assert gap.verify() == {}


def test_gap_of_records_that_changed_nothing_is_mended_too(gap: Log) -> None:
    compared(gap, repair=True)
    change(gap, "UPDATE positions SET next_offset = 7 WHERE partition = 0")
    assert compared(gap, repair=True).applied is None
    assert gap.positions()[0] == 9


@pytest.mark.parametrize("wish", [{}, {"mend": True, "only": ["keyed"]}])
def test_gap_stays_one_where_less_than_all_is_mended(gap: Log, options: dict[str, Any]) -> None:
    compared(gap, **options)
    assert gap.positions()[0] == 7


def test_gap_stays_one_for_recordings_which_do_not_tell_what_they_lack(gap: Log, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    write_recording(path, [RecordedRecord(gap.name, 0, 8, None, None, json.dumps(asked(11, "lost")).encode())])
    assert gap.rebuild(FromRecordings([path], gap.topic)) == (1, 0, 0)
    assert gap.positions()[0] == 7


@pytest.mark.parametrize("partitions", [3, 1])
def test_topic_that_was_made_anew_is_gone_on_with_at_its_beginning(log: Log, kafka: str, partitions: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        log.reconcile(progress=At(interrupt, records=1), batch=1)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics([log.name])
    until(lambda: log.name not in admin.list_topics(), "the topic is gone")
    admin.close()
    create_topic(kafka, name=log.name, partitions=partitions)
    log.made_anew()
    happened(log, *(asked(20 + n, f"new-{n}") for n in range(9)))
    with pytest.raises(LogGap, match=r"created again.*projector rebuild --from activity-logs"):
        log.verify()
    assert compared(log, repair=True).applied == (9, 0, 0)
    assert log.positions() == dict.fromkeys(range(partitions), 0)
    assert log.projected().verify() == {}
    assert told(log.conn, "SELECT count(DISTINCT topic_id) FROM positions") == [1]


def interrupt() -> None:
    raise KeyboardInterrupt
