"""`rebuild` from the platform's table repairs a gap in the log; other rebuilds leave it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import wait_until
from kafka import KafkaAdminClient
from projecting import query as query
from reconciling import At, Log, change, request
from reconciling_activity_logs import counts, log_of_table, reconcile, write_both
from rows import answer
from topics import create_topic

from projector.errors import LogGap
from projector.rebuild.from_recordings import FromRecordings
from projector.recordings.file import RecordedRecord, write_recording


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with log_of_table(database_url, kafka, topic) as log:
        yield log


@pytest.fixture
def gap(log: Log) -> Log:
    """A log that lost two records before they were projected, a result and a request. The table has both."""
    write_both(log, answer(10, "completed", of="keyed", text="two"), request(11, "lost"))
    write_both(log, request(12, "next"))
    return log.shorten({0: 9})


def test_gap_is_repaired_from_the_table(gap: Log) -> None:
    with pytest.raises(LogGap, match=r"partition 0 .* offset 7.* 9 to 10: 2 records .*`projector rebuild --from"):
        gap.verify()
    assert reconcile(gap, repair=True).written == (2, 1, 0)
    assert gap.positions()[0] == 9
    gap.project()
    assert counts(reconcile(gap)) == (0, 0, 0)
    assert gap.rows()["keyed"].result_preview == "two"
    assert gap.verify() == {}


def test_gap_without_drift_is_repaired_too(gap: Log) -> None:
    reconcile(gap, repair=True)
    change(gap, "UPDATE positions SET next_offset = 7 WHERE partition = 0")
    assert reconcile(gap, repair=True).written is None
    assert gap.positions()[0] == 9


@pytest.mark.parametrize("options", [{}, {"repair": True, "only": ["keyed"]}])
def test_gap_remains_unless_the_whole_view_is_repaired(gap: Log, options: dict[str, Any]) -> None:
    reconcile(gap, **options)
    assert gap.positions()[0] == 7


def test_gap_remains_after_a_rebuild_from_recordings(gap: Log, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    write_recording(path, [RecordedRecord(gap.name, 0, 8, None, None, json.dumps(request(11, "lost")).encode())])
    assert gap.rebuild(FromRecordings([path], gap.topic)) == (1, 0, 0)
    assert gap.positions()[0] == 7


@pytest.mark.parametrize("partitions", [3, 1])
def test_recreated_topic_is_projected_from_its_beginning(log: Log, kafka: str, partitions: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        log.reconcile(progress=At(interrupt, records=1), batch=1)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics([log.name])
    wait_until(lambda: log.name not in admin.list_topics(), "the topic is deleted")
    admin.close()
    create_topic(kafka, name=log.name, partitions=partitions)
    log.reopen_topic()
    write_both(log, *(request(20 + n, f"new-{n}") for n in range(9)))
    with pytest.raises(LogGap, match=r"created again.*projector rebuild --from activity-logs"):
        log.verify()
    assert reconcile(log, repair=True).written == (9, 0, 0)
    assert log.positions() == dict.fromkeys(range(partitions), 0)
    assert log.project().verify() == {}
    assert query(log.conn, "SELECT count(DISTINCT topic_id) FROM positions") == [1]


def interrupt() -> None:
    raise KeyboardInterrupt
