"""What a batch stores for the push of results, on real Postgres: the ends that it reads, and replies."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import at, fold_batches, log, record
from projecting import TOPIC, query, view_rows
from pushing import due, ends, named, push, pushing
from rows import Columns, answer, delegate, verdict

from projector.domain.ends import End
from projector.postgres.connection import Connection
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from projector.settings import Settings
from projector.worker.push import Push
from testbed.workload import Mix, records
from testbed.workload.log import with_offsets

ROW = "ab1c1c1c-0000-4000-8000-000000000001"
PLATFORM_LOG = [
    RecordedRecord(*each)
    for each in with_offsets(
        records(Mix(delegations=90, live=15, seed=5, repeat_every=300, longest_repeat=60)), partitions=3
    )
]
BEFORE_ALL = datetime.fromisoformat("2000-01-01T00:00:00Z")


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with pushing(database_url) as conn:
        yield conn


def test_batch_writes_ends_and_replies(session: Connection) -> None:
    push(session, delegate(0), answer(1, "completed", text="done", id=ROW), answer(2, "failed", error="late"))
    assert ends(session) == [
        ("d-1", TOPIC, 0, 1, "report", "completed", ROW, True, at(1)),
        ("d-1", TOPIC, 0, 2, "report", "failed", None, True, at(2)),
    ]
    assert due(session) == {"d-1": at(1) + timedelta(seconds=2)}
    assert query(session, "SELECT attempts, ended_as, sent_at, given_up_at, last_error FROM projector.outbox") == [
        (0, None, None, None, None)
    ]


# --- when a reply is due

DEADLINE = {"deadline": at(60).isoformat()}


@pytest.mark.parametrize(
    ("value", "due_at"),
    [
        (answer(1, "completed", text="done"), at(1) + timedelta(seconds=2)),
        (answer(1, "completed"), at(1) + timedelta(seconds=30)),
        (answer(1, "failed"), at(1) + timedelta(seconds=2)),
        (answer(1, "stuck"), at(60) + timedelta(seconds=30)),
        (verdict(20), at(60) + timedelta(seconds=30)),
        (verdict(60), at(61)),
        (verdict(75, "failed"), at(76)),
    ],
    ids=["text", "no text", "failed", "reported stuck", "before the deadline", "at the deadline", "after it"],
)
@pytest.mark.parametrize("together", [True, False])
def test_reply_is_due_by_event_times(session: Connection, value: Columns, due_at: datetime, *, together: bool) -> None:
    values = log(delegate(0, request_body={"delegation_id": "d-1"} | DEADLINE), value)
    for batch in [values] if together else ([each] for each in values):
        project(session, batch, push=True)
    assert due(session) == {"d-1": due_at}


@pytest.mark.parametrize(
    ("deadline", "due_at"),
    [
        ("infinity", at(20) + timedelta(hours=24)),
        ("-infinity", at(21)),
        ("9999-12-31T23:59:59Z", at(20) + timedelta(hours=24)),
    ],
)
def test_deadline_of_any_size_bounds_a_verdicts_reply(session: Connection, deadline: str, due_at: datetime) -> None:
    push(session, delegate(0))
    session.execute("UPDATE delegations SET deadline = %s", [deadline])
    project(session, [record(verdict(20), 1)], push=True)
    assert due(session) == {"d-1": due_at}


@pytest.mark.parametrize(("minutes", "due_at"), [(0, at(60)), (5, at(65))])
def test_verdicts_reply_waits_for_the_configured_grace(database_url: str, minutes: int, due_at: datetime) -> None:
    own = {"database_url": database_url, "topic": TOPIC, "result_push": "inbox", "deadline_grace_seconds": minutes * 60}
    with pushing(database_url) as conn:
        Push(Settings.model_validate(own)).prepare(conn)
        push(conn, delegate(0, request_body={"delegation_id": "d-1"} | DEADLINE), verdict(20))
        assert due(conn) == {"d-1": due_at}


# --- the window


@pytest.mark.parametrize(("first", "offsets"), [(0, [1, 3]), (1, [1, 3]), (2, [3]), (4, [])])
def test_end_before_the_stored_position_is_history(session: Connection, first: int, offsets: list[int]) -> None:
    session.execute("INSERT INTO push_from VALUES (%s, 0, %s)", [TOPIC, first])
    push(session, named("d-1"), answer(1, "completed"), named("d-2"), answer(1, "completed", of="d-2"))
    assert [end[3] for end in ends(session)] == offsets
    assert sorted(due(session)) == [{1: "d-1", 3: "d-2"}[offset] for offset in offsets]


def test_partition_without_a_stored_position_counts_from_0(session: Connection) -> None:
    session.execute("INSERT INTO push_from VALUES (%s, 0, 5)", [TOPIC])
    values = delegate(0), answer(1, "completed")
    project(session, [record(value, offset, partition=1) for offset, value in enumerate(values)], push=True)
    assert list(due(session)) == ["d-1"]


MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(("before", "queued"), [(MICROSECOND * 0, 1), (MICROSECOND, 0)])
def test_end_more_than_five_minutes_before_is_only_kept(session: Connection, before: timedelta, queued: int) -> None:
    happened_at = at(0) - timedelta(minutes=5) - before
    push(session, delegate(-60), answer(0, "completed", created_at=happened_at.isoformat()))
    assert (len(ends(session)), len(due(session))) == (1, queued)


@pytest.mark.parametrize(("minutes", "queued"), [(4, 1), (6, 0)])
def test_end_more_than_five_minutes_ahead_is_only_kept(session: Connection, minutes: int, queued: int) -> None:
    [now] = query(session, "SELECT clock_timestamp()")
    push(session, delegate(0), answer(0, "completed", created_at=(now + timedelta(minutes=minutes)).isoformat()))
    assert (len(ends(session)), len(due(session))) == (1, queued)


def test_first_end_within_the_window_decides_when_it_is_due(session: Connection) -> None:
    push(session, delegate(-60), answer(-30, "completed"), answer(2, "completed", text="done"), answer(3, "completed"))
    assert due(session) == {"d-1": at(2) + timedelta(seconds=2)}


def test_bare_row_updated_in_place_is_judged_by_its_record(session: Connection) -> None:
    """Its only time is that of the request, an hour before the push was switched on."""
    ended_ms = int(at(3).timestamp() * 1000)
    push(session, delegate(-60))
    project(session, [record(delegate(-60, "completed"), 1, timestamp=ended_ms)], push=True)
    assert due(session) == {"d-1": at(3) + timedelta(seconds=30)}


def test_snapshot_of_old_ends_queues_nothing(session: Connection) -> None:
    now_ms = int(at(3).timestamp() * 1000)
    old = [named(f"d-{n}", -60, status="completed") for n in range(3)]
    project(session, log(*old[:2]))  # before push
    snapshot = [record(old[0], 10, timestamp=now_ms)]
    snapshot += [
        record({"op": "r", "after": each, "source": {}}, 11 + n, timestamp=now_ms) for n, each in enumerate(old)
    ]
    project(session, snapshot, push=True)
    assert (len(ends(session)), due(session)) == (4, {})


def test_topic_that_is_not_pushed_stores_nothing(session: Connection) -> None:
    session.execute("DELETE FROM push")
    push(session, delegate(0), answer(1, "completed"))
    assert view_rows(session)[0][4] == "completed"
    assert (ends(session), due(session)) == ([], {})


# --- any batching


def expected(records: list[RecordedRecord]) -> tuple[list[Any], set[str]]:
    """The ends of these records, and the delegations that have one."""
    found: dict[Any, End] = {}
    for end in fold_batches(*([each] for each in records)).ends:
        found.setdefault(end[:4], end)
    rows = sorted((*end[:5], str(end.status), *end[6:9]) for end in found.values())
    return sorted(rows, key=lambda row: (row[2], row[3], row[0])), set(query_ids(records))


def query_ids(records: list[RecordedRecord]) -> list[str]:
    return [end.delegation_id for end in fold_batches(*([each] for each in records)).ends if end.agrees]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_batches_of_any_size_store_the_same(database_url: str, size: int) -> None:
    """Partition after partition: the order between partitions is not that of the log."""
    ordered = sorted(PLATFORM_LOG, key=lambda each: (each.partition, each.offset))
    with pushing(database_url, since=BEFORE_ALL) as conn:
        for start in range(0, len(ordered), size):
            project(conn, ordered[start : start + size], push=True)
        found, ended = expected(ordered)
        assert ends(conn) == found
        assert set(due(conn)) == ended
        terminal = query(conn, "SELECT delegation_id FROM delegations WHERE status IN ('completed', 'failed', 'stuck')")
        assert set(due(conn)) == set(terminal)


def test_projecting_again_writes_nothing(database_url: str) -> None:
    everything = """
        SELECT 1, xmin::text, delegation_id, "offset"::text FROM projector.ends
         UNION ALL SELECT 2, xmin::text, delegation_id, due_at::text FROM projector.outbox ORDER BY 1, 3, 4
    """
    with pushing(database_url, since=BEFORE_ALL) as conn:
        project(conn, PLATFORM_LOG, push=True)
        before = query(conn, everything)
        assert len(before) > 100
        for batch in (PLATFORM_LOG, PLATFORM_LOG[:50]):
            project(conn, batch, push=True)
            assert query(conn, everything) == before


def test_push_of_another_topic_does_not_count(session: Connection) -> None:
    session.execute("UPDATE push SET topic = 'another topic'")
    push(session, delegate(0), answer(1, "completed"))
    assert (ends(session), due(session)) == ([], {})


def test_each_topic_has_its_own_time_of_the_switch(session: Connection) -> None:
    session.execute("INSERT INTO push VALUES ('another topic', %s)", [at(-120)])
    push(session, delegate(-60), answer(-30, "completed", text="done"))
    assert (len(ends(session)), due(session)) == (1, {})
