"""What the order between partitions may have decided is reported, and neither drift nor written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projecting import query
from reconciling import At, Log, change, request
from rows import answer, heartbeat, verdict

from projector.contract.envelope import Record
from projector.domain.positions import LogRange
from projector.postgres.connection import Connection
from projector.rebuild.drift import Classification
from projector.rebuild.from_recordings import FromRecordings
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.report import DriftReport
from projector.recordings.file import RecordedRecord, write_recording

NOT_TOLD = Classification.ORDER_NOT_TOLD


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


def two_ends(log: Log) -> Log:
    """The view ends as completed. A source that is read by partition, or by time, ends it as failed."""
    log.produce(request(0, "a"), request(1, "b")).project()
    log.produce(answer(9, "completed", of="a", text="done"), partition=1).project()
    return log.produce(answer(5, "failed", of="a", error="late")).project()


def two_holders(log: Log) -> Log:
    """In the view `late` holds the key, and an event is parked for `early`. In the source it is the other way."""
    log.produce(request(8, "late", idempotency_key="k"), answer(9, "completed", of="late"), partition=1).project()
    return log.produce(request(0, "early", idempotency_key="k"), answer(5, "failed", of="early")).project()


def meanings(report: DriftReport) -> dict[Classification, int]:
    return {meaning: count for meaning, count in report.classified.items() if count}


def nothing_is_written(log: Log, count: int) -> None:
    versions, parked = log.versions(), log.parked()
    assert meanings(log.reconcile().report) == {NOT_TOLD: count}
    done = log.reconcile(repair=True)
    assert (done.written, meanings(done.report)) == (None, {NOT_TOLD: count})
    assert (log.versions(), log.parked()) == (versions, parked)


def test_first_of_two_ends_stands(log: Log) -> None:
    nothing_is_written(two_ends(log), 1)
    assert log.statuses()["a"] == "completed"


def test_holder_of_a_repeated_key_stands(log: Log) -> None:
    nothing_is_written(two_holders(log), 2)
    assert log.statuses() == {"late": "completed"}
    assert query(log.conn, "SELECT delegation_id, holder_id FROM repeated_requests") == [("early", "late")]


@pytest.mark.parametrize(("status", "silent"), [("stuck", 0), ("failed", 0), ("failed", None)])
def test_verdict_beside_a_sign_of_life_stands(log: Log, status: str, silent: int | None) -> None:
    log.produce(request(0, "a")).project()
    log.produce(verdict(9, status, of="a", silent=silent), partition=1).project()
    log.produce(heartbeat(5, of="a")).project()
    assert log.statuses() == {"a": status}
    nothing_is_written(log, 1)


def test_examples_show_what_the_order_decided(log: Log) -> None:
    (example,) = two_ends(log).reconcile().report.examples
    assert (example.delegation_id, example.meaning) == ("a", NOT_TOLD)
    assert example.columns["status"] == ("completed", "failed")


def test_other_columns_are_drift_and_repaired_alone(log: Log) -> None:
    rows = two_ends(log).rows()
    change(log, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id = 'a'")
    report = log.reconcile().report
    assert (meanings(report), report.columns) == ({NOT_TOLD: 1, Classification.DRIFT: 1}, {"task_preview": 1})
    assert log.rebuild() == (0, 1, 0)
    assert log.rows() == rows


@pytest.mark.parametrize("partition", [0, 1])
def test_one_end_decides_nothing_in_any_partition(log: Log, partition: int) -> None:
    log.produce(request(0, "a")).project().produce(answer(5, "failed", of="a"), partition=partition).project()
    change(log, "UPDATE delegations SET status = 'completed'")
    assert meanings(log.reconcile().report) == {Classification.DRIFT: 1}


def test_two_ends_in_one_partition_are_told(log: Log) -> None:
    log.produce(request(0, "a"), answer(5, "failed", of="a"), answer(6, "completed", of="a")).project()
    change(log, "UPDATE delegations SET status = 'completed'")
    assert meanings(log.reconcile().report) == {Classification.DRIFT: 1}
    assert log.rebuild() == (0, 1, 0)


def test_planted_row_with_a_key_is_drift(log: Log) -> None:
    """Nobody asked for it, so the order decided nothing; and one of those that asked must have the key."""
    two_holders(log)
    change(log, "UPDATE delegations SET delegation_id = 'planted'")
    assert log.verify() == {"unexpected": 1, "missing": 1, "parked": 1}
    assert log.rebuild() == (1, 0, 1)
    assert log.statuses() == {"early": "failed"}
    assert log.verify() == {}


class Counting(FromTopic):
    """Counts how often the source is read for the order."""

    reads = 0

    def read_again(self, view: Connection) -> Iterator[Record]:
        self.reads += 1
        return super().read_again(view)


def test_source_is_read_once_more_only_if_order_may_explain(log: Log) -> None:
    log.produce(request(0, "a"), request(1, "b")).project()
    change(log, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id = 'a'")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    source = Counting(log.topic)
    assert log.reconcile(source).report.drift == 2
    assert source.reads == 0
    change(log, "UPDATE delegations SET status = 'failed' WHERE delegation_id = 'a'")
    assert log.reconcile(source).report.drift == 2
    assert source.reads == 1


def test_records_that_arrive_late_are_included(log: Log) -> None:
    log.produce(request(0, "a")).project()
    progress = At(lambda: two_ends(log), "checking again")
    assert meanings(log.reconcile(progress=progress).report) == {NOT_TOLD: 1}


def test_records_that_arrive_after_the_second_read_are_included(log: Log) -> None:
    log.produce(request(0, "a"), request(1, "b"), answer(2, "failed", of="b")).project()
    change(log, "UPDATE delegations SET status = 'completed' WHERE delegation_id = 'b'")

    class Late(FromTopic):
        def read_again(self, view: Connection) -> Iterator[Record]:
            yield from super().read_again(view)
            if log.statuses()["a"] == "queued":
                log.produce(answer(9, "completed", of="b"), partition=1).project()
                two_ends(log)

    assert meanings(log.reconcile(Late(log.topic)).report) == {NOT_TOLD: 2}


def test_events_of_a_rival_count_wherever_its_request_is(log: Log) -> None:
    """`b` asked with the key of `a`, so its end belongs to the group, although its request came last."""
    log.produce(answer(3, "completed", of="b"), partition=1).project()
    log.produce(request(0, "a", idempotency_key="k"), answer(1, "failed", of="a")).project()
    log.produce(request(4, "b", idempotency_key="k"), partition=2).project()
    change(log, "UPDATE delegations SET error_detail = 'edited' WHERE delegation_id = 'a'")
    assert meanings(log.reconcile().report) == {NOT_TOLD: 1}


def test_recording_of_several_partitions_has_the_same_rule(log: Log, tmp_path: Path) -> None:
    two_ends(log).produce(request(20, "later")).project()
    recording = FromRecordings([recorded(log, tmp_path / "all.jsonl")], log.topic)
    assert meanings(log.reconcile(recording).report) == {NOT_TOLD: 1}


def recorded(log: Log, path: Path) -> Path:
    """A recording that has partition 0 before partition 1."""
    lines = [
        RecordedRecord(log.name, partition, each.offset, each.timestamp, each.key, each.value)
        for partition in (0, 1)
        for polled in log.topic.read({partition: LogRange(0, log.positions()[partition])})
        for part in polled
        for each in part.records
    ]
    write_recording(path, lines)
    return path


def test_export_has_one_order(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    rows: list[Any] = [request(0, "a"), answer(1, "failed", of="a")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log.produce(request(0, "a"), answer(1, "failed", of="a"), answer(2, "stuck", of="a"), partition=1).project()
    change(log, "UPDATE delegations SET status = 'queued'")
    assert meanings(log.reconcile(FromRecordings([path], None)).report) == {Classification.DRIFT: 1}
