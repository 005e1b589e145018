"""`verify` and `rebuild` from a compacted topic: what its holes may concern is not covered, and stays as it is."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from compaction import compact
from kafka import KafkaProducer
from projecting import query as query
from reconciling import At, Log, change, plant, request
from rows import Columns, answer, at, heartbeat
from topics import create_topic

from projector.domain.lifecycle import Delegation

LEFT = [1, 2, 4, 6, 8, 9]
"""The offsets that compaction leaves."""


@pytest.fixture
def log(database_url: str, kafka: str) -> Iterator[Log]:
    with Log(database_url, kafka, create_topic(kafka, config={"segment.ms": "1000"})) as log:
        yield log


def produce(log: Log, *records: tuple[str, Columns], partition: int = 0) -> None:
    """Produce records with keys, one per batch."""
    with closing(KafkaProducer(bootstrap_servers=log.kafka)) as producer:
        for key, row in records:
            ms = int(datetime.fromisoformat(row["created_at"]).timestamp() * 1000)
            value = json.dumps(row).encode()
            producer.send(log.name, value, key=key.encode(), partition=partition, timestamp_ms=ms).get()


@pytest.fixture
def compacted(log: Log) -> Log:
    """A projected log that lost the offsets 0, 3, 5 and 7 by compaction.

    Lost are the request of `gone`, the result of `done`, the heartbeat of `alive` and the parked result of `early`.
    """
    unrelated = {"activity_type": "agent_log", "created_at": at(10)}
    produce(
        log,
        ("gone", request(0, "gone")),
        ("gone", answer(1, "completed", of="gone", text="kept")),
        ("done", request(2, "done")),
        ("other", answer(3, "completed", of="done", text="kept")),
        ("alive", request(4, "alive")),
        ("other", heartbeat(5, of="alive")),
        ("other", unrelated),
        ("early", answer(7, "completed", of="early")),
        ("early", {**unrelated, "created_at": at(8)}),
        ("young", request(100, "young")),
    )
    produce(log, ("elsewhere", request(1, "elsewhere")), partition=1)
    log.project()
    compact(log.kafka, log.name, 0, LEFT)
    return log


def state(log: Log) -> tuple[dict[str, Delegation], list[Any], dict[str, str]]:
    return log.rows(), log.parked(), log.versions()


def test_holes_delete_and_revert_nothing(compacted: Log, caplog: pytest.LogCaptureFixture) -> None:
    before = state(compacted)
    assert set(compacted.statuses().values()) == {"completed", "queued"}
    with caplog.at_level(logging.WARNING):
        report = compacted.reconcile().report
    assert (report.drift, report.not_covered) == (0, 3)
    (line,) = [line for line in caplog.records if line.message.startswith("records are missing")]
    fields = vars(line)
    assert {name: fields[name] for name in ("topic", "partition", "offsets", "records")} == {
        "topic": compacted.name,
        "partition": 0,
        "offsets": "0 to 0",
        "records": 1,
    }
    assert compacted.rebuild() is None
    assert state(compacted) == before


def test_row_only_in_the_view_is_never_deleted_for_a_log_with_holes(compacted: Log) -> None:
    plant(compacted, "older", 50)
    plant(compacted, "younger", 150)
    assert compacted.rebuild() is None
    assert {"older", "younger"} <= compacted.rows().keys()


def test_rows_after_the_last_hole_are_compared_and_repaired(compacted: Log) -> None:
    produce(compacted, ("later", request(200, "later")), ("latest", request(201, "latest")))
    rows = compacted.project().rows()
    change(compacted, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id = 'later'")
    change(compacted, "DELETE FROM delegations WHERE delegation_id = 'latest'")
    assert compacted.verify() == {"differs": 1, "missing": 1}
    assert compacted.rebuild() == (1, 1, 0)
    assert compacted.rows() == rows


def test_row_with_a_time_in_the_future_is_kept(compacted: Log) -> None:
    change(
        compacted,
        "UPDATE delegations SET created_at = '9999-01-01', updated_at = '9999-01-01' WHERE delegation_id = 'done'",
    )
    before = state(compacted)
    assert compacted.rebuild() is None
    assert state(compacted) == before


def test_resumed_rebuild_knows_the_holes_of_the_interrupted_one(compacted: Log) -> None:
    class Stopped(Exception):
        """Stands for a signal."""

    def stop() -> None:
        raise Stopped

    before = state(compacted)
    with pytest.raises(Stopped):
        compacted.reconcile(repair=True, progress=At(stop, records=6), batch=1)
    done = compacted.reconcile(repair=True)
    assert done.report.totals.records < len(LEFT)
    assert (done.written, done.report.drift, done.report.not_covered) == (None, 0, 3)
    assert state(compacted) == before


def test_first_hole_in_the_last_records_counts_too(log: Log) -> None:
    """They are folded while the members wait, after the coverage of the other records is known."""
    produce(log, ("early", request(0, "early")))
    log.project()

    def lose() -> None:
        late = request(200, "late"), answer(201, "completed", of="late", text="kept")
        produce(log, *(("late", row) for row in late), ("end", request(300, "end")))
        log.project()
        compact(log.kafka, log.name, 0, [0, 2, 3])

    done = log.reconcile(repair=True, progress=At(lose, "comparing"))
    assert (done.written, done.report.drift, done.report.not_covered) == (None, 0, 1)
    assert log.rows()["late"].result_preview == "kept"


def test_uncovered_rows_are_written_only_with_drop_uncovered(compacted: Log) -> None:
    done = compacted.reconcile(repair=True, drop_uncovered=True)
    assert done.written == (0, 2, 1)
    assert "gone" not in compacted.rows()
