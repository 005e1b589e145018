"""`verify` and `rebuild` from the topic: which rows are drift, which stay as they are, and what is written."""

from collections.abc import Iterator

import pytest
from projecting import query as query
from reconciling import At, Log, change, plant, request
from rows import UNAVAILABLE_VALUE, answer, heartbeat, updated
from topics import create_topic

from projector.errors import LogGap, Misconfigured, ProjectorError
from projector.kafka import reader
from projector.rebuild.drift import Classification, DriftKind
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.repair import TooManyDeletions


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


@pytest.fixture
def whole(log: Log) -> Log:
    """A log with all of its records, projected: four delegations, one of them completed, and a parked result."""
    log.produce(request(0, "a"), request(1, "b", idempotency_key="k-b"), answer(2, "completed", of="a", text="one"))
    log.produce(request(3, "c", idempotency_key="k-c"), request(4, "d"), heartbeat(5, of="d"), partition=1)
    return log.produce(answer(6, "completed", of="e"), partition=2).project()


@pytest.fixture
def shortened(log: Log) -> Log:
    """A projected log that begins 105 minutes after ten, because retention deleted the earlier records.

    Deleted are the requests of `moving`, `done` and `holder`, the result of `done` and the parked result of `early`.
    """
    log.produce(request(0, "moving"), request(1, "done"), answer(2, "completed", of="done", text="long ago"))
    log.produce(request(3, "holder", idempotency_key="k"), answer(4, "completed", of="early", text="too early"))
    log.produce(answer(100, "dispatched", of="moving"), request(110, "young"), answer(111, "in_progress", of="moving"))
    log.produce(answer(112, "failed", of="done", error="too late"), answer(113, "completed", of="young"))
    return log.project().shorten({0: 5})


# --- a whole log


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
    assert (report.records, report.drift, report.not_covered) == (7, 1, 0)
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


# --- a log that retention has shortened, row by row as in docs/decisions/0006


def test_row_older_than_the_log_keeps_moving(shortened: Log) -> None:
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    before = shortened.rows()["moving"]
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows()["moving"] == before
    shortened.produce(answer(130, "completed", of="moving")).project()
    assert shortened.statuses()["moving"] == "completed"
    assert shortened.verify() == {}


def test_row_deleted_during_the_rebuild_stays_deleted(shortened: Log) -> None:
    def delete() -> None:
        change(shortened, "DELETE FROM delegations WHERE delegation_id IN ('done', 'young')")

    done = shortened.reconcile(repair=True, progress=At(delete, "comparing"))
    assert done.applied == (1, 0, 0)
    assert shortened.rows().keys() == {"moving", "holder", "young"}


def test_row_that_ended_before_the_log_is_kept(shortened: Log) -> None:
    versions = shortened.versions()
    report = shortened.reconcile(repair=True).report
    assert (report.drift, report.not_covered) == (0, 3)
    assert shortened.versions() == versions
    assert shortened.rows()["done"].result_preview == "long ago"


def test_row_missing_from_the_view_is_inserted(shortened: Log) -> None:
    rows = shortened.rows()
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows() == rows


def test_young_row_missing_from_the_log_is_deleted(shortened: Log) -> None:
    rows = shortened.rows()
    plant(shortened, "younger than the log", 106)
    plant(shortened, "older than the log", 104)
    assert shortened.rebuild() == (0, 0, 1)
    assert shortened.rows().keys() == rows.keys() | {"older than the log"}


def test_row_created_in_the_future_is_kept(shortened: Log) -> None:
    change(shortened, "UPDATE delegations SET created_at = now() + '1 year' WHERE delegation_id = 'done'")
    assert shortened.verify() == {}


def test_one_wrong_timestamp_does_not_move_the_log_beginning(shortened: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FIRST_RECORDS", 20)
    shortened.produce(request(290, "deleted"), request(-900_000, "wrong time"), partition=1)
    shortened.produce(*(request(300 + n, f"new-{n}") for n in range(5)), partition=1).project().shorten({1: 1})
    assert shortened.verify() == {}


def test_log_begins_where_its_last_partition_begins(shortened: Log) -> None:
    shortened.produce(request(0, "elsewhere"), request(200, "latest"), partition=1).project().shorten({1: 1})
    plant(shortened, "between the two", 150)
    assert shortened.verify() == {}
    plant(shortened, "after both", 206)
    assert shortened.verify() == {"unexpected": 1}


def test_empty_partition_begins_at_its_last_projected_record(shortened: Log) -> None:
    shortened.produce(request(0, "elsewhere"), partition=1).project().shorten({1: 1})
    plant(shortened, "after its last record", 100_000)
    assert shortened.verify() == {"unexpected": 1}  # the partition begins at its last projected record
    change(shortened, "UPDATE positions SET record_at = NULL WHERE partition = 1")
    assert shortened.verify() == {}


def test_row_older_than_the_log_keeps_its_key(shortened: Log) -> None:
    repeated = request(115, "repeat", idempotency_key="k"), answer(116, "completed", of="repeat")
    shortened.produce(*repeated).project()
    assert "repeat" not in shortened.rows()
    assert shortened.verify() == {}
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows().keys() == {"moving", "done", "holder", "young"}


def test_row_older_than_a_whole_log_keeps_its_key(whole: Log) -> None:
    plant(whole, "adopted", -60, key="k")
    whole.produce(request(20, "repeat", idempotency_key="k"), answer(21, "completed", of="repeat")).project()
    report = whole.reconcile(repair=True).report
    assert (report.drift, report.not_covered) == (0, 2)
    assert "repeat" not in whole.rows()


def test_parked_events_of_deleted_records_are_kept(shortened: Log) -> None:
    before = shortened.parked()
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.parked() == before
    shortened.produce(request(3, "early"), minute=120).project()
    assert shortened.rows()["early"].result_preview == "too early"
    assert shortened.verify() == {}


def test_unavailable_body_is_resolved_from_a_deleted_record(log: Log) -> None:
    row_id = "f0f0f0f0-0000-4000-8000-00000000000f"
    large = request(0, "large", id=row_id, summary="x" * 2000)
    later = updated({**large, "status": "completed", "request_body": UNAVAILABLE_VALUE}, 100)
    log.produce(large, {"created_at": large["created_at"], **later}).project()
    assert log.statuses() == {"large": "completed"}
    log.shorten({0: 1})
    assert log.rebuild() is None
    assert log.statuses() == {"large": "completed"}
    assert query(log.conn, "SELECT count(*) FROM dead_letters") == [0]


def test_uncovered_rows_are_deleted_only_with_drop_uncovered(shortened: Log) -> None:
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    done = shortened.reconcile(drop_uncovered=True, repair=True)
    assert done.applied == (1, 0, 3)
    assert done.report.not_covered == 0
    assert shortened.statuses() == {"young": "completed"}


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
    assert whole.rebuild(only=["no such delegation"]) is None


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


# --- positions


def test_partition_without_a_position_gets_the_shadows(whole: Log) -> None:
    reached, rows = whole.positions(), whole.rows()
    change(whole, "DELETE FROM positions WHERE partition = 1")
    change(whole, "DELETE FROM delegations WHERE delegation_id IN ('a', 'c')")
    assert whole.verify() == {"missing": 2}
    assert whole.rebuild() == (2, 0, 0)
    assert (whole.positions(), whole.rows()) == (reached, rows)


def test_lost_positions_are_restored(whole: Log) -> None:
    reached, versions = whole.positions(), whole.versions()
    change(whole, "DELETE FROM positions")
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert (whole.positions(), whole.versions()) == (reached, versions)
    whole.project()
    assert whole.verify() == {}


def test_view_is_compared_at_its_positions(whole: Log) -> None:
    whole.produce(answer(30, "completed", of="b"), request(31, "f"))
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert whole.project().verify() == {}


def test_empty_topic_changes_nothing(log: Log) -> None:
    plant(log, "adopted", 0)
    done = log.reconcile(repair=True)
    assert (done.applied, done.report.drift, done.report.not_covered, done.report.empty) == (None, 0, 1, True)
    assert log.rows().keys() == {"adopted"}


def test_topic_without_records_left_is_empty(shortened: Log) -> None:
    rows = shortened.rows()
    shortened.shorten({0: 10})
    done = shortened.reconcile(repair=True)
    assert (done.applied, done.report.drift, done.report.not_covered, done.report.empty) == (None, 0, 4, True)
    assert shortened.rows() == rows


def test_gap_is_found_before_rows_are_copied(shortened: Log) -> None:
    change(shortened, "UPDATE positions SET next_offset = 4 WHERE partition = 0")
    with pytest.raises(LogGap):
        shortened.verify()
    assert query(shortened.conn, "SELECT count(*) FROM projector_shadow.delegations") == [0]


def test_kinds_of_a_report_add_up(whole: Log) -> None:
    change(whole, "DELETE FROM delegations")
    report = whole.reconcile().report
    assert report.kinds == {DriftKind.MISSING: 4}
    assert report.drift == 4


# --- protection against mistakes that look like drift


def test_topic_that_was_never_projected_is_refused(whole: Log, kafka: str, database_url: str) -> None:
    with Log(database_url, kafka, create_topic(kafka)) as other:
        other.produce(request(0, "else"))
        with pytest.raises(Misconfigured, match=r"no record of topic .* but records of .* set PROJECTOR_TOPIC"):
            other.rebuild()


def test_rows_of_another_topic_are_not_unexpected(whole: Log, kafka: str, database_url: str) -> None:
    with Log(database_url, kafka, create_topic(kafka)) as other:
        other.produce(request(0, "else")).project()
        change(whole, "DELETE FROM delegations WHERE delegation_id IN ('a', 'else')")
        assert (whole.rebuild(), other.rebuild()) == ((1, 0, 0), (1, 0, 0))
    assert whole.rows().keys() == {"a", "b", "c", "d", "else"}


def test_many_deletions_need_confirmation(whole: Log) -> None:
    for n in range(11):
        plant(whole, f"planted-{n}", 60)
    with pytest.raises(TooManyDeletions, match=r"11 of 15 rows would be deleted, .* nothing was written.* add --yes"):
        whole.rebuild()
    assert len(whole.rows()) == 15
    assert whole.rebuild(confirmed=True) == (0, 0, 11)


def test_selected_rebuild_leaves_unprojected_partitions_to_members(log: Log) -> None:
    log.produce(request(0, "a"), request(1, "b"))
    assert log.rebuild(only={"a"}) == (1, 0, 0)
    assert log.positions() == {}
    assert log.project().statuses() == {"a": "queued", "b": "queued"}


def test_verify_skips_unprojected_partitions(log: Log) -> None:
    log.produce(request(0, "a"))
    assert log.verify(source=FromTopic(log.topic, ahead=False)) == {}


def test_row_older_than_a_recreated_topic_is_kept(whole: Log) -> None:
    plant(whole, "older", -60)
    change(whole, "UPDATE delegations SET status = 'failed', retry_count = 2 WHERE delegation_id = 'older'")
    whole.produce(request(-60, "older"), answer(20, "completed", of="older"), minute=20).project()
    before = whole.rows()["older"]
    assert whole.rebuild() is None
    assert whole.rows()["older"] == before


def test_record_refused_in_the_shadow_stops_the_rebuild(whole: Log) -> None:
    whole.conn.execute("ALTER TABLE projector_shadow.delegations ADD CHECK (delegation_id <> 'b')")
    with pytest.raises(ProjectorError, match=r"Postgres refused a record in the shadow .*: Postgres refused it"):
        whole.rebuild()
    assert "b" in whole.rows()
