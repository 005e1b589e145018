"""What a real change feed wrote, replayed into a real Postgres, gives the tables that stand beside the recordings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projecting import asked, connected
from recorded import RECORDINGS, expected, judged, shown

from projector.postgres.connection import Connection
from projector.projection.transaction import Outcomes
from projector.recordings.replay import replay
from projector.settings import BatchLimits
from testbed.oracle import stored_rows

DEFAULT = next(path for path in RECORDINGS if "default-identity" in path.name)
# By hand from the records of the default identity; events/recorded/README.md tells what they say.
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


def held(conn: Connection) -> dict[str, Any]:
    """All that the projector's tables hold, as an expected table shows it."""
    rows = stored_rows(conn)
    return {
        "rows": [shown(rows[delegation_id]) for delegation_id in sorted(rows)],
        "parked": dict(asked(conn, "SELECT delegation_id, count(*) FROM parked GROUP BY delegation_id")),
        "dead_letters": sorted(map(list, asked(conn, 'SELECT partition, "offset" FROM dead_letters'))),
    }


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_replay_gives_the_expected_table_and_outcomes_and_again_changes_nothing(
    session: Connection, recording: Path
) -> None:
    wanted = expected(recording)
    outcomes = replayed(session, recording, 25)
    assert {str(outcome): count for outcome, count in outcomes.items()} == wanted.pop("outcomes")
    assert held(session) == wanted
    assert replayed(session, recording, 1000).total() == outcomes.total()
    assert held(session) == wanted


def test_each_recording_has_its_table_beside_it() -> None:
    assert len(RECORDINGS) == 5
    for recording in RECORDINGS:
        assert judged(recording) == expected(recording)


@pytest.mark.parametrize("delegation_id", CHECKED_BY_HAND)
def test_row_that_was_checked_by_hand_is_in_the_expected_table(delegation_id: str) -> None:
    [row] = [row for row in expected(DEFAULT)["rows"] if row["delegation_id"] == delegation_id]
    for column, content in CHECKED_BY_HAND[delegation_id].items():
        if isinstance(content, str) and column.endswith("preview") and content:
            assert row[column].startswith(content)
        else:
            assert row[column] == content


def test_four_feeds_of_one_script_tell_of_the_same_requests() -> None:
    """Whatever the envelope; the columns that an order across partitions decides aside."""
    feeds = [expected(path)["rows"] for path in RECORDINGS if "edge" not in path.name]
    columns = ("delegation_id", "caller_id", "callee_id", "task_preview", "deadline", "created_at", "idempotency_key")
    first, *others = [[[row[column] for column in columns] for row in rows] for rows in feeds]
    assert others == [first] * 3
