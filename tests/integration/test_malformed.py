"""Ten thousand malformed records among valid ones: valid ones are projected, malformed ones are kept whole."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from projecting import connected, dead_letters, project_in_batches, query, view_rows
from rows import delegate
from strategies import real_values, written

from projector.domain.outcomes import Outcome
from projector.recordings.file import RecordedRecord
from projector.recordings.replay import replay
from projector.settings import BatchLimits
from testbed.oracle import fold_log
from testbed.workload import Mix, records
from testbed.workload.malformed import malformed_values as malformed_values

MALFORMED = 10_000
SEED = 41
VALID = Mix(delegations=400, live=60, seed=9, malformed_share=0, unrelated_share=0.2)
"""The records of a platform without errors."""


def mutations(rng: random.Random, count: int) -> Iterator[bytes]:
    """Real records with some bytes removed, added or replaced. The workload uses none of their ids."""
    values = [written(value, ascii_only=False)[:3000] for value in real_values()]
    for _ in range(count):
        damaged = bytearray(rng.choice(values))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(damaged) + 1)
            damaged[at : at + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 4))
        yield bytes(damaged)


def mixed_log() -> list[RecordedRecord]:
    """One partition with malformed records between the valid ones of the workload."""
    rng = random.Random(SEED)
    malformed = [*malformed_values(SEED, MALFORMED // 2), *mutations(rng, MALFORMED // 2)]
    rng.shuffle(malformed)
    valid = [(record.key, record.value, record.timestamp) for record in records(VALID)]
    per_valid = len(malformed) // len(valid) + 1
    log: list[tuple[bytes | None, bytes | None, int | None]] = []
    for n, record in enumerate(valid):
        before = malformed[n * per_valid :][:per_valid]
        log += [(rng.randbytes(3), value, rng.choice([None, -1, 0])) for value in before]
        log.append(record)
    return [RecordedRecord("activity-log", 0, n, time, key, value) for n, (key, value, time) in enumerate(log)]


def test_malformed_records_do_not_affect_valid_ones(database_url: str) -> None:
    log = mixed_log()
    expected = fold_log(log)
    assert len(log) > MALFORMED
    with connected(database_url) as conn:
        outcomes = project_in_batches(conn, log, 1000)
        assert outcomes.total() == len(log)
        assert {str(outcome): count for outcome, count in outcomes.items()} == dict(expected.outcomes)
        assert outcomes[Outcome.DEAD_LETTER] > MALFORMED // 2
        unreadable = {letter.offset for letter in expected.dead_letters}
        kept = [(record.topic, record.partition, record.offset, record.key, record.value) for record in log]
        assert dead_letters(conn) == [letter for letter in kept if letter[2] in unreadable]
        assert query(conn, "SELECT count(*) FROM dead_letters WHERE reason = ''") == [0]
        rows = {row[0]: row for row in view_rows(conn)}
    assert set(rows) == set(expected.rows)
    alone = fold_log(
        RecordedRecord("activity-log", 0, n, record.timestamp, record.key, record.value)
        for n, record in enumerate(records(VALID))
    )
    for delegation_id, row in alone.rows.items():
        assert rows[delegation_id] == astuple(row)


def test_recorded_line_with_an_unstorable_topic_is_a_dead_letter(database_url: str, tmp_path: Path) -> None:
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
