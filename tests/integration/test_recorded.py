"""The recordings of a real change feed, replayed into a real Postgres, give their expected tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projecting import connected, query
from recorded import RECORDINGS, as_expected, expected, fold_by_oracle

from projector.postgres.connection import Connection
from projector.projection.transaction import Outcomes
from projector.recordings.replay import replay
from projector.settings import BatchLimits
from testbed.oracle import stored_rows

DEFAULT = next(path for path in RECORDINGS if "default-identity" in path.name)
# Checked by hand against the records. events/recorded/README.md lists what the records of these rows contain.
CHECKED_BY_HAND: dict[str, dict[str, object]] = {
    "f8c088ae-621a-4a2b-a724-9dce53d32883": {
        "status": "completed",
        "task_preview": "wcbpxMaN9LLmzx/2fZUIHkBxgtK2KeWtfhpCAZhd",
        "result_preview": "wcbpxMaN9LLmzx/2fZUIHkBxgtK2KeWtfhpCAZhd",
        "created_at": "2026-11-23T06:00:57.192514+00:00",
        "updated_at": "2026-11-23T06:00:57.196000+00:00",
    },
    "3d9da41e-2268-40d5-948a-950049a6d59a": {"status": "failed", "error_detail": "e1", "result_preview": None},
    "735699a7-7f81-4322-9b39-bc8dbbb71445": {
        "status": "completed",
        "result_preview": None,
        "task_preview": "",
        "idempotency_key": "key-18",
        "updated_at": "2026-11-23T06:00:57.222000+00:00",
    },
    "ef4cf12c-d68d-4f06-aa51-b8b8bfb83754": {
        "status": "completed",
        "result_preview": "HeHolTALjcJttjZZLsp+MmZkdG9qHatw4Cyooqih",
        "updated_at": "2026-11-23T06:00:57.234244+00:00",
    },
    "49f7670a-0242-4cfd-a34a-0fd387ad7185": {
        "status": "dispatched",
        "task_preview": "OH59PSd63nxqbrVLEd9yv7yBgsA4q3dMvhzL8SDh",
        "updated_at": "2026-11-23T06:00:58.434000+00:00",
    },
    "a794edc8-7abc-4434-b7c0-3f920bfa8bb9": {
        "status": "queued",
        "task_preview": "noop",
        "created_at": "2026-11-23T06:00:58.535076+00:00",
        "updated_at": "2026-11-23T06:00:58.535076+00:00",
        "deadline": "2026-11-23T12:00:58.535076+00:00",
    },
}


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


def replayed(conn: Connection, recording: Path, batch_records: int) -> Outcomes:
    return replay(conn, [recording], limits=BatchLimits(batch_records=batch_records))


def stored(conn: Connection) -> dict[str, Any]:
    """The contents of the projector's tables, in the form of an expected table."""
    rows = stored_rows(conn)
    return {
        "rows": [as_expected(rows[delegation_id]) for delegation_id in sorted(rows)],
        "parked": dict(query(conn, "SELECT delegation_id, count(*) FROM parked GROUP BY delegation_id")),
        "dead_letters": sorted(map(list, query(conn, 'SELECT partition, "offset" FROM dead_letters'))),
    }


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_replay_gives_the_expected_table_twice(session: Connection, recording: Path) -> None:
    table = expected(recording)
    outcomes = replayed(session, recording, 25)
    assert {str(outcome): count for outcome, count in outcomes.items()} == table.pop("outcomes")
    assert stored(session) == table
    assert replayed(session, recording, 1000).total() == outcomes.total()
    assert stored(session) == table


def test_oracle_gives_the_expected_tables() -> None:
    assert len(RECORDINGS) == 5
    for recording in RECORDINGS:
        assert fold_by_oracle(recording) == expected(recording)


@pytest.mark.parametrize("delegation_id", CHECKED_BY_HAND)
def test_row_checked_by_hand_is_expected(delegation_id: str) -> None:
    [row] = [row for row in expected(DEFAULT)["rows"] if row["delegation_id"] == delegation_id]
    for column, value in CHECKED_BY_HAND[delegation_id].items():
        if isinstance(value, str) and column.endswith("preview") and value:
            assert row[column].startswith(value)
        else:
            assert row[column] == value


def test_four_feeds_of_one_script_contain_the_same_requests() -> None:
    """Only the columns that do not depend on the order between partitions are compared."""
    feeds = [expected(path)["rows"] for path in RECORDINGS if "edge" not in path.name]
    columns = ("delegation_id", "caller_id", "callee_id", "task_preview", "deadline", "created_at", "idempotency_key")
    first, *others = [[[row[column] for column in columns] for row in rows] for rows in feeds]
    assert others == [first] * 3
