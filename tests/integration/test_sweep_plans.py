"""Which indexes the sweeper's statements read, which rights it needs, and its advisory locks."""

import psycopg
import pytest
from cluster import wait_until
from plans import plans
from projecting import connected
from roles import plain_role
from sweeping import Platform

from projector.errors import DatabaseUnavailable, LoginRefused, Misconfigured, ProjectorError, TruthAway
from projector.postgres import sweep_access, sweep_candidates, sweep_locks
from projector.postgres.connection import connect
from projector.settings import PostgresSettings
from projector.sweep import sink
from projector.sweep.notes import notes


def fill(it: Platform) -> None:
    """20,000 delegations, of which one in a hundred is in flight, and as many activity rows."""
    it.conn.execute("""
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, created_at,
                                 updated_at)
        SELECT 'd' || n, lpad((n % 100)::text, 32, '0')::uuid, lpad((n % 90)::text, 32, '0')::uuid, 'sum',
               CASE WHEN n % 100 = 0 THEN 'in_progress' ELSE 'completed' END,
               CASE WHEN n % 200 > 0 THEN now() - n * interval '1 second' END, now() - n * interval '2 seconds',
               now() - n * interval '1 second'
          FROM generate_series(1, 20000) n""")
    it.conn.execute("""
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, request_body, created_at)
        SELECT gen_random_uuid(), lpad((n % 100)::text, 32, '0')::uuid, 'delegation', 'delegate',
               jsonb_build_object('delegation_id', 'd' || n), now() - n * interval '2 seconds'
          FROM generate_series(1, 20000) n""")
    it.conn.execute("ANALYZE delegations")
    it.conn.execute("ANALYZE activity_logs")


def test_pass_reads_no_table_as_a_whole(it: Platform) -> None:
    fill(it)
    found = plans(it.sweeper, lambda: it.sweep(never_heard="count", writes=False))
    assert "idx_delegations_inflight_heartbeat" in found
    assert "activity_logs_workspace" in found
    assert "Seq Scan" not in found
    assert "activity_logs_created" in found


def test_generic_plan_keeps_the_index(it: Platform) -> None:
    fill(it)
    it.conn.execute("SET plan_cache_mode = force_generic_plan")
    statement = sweep_candidates._SILENT
    for name, kind in (("now", "timestamptz"), ("before", "timestamptz"), ("after", "timestamptz")):
        statement = statement.replace(f"%({name})s::{kind}", f"${('now', 'before', 'after').index(name) + 1}::{kind}")
    statement = statement.replace("%(after_id)s", "$4::text").replace("%(size)s", "$5::bigint")
    it.conn.execute(f"PREPARE silent AS {statement}".encode())
    rows = it.conn.execute("EXPLAIN EXECUTE silent (now(), now(), NULL, '', 500)").fetchall()
    assert "idx_delegations_inflight_heartbeat" in str(rows)


@pytest.mark.parametrize(
    ("index", "missing"),
    [
        (None, ["created_at"]),
        ("(created_at DESC, id)", []),
        ("(created_at) WHERE activity_type = 'delegation'", ["created_at"]),
        ("USING hash (created_at)", ["created_at"]),
        ("(activity_type, created_at)", ["created_at"]),
        ("((created_at AT TIME ZONE 'UTC'), created_at)", ["created_at"]),
    ],
)
def test_index_by_time_is_named_if_it_is_missing(it: Platform, index: str | None, missing: list[str]) -> None:
    """The index by workspace does not help: Postgres can read it for a time, but as a whole."""
    it.conn.execute("DROP INDEX activity_logs_created")
    if index:
        it.conn.execute(f"CREATE INDEX ON activity_logs {index}".encode())
    assert [", ".join(columns) for columns in sweep_access.missing_indexes(it.sweeper)] == missing


@pytest.mark.parametrize(
    ("index", "is_missing"),
    [(None, True), ("(workspace_id, activity_type, created_at)", False), ("(workspace_id, created_at)", True)],
)
def test_index_by_workspace_is_named_if_it_is_missing(it: Platform, index: str | None, is_missing: bool) -> None:
    it.conn.execute("DROP INDEX activity_logs_workspace")
    if index:
        it.conn.execute(f"CREATE INDEX ON activity_logs {index}".encode())
    assert sweep_access.missing_indexes(it.sweeper) == ([sweep_access.BY_WORKSPACE] if is_missing else [])


def test_index_that_is_not_valid_is_none(it: Platform) -> None:
    assert sweep_access.missing_indexes(it.sweeper) == []
    it.conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'activity_logs_created'::regclass")
    assert sweep_access.missing_indexes(it.sweeper) == [sweep_access.BY_TIME]


def test_deleted_requests_are_named_with_their_numbers(it: Platform) -> None:
    it.is_alive(50).both(it.request(minutes=30), it.beat())
    it.project(it.request("d-2", 60), it.request("d-3", 90), it.request("ended", 120), it.answer("ended"))
    [sentence] = notes(it.conn, it.sweeper)
    assert "2 delegations in flight requested before the oldest row of activity_logs, which is 48 min" in sentence
    assert "the oldest of these delegations was requested 1 h 30 min ago" in sentence
    assert not any(index in sentence for index in ("CREATE INDEX", "ended"))
    it.write(it.sign(91))
    assert notes(it.conn, it.sweeper) == []
    it.conn.execute("DELETE FROM activity_logs")
    assert notes(it.conn, it.sweeper) == []


@pytest.mark.parametrize("time", ["-infinity", "0044-03-15 12:00 BC"])
def test_oldest_row_may_have_any_time(it: Platform, time: str) -> None:
    it.is_alive().both(it.request(), it.beat())
    it.write(it.sign(0, created_at=time))
    assert notes(it.conn, it.sweeper) == []


def test_retention_is_not_looked_at_without_an_index(it: Platform) -> None:
    it.is_alive().project(it.request(minutes=90))
    it.conn.execute("DROP INDEX activity_logs_created")
    [sentence] = notes(it.conn, it.sweeper)
    assert "CREATE INDEX CONCURRENTLY ON activity_logs (created_at);" in sentence


def test_missing_rights_are_named_with_their_grant(it: Platform) -> None:
    with plain_role(it.url) as url, connect(PostgresSettings(database_url=url)) as conn:
        with pytest.raises(
            ProjectorError, match=r"lacks SELECT, INSERT on public\.activity_logs: GRANT SELECT, INS"
        ) as e:
            sweep_access.require_access(conn, writes=True)
        with psycopg.connect(it.url, autocommit=True) as owner:
            owner.execute(str(e.value).partition(": ")[2].encode())
        sweep_access.require_access(conn, writes=True)


def test_reading_needs_no_right_to_insert(it: Platform) -> None:
    with plain_role(it.url) as url, connect(PostgresSettings(database_url=url)) as conn:
        it.conn.execute(f"GRANT SELECT ON activity_logs TO {conn.info.user}".encode())
        sweep_access.require_access(conn, writes=False)
        with pytest.raises(ProjectorError, match="lacks INSERT"):
            sweep_access.require_access(conn, writes=True)


def test_missing_table_is_named(database_url: str) -> None:
    with connected(database_url) as conn, pytest.raises(Misconfigured, match="no table activity_logs: set PROJ"):
        sweep_access.require_access(conn, writes=True)


def test_one_pass_at_a_time_and_one_per_interval(it: Platform) -> None:
    with connected(it.url) as other:
        assert sweep_locks.try_pass(it.conn)
        assert not sweep_locks.try_pass(other)
        sweep_locks.unlock_pass(it.conn)
        assert sweep_locks.try_pass(other)
        sweep_locks.unlock_pass(other)
        assert sweep_locks.try_interval(it.conn, 1_000_000)
        assert sweep_locks.try_interval(it.conn, 1_000_000)
        assert not sweep_locks.try_interval(other, 1_000_000)
    assert sweep_locks.try_pass(it.conn)


def test_session_that_is_idle_in_a_pass_loses_the_lock(it: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a frozen process is idle for so long."""
    monkeypatch.setattr(sweep_locks, "FROZEN_AFTER_MS", 100)
    with connected(it.url) as frozen:
        assert sweep_locks.try_pass(frozen)
        wait_until(lambda: sweep_locks.try_pass(it.conn), "the lock of a frozen sweeper")
        with pytest.raises(DatabaseUnavailable):
            sweep_locks.unlock_pass(frozen)


def test_outage_of_the_table_is_named_as_such() -> None:
    with pytest.raises(TruthAway, match="the database of activity_logs: gone"), sink.truth():
        raise DatabaseUnavailable("gone")
    with pytest.raises(LoginRefused, match=r"^refused"), sink.truth():
        raise LoginRefused("refused")
