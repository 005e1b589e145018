"""Records that can be read, but that Postgres refuses: only these become dead letters."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from builders import log, record
from projecting import claim_partition, connected, dead_letters, expected_rows, fence, position, query, view_rows
from rows import Columns, answer, delegate, heartbeat

from projector.domain.outcomes import Outcome
from projector.domain.positions import Fence, Move, Polled
from projector.errors import Fenced, Unwritable
from projector.postgres.connection import Connection
from projector.projection.batch import by_partition
from projector.projection.gathering import Gathering
from projector.projection.limits import AdaptiveLimits
from projector.projection.transaction import PendingBatch, project
from projector.recordings.file import RecordedRecord

UNRELATED = {"activity_type": "llm_call"}


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    """A view with a constraint and a trigger that the projector does not know."""
    with connected(database_url) as conn:
        conn.execute("ALTER TABLE delegations ADD CONSTRAINT no_forbidden_task CHECK (task_preview <> 'forbidden')")
        conn.execute("""
            CREATE FUNCTION public.forbid() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.result_preview = 'forbidden' THEN
                    RAISE 'no such result' USING ERRCODE = '22023';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER forbid BEFORE UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION public.forbid();
        """)
        yield conn


def request(delegation_id: str, task: str = "fine") -> Columns:
    return delegate(0, request_body={"delegation_id": delegation_id, "task": task})


def forbidden_at(*places: int, of: int, partition: int = 0) -> list[RecordedRecord]:
    tasks = ["forbidden" if n in places else "fine" for n in range(of)]
    return [record(request(f"d-{partition}-{n}", task), n, partition=partition) for n, task in enumerate(tasks)]


def dead_offsets(conn: Connection) -> list[tuple[int, int]]:
    return [(partition, offset) for _, partition, offset, _, _ in dead_letters(conn)]


@pytest.mark.parametrize("places", [[6], [3, 4], [0, 5, 12], range(13)])
def test_only_refused_records_become_dead_letters(session: Connection, places: Sequence[int]) -> None:
    records = forbidden_at(*places, of=13)
    rest = [each for each in records if each.offset not in places]
    outcomes = project(session, records)
    assert (outcomes[Outcome.INSERTED], outcomes[Outcome.DEAD_LETTER]) == (len(rest), len(places))
    assert view_rows(session) == expected_rows(rest)
    assert [(offset, value) for _, _, offset, _, value in dead_letters(session)] == [
        (each.offset, each.value) for each in records if each.offset in places
    ]


def test_reason_is_the_error_of_postgres(session: Connection) -> None:
    project(session, forbidden_at(0, of=1))
    [(reason, field)] = query(session, "SELECT reason, field FROM dead_letters")
    assert reason.startswith("Postgres refused it: ")
    assert '"no_forbidden_task"' in reason
    assert reason.endswith("(SQLSTATE 23514)")
    assert field is None


def test_refused_change_leaves_the_row_unchanged(session: Connection) -> None:
    project(session, log(request("d-1"), request("d-2")))
    records = log(
        answer(1, "dispatched", of="d-1"),
        answer(2, "completed", of="d-1", text="forbidden"),
        answer(3, "completed", of="d-2", text="fine"),
        heartbeat(4, of="d-1"),
    )
    assert project(session, records) == {"advanced": 2, "dead_letter": 1, "heartbeat": 1}
    rows = query(session, "SELECT delegation_id, status, last_heartbeat IS NULL FROM delegations ORDER BY 1")
    assert rows == [("d-1", "dispatched", False), ("d-2", "completed", True)]
    assert dead_offsets(session) == [(0, 1)]


def test_early_result_of_a_refused_request_stays_parked(session: Connection) -> None:
    records = log(answer(1, "completed", of="d-1"), request("d-1", "forbidden"), heartbeat(2, of="d-1"))
    assert project(session, records) == {"parked": 2, "dead_letter": 1}
    assert query(session, 'SELECT "offset" FROM parked ORDER BY seq') == [0, 2]


def test_halved_batch_moves_every_position(session: Connection) -> None:
    token = claim_partition(session)
    for partition in (1, 2, 3):
        with session.transaction():
            session.execute(
                "INSERT INTO positions (topic, partition, next_offset, owner) VALUES ('activity-log', %s, 0, %s)",
                [partition, token],
            )
    at = datetime(2025, 5, 5, 10, tzinfo=UTC)
    moves = [Move("activity-log", n, 0, end, at) for n, end in enumerate([9, 5, 7, 4])]
    records = [*forbidden_at(2, 4, of=5), *forbidden_at(of=5, partition=1), *forbidden_at(6, of=7, partition=2)]
    outcomes = project(session, records, Fence(token, moves))
    assert outcomes == {"inserted": 14, "dead_letter": 3}
    assert dead_offsets(session) == [(0, 2), (0, 4), (2, 6)]
    assert sorted(query(session, "SELECT partition, next_offset, record_at FROM positions")) == [
        (move.partition, move.next_offset, move.record_at) for move in moves
    ]


def test_refused_record_in_a_batch_of_several_polls_keeps_its_value(session: Connection) -> None:
    token, gathering, limits = claim_partition(session), Gathering(), AdaptiveLimits()
    records = forbidden_at(2, 21, of=30)
    records = [record(UNRELATED, n) if n % 3 == 0 else each for n, each in enumerate(records)]
    for start in range(0, 30, 7):
        found = records[start : start + 7]
        polled = Polled("activity-log", 0, start, found, start + len(found))
        assert list(gathering.add(by_partition([polled]), limits)) == []
    [batch] = gathering.take()
    outcomes = PendingBatch(session, batch.entries, Fence(token, batch.moves)).wait()
    assert outcomes == {"inserted": 19, "unrelated": 10, "dead_letter": 1}
    assert [(offset, value) for _, _, offset, _, value in dead_letters(session)] == [(2, records[2].value)]
    assert position(session) == 30


def test_fenced_batch_writes_no_dead_letter(session: Connection) -> None:
    token = claim_partition(session)
    with pytest.raises(Fenced):
        project(session, forbidden_at(1, of=3), fence(token, (0, 7, 9)))
    assert dead_offsets(session) == []
    assert position(session) == 0


def test_refused_dead_letter_stops_with_the_reason(session: Connection) -> None:
    session.execute("ALTER TABLE dead_letters ADD CONSTRAINT full_up CHECK (false) NOT VALID")
    token = claim_partition(session)
    with pytest.raises(Unwritable, match="full_up"):
        project(session, forbidden_at(1, of=2), fence(token, (0, 0, 2)))
    assert position(session) == 1


def test_refused_position_stops_with_the_reason(session: Connection) -> None:
    token = claim_partition(session)
    session.execute("ALTER TABLE positions ADD CONSTRAINT halt CHECK (next_offset = 0) NOT VALID")
    for records in (forbidden_at(of=3), []):
        with pytest.raises(Unwritable, match="halt"):
            project(session, records, fence(token, (0, 0, 3)))
    assert view_rows(session) == []
    assert dead_offsets(session) == []
