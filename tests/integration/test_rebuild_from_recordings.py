"""`verify` and `rebuild` from recordings, and `verify` of a sample."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from reconciling import At, Log, change, plant, request
from rows import UNAVAILABLE_VALUE, answer, heartbeat, updated

from projector.contract.envelope import Record
from projector.domain.fold import Entry, translate_each
from projector.domain.positions import LogRange
from projector.projection import gathering
from projector.rebuild import candidates, source
from projector.rebuild.drift import Classification
from projector.rebuild.from_recordings import FromRecordings
from projector.recordings.file import RecordedRecord, write_recording


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        log.produce(
            request(0, "a"), request(1, "b"), heartbeat(2, of="b"), answer(3, "completed", of="a"), request(4, "c")
        )
        yield log.produce(answer(5, "failed", of="b", error="no"), request(6, "d")).project()


def recorded(log: Log, path: Path, first: int = 0, end: int = 7) -> FromRecordings:
    """A recording of the log from `first` up to `end`, as `projector record` writes it."""
    lines = [
        RecordedRecord(log.name, 0, record.offset, record.timestamp, record.key, record.value)
        for polled in log.topic.read({0: LogRange(first, end)})
        for part in polled
        for record in part.records
    ]
    assert write_recording(path, lines) == end - first
    return FromRecordings([path], log.topic)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_view_equals_a_recording_of_the_whole_log(log: Log, tmp_path: Path, suffix: str) -> None:
    versions, reached = log.versions(), log.positions()
    done = log.reconcile(recorded(log, tmp_path / f"all.{suffix}"), repair=True)
    assert (done.report.totals.records, done.report.classified, done.written) == (7, {}, None)
    assert (log.versions(), log.positions()) == (versions, reached)
    assert log.shadow_is_empty()


def test_drift_is_repaired_from_a_recording(log: Log, tmp_path: Path) -> None:
    rows = log.rows()
    change(log, "UPDATE delegations SET last_heartbeat = NULL, error_detail = NULL WHERE delegation_id = 'b'")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'd'")
    done = log.reconcile(recorded(log, tmp_path / "all.jsonl"), repair=True)
    assert (done.written, done.report.columns) == ((1, 1, 0), {"last_heartbeat": 1, "error_detail": 1})
    assert log.rows() == rows
    assert log.project().verify() == {}


def test_rows_beyond_a_recording_are_ahead_or_not_covered(log: Log, tmp_path: Path) -> None:
    plant(log, "planted", 2)
    versions = log.versions()
    done = log.reconcile(recorded(log, tmp_path / "some.jsonl", end=5), repair=True)
    assert done.written is None
    assert (done.report.classified, done.report.not_covered) == ({Classification.AHEAD: 1}, 2)  # b; d and planted
    assert log.versions() == versions


def test_requests_before_a_recording_are_not_covered(log: Log, tmp_path: Path) -> None:
    versions = log.versions()
    done = log.reconcile(recorded(log, tmp_path / "late.jsonl", first=3), repair=True)
    assert done.report.not_covered == 2  # a and b
    assert log.versions() == versions


def test_members_continue_where_the_recording_ends(log: Log, tmp_path: Path) -> None:
    log.produce(request(30, "e"), answer(40, "completed", of="d")).project()
    change(log, "DELETE FROM delegations WHERE delegation_id = 'c'")
    assert log.rebuild(recorded(log, tmp_path / "some.jsonl")) == (1, 0, 0)
    assert log.positions()[0] == 1  # five minutes before the recording's last change
    assert log.project().verify() == {}


def test_interrupted_fold_resumes_unless_the_file_was_replaced(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    for replaced, folded in ((False, 3), (True, 7)):
        with pytest.raises(KeyboardInterrupt):
            log.reconcile(recorded(log, path), progress=At(interrupt, records=4), batch=1)
        recording = recorded(log, path) if replaced else FromRecordings([path], log.topic)
        report = log.reconcile(recording).report
        assert (report.totals.records, report.drift, report.not_covered) == (folded, 0, 0)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_file_named_twice_is_read_once(log: Log, tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl.gz"
    recorded(log, one, end=3)
    recorded(log, two, first=3)
    done = log.reconcile(FromRecordings([one, two, one], log.topic))
    assert (done.report.totals.records, done.report.classified) == (7, {})
    with gzip.open(two) as lines:
        assert len(lines.readlines()) == 4


def test_empty_recording_is_reported(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    report = log.reconcile(FromRecordings([path], None)).report
    assert (report.totals.is_empty, report.drift, report.not_covered) == (True, 0, 4)


def test_export_of_activity_logs_repairs_a_gap(log: Log, tmp_path: Path) -> None:
    rows = [
        request(0, "a", status="completed"),
        request(1, "b", status="failed", error_detail="no"),
        request(6, "d"),
    ]
    path = tmp_path / "export.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, request(4, "c"), request(7, "lost")]))
    log.produce(request(7, "lost"), request(8, "next")).shorten({0: 8})
    assert log.rebuild(FromRecordings([path], log.topic)) == (1, 0, 0)
    assert log.positions()[0] == 8
    assert log.project().verify() == {}


# --- a sample


@pytest.fixture
def many(log: Log) -> Log:
    """A hundred delegations with results; every fourth request asks for a key that another one has."""
    for n in range(100):
        key = {"idempotency_key": f"k-{n // 2}"} if n % 4 < 2 else {}
        log.produce(request(10, f"s-{n:02}", **key), answer(11, "completed", of=f"s-{n:02}"))
    return log.project()


def test_sample_of_an_equal_view_has_no_drift(many: Log) -> None:
    assert len(many.parked()) == 25
    for size in (1, 10, 25, 40, 1000):
        report = many.reconcile(sample=size).report
        assert report.classified == {}
    assert many.shadow_is_empty()


def test_omitted_body_outside_of_the_sample_is_readable(log: Log) -> None:
    for n in range(20):
        large = request(10, f"s-{n:02}", id=f"e0000000-0000-4000-8000-{n:012}", error_detail="x" * 2000)
        log.produce(large, updated(large | {"status": "completed", "request_body": UNAVAILABLE_VALUE}, 11))
    report = log.project().reconcile(sample=2).report
    assert (report.totals.unreadable, report.classified) == (0, {})


def test_later_records_do_not_widen_the_sample(many: Log) -> None:
    repeated = [request(20, f"s-{n:02}", idempotency_key=f"k-{n // 2}") for n in range(100)]
    report = many.reconcile(sample=20, progress=At(lambda: many.produce(*repeated).project(), "checking again")).report
    assert report.classified == {}


def test_sample_translates_each_record_once(many: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    translated: list[int] = []

    def counted(records: Sequence[Record]) -> list[Entry]:
        translated.append(len(records))
        return translate_each(records)

    for owner in (source, gathering):
        monkeypatch.setattr(owner, "translate_each", counted)
    tail = [answer(20, "completed", of=f"s-{n:02}") for n in range(100)]
    report = many.reconcile(sample=20, progress=At(lambda: many.produce(*tail).project(), "checking again")).report
    assert sum(translated) == report.totals.records == 307


def test_sample_finds_its_own_drift_alone(many: Log) -> None:
    change(many, "UPDATE delegations SET task_preview = 'edited'")
    sample = [each for each in many.rows() if candidates.in_sample(each, len(many.rows()) // 20)]
    assert 10 <= len(sample) <= 40
    report = many.reconcile(sample=20).report
    assert report.drift == len(sample)
    assert {each.delegation_id for each in report.examples} <= set(sample)
