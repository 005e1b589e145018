"""Odd records in Postgres: two passes in batches of any size give what the oracle gives, in every table.

`tests/unit/test_two_readings.py` compares the same records without a database.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from operator import attrgetter
from typing import LiteralString

import pytest
from odd_records import OddRecords
from projecting import connected, dead_letters, query, view_rows

from projector.postgres.connection import Connection
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from testbed.oracle import Expected, Oracle
from testbed.oracle.rows import preview

BATCHES = [1, 2, 7, 50, 300, 1000]
REPEATED: LiteralString = """
    SELECT delegation_id, holder_id, topic, partition, "offset", requested_at FROM repeated_requests
"""
PARKED: LiteralString = """
    SELECT topic, partition, "offset", delegation_id, kind, status, at, silent_since, result_preview, error_detail
      FROM parked
"""


def both(conn: Connection, oracle: Oracle, records: Sequence[RecordedRecord], rng: random.Random) -> None:
    """Project the records, in batches of random sizes; each batch has the outcomes that the oracle gives."""
    start = 0
    while start < len(records):
        batch = records[start : start + rng.choice(BATCHES)]
        assert +project(conn, batch) == Counter(map(oracle.apply, batch))
        start += len(batch)


def parked_events(expected: Expected) -> set[tuple[object, ...]]:
    columns = attrgetter("delegation_id", "kind", "status", "at", "silent_since")
    return {
        (*each[:3], *columns(each.event), preview(each.event.text), preview(each.event.error))
        for each in expected.parked_events
    }


def tables_agree(conn: Connection, expected: Expected, records: Sequence[RecordedRecord]) -> None:
    assert view_rows(conn) == sorted(map(astuple, expected.rows.values()))
    assert set(query(conn, PARKED)) == parked_events(expected)
    assert dict(query(conn, "SELECT row_id::text, delegation_id FROM large_rows")) == expected.large_rows
    assert set(query(conn, REPEATED)) == {tuple(each) for each in expected.repeated.values()}
    unreadable = {letter.offset for letter in expected.dead_letters}
    assert dead_letters(conn) == [(*each[:3], each.key, each.value) for each in records if each.offset in unreadable]


@pytest.mark.parametrize("odd_share", [0.0, 0.5])
def test_odd_records_end_alike_in_batches_of_any_size_twice(
    database_url: str, odd_share: float, pytestconfig: pytest.Config
) -> None:
    records = list(OddRecords(seed=3, odd_share=odd_share).log(10_000 if pytestconfig.option.long else 2_000))
    rng, oracle = random.Random(3), Oracle()
    with connected(database_url) as conn:
        for _ in range(2):
            both(conn, oracle, records, rng)
            tables_agree(conn, oracle.expected(), records)


def test_stretches_that_a_connector_repeats_end_alike(database_url: str) -> None:
    records, rng, oracle = list(OddRecords(seed=4, odd_share=0.3).log(1_500)), random.Random(4), Oracle()
    with connected(database_url) as conn:
        for end in range(30, len(records) + 1, 30):
            both(conn, oracle, records[max(0, end - rng.choice([30, 60, 200])) : end], rng)
        tables_agree(conn, oracle.expected(), records)
