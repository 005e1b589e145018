"""Retries of dead letters that run at once, that are interrupted, or that meet another writer."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from rows import CALLEE, CALLER, answer
from stored_dead_letters import NO_LIMITS, ONE_BY_ONE, letter, opened, places, remaining, request, statuses, store

from projector.domain.outcomes import Outcome
from projector.errors import DatabaseUnavailable
from projector.postgres import dead_letters
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import Filter
from projector.projection import dead_letters as retries
from projector.projection.limits import AdaptiveLimits
from projector.projection.transaction import Outcomes
from projector.settings import BatchLimits


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with opened(database_url) as conn:
        yield conn


def test_concurrent_retries_project_each_dead_letter_once(database_url: str, session: Connection) -> None:
    requests = [request(f"d-{n}") for n in range(60)]
    store(session, [letter(n, row) for n, row in enumerate(requests)] + [letter(60, b"no json")])
    results: list[Outcomes] = []
    start = threading.Barrier(5)

    def retry_all() -> None:
        with opened(database_url) as conn:
            start.wait()
            results.append(retries.retry(conn, Filter(), BatchLimits(batch_records=7, batch_bytes=1_000_000)))

    threads = [threading.Thread(target=retry_all) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes[Outcome.INSERTED] for outcomes in results) == 60
    assert {outcome for outcomes in results for outcome in outcomes} == {Outcome.INSERTED, Outcome.DEAD_LETTER}
    assert len(remaining(session)) == 1


def test_second_retry_waits_for_the_first(database_url: str, session: Connection) -> None:
    store(session, [letter(0, request()), letter(1, answer(1, "completed")), letter(2, answer(2, "failed"))])
    results: list[Outcomes] = []

    def retry_second() -> None:
        with opened(database_url) as conn:
            results.append(retries.retry(conn, Filter(), BatchLimits(batch_records=2, batch_bytes=1_000_000)))

    first_two = places(session, Filter(offsets=[0, 1]))
    with transaction(session):
        letters = dead_letters.take(session, first_two)
        thread = threading.Thread(target=retry_second)
        thread.start()
        wait_until_blocking(session)
        session.execute('DELETE FROM dead_letters WHERE "offset" < 2')
    thread.join()
    assert len(letters) == 2
    assert results == [{Outcome.PARKED: 1}]


def wait_until_blocking(conn: Connection) -> None:
    """Wait until another session waits for a lock of this one."""
    with psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True) as observer:
        while not observer.execute(
            "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", [conn.info.backend_pid]
        ).fetchone():
            pass


def test_interrupted_retry_keeps_the_remaining_dead_letters(database_url: str, session: Connection) -> None:
    """The session ends after the first chunk is committed: the second one is still a dead letter."""
    store(session, [letter(0, request()), letter(1, request())])

    def terminate_after_the_first(records: int) -> None:
        assert records == 1
        session.execute("SELECT pg_terminate_backend(%s)", [terminated.info.backend_pid])

    with opened(database_url) as terminated, pytest.raises(DatabaseUnavailable):
        retries.retry(terminated, Filter(), ONE_BY_ONE, progress=terminate_after_the_first)
    assert [offset for offset, _ in remaining(session)] == [1]
    assert retries.retry(session, Filter(), NO_LIMITS) == {Outcome.DUPLICATE: 1}


def test_failed_chunk_keeps_its_dead_letters(session: Connection) -> None:
    store(session, [letter(0, request())])
    session.execute("CREATE FUNCTION fail() RETURNS trigger AS $$ BEGIN RAISE admin_shutdown; END $$ LANGUAGE plpgsql")
    session.execute("CREATE TRIGGER fail BEFORE DELETE ON dead_letters EXECUTE FUNCTION fail()")
    with pytest.raises(DatabaseUnavailable):
        retries.project_dead_letters(session, places(session), AdaptiveLimits())
    assert (len(remaining(session)), statuses(session)) == (1, {})


def test_retry_waits_for_the_ledgers_insert(database_url: str, session: Connection) -> None:
    store(session, [letter(0, request())])
    results: list[Outcomes] = []

    def retry_all() -> None:
        with opened(database_url) as conn:
            results.append(retries.retry(conn, Filter(), NO_LIMITS))

    with transaction(session):
        session.execute(
            "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) VALUES ('d-1', %s, %s, 't')",
            [CALLER, CALLEE],
        )
        thread = threading.Thread(target=retry_all)
        thread.start()
        wait_until_blocking(session)
    thread.join()
    assert results == [{Outcome.DUPLICATE: 1}]
    assert remaining(session) == []
