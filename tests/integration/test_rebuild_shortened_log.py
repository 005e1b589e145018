"""`verify` and `rebuild` from a topic that retention has shortened, row by row as in docs/decisions/0006."""

from collections.abc import Iterator

import pytest
from projecting import query as query
from reconciling import At, Log, change, plant, request
from rows import UNAVAILABLE_VALUE, answer, updated

from projector.errors import LogGap
from projector.kafka import reader
from projector.kafka.reader import TopicReader


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


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
    assert done.written == (1, 0, 0)
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


def test_timestamps_after_the_year_9999_count_as_now(shortened: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TopicReader, "first_timestamps", lambda *_: [10**15])
    plant(shortened, "after its last record", 100_000)
    assert shortened.verify() == {}


def test_row_older_than_the_log_keeps_its_key(shortened: Log) -> None:
    repeated = request(115, "repeat", idempotency_key="k"), answer(116, "completed", of="repeat")
    shortened.produce(*repeated).project()
    assert "repeat" not in shortened.rows()
    assert shortened.verify() == {}
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows().keys() == {"moving", "done", "holder", "young"}


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
    assert done.written == (1, 0, 3)
    assert done.report.not_covered == 0
    assert shortened.statuses() == {"young": "completed"}


def test_topic_without_records_left_is_empty(shortened: Log) -> None:
    rows = shortened.rows()
    shortened.shorten({0: 10})
    done = shortened.reconcile(repair=True)
    assert (done.written, done.report.drift, done.report.not_covered, done.report.totals.is_empty) == (None, 0, 4, True)
    assert shortened.rows() == rows


def test_gap_is_found_before_rows_are_copied(shortened: Log) -> None:
    change(shortened, "UPDATE positions SET next_offset = 4 WHERE partition = 0")
    with pytest.raises(LogGap):
        shortened.verify()
    assert query(shortened.conn, "SELECT count(*) FROM projector_shadow.delegations") == [0]
