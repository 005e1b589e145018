"""Which indexes the queries of the platform and of the commands read, and which the updates leave alone."""

from typing import LiteralString

import psycopg
import pytest
from psycopg import Connection

from projector.postgres import migrations

SILENT = """
    SELECT delegation_id FROM delegations
    WHERE status IN ('queued', 'dispatched', 'in_progress')
      AND (last_heartbeat IS NULL OR last_heartbeat < now() - interval '10 minutes')
"""


def test_update_of_a_position_leaves_its_index_alone(empty: Connection) -> None:
    """Postgres counts such updates as heap-only. They need free space on the page of the row."""
    migrations.up(empty)
    empty.execute("""
        INSERT INTO projector.positions (topic, partition, next_offset, owner, topic_id, generation, member, moved_at)
        SELECT 'activity-log', n, 0, gen_random_uuid(), repeat('A', 22), 1, repeat('h', 45), now()
        FROM generate_series(1, 200) n""")
    for _ in range(50):
        empty.execute("UPDATE projector.positions SET next_offset = next_offset + 1, moved_at = now()")
        # Postgres would free the space by itself, but later while a transaction runs in another test's database.
        empty.execute("VACUUM projector.positions")
    empty.execute("SELECT pg_stat_force_next_flush()")
    updates = empty.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'projector.positions'::regclass"
    ).fetchone()
    assert updates is not None
    assert updates[0] == 200 * 50
    assert updates[1] > 0.9 * updates[0]  # an ANALYZE by autovacuum may keep a page full for a moment


@pytest.mark.parametrize("query", [SILENT, SILENT + "ORDER BY last_heartbeat NULLS FIRST LIMIT 50"])
def test_sweeper_reads_only_the_in_flight_index(migrated: Connection, query: LiteralString) -> None:
    fill_history(migrated)
    plan = "\n".join(line for (line,) in migrated.execute("EXPLAIN " + query))
    assert "idx_delegations_inflight_heartbeat" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "EXPLAIN SELECT * FROM delegations WHERE caller_id = %(id)s ORDER BY created_at DESC LIMIT 20",
            "idx_delegations_caller_created",
        ),
        (
            "EXPLAIN SELECT * FROM delegations WHERE callee_id = %(id)s ORDER BY created_at DESC LIMIT 20",
            "idx_delegations_callee_created",
        ),
    ],
    ids=["of a caller", "of a callee"],
)
def test_newest_delegations_are_read_from_an_index(migrated: Connection, query: LiteralString, index: str) -> None:
    fill_history(migrated)
    rows = psycopg.ClientCursor(migrated).execute(query, {"id": "00000000-0000-0000-0000-000000000007"})
    plan = "\n".join(line for (line,) in rows)
    assert index in plan
    assert "Sort" not in plan


def test_newest_dead_letters_are_read_from_an_index(migrated: Connection) -> None:
    migrated.execute(
        'INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason) '
        "SELECT 'activity-log', 0, n, 'x', 'not JSON' FROM generate_series(1, 5000) n"
    )
    migrated.execute("ANALYZE projector.dead_letters")
    rows = migrated.execute(
        'EXPLAIN SELECT * FROM projector.dead_letters ORDER BY died_at DESC, topic, partition, "offset" LIMIT 50'
    )
    plan = "\n".join(line for (line,) in rows)
    assert "dead_letters_died" in plan
    assert "Sort" not in plan


def fill_history(conn: Connection) -> None:
    """Insert 20,000 delegations, of which one in two hundred is in flight."""
    conn.execute("""
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat)
        SELECT 'd' || n, lpad((n % 100)::text, 32, '0')::uuid, lpad((n % 90)::text, 32, '0')::uuid, 'sum',
               CASE WHEN n % 200 = 0 THEN 'in_progress' ELSE 'completed' END,
               CASE WHEN n % 400 > 0 THEN now() - n * interval '1 minute' END
        FROM generate_series(1, 20000) n""")
    conn.execute("ANALYZE delegations")
