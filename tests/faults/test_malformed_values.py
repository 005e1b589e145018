"""Hostile values between those of a platform that knows nothing of them: kept byte for byte, and nobody is touched."""

import random
from collections.abc import Iterator

import psycopg
import pytest
from cluster import Cluster
from fuzz import TEXTS, hostile
from projecting import connected, dead_letters, expected_of, table
from repetitions import Round
from rows import Columns, answer, delegate
from rows import logged as in_log
from strategies import written
from topics import create_topic

from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from testbed.oracle import fold_log, stored_rows
from testbed.workload import Mix, Record, records

MEGABYTE = 1_000_000
VALID = Mix(delegations=100, seed=9, garbage_share=0, unrelated_share=0.2)


def between(rng: random.Random, guests: Iterator[bytes], each_few: int) -> Iterator[Record]:
    """The guests among the records of a platform, whose rows they know nothing of."""
    for record in records(VALID):
        yield record
        for value in [guest for guest, _ in zip(guests, range(rng.randint(0, 2 * each_few)), strict=False)]:
            yield Record(rng.choice([None, b"", b"\xff\xfe", record.key]), value, record.timestamp)
    for value in guests:
        yield Record(None, value, record.timestamp)


@pytest.fixture
def single(scene: Cluster) -> Cluster:
    """A topic of one partition: what tampered rows say of one delegation has one order."""
    scene.topic = create_topic(scene.bootstrap_servers, partitions=1)
    scene.watch_positions()
    return scene


def test_hostile_values_cost_nobody_anything(single: Cluster, chance: Round) -> None:
    rng, count = chance.chances(), chance.of(4_000, 100_000)
    single.member()
    single.play(between(rng, hostile(rng, count), count // 500))
    assert len(single.acknowledged) > count
    single.caught_up()
    single.view_equals_log()
    single.nothing_dropped()
    single.nothing_twice()
    single.each_ended_once()
    neighbours_are_untouched(single)


def neighbours_are_untouched(scene: Cluster) -> None:
    alone = fold_log(
        RecordedRecord("alone", 0, n, each.timestamp, each.key, each.value) for n, each in enumerate(records(VALID))
    )
    with psycopg.connect(scene.database_url) as conn:
        stored = stored_rows(conn)
    assert {delegation_id: stored.get(delegation_id) for delegation_id in alone.rows} == alone.rows


def test_texts_of_ten_megabytes_are_cut_to_their_previews_or_kept_whole(single: Cluster, chance: Round) -> None:
    single.member()
    single.play(_huge(chance.of(2, 20)))
    single.caught_up()
    single.view_equals_log()
    single.nothing_dropped()
    single.each_ended_once()


def _huge(count: int) -> Iterator[Record]:
    for n in range(count):
        task = delegate(0, request_body={"delegation_id": f"d-{n}", "task": "é" * (5 * MEGABYTE)})
        result = answer(1, "completed", of=f"d-{n}", text="\x00" * MEGABYTE)
        for value in (written(task, ascii_only=False), written(result), b"{" * (10 * MEGABYTE)):
            yield Record(None, value, 0)


SEAMS = {
    "a list of lists": [b"1],[2", b"[1", b"2]"],
    "a list": [b"1,2", b"[1", b"2]"],
    "a list of objects": [b'{"a":1},{"b":2}', b'{"a":[1', b"2]}"],
    "an object around each": [b'1},{"v":2', b'[{"a":1', b"2}]"],
}
"""Values that are no JSON, and are some once they are joined: one that makes two, and then two that make one."""


@pytest.mark.parametrize("joined", SEAMS)
def test_values_that_look_like_the_seams_between_records_shift_no_neighbour(database_url: str, joined: str) -> None:
    """Whoever joins the values of several records, to parse them at once, fails here, whatever it counts."""
    one, *two = SEAMS[joined]
    told: list[object] = [_asked(0), one, _asked(1), _asked(2), *two, _asked(3)]
    told += [_asked(n, text) for n, text in enumerate(TEXTS, 10)]
    lines = [RecordedRecord(*in_log(offset, value)) for offset, value in enumerate(told)]
    with connected(database_url) as conn:
        outcomes = project(conn, lines)
        assert table(conn) == expected_of(lines)
        assert [(offset, value) for _, _, offset, _, value in dead_letters(conn)] == [
            (1, one),
            (4, two[0]),
            (5, two[1]),
        ]
    assert outcomes == {"inserted": 4 + len(TEXTS), "dead_letter": 3}


def _asked(n: int, text: str = "count to three") -> Columns:
    body = {"delegation_id": f"d-{n}", "task": text}
    return delegate(n, "completed", request_body=body, response_body={"text": text})
