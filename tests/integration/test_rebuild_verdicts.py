"""`verify` and `rebuild` from the platform's table: it does not show what came before a verdict."""

from collections.abc import Iterator
from typing import Any

import pytest
from activity_table import insert_activities
from reconciling import Log, change, request
from reconciling_activity_logs import counts, log_of_table, reconcile, write_both
from rows import Columns, answer, heartbeat, verdict

from projector.rebuild.drift import Classification
from projector.rebuild.reconcile import Result


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with log_of_table(database_url, kafka, topic) as log:
        yield log


def not_told(done: Result) -> int:
    return done.report.classified[Classification.VERDICT_NOT_TOLD]


def stuck(log: Log, minute: int, silent: int, **columns: Any) -> Columns:
    """A verdict, in the table and in the topic."""
    row = verdict(minute, silent=silent, of="keyed", error_detail="silent", **columns)
    write_both(log, row)
    return row


def test_verdict_that_both_have_is_equal(log: Log) -> None:
    write_both(log, heartbeat(7, of="keyed"))
    stuck(log, 20, 7)
    log.project()
    assert log.statuses()["keyed"] == "stuck"
    done = reconcile(log, repair=True)
    assert (counts(done), not_told(done), done.written) == ((0, 0, 0), 0, None)


def test_answer_after_a_verdict_is_not_told(log: Log) -> None:
    """In the log it was refused. The table shows only that the row is completed now."""
    stuck(log, 20, 7)
    log.conn.execute(
        "UPDATE activity_logs SET status = 'completed' WHERE request_body->>'delegation_id' = 'keyed' "
        "AND method = 'delegate'"
    )
    log.produce(answer(30, "completed", of="keyed", text="late")).project()
    before = log.versions()
    done = reconcile(log, repair=True)
    assert (counts(done), not_told(done), done.written) == ((0, 0, 0), 1, None)
    assert log.versions() == before
    assert log.statuses()["keyed"] == "stuck"


def test_verdict_that_was_stale_in_the_log_is_not_told(log: Log) -> None:
    """The change in place was an event of the log. The table does not date it."""
    log.produce(answer(15, "dispatched", of="keyed"))
    log.conn.execute(
        "UPDATE activity_logs SET status = 'dispatched' WHERE request_body->>'delegation_id' = 'keyed' "
        "AND method = 'delegate'"
    )
    stuck(log, 20, 7)
    log.project()
    assert log.statuses()["keyed"] == "dispatched"
    done = reconcile(log, repair=True)
    assert (counts(done), not_told(done), done.written) == ((0, 0, 0), 1, None)
    assert [example.columns.keys() for example in done.report.examples] == [{"status", "error_detail"}]


def test_other_columns_of_such_a_row_are_repaired(log: Log) -> None:
    stuck(log, 20, 7)
    write_both(log, answer(30, "completed", of="keyed", text="late"))
    log.project()
    change(log, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id = 'keyed'")
    done = reconcile(log, repair=True)
    assert (done.report.drift, not_told(done), done.written) == (1, 1, (0, 1, 0))
    row = log.rows()["keyed"]
    assert (row.task_preview, row.status, row.error_detail, row.result_preview) == (
        "do keyed",
        "stuck",
        "silent",
        None,
    )


def test_status_that_no_verdict_explains_is_drift(log: Log) -> None:
    stuck(log, 20, 7)
    log.project()
    change(log, "UPDATE delegations SET task_preview = 'x', result_preview = 'y' WHERE delegation_id = 'done'")
    change(log, "UPDATE delegations SET status = 'queued' WHERE delegation_id = 'done'")
    change(log, "UPDATE delegations SET callee_id = caller_id WHERE delegation_id = 'keyed'")
    done = reconcile(log, repair=True)
    assert (done.report.drift, not_told(done), done.written) == (2, 0, (0, 2, 0))


def test_answer_wins_in_an_empty_table(log: Log) -> None:
    stuck(log, 20, 7)
    write_both(log, answer(30, "completed", of="keyed", text="late"))
    insert_activities(log.conn, request(40, "silent"), verdict(50, silent=40, of="silent"))
    log.produce(request(40, "silent"), verdict(50, silent=40, of="silent")).project()
    change(log, "DELETE FROM delegations")
    assert reconcile(log, repair=True).written == (4, 0, 0)
    assert log.statuses() == {"done": "completed", "early": "dispatched", "keyed": "completed", "silent": "stuck"}


def test_export_of_the_table_excuses_verdicts_too(log: Log, tmp_path: Any) -> None:
    stuck(log, 20, 7)
    write_both(log, answer(60, "completed", of="early"))
    log.conn.execute(
        "UPDATE activity_logs SET status = 'completed' WHERE request_body->>'delegation_id' = 'keyed' "
        "AND method = 'delegate'"
    )
    log.produce(answer(30, "completed", of="keyed", text="late")).project()
    rows = log.conn.execute("SELECT to_jsonb(a)::text FROM activity_logs a ORDER BY created_at, id").fetchall()
    export = tmp_path / "export.jsonl"
    export.write_text("".join(f"{row}\n" for (row,) in rows))
    done = log.run("verify", "--from", str(export), "--json")
    assert (done.code, done.json()["drift"], done.json()["verdict_not_told"]) == (0, 0, 1)
    text = log.run("verify", "--from", "activity-logs").out
    assert "not proved for 1 delegation with a verdict whose place is not told" in text


def test_rebuild_from_the_table_is_refused_if_verdicts_are_in_the_topic(log: Log) -> None:
    done = log.run("rebuild", "--from", "activity-logs", "--yes", sweep_sink="topic")
    assert (done.code, done.out) == (2, "")
    assert "PROJECTOR_SWEEP_SINK=topic: verdicts are in the topic" in done.err
    assert log.run("verify", "--from", "activity-logs", sweep_sink="topic").code == 0
