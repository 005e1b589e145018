"""The projector and the independent oracle read odd records alike: neither may guess what the contract leaves open.

`--long` plays 100,000 records, and `make faults` uses it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple

import pytest
from builders import InMemoryView, log, split
from odd_records import OddRecords
from rows import delegate, heartbeat

from projector.domain import fold
from projector.recordings.file import RecordedRecord
from testbed.oracle import Oracle
from testbed.oracle.rows import preview
from testbed.workload import Mix, records, with_offsets
from testbed.workload.malformed import malformed_values

NO_ISO_TIMES = ["2025-05-05T10:00:005Z", "2025-05-05T10:00:00.Z", "2025-05-05T10:00:00+01:60", "20250505T10111Z"]
"""Texts that `datetime.fromisoformat` accepts, and that ISO 8601 does not have; no odd record has one."""
KINDS = {"Reported": "status", "Verdict": "verdict", "Heartbeat": "heartbeat"}


def agree(records: Iterable[RecordedRecord]) -> Oracle:
    """Each record has the same outcome in both; returns the oracle."""
    oracle, view = Oracle(), fold.WorkingSet()
    large_rows: dict[str, str] = {}
    for record in records:
        batch = fold.resolve_unavailable(fold.translate_batch([record]), large_rows)
        outcomes = [str(view.apply(*said)) for said in batch.records] + [str(outcome) for outcome in batch.outcomes]
        assert (outcomes or ["dead_letter"]) == [oracle.apply(record)], (record.value or b"")[:2000]
    return oracle


def tables_agree(oracle: Oracle, view: InMemoryView) -> None:
    expected = oracle.expected()
    assert sorted(map(tuple, view.rows.values())) == sorted(map(astuple, expected.rows.values()))
    assert parked_by_projector(view.parked.values()) == parked_by_oracle(oracle)
    assert {tuple(each) for each in view.repeated.values()} == {tuple(each) for each in expected.repeated.values()}
    assert view.large_rows == expected.large_rows
    dead_letters = sorted((each.record.partition, each.record.offset) for each in view.dead_letters)
    assert dead_letters == sorted((letter.partition, letter.offset) for letter in expected.dead_letters)


def parked_by_projector(events: Iterable[fold.Parked]) -> list[tuple[str, ...]]:
    """The parked events in the form of `parked_by_oracle`."""
    columns = ("delegation_id", "at", "status", "silent_since", "result_preview", "error_detail")
    return sorted(
        (
            *(each.topic, str(each.partition), str(each.offset), KINDS[type(each.event).__name__]),
            *(str(getattr(each.event, column, None)) for column in columns),
        )
        for each in events
    )


def parked_by_oracle(oracle: Oracle) -> list[tuple[str, ...]]:
    return sorted(
        (
            *(topic, str(partition), str(offset), event.kind, event.delegation_id, str(event.at), str(event.status)),
            *(str(event.silent_since), str(preview(event.text)), str(preview(event.error))),
        )
        for topic, partition, offset, event in oracle.expected().parked_events
    )


def project(view: InMemoryView, records: Sequence[RecordedRecord]) -> None:
    for batch in split(records, range(0, len(records), 77 + len(records) // 8)):
        view.project(batch)


@pytest.mark.parametrize("odd_share", [0.0, 0.3, 1.0])
def test_odd_records_are_read_alike_twice(odd_share: float, pytestconfig: pytest.Config) -> None:
    count = 33_400 if pytestconfig.option.long else 3_000
    records, view = list(OddRecords(seed=2, odd_share=odd_share).log(count)), InMemoryView()
    oracle = agree(records)
    project(view, records)
    tables_agree(oracle, view)
    for record in records:
        oracle.apply(record)
    project(view, records)
    tables_agree(oracle, view)


@pytest.mark.parametrize("time", NO_ISO_TIMES)
def test_text_that_is_no_iso_8601_time_is_read_alike(time: str) -> None:
    assert agree(log(heartbeat(0) | {"created_at": time})).outcomes == {"dead_letter": 1}


def test_request_with_the_key_of_another_row_is_read_alike() -> None:
    """It is a duplicate as a whole, even if its delegation has a row through another request."""
    requests = [("d-1", "k", "pending"), ("d-2", "k-2", "pending"), ("d-2", "k", "failed")]
    rows = [
        delegate(0, status, request_body={"delegation_id": delegation_id}, idempotency_key=key)
        for delegation_id, key, status in requests
    ]
    assert agree(log(*rows)).outcomes == {"inserted": 2, "duplicate": 1}


def test_malformed_values_are_read_alike() -> None:
    values = enumerate(malformed_values(seed=2, count=3000))
    agree(RecordedRecord("activity-log", 0, offset, None, None, value) for offset, value in values)


def test_whole_workload_is_read_alike() -> None:
    workload = with_offsets(records(Mix(delegations=500, seed=11, live=50, malformed_share=0.05)))
    agree(RecordedRecord(*record) for record in workload)
