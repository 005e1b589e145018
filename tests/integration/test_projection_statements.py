"""The statements of a batch on a real Postgres: cached plans, locks, and when they commit."""

from collections.abc import Iterator

import psycopg
import pytest
from builders import log
from cluster import wait_until
from projecting import claim_partition, connected, fence, position, query, view_rows
from rows import answer, delegate

from projector.domain.fold import translate_each
from projector.errors import Fenced
from projector.postgres import write_batch
from projector.postgres.connection import Connection
from projector.projection.transaction import PendingBatch, project

UNRELATED = {"activity_type": "llm_call"}


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


def test_cached_plans_find_rows_by_key(session: Connection) -> None:
    session.execute("ANALYZE")  # the table is one page, so a sequential scan looks cheapest
    before = sequential_scans(session)
    session.execute("SET plan_cache_mode = force_generic_plan")
    for n in range(12):
        project(session, log(delegate(0, request_body={"delegation_id": f"d-{n}", "task": "count"})))
        project(session, log(answer(1, "completed", of=f"d-{n}"), answer(2, "completed", of="not-there")))
    assert sequential_scans(session) == before


def sequential_scans(conn: Connection) -> int:
    conn.execute("SELECT pg_stat_force_next_flush()")
    [scans] = query(conn, "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'public.delegations'::regclass")
    return int(scans)


def test_batch_without_rows_does_not_touch_the_view(session: Connection, database_url: str) -> None:
    token = claim_partition(session)
    records = log(UNRELATED, b"garbage", answer(2, "completed"))
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE delegations, projector.large_rows IN SHARE MODE")  # as CREATE INDEX does
        session.execute("SET lock_timeout = '200ms'")
        outcomes = project(session, records, fence(token, (0, 0, 3)))
    assert outcomes == {"unrelated": 1, "dead_letter": 1, "parked": 1}
    assert position(session) == 3


def test_statement_trigger_that_refuses_makes_dead_letters(session: Connection) -> None:
    session.execute("""
        CREATE FUNCTION public.forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
        CREATE TRIGGER forbid BEFORE INSERT ON delegations EXECUTE FUNCTION public.forbid();
    """)
    assert project(session, log(UNRELATED, delegate(1))) == {"unrelated": 1, "dead_letter": 1}


@pytest.mark.parametrize("event", [answer(0, "completed"), delegate(0)], ids=["parks", "requests"])
def test_fenced_batch_does_not_wait_for_parking(
    session: Connection, database_url: str, event: dict[str, object]
) -> None:
    claim_partition(session)
    stale = claim_partition(session)
    claim_partition(session)
    with psycopg.connect(database_url) as other:
        write_batch.exclude_requests(other)
        session.execute("SET lock_timeout = '200ms'")
        with pytest.raises(Fenced):
            project(session, log(event), fence(stale, (0, 0, 1)))


def test_batch_is_committed_before_wait_is_called(session: Connection, database_url: str) -> None:
    records = log(delegate(0), b"garbage", answer(2, "completed", of="d-9"))
    pending = PendingBatch(session, translate_each(records), fence(claim_partition(session), (0, 0, 3)))
    with connected(database_url) as other:
        wait_until(lambda: position(other) == 3, "the position of the batch")
        assert len(view_rows(other)) == 1
    assert pending.wait() == {"inserted": 1, "dead_letter": 1, "parked": 1}


def test_refused_batch_is_split_when_wait_is_called(session: Connection) -> None:
    session.execute("ALTER TABLE delegations ADD CONSTRAINT no_one CHECK (delegation_id <> 'd-1')")
    records = log(delegate(0), delegate(1, request_body={"delegation_id": "d-2", "task": "count"}))
    pending = PendingBatch(session, translate_each(records), fence(claim_partition(session), (0, 0, 2)))
    assert pending.wait() == {"inserted": 1, "dead_letter": 1}
    [reason] = query(session, "SELECT reason FROM dead_letters")
    assert "no_one" in reason
    assert "write_batch" not in reason
