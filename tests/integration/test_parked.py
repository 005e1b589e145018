"""Parked events on a real Postgres: read with bounded plans, and discarded."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from builders import log
from plans import plans
from projecting import connected
from rows import answer, delegate

from projector.errors import DatabaseUnavailable
from projector.postgres import parked, queries
from projector.postgres.connection import Connection, transaction
from projector.postgres.parked import ANY_PARKED, ParkedFilter
from projector.projection.parked import discard
from projector.projection.transaction import project
from projector.settings import BatchLimits

SMALL = BatchLimits(batch_records=3, batch_bytes=1)


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


def park(conn: psycopg.Connection[Any], count: int) -> None:
    """Park an event for each of d-1 to d-`count`. The request of every third one repeated an idempotency key."""
    conn.execute(
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at)
        SELECT 'activity-log', 0, n, 'd-' || n, 'status', 'completed', now() FROM generate_series(1, %s) n ORDER BY n
        """,
        [count],
    )
    conn.execute(
        """
        INSERT INTO repeated_requests (delegation_id, holder_id, topic, partition, "offset", requested_at)
        SELECT 'd-' || n, 'holder', 'activity-log', 0, n, now() FROM generate_series(3, %s, 3) n
        """,
        [count],
    )


def offsets(conn: Connection) -> list[int]:
    return [event.offset for event in queries.parked(conn, limit=100)]


def test_list_and_counts_read_only_what_they_show(session: Connection) -> None:
    park(session, 30_000)
    session.execute("ANALYZE parked, repeated_requests")
    session.execute("RESET ALL")
    session.execute("SET search_path = projector, public")
    plan = plans(session, lambda: (queries.parked(session, limit=50), queries.parked_summary(session, limit=1_000)))
    assert plan.count("Index Scan using parked_pkey") == plan.count("Limit") == 2
    assert plan.count("repeated_requests_pkey") == 2
    assert "Seq Scan" not in plan
    summary = queries.parked_summary(session, limit=1_000)
    assert (summary.events, summary.delegations, summary.repeated, summary.last_seq) == (1_000, 1_000, 333, 1_000)


def test_events_of_one_delegation_are_read_by_it(session: Connection) -> None:
    park(session, 30_000)
    session.execute("ANALYZE parked, repeated_requests")
    session.execute("RESET ALL")
    session.execute("SET search_path = projector, public")
    plan = plans(
        session,
        lambda: (
            queries.parked(session, delegation_id="d-7", limit=50),
            queries.parked_summary(session, ParkedFilter(["d-7"]), limit=1_000),
        ),
    )
    assert plan.count("parked_delegation") == 2
    assert "Seq Scan" not in plan


def test_discard_takes_several_transactions(session: Connection) -> None:
    park(session, 10)
    assert discard(session, ParkedFilter(is_repeated=True), SMALL) == 3
    assert offsets(session) == [1, 2, 4, 5, 7, 8, 10]
    assert discard(session, ANY_PARKED, SMALL) == 7
    assert offsets(session) == []


def test_discard_spares_what_is_parked_after_the_count(session: Connection) -> None:
    park(session, 4)
    last = queries.parked_summary(session).last_seq
    project(session, log(answer(1, "completed", of="late")))
    assert discard(session, ParkedFilter(last_seq=last), SMALL) == 4
    assert [event.delegation_id for event in queries.parked(session, limit=9)] == ["late"]


def test_parked_verdict_is_discarded(session: Connection) -> None:
    session.execute(
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at)
        VALUES ('activity-log', 0, 1, 'd-1', 'verdict', 'failed', now())
        """
    )
    assert discard(session, ParkedFilter(["d-1"]), SMALL) == 1
    assert session.execute("SELECT current_setting('projector.reads_verdicts', true)").fetchone() in [(None,), ("",)]


def test_request_waits_for_a_discard(session: Connection, database_url: str) -> None:
    park(session, 1)
    with connected(database_url) as other, transaction(other):
        parked.discard(other, ANY_PARKED, after_seq=0, max_events=9)
        session.execute("SET lock_timeout = '100ms'")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            project(session, log(delegate(0)))
    project(session, log(delegate(0)))
    assert session.execute("SELECT status FROM delegations").fetchall() == [("queued",)]
