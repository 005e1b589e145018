"""`verify` and `rebuild` of several partitions: the order of their timestamps decides, also after an interruption."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from reconciling import At, Log, request
from rows import Columns, answer

from projector.domain.fold import Entry
from projector.domain.positions import Polled
from projector.postgres.connection import Connection
from projector.projection.transaction import PendingBatch
from projector.rebuild import source

RECORDS: list[tuple[int, Columns]] = [
    (0, request(0, "a")),
    (2, answer(1, "failed", of="a", error="first")),
    (0, answer(2, "completed", of="a", text="second")),
    (1, request(3, "b", idempotency_key="k")),
    (0, request(4, "c", idempotency_key="k")),
    (2, answer(5, "completed", of="b", text="b")),
]
"""Partition and row, in the order in which they were projected. Another order makes other rows."""


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        for partition, row in RECORDS:
            log.produce(row, partition=partition).project()
        yield log


def test_partitions_are_folded_in_the_order_of_their_timestamps(log: Log) -> None:
    assert log.statuses() == {"a": "failed", "b": "completed"}
    assert log.reconcile(batch=2).report.classified == {}
    assert log.rebuild() is None


def test_many_polls_are_folded_in_one_batch(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(20):
        log.produce(request(10 + n, f"d-{n}"), answer(11 + n, "completed", of=f"d-{n}"), partition=n % 3)
    log.project()
    polls: list[list[Polled]] = []
    sizes: list[int] = []
    monkeypatch.setattr(log.topic, "_partition_bytes", 1)  # the broker returns one batch of the producer
    poll = log.topic._poll

    def counted(*arguments: Any) -> list[Polled]:
        polls.append(poll(*arguments))
        return polls[-1]

    monkeypatch.setattr(log.topic, "_poll", counted)

    class Counted(PendingBatch):
        def __init__(self, conn: Connection, entries: Sequence[Entry], *others: Any, **named: Any) -> None:
            sizes.append(len(entries))
            super().__init__(conn, entries, *others, **named)

    monkeypatch.setattr(source, "PendingBatch", Counted)
    assert log.verify() == {}
    assert len(polls) > 5
    assert sizes == [46]


@pytest.mark.parametrize("records", range(1, len(RECORDS)))
def test_resumed_fold_continues_the_same_order(log: Log, records: int) -> None:
    class Stopped(Exception):
        """Stands for a signal."""

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        log.reconcile(progress=At(stop, records=records), batch=1)
    report = log.reconcile().report
    assert report.totals.records < len(RECORDS)
    assert report.classified == {}
