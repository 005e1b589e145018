"""`verify` and `rebuild` from a whole topic: which rows are drift, and what is written."""

from collections.abc import Iterator

import pytest
from projecting import query as query
from reconciling import Log, change, plant, produce_whole, request
from rows import answer

from projector.errors import ProjectorError
from projector.rebuild.drift import Classification, DriftKind


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


@pytest.fixture
def whole(log: Log) -> Log:
    return produce_whole(log)


# --- drift


def test_equal_view_is_not_written(whole: Log) -> None:
    versions, owners, reached = whole.versions(), whole.owners(), whole.positions()
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert (whole.versions(), whole.owners(), whole.positions()) == (versions, owners, reached)


def test_only_rows_changed_by_hand_are_repaired(whole: Log) -> None:
    rows, versions = whole.rows(), whole.versions()
    change(whole, "UPDATE delegations SET task_preview = 'edited', retry_count = 3 WHERE delegation_id = 'a'")
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    plant(whole, "planted", 60)
    assert whole.verify() == {"differs": 1, "missing": 1, "unexpected": 1}
    assert whole.rebuild() == (1, 1, 1)
    assert whole.rows() == rows
    assert {each for each in rows if whole.versions()[each] == versions[each]} == {"c", "d"}
    assert whole.verify() == {}


def test_report_holds_columns_and_values(whole: Log) -> None:
    change(whole, "UPDATE delegations SET status = 'queued', result_preview = NULL WHERE delegation_id = 'a'")
    report = whole.reconcile().report
    assert (report.totals.records, report.drift, report.not_covered) == (7, 1, 0)
    assert report.columns == {"status": 1, "result_preview": 1}
    (example,) = report.examples
    assert example.columns == {"status": ("queued", "completed"), "result_preview": (None, "one")}


def test_every_column_is_compared_and_repaired(whole: Log) -> None:
    change(
        whole,
        """
        UPDATE delegations SET caller_id = gen_random_uuid(), callee_id = gen_random_uuid(), task_preview = 'x',
               status = 'stuck', last_heartbeat = now(), deadline = now(), result_preview = 'x', error_detail = 'x',
               retry_count = 7, created_at = now(), updated_at = now(), idempotency_key = 'x' WHERE delegation_id = 'd'
        """,
    )
    assert len(whole.reconcile().report.columns) == 12
    whole.rebuild()
    assert whole.verify() == {}


def test_exchanged_idempotency_keys_are_repaired(whole: Log) -> None:
    rows = whole.rows()
    exchange_keys(whole)
    assert whole.rebuild() == (0, 2, 0)
    assert whole.rows() == rows


def exchange_keys(log: Log) -> None:
    change(log, "UPDATE delegations SET idempotency_key = 'for a moment' WHERE delegation_id = 'b'")
    change(log, "UPDATE delegations SET idempotency_key = 'k-b' WHERE delegation_id = 'c'")
    change(log, "UPDATE delegations SET idempotency_key = 'k-c' WHERE delegation_id = 'b'")


def test_missing_parked_events_are_parked_again(whole: Log) -> None:
    before = whole.parked()
    change(whole, "DELETE FROM parked")
    assert whole.verify() == {"parked": 1}
    whole.rebuild()
    assert whole.parked() == before


def test_events_parked_by_hand_are_deleted(whole: Log) -> None:
    before = whole.parked()
    change(
        whole,
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at)
        SELECT topic, partition, 0, 'a', 'status', 'failed', now() FROM positions LIMIT 1
        """,
    )
    assert whole.verify() == {"parked": 1}
    whole.rebuild()
    assert whole.parked() == before


def test_changed_parked_event_is_repaired(whole: Log) -> None:
    before = query(whole.conn, "SELECT status, result_preview FROM parked")
    change(whole, "UPDATE parked SET status = 'failed', result_preview = 'edited'")
    assert whole.verify() == {"parked": 1}
    whole.rebuild()
    assert query(whole.conn, "SELECT status, result_preview FROM parked") == before


def test_deleted_row_returns_with_later_parked_events(whole: Log) -> None:
    before = whole.parked()
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'd'")
    whole.produce(answer(10, "completed", of="d"), partition=1).project()
    assert whole.parked() != before
    assert whole.rebuild() == (1, 0, 0)
    assert whole.statuses()["d"] == "completed"
    assert whole.parked() == before


def test_row_without_a_request_is_deleted(whole: Log) -> None:
    plant(whole, "e", 60)
    assert whole.rebuild() == (0, 0, 1)
    assert [each[0] for each in whole.parked()] == ["e"]


def test_dead_letters_are_not_changed(whole: Log) -> None:
    whole.produce(b"no json").project()
    change(whole, "UPDATE dead_letters SET reason = 'changed by hand'")
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    letters = query(whole.conn, "SELECT * FROM dead_letters")
    assert whole.rebuild() == (1, 0, 0)
    assert query(whole.conn, "SELECT * FROM dead_letters") == letters


def test_kinds_of_a_report_add_up(whole: Log) -> None:
    change(whole, "DELETE FROM delegations")
    report = whole.reconcile().report
    assert report.kinds == {DriftKind.MISSING: 4}
    assert report.drift == 4


def test_row_older_than_a_whole_log_keeps_its_key(whole: Log) -> None:
    plant(whole, "adopted", -60, key="k")
    whole.produce(request(20, "repeat", idempotency_key="k"), answer(21, "completed", of="repeat")).project()
    report = whole.reconcile(repair=True).report
    assert (report.drift, report.not_covered) == (0, 2)
    assert "repeat" not in whole.rows()


def test_rows_older_than_a_whole_log_need_drop_uncovered(whole: Log) -> None:
    plant(whole, "adopted", -60)
    assert whole.rebuild() is None
    assert whole.rebuild(drop_uncovered=True) == (0, 0, 1)


# --- selected delegations


def test_only_selected_delegations_are_written(whole: Log) -> None:
    change(whole, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id IN ('a', 'b')")
    assert whole.rebuild(only=["b"]) == (0, 1, 0)
    assert {each: row.task_preview for each, row in whole.rows().items()} == {
        "a": "edited",
        "b": "do b",
        "c": "do c",
        "d": "do d",
    }


def test_unknown_delegation_is_refused_by_name(whole: Log) -> None:
    versions = whole.versions()
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    for repair in (True, False):
        with pytest.raises(ProjectorError, match=r"--only bb, cc: neither the view nor topic .* nothing was written"):
            whole.reconcile(only=["bb", "b", "cc"], repair=repair)
    assert whole.versions() == {each: version for each, version in versions.items() if each != "b"}
    assert whole.rebuild(only=["b", "e"]) == (1, 0, 0)


def test_totals_count_what_was_compared(whole: Log) -> None:
    whole.produce(b"hello").project()
    totals = whole.reconcile().report.totals
    assert (totals.compared, totals.unreadable, totals.view_rows, totals.is_empty) == (5, 1, 0, False)
    assert whole.reconcile(only=["a", "e"]).report.totals.compared == 2
    assert whole.reconcile(sample=1).report.totals.unreadable == 1


def test_row_with_a_taken_key_needs_its_holder_selected(whole: Log) -> None:
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    change(whole, "UPDATE delegations SET idempotency_key = 'k-b' WHERE delegation_id = 'c'")
    report = whole.reconcile(repair=True, only=["b"]).report
    assert (report.drift, report.classified[Classification.NOT_COVERED]) == (0, 1)
    assert whole.rebuild(only=["b", "c"]) == (1, 1, 0)
    assert whole.verify() == {}


def test_row_with_an_exchanged_key_needs_the_other_selected(whole: Log) -> None:
    exchange_keys(whole)
    report = whole.reconcile(repair=True, only=["b"]).report
    assert (report.drift, report.classified[Classification.NOT_COVERED]) == (0, 1)
    assert whole.rebuild(only=["b", "c"]) == (0, 2, 0)


def test_ring_of_exchanged_keys_is_written_whole_or_not(whole: Log) -> None:
    whole.produce(request(8, "f", idempotency_key="k-f")).project()
    exchange_keys(whole)
    change(whole, "UPDATE delegations SET idempotency_key = 'for a moment' WHERE delegation_id = 'f'")
    change(whole, "UPDATE delegations SET idempotency_key = 'k-f' WHERE delegation_id = 'b'")
    change(whole, "UPDATE delegations SET idempotency_key = 'k-c' WHERE delegation_id = 'f'")  # b → c → f → b
    for some in (["b"], ["b", "c"], ["c", "f"]):
        report = whole.reconcile(repair=True, only=some).report
        assert (report.drift, report.classified[Classification.NOT_COVERED]) == (0, len(some))
    assert whole.rebuild() == (0, 3, 0)
    assert whole.verify() == {}


def test_lost_view_is_inserted_again(log: Log) -> None:
    log.produce(*(request(n // 60, f"{n:04}", idempotency_key=f"k-{n}") for n in range(2100))).project()
    rows = log.rows()
    change(log, "DELETE FROM delegations WHERE delegation_id > '0009'")
    assert log.rebuild() == (2090, 0, 0)
    assert log.rows() == rows
