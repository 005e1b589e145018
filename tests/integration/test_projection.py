"""A batch on real Postgres: any size gives the same table, and positions move with the rows."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from builders import at, log, record, split
from projecting import (
    claim_partition,
    connected,
    dead_letters,
    expected_rows,
    fence,
    position,
    project_in_batches,
    query,
    view_rows,
)
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated

from projector.contract.facts import Status
from projector.domain.outcomes import Outcome
from projector.domain.positions import Fence, Move
from projector.errors import Fenced
from projector.ledger import rows
from projector.postgres.connection import Connection
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from testbed.oracle import fold_log
from testbed.workload import Mix, records
from testbed.workload.log import with_offsets

PLATFORM_LOG = [
    RecordedRecord(*each)
    for each in with_offsets(
        records(Mix(delegations=90, live=15, seed=5, repeat_every=300, longest_repeat=60)), partitions=3
    )
]
LARGE = delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": "t" * 1600})
LATE = updated(LARGE | {"status": "completed", "request_body": UNAVAILABLE_VALUE, "response_body": {"text": "done"}}, 5)


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_batches_of_any_size_give_the_oracles_table(session: Connection, size: int) -> None:
    expected = fold_log(PLATFORM_LOG)
    outcomes = project_in_batches(session, PLATFORM_LOG, size)
    assert {str(outcome): count for outcome, count in outcomes.items()} == dict(expected.outcomes)
    assert outcomes.total() == len(PLATFORM_LOG)
    assert view_rows(session) == expected_rows(PLATFORM_LOG)
    parked = query(session, "SELECT delegation_id, count(*) FROM parked GROUP BY delegation_id")
    assert dict(parked) == expected.parked
    unreadable = {(letter.partition, letter.offset) for letter in expected.dead_letters}
    whole = [each for each in PLATFORM_LOG if (each.partition, each.offset) in unreadable]
    assert dead_letters(session) == sorted((t, p, o, key, value) for t, p, o, _, key, value in whole)


def test_projecting_again_writes_nothing(session: Connection) -> None:
    everything = """
        SELECT 1, xmin::text, delegation_id FROM delegations
         UNION ALL SELECT 2, xmin::text, topic || partition || ':' || "offset" FROM parked
         UNION ALL SELECT 3, xmin::text, topic || partition || ':' || "offset" FROM dead_letters
         UNION ALL SELECT 4, xmin::text, row_id::text FROM large_rows
         ORDER BY 1, 3
    """
    project_in_batches(session, PLATFORM_LOG, 50)
    before = query(session, everything)
    for size in (31, 10_000):
        project_in_batches(session, PLATFORM_LOG, size)
        assert query(session, everything) == before


def test_each_changed_row_is_written_once_per_batch(session: Connection) -> None:
    session.execute("""
        CREATE TABLE public.writes (delegation_id text, xid xid8 DEFAULT pg_current_xact_id(), changed boolean);
        CREATE FUNCTION public.note_write() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.writes VALUES (NEW.delegation_id, DEFAULT, NEW IS DISTINCT FROM OLD);
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_write AFTER INSERT OR UPDATE ON public.delegations
            FOR EACH ROW EXECUTE FUNCTION public.note_write();
    """)
    project_in_batches(session, PLATFORM_LOG, 40)
    assert query(session, "SELECT count(*) FROM writes GROUP BY delegation_id, xid HAVING count(*) > 1") == []
    assert query(session, "SELECT count(*) FROM writes WHERE NOT changed") == [0]
    assert query(session, "SELECT count(DISTINCT delegation_id) FROM writes") == [len(expected_rows(PLATFORM_LOG))]


# --- parked


EARLY = log(heartbeat(1), answer(2, "completed", text="early"), delegate(3, "dispatched"))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_parked_events_are_applied_after_a_reconnect(database_url: str, place: int) -> None:
    for batch in split(EARLY, [place]):
        with connected(database_url) as conn:
            project(conn, batch)
    with connected(database_url) as conn:
        assert view_rows(conn) == expected_rows(EARLY)
        assert view_rows(conn)[0][4] == "completed"
        assert query(conn, "SELECT * FROM parked") == []


@pytest.mark.parametrize("size", [1, 3])
def test_parked_events_are_applied_in_order_of_parking(session: Connection, size: int) -> None:
    early = ((9, "stuck"), (5, "completed"), (7, "failed"))
    project_in_batches(session, [record(answer(n, status), n, partition=n % 2) for n, status in early], size)
    project(session, [record(delegate(0), 20)])
    assert query(session, "SELECT status FROM delegations") == ["stuck"]


def test_repeated_record_is_parked_once(session: Connection) -> None:
    for _ in range(3):
        project(session, EARLY[:2])
    assert query(session, 'SELECT "offset", kind, status FROM parked ORDER BY seq') == [
        (0, "heartbeat", None),
        (1, "status", "completed"),
    ]


def test_request_applies_parked_events_to_the_ledgers_row(session: Connection) -> None:
    project(session, EARLY[:2])
    rows.insert(session, "d-1", CALLER, CALLEE, "count to three")
    assert query(session, "SELECT status FROM delegations") == ["queued"]
    project(session, EARLY[2:])
    assert query(session, "SELECT status, result_preview FROM delegations") == [("completed", "early")]
    assert query(session, "SELECT * FROM parked") == []


# --- unavailable bodies


@pytest.mark.parametrize("apart", [True, False])
def test_unavailable_body_is_resolved_across_sessions(database_url: str, apart: bool) -> None:
    for batch in split(log(LARGE, LATE), [1] if apart else []):
        with connected(database_url) as conn:
            project(conn, batch)
    with connected(database_url) as conn:
        assert query(conn, "SELECT status, result_preview, length(task_preview) FROM delegations") == [
            ("completed", "done", 1600)
        ]
        assert query(conn, "SELECT row_id::text, delegation_id FROM large_rows") == [(CALLER, "d-1")]


def test_large_row_belongs_to_the_delegation_that_it_named_last(session: Connection) -> None:
    project(session, log(LARGE))
    project(session, [record(LARGE | {"request_body": {"delegation_id": "d-2", "task": "t" * 1600}}, 1)])
    assert query(session, "SELECT row_id::text, delegation_id FROM large_rows") == [(CALLER, "d-2")]


def test_fenced_batch_stores_no_large_row(session: Connection) -> None:
    with pytest.raises(Fenced):
        project(session, log(LARGE), fence(uuid.uuid4(), (0, 0, 1)))
    assert query(session, "SELECT * FROM large_rows") == []


def test_rows_are_inserted_in_the_order_of_their_ids(session: Connection) -> None:
    """Batches that insert the same rows in different orders would wait for each other."""
    project(session, log(*(delegate(0, request_body={"delegation_id": each}) for each in ("d-3", "d-1", "d-2"))))
    assert query(session, "SELECT delegation_id FROM delegations ORDER BY ctid") == ["d-1", "d-2", "d-3"]


# --- dead letters


def test_dead_letters_are_kept_byte_for_byte(session: Connection) -> None:
    values = [
        b"",
        b"\x00\xff",
        b"1],[2",
        b'{"a": "\xed\xa0\x80"}',
        b"x" * 2_000_000,
        b"\\x41",
        b"\xef\xbb\xbf",
    ]
    keys = [None, b"", b"\x00", b"\xff", b"{}", b"k" * 5000, b"\\"]
    events = [record(value, offset)._replace(key=keys[offset]) for offset, value in enumerate(values)]
    assert project(session, events) == {"dead_letter": len(events)}
    assert dead_letters(session) == [("activity-log", 0, n, keys[n], values[n]) for n in range(len(values))]


def test_dead_letter_has_its_records_timestamp(session: Connection) -> None:
    ms = [None, -1, 10**16, 0, 1_746_439_200_123, 253_402_300_799_999]
    project(session, [record(b"garbage", offset, timestamp=time) for offset, time in enumerate(ms)])
    ten, end = datetime(2025, 5, 5, 10, 0, 0, 123_000, UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)
    timestamps = [None, None, None, datetime(1970, 1, 1, tzinfo=UTC), ten, end]
    assert query(session, 'SELECT record_at FROM dead_letters ORDER BY "offset"') == timestamps


# --- fences


def test_position_moves_with_the_rows(session: Connection) -> None:
    token = claim_partition(session)
    events = [each._replace(timestamp=1_746_439_200_000) for each in log(delegate(0), b"garbage", heartbeat(1))]
    moves = [Move("activity-log", 0, 0, 3, datetime(2025, 5, 5, 10, tzinfo=UTC))]
    assert project(session, events, Fence(token, moves)) == {"inserted": 1, "dead_letter": 1, "heartbeat": 1}
    assert query(session, "SELECT next_offset, record_at, moved_at IS NOT NULL FROM positions") == [
        (3, datetime(2025, 5, 5, 10, tzinfo=UTC), True)
    ]


def test_position_moves_without_records_and_keeps_the_time_of_the_last_one(session: Connection) -> None:
    token, ten = claim_partition(session), datetime(2025, 5, 5, 10, tzinfo=UTC)
    project(session, [], Fence(token, [Move("activity-log", 0, 0, 3, ten)]))
    assert project(session, [], fence(token, (0, 3, 17))) == {}
    assert query(session, "SELECT next_offset, record_at FROM positions") == [(17, ten)]


@pytest.mark.parametrize("wrong", ["owner", "offset", "partition", "one of two"])
def test_fenced_batch_writes_nothing(session: Connection, wrong: str) -> None:
    project(session, [record(answer(1, "failed", of="d-9"), 90)])
    token, other = claim_partition(session), claim_partition(session, 1)
    fences = {
        "owner": fence(uuid.uuid4(), (0, 0, 5)),
        "offset": fence(token, (0, 1, 5)),
        "partition": fence(token, (7, 0, 5)),
        "one of two": fence(token, (0, 0, 5), (1, 0, 5)),
    }
    again = delegate(3, id=CALLER, request_body={"delegation_id": "d-9", "task": "x" * 1600})
    events = log(delegate(0), b"garbage", answer(2, "failed", of="d-8"), again)
    with pytest.raises(Fenced, match="activity-log-"):
        project(session, events, fences[wrong])
    assert view_rows(session) == []
    assert dead_letters(session) == query(session, "SELECT * FROM large_rows") == []
    assert query(session, "SELECT delegation_id FROM parked") == ["d-9"]
    assert query(session, "SELECT next_offset FROM positions") == [0, 0]
    assert project(session, events, fence(token, (0, 0, 4)))[Outcome.INSERTED] == 2
    assert (position(session), position(session, 1)) == (4, 0)
    assert other != token


def test_row_has_the_data_of_all_events(session: Connection) -> None:
    project(session, log(delegate(0), answer(1, "in_progress"), heartbeat(2), answer(3, "completed", text="1 2 3")))
    [row] = query(session, "SELECT status, result_preview, last_heartbeat, updated_at FROM delegations")
    assert row == (Status.COMPLETED, "1 2 3", at(2), at(3))
