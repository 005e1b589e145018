"""`verify` and `rebuild` from recordings, and `verify` of a sample."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from reconciling import At, Log, asked, change, plant
from rows import answer, beat

from projector.domain.positions import LogRange
from projector.rebuild import candidates
from projector.rebuild.drift import Classification
from projector.rebuild.from_recordings import FromRecordings
from projector.recordings.file import RecordedRecord, write_recording


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        log.say(asked(0, "a"), asked(1, "b"), beat(2, of="b"), answer(3, "completed", of="a"), asked(4, "c"))
        yield log.say(answer(5, "failed", of="b", error="no"), asked(6, "d")).projected()


def recorded(log: Log, path: Path, first: int = 0, end: int = 7) -> FromRecordings:
    """These records of the log, as `record` writes them."""
    lines = [
        RecordedRecord(log.name, 0, record.offset, record.timestamp, record.key, record.value)
        for polled in log.topic.read({0: LogRange(first, end)})
        for part in polled
        for record in part.records
    ]
    assert write_recording(path, lines) == end - first
    return FromRecordings([path], log.topic)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_view_equals_a_recording_of_all(log: Log, tmp_path: Path, suffix: str) -> None:
    versions, reached = log.versions(), log.positions()
    done = log.reconcile(recorded(log, tmp_path / f"all.{suffix}"), repair=True)
    assert (done.report.records, done.report.verdicts, done.applied) == (7, {}, None)
    assert (log.versions(), log.positions()) == (versions, reached)
    assert log.shadow_is_empty()


def test_drift_is_mended_step_by_step(log: Log, tmp_path: Path) -> None:
    rows = log.rows()
    change(log, "UPDATE delegations SET last_heartbeat = NULL, error_detail = NULL WHERE delegation_id = 'b'")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'd'")
    done = log.reconcile(recorded(log, tmp_path / "all.jsonl"), repair=True)
    assert (done.applied, done.report.columns) == ((1, 1, 0), {"last_heartbeat": 1, "error_detail": 1})
    assert log.rows() == rows
    assert log.projected().verify() == {}


def test_rows_that_went_on_after_a_recording_are_ahead_and_others_are_not_covered(log: Log, tmp_path: Path) -> None:
    plant(log, "planted", 2)
    versions = log.versions()
    done = log.reconcile(recorded(log, tmp_path / "some.jsonl", end=5), repair=True)
    assert done.applied is None
    assert (done.report.verdicts, done.report.not_covered) == ({Classification.AHEAD: 1}, 2)  # b; d and planted
    assert log.versions() == versions


def test_recording_that_begins_late_knows_nothing_of_what_was_asked_before(log: Log, tmp_path: Path) -> None:
    versions = log.versions()
    done = log.reconcile(recorded(log, tmp_path / "late.jsonl", first=3), repair=True)
    assert done.report.not_covered == 2  # a and b
    assert log.versions() == versions


def test_members_go_on_where_the_recording_ends(log: Log, tmp_path: Path) -> None:
    log.say(asked(30, "e"), answer(40, "completed", of="d")).projected()
    change(log, "DELETE FROM delegations WHERE delegation_id = 'c'")
    assert log.rebuild(recorded(log, tmp_path / "some.jsonl")) == (1, 0, 0)
    assert log.positions()[0] == 1  # five minutes before the recording's last change
    assert log.projected().verify() == {}


def test_interrupted_fold_goes_on_in_the_middle_unless_the_file_is_another(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    for again, folded in ((False, 3), (True, 7)):
        with pytest.raises(KeyboardInterrupt):
            log.reconcile(recorded(log, path), progress=At(interrupt, records=4), batch=1)
        source = recorded(log, path) if again else FromRecordings([path], log.topic)
        report = log.reconcile(source).report
        assert (report.records, report.drift, report.not_covered) == (folded, 0, 0)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_file_that_is_named_twice_is_read_once_and_two_are_one_log(log: Log, tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl.gz"
    recorded(log, one, end=3)
    recorded(log, two, first=3)
    done = log.reconcile(FromRecordings([one, two, one], log.topic))
    assert (done.report.records, done.report.verdicts) == (7, {})
    with gzip.open(two) as lines:
        assert len(lines.readlines()) == 4


def test_empty_recording_says_so(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    report = log.reconcile(FromRecordings([path], None)).report
    assert (report.empty, report.drift, report.not_covered) == (True, 0, 4)


def test_export_of_the_platforms_table_tells_no_steps_and_mends_a_gap(log: Log, tmp_path: Path) -> None:
    rows = [asked(0, "a", status="completed"), asked(1, "b", status="failed", error_detail="no"), asked(6, "d")]
    path = tmp_path / "export.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, asked(4, "c"), asked(7, "lost")]))
    log.say(asked(7, "lost"), asked(8, "next")).shorten({0: 8})
    assert log.rebuild(FromRecordings([path], log.topic)) == (1, 0, 0)
    assert log.positions()[0] == 8
    assert log.projected().verify() == {}


# --- a sample


@pytest.fixture
def many(log: Log) -> Log:
    """Half of a hundred requests lose their idempotency key to another one, and all of them are answered."""
    for n in range(100):
        key = {"idempotency_key": f"k-{n // 2}"} if n % 4 < 2 else {}
        log.say(asked(10, f"s-{n:02}", **key), answer(11, "completed", of=f"s-{n:02}"))
    return log.projected()


def test_sample_finds_no_drift_where_there_is_none(many: Log) -> None:
    assert len(many.parked()) == 25
    for size in (1, 10, 25, 40, 1000):
        report = many.reconcile(sample=size).report
        assert report.verdicts == {}
    assert many.shadow_is_empty()


def test_sample_is_not_widened_by_what_comes_meanwhile(many: Log) -> None:
    repeats = [asked(20, f"s-{n:02}", idempotency_key=f"k-{n // 2}") for n in range(100)]
    report = many.reconcile(sample=20, progress=At(lambda: many.say(*repeats).projected(), "looking again")).report
    assert report.verdicts == {}


def test_sample_finds_drift_within_it_alone(many: Log) -> None:
    change(many, "UPDATE delegations SET task_preview = 'edited'")
    sample = [each for each in many.rows() if candidates.sampled(each, len(many.rows()) // 20)]
    assert 10 <= len(sample) <= 40
    report = many.reconcile(sample=20).report
    assert report.drift == len(sample)
    assert {each.delegation_id for each in report.examples} <= set(sample)
