"""Batches that take longer than the statement timeout: they are halved, and the next ones are smaller."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from builders import log
from projecting import claim_partition, expected_rows, fence, position, query, view_rows
from reconciling import Log
from replaying import recording
from rows import CALLER, answer, delegate
from slow_writes import slow_down_inserts, slow_down_row, speed_up
from stored_dead_letters import letter, remaining, request, statuses, store

from projector.domain.fold import translate_each
from projector.errors import BatchUnfinished, RecordTooSlow, StatementTimeout
from projector.postgres import connection, delegations, write_batch
from projector.postgres.connection import Connection
from projector.postgres.dead_letters import Filter
from projector.projection import dead_letters, sending
from projector.projection.limits import AdaptiveLimits
from projector.projection.transaction import PendingBatch, project
from projector.recordings.file import RecordedRecord
from projector.recordings.replay import replay
from projector.settings import BatchLimits, PostgresSettings

TIMEOUT_MS = 1_000
WRITABLE = 3
RECORDS = 20


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connection.connect(PostgresSettings(database_url=database_url, statement_timeout_ms=TIMEOUT_MS)) as conn:
        write_batch.prepare(conn)
        yield conn


def slower(caplog: pytest.LogCaptureFixture) -> list[int]:
    """The sizes that the log gave to the next batches."""
    return [entry.__dict__["records"] for entry in caplog.records if entry.levelno == logging.WARNING]


def requests(number: int = RECORDS) -> list[RecordedRecord]:
    return log(*[delegate(n, request_body={"delegation_id": f"d-{n}", "task": "wait"}) for n in range(number)])


def test_slow_batch_is_halved_until_it_is_written(session: Connection, database_url: str) -> None:
    slow_down_inserts(database_url, of_more_than=WRITABLE)
    token, limits = claim_partition(session), AdaptiveLimits()
    assert project(session, requests(), fence(token, (0, 0, RECORDS)), limits=limits) == {"inserted": RECORDS}
    assert view_rows(session) == expected_rows(requests())
    assert position(session) == RECORDS
    assert limits.batch_records <= WRITABLE
    assert query(session, "SELECT count(*) FROM dead_letters") == [0]


def test_size_that_worked_is_used_for_the_rest_of_a_slow_batch(
    session: Connection, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Halves of halves would time out 15 times: 64, 2 of 32, 4 of 16, 8 of 8."""
    slow_down_inserts(database_url, of_more_than=4)
    with caplog.at_level(logging.WARNING):
        assert project(session, requests(64), limits=AdaptiveLimits()) == {"inserted": 64}
    assert slower(caplog) == [32, 16, 8, 4, 4]  # the last one after ten batches of 4 that were written
    assert view_rows(session) == expected_rows(requests(64))


def test_batch_whose_reads_are_slow_is_halved(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    read = delegations.read_states_and_pruned

    def slow_read(conn: Connection, ids: Sequence[str]) -> tuple[list[delegations.StoredState], list[str]]:
        if len(ids) > WRITABLE:
            conn.execute("SELECT pg_sleep(30)")
        return read(conn, ids)

    monkeypatch.setattr(delegations, "read_states_and_pruned", slow_read)
    token, limits = claim_partition(session), AdaptiveLimits()
    assert project(session, requests(), fence(token, (0, 0, RECORDS)), limits=limits) == {"inserted": RECORDS}
    assert view_rows(session) == expected_rows(requests())
    assert position(session) == RECORDS
    assert limits.batch_records <= WRITABLE


def test_batch_with_too_many_parked_events_is_halved(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single delegation may have more of them."""
    early = log(*[answer(n, "in_progress", of=f"d-{d}") for d in range(RECORDS) for n in range(WRITABLE)])
    assert project(session, early) == {"parked": WRITABLE * RECORDS}
    monkeypatch.setattr(sending, "_MOST_PARKED", WRITABLE - 1)
    token, limits = claim_partition(session), AdaptiveLimits()
    assert project(session, requests(), fence(token, (0, 0, RECORDS)), limits=limits) == {"inserted": RECORDS}
    assert query(session, "SELECT status, count(*) FROM delegations GROUP BY 1") == [("in_progress", RECORDS)]
    assert query(session, "SELECT count(*) FROM parked") == [0]
    assert position(session) == RECORDS
    assert limits.batch_records == 1


def test_single_slow_record_is_named_and_kept(session: Connection, database_url: str) -> None:
    slow_down_row(database_url, "d-2")
    token, batch = claim_partition(session), requests(4)
    pending = PendingBatch(session, translate_each(batch), fence(token, (0, 0, 4)))
    with pytest.raises(RecordTooSlow) as raised:
        pending.wait()
    sentence = "offset 2 of partition 0 of topic activity-log within PROJECTOR_STATEMENT_TIMEOUT_MS"
    assert sentence in str(raised.value)
    assert position(session) == 2
    assert pending.outcomes == {"inserted": 2}
    speed_up(database_url)
    assert project(session, batch[2:], fence(token, (0, 2, 4))) == {"inserted": 2}
    assert view_rows(session) == expected_rows(batch)


def test_records_without_events_count_in_the_part_that_passes_them(session: Connection, database_url: str) -> None:
    slow_down_row(database_url, "d-2")
    unrelated = {"activity_type": "llm_call"}
    batch = log(*[value for each in requests(4) for value in (unrelated, each.value, unrelated)])
    token = claim_partition(session)
    pending = PendingBatch(session, translate_each(batch), fence(token, (0, 0, 12)))
    with pytest.raises(RecordTooSlow, match="offset 7"):
        pending.wait()
    assert (position(session), pending.outcomes) == (7, {"inserted": 2, "unrelated": 5})
    speed_up(database_url)
    assert project(session, batch[7:], fence(token, (0, 7, 12))) == {"inserted": 2, "unrelated": 3}


def test_member_polls_before_a_batch_is_halved_for_long(session: Connection, database_url: str) -> None:
    slow_down_inserts(database_url, of_more_than=WRITABLE)
    token, batch, limits = claim_partition(session), requests(), AdaptiveLimits()
    pending = PendingBatch(
        session, translate_each(batch), fence(token, (0, 0, RECORDS)), limits=limits, until=time.monotonic()
    )
    with pytest.raises(BatchUnfinished, match="20 records"):
        pending.wait()
    assert limits.batch_records == RECORDS // 2
    assert position(session) == 0
    assert view_rows(session) == []


def test_statement_without_records_that_is_slow_is_an_outage(session: Connection, database_url: str) -> None:
    token = claim_partition(session)
    query(session, "SELECT pg_sleep(0)")
    session.execute("""
        CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); END';
        CREATE TRIGGER slow BEFORE UPDATE ON projector.positions FOR EACH ROW EXECUTE FUNCTION public.slow()
    """)
    with pytest.raises(StatementTimeout, match="canceling statement"):
        project(session, [], fence(token, (0, 0, 5)))
    assert position(session) == 0


def test_replay_is_slow_only_once(
    session: Connection, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow_down_inserts(database_url, of_more_than=WRITABLE)
    values = [delegate(n, request_body={"delegation_id": f"d-{n}"}, source_id=CALLER) for n in range(RECORDS)]
    file = recording(tmp_path, *values)
    with caplog.at_level(logging.WARNING):
        assert replay(session, [file], limits=BatchLimits(batch_records=8)) == {"inserted": RECORDS}
    assert len(statuses(session)) == RECORDS
    assert slower(caplog) == [4, 2]


def test_retry_of_dead_letters_is_halved(
    session: Connection, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    slow_down_inserts(database_url, of_more_than=WRITABLE)
    store(session, [letter(n, request(f"d-{n}")) for n in range(RECORDS)])
    with caplog.at_level(logging.WARNING):
        outcomes = dead_letters.retry(session, Filter(), BatchLimits(batch_records=8))
    assert outcomes == {"inserted": RECORDS}
    assert remaining(session) == []
    assert slower(caplog) == [4, 2]


def test_single_slow_dead_letter_is_named_and_kept(session: Connection, database_url: str) -> None:
    slow_down_row(database_url, "d-1")
    store(session, [letter(n, request(f"d-{n}")) for n in range(3)])
    with pytest.raises(RecordTooSlow, match="offset 1 of partition 0 of topic activity-log"):
        dead_letters.retry(session, Filter(), BatchLimits())
    assert [offset for offset, _ in remaining(session)] == [1, 2]


def test_fold_of_a_rebuild_is_halved(database_url: str, kafka: str, topic: str) -> None:
    with Log(database_url, kafka, topic) as source:
        source.produce(*[json.loads(each.value or b"") for each in requests()], answer(99, "completed", of="d-1"))
        source.project()
        source.conn.execute("DELETE FROM delegations WHERE delegation_id < 'd-15'")
        slow_down_inserts(database_url, of_more_than=WRITABLE, table="projector_shadow.delegations")
        source.statement_timeout_ms = TIMEOUT_MS
        assert source.rebuild() == (7, 0, 0)
        assert source.verify() == {}
