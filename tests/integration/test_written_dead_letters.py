"""A batch gives the dead letters that it has written, each once: those that `run` logs."""

import uuid
from collections.abc import Iterator

import pytest
from builders import log, record
from projecting import claim_partition, connected, dead_letters, fence, query
from rows import delegate, heartbeat

from projector.domain.fold import translate_each
from projector.domain.positions import Fence
from projector.errors import Fenced, Unavailable
from projector.postgres.connection import Connection
from projector.projection.transaction import PendingBatch
from projector.recordings.file import RecordedRecord


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        conn.execute("ALTER TABLE delegations ADD CONSTRAINT no_forbidden_task CHECK (task_preview <> 'forbidden')")
        yield conn


def pending(conn: Connection, *records: RecordedRecord, fence: Fence | None = None) -> PendingBatch:
    return PendingBatch(conn, translate_each(records), fence)


def request(number: int, task: str = "fine") -> dict[str, object]:
    return delegate(0, request_body={"delegation_id": f"d-{number}", "task": task})


def places(batch: PendingBatch) -> list[tuple[int, int]]:
    return sorted((letter.record.partition, letter.record.offset) for letter in batch.dead_letters)


def test_unreadable_and_refused_records_are_given_after_the_write(session: Connection) -> None:
    records = log(b"no json", request(1), request(2, "forbidden"), {"op": "?"}, request(4), request(5, "forbidden"))
    batch = pending(session, *records)
    assert batch.dead_letters == []
    batch.wait()
    assert places(batch) == [(0, 0), (0, 2), (0, 3), (0, 5)]
    assert [(partition, offset) for _, partition, offset, _, _ in dead_letters(session)] == places(batch)


def test_conflict_gives_no_dead_letter_twice(session: Connection, database_url: str) -> None:
    pending(session, record(request(1))).wait()
    with connected(database_url) as other:
        other.execute("BEGIN")
        other.execute("UPDATE delegations SET updated_at = updated_at + interval '1 s'")
        batch = pending(session, record(heartbeat(5, of="d-1"), 1), record(b"no json", 2))
        other.execute("COMMIT")
    batch.wait()
    assert places(batch) == [(0, 2)]


def test_fenced_batch_gives_no_dead_letter(session: Connection) -> None:
    claim_partition(session, 0)
    batch = pending(session, record(b"no json"), fence=fence(uuid.uuid4(), (0, 0, 1)))
    with pytest.raises(Fenced):
        batch.wait()
    assert batch.dead_letters == []


def test_written_half_of_a_failed_batch_is_given(session: Connection) -> None:
    """The first half is written, and Postgres fails at the second."""
    session.execute(
        """
        CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.delegation_id = 'd-4' THEN RAISE 'down' USING ERRCODE = '53100'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION public.fail();
        """
    )
    batch = pending(session, *log(b"no json", request(1, "forbidden"), b"neither", request(4)))
    with pytest.raises(Unavailable):
        batch.wait()
    assert places(batch) == [(0, 0), (0, 1)]
    assert query(session, "SELECT count(*) FROM dead_letters") == [2]
