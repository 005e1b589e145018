"""Ten thousand hostile records among valid ones: every neighbour is right, and every byte of the hostile is kept."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from projecting import asked, connected, dead_letters, in_batches, table
from rows import delegate
from strategies import real_values, written

from projector.domain.outcomes import Outcome
from projector.recordings.file import RecordedRecord
from projector.recordings.replay import replay
from projector.settings import BatchLimits
from testbed.oracle import fold_log
from testbed.workload import Mix, records
from testbed.workload.malformed import dead_letters as hostile_values

HOSTILE = 10_000
SEED = 41
VALID = Mix(delegations=400, live=60, seed=9, garbage_share=0, unrelated_share=0.2)
"""What a platform writes when nothing goes wrong."""


def mutations(rng: random.Random, count: int) -> Iterator[bytes]:
    """Real records with some bytes gone, added or exchanged; the ids in them are nobody else's."""
    values = [written(value, ascii_only=False)[:3000] for value in real_values()]
    for _ in range(count):
        damaged = bytearray(rng.choice(values))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(damaged) + 1)
            damaged[at : at + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 4))
        yield bytes(damaged)


def hostile_log() -> list[RecordedRecord]:
    """One partition on which hostile records stand between those of a platform that knows nothing of them."""
    rng = random.Random(SEED)
    hostile = [*hostile_values(SEED, HOSTILE // 2), *mutations(rng, HOSTILE // 2)]
    rng.shuffle(hostile)
    valid = [(each.key, each.value, each.timestamp) for each in records(VALID)]
    each_few = len(hostile) // len(valid) + 1
    told: list[tuple[bytes | None, bytes | None, int | None]] = []
    for n, record in enumerate(valid):
        told += [(rng.randbytes(3), value, rng.choice([None, -1, 0])) for value in hostile[n * each_few :][:each_few]]
        told.append(record)
    return [RecordedRecord("activity-log", 0, n, time, key, value) for n, (key, value, time) in enumerate(told)]


def test_ten_thousand_hostile_records_cost_their_neighbours_nothing(database_url: str) -> None:
    told = hostile_log()
    verdict = fold_log(told)
    assert len(told) > HOSTILE
    with connected(database_url) as conn:
        outcomes = in_batches(conn, told, 1000)
        assert outcomes.total() == len(told)
        assert {str(outcome): count for outcome, count in outcomes.items()} == dict(verdict.outcomes)
        assert outcomes[Outcome.DEAD_LETTER] > HOSTILE // 2
        unreadable = {letter.offset for letter in verdict.dead_letters}
        kept = [(each.topic, each.partition, each.offset, each.key, each.value) for each in told]
        assert dead_letters(conn) == [letter for letter in kept if letter[2] in unreadable]
        assert asked(conn, "SELECT count(*) FROM dead_letters WHERE reason = ''") == [0]
        rows = {row[0]: row for row in table(conn)}
    assert set(rows) == set(verdict.rows)
    valid = enumerate(records(VALID))
    alone = fold_log(RecordedRecord("activity-log", 0, n, each.timestamp, each.key, each.value) for n, each in valid)
    for delegation_id, row in alone.rows.items():
        assert rows[delegation_id] == astuple(row)


def test_recorded_topics_that_no_table_can_hold_make_dead_letters_of_their_lines(
    database_url: str, tmp_path: Path
) -> None:
    topics = ["a\x00b", "\ud800", "é" * 257, "t" * 100_000, 7]
    place = {"partition": 0, "offset": 5, "timestamp": 1, "value": "garbage"}
    lines = [json.dumps({"topic": topic} | place) for topic in topics] + [json.dumps(delegate(0))]
    recording = tmp_path / os.fsdecode(b"\xff.jsonl")
    recording.write_text("\n".join(lines))
    with connected(database_url) as conn:
        outcomes = replay(conn, [recording], limits=BatchLimits(batch_records=100, batch_bytes=10**7))
        assert outcomes == {"dead_letter": len(topics), "inserted": 1}
        kept = [("\ufffd.jsonl", 0, n, None, line.encode()) for n, line in enumerate(lines[:-1])]
        assert dead_letters(conn) == kept
