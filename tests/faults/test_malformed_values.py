"""Hostile values among those of a platform: each is kept byte for byte, and no other delegation changes."""

import itertools
import random
from collections.abc import Iterator

import psycopg
import pytest
from cluster import Cluster
from fuzz import TEXTS, damaged_values
from projecting import connected, dead_letters, expected_rows, view_rows
from repetitions import Repetition
from rows import Columns, answer, delegate, record_at
from strategies import written
from topics import create_topic

from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from testbed.oracle import fold_log, stored_rows
from testbed.workload import Mix, Record, records

MEGABYTE = 1_000_000
VALID = Mix(delegations=60, seed=9, malformed_share=0, unrelated_share=0.2)


def mixed(rng: random.Random, values: Iterator[bytes], per_record: int) -> Iterator[Record]:
    """The records of a platform, with about `per_record` of the hostile values after each."""
    for record in records(VALID):
        yield record
        for value in itertools.islice(values, rng.randint(0, 2 * per_record)):
            yield Record(rng.choice([None, b"", b"\xff\xfe", record.key]), value, record.timestamp)
    for value in values:
        yield Record(None, value, record.timestamp)


@pytest.fixture
def single(cluster: Cluster) -> Cluster:
    """A topic of one partition: altered rows of one delegation then have one order."""
    cluster.topic = create_topic(cluster.bootstrap_servers, partitions=1)
    cluster.watch_positions()
    return cluster


def test_hostile_values_leave_other_rows_untouched(single: Cluster, repetition: Repetition) -> None:
    rng, count = repetition.rng(), repetition.pick(2_000, 100_000)
    single.start_member()
    single.publish(mixed(rng, damaged_values(rng, count), count // 500))
    assert len(single.acknowledged) > count
    single.wait_until_caught_up()
    single.assert_view_equals_log()
    single.assert_nothing_dropped()
    single.assert_projected_once()
    single.assert_outcomes_counted_once()
    valid_rows_are_untouched(single)


def valid_rows_are_untouched(cluster: Cluster) -> None:
    expected = fold_log(
        RecordedRecord("valid", 0, offset, record.timestamp, record.key, record.value)
        for offset, record in enumerate(records(VALID))
    ).rows
    with psycopg.connect(cluster.database_url) as conn:
        stored = stored_rows(conn)
    assert {delegation_id: stored.get(delegation_id) for delegation_id in expected} == expected


def test_ten_megabyte_texts_are_cut_or_kept_whole(single: Cluster, repetition: Repetition) -> None:
    """Texts of valid rows are cut to their previews; a value that is no JSON is kept whole."""
    single.start_member()
    single.publish(_huge(repetition.pick(1, 20)))
    single.wait_until_caught_up()
    single.assert_view_equals_log()
    single.assert_nothing_dropped()
    single.assert_outcomes_counted_once()


def _huge(count: int) -> Iterator[Record]:
    for n in range(count):
        task = delegate(0, request_body={"delegation_id": f"d-{n}", "task": "é" * (5 * MEGABYTE)})
        result = answer(1, "completed", of=f"d-{n}", text="\x00" * MEGABYTE)
        for value in (written(task, ascii_only=False), written(result), b"{" * (10 * MEGABYTE)):
            yield Record(None, value, 0)


BOUNDARIES = {
    "a list of lists": [b"1],[2", b"[1", b"2]"],
    "a list": [b"1,2", b"[1", b"2]"],
    "a list of objects": [b'{"a":1},{"b":2', b'{"a":[1', b"2]}"],
    "an object around each": [b'1},{"v":2', b'[{"a":1', b"2}]"],
}
"""How values might be joined → a value that then looks like two, and two values that then look like one.

None of the values is JSON by itself.
"""


@pytest.mark.parametrize("joined", BOUNDARIES)
def test_values_like_record_boundaries_shift_no_neighbour(database_url: str, joined: str) -> None:
    """An implementation that joins the values of several records, to parse them at once, fails here."""
    looks_like_two, *look_like_one = BOUNDARIES[joined]
    values: list[object] = [_delegate(0), looks_like_two, _delegate(1), _delegate(2), *look_like_one, _delegate(3)]
    values += [_delegate(n, text) for n, text in enumerate(TEXTS, 10)]
    lines = [RecordedRecord(*record_at(offset, value)) for offset, value in enumerate(values)]
    with connected(database_url) as conn:
        outcomes = project(conn, lines)
        assert view_rows(conn) == expected_rows(lines)
        assert [(offset, value) for _, _, offset, _, value in dead_letters(conn)] == [
            (1, looks_like_two),
            (4, look_like_one[0]),
            (5, look_like_one[1]),
        ]
    assert outcomes == {"inserted": 4 + len(TEXTS), "dead_letter": 3}


def _delegate(n: int, text: str = "count to three") -> Columns:
    body = {"delegation_id": f"d-{n}", "task": text}
    return delegate(n, "completed", request_body=body, response_body={"text": text})
