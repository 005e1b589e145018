"""What the database holds after `migrate up`: the table of the issue, and the projector's own."""

import re
from typing import LiteralString

import psycopg
import pytest
from psycopg import Connection, errors

from projector.contract.facts import IN_FLIGHT, Status
from projector.postgres import migrations

INSERT = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, idempotency_key, status)
    VALUES (%(id)s, '00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'sum', %(key)s, %(status)s)
"""
PARK = """
    INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, status, at)
    VALUES ('activity-log', 0, 0, 'd1', %(kind)s, %(status)s, '2025-05-05')
"""


@pytest.fixture
def migrated(empty: Connection) -> Connection:
    migrations.up(empty)
    return empty


def columns(conn: Connection, table: str) -> list[tuple[str, str, str, str | None]]:
    return conn.execute(
        "SELECT attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' ELSE 'null' END, "
        "       pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = %(table)s::regclass AND attnum > 0 ORDER BY attnum",
        {"table": table},
    ).fetchall()


def test_delegations_has_the_columns_of_the_contract(migrated: Connection) -> None:
    assert columns(migrated, "delegations") == [
        ("delegation_id", "text", "not null", None),
        ("caller_id", "uuid", "not null", None),
        ("callee_id", "uuid", "not null", None),
        ("task_preview", "text", "not null", None),
        ("status", "text", "not null", "'queued'::text"),
        ("last_heartbeat", "timestamp with time zone", "null", None),
        ("deadline", "timestamp with time zone", "not null", "(now() + '06:00:00'::interval)"),
        ("result_preview", "text", "null", None),
        ("error_detail", "text", "null", None),
        ("retry_count", "integer", "not null", "0"),
        ("created_at", "timestamp with time zone", "not null", "now()"),
        ("updated_at", "timestamp with time zone", "not null", "now()"),
        ("idempotency_key", "text", "null", None),
    ]


def test_delegations_has_its_four_indexes_with_their_predicates(migrated: Connection) -> None:
    found = migrated.execute(
        "SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX (.*) ON .* USING btree', '\\1') FROM pg_index "
        "WHERE indrelid = 'delegations'::regclass AND NOT indisprimary"
    )
    in_flight = "status = ANY (ARRAY['queued'::text, 'dispatched'::text, 'in_progress'::text])"
    assert {definition for (definition,) in found} == {
        f"CREATE idx_delegations_inflight_heartbeat (last_heartbeat NULLS FIRST) WHERE ({in_flight})",
        "CREATE idx_delegations_caller_created (caller_id, created_at DESC)",
        "CREATE idx_delegations_callee_created (callee_id, created_at DESC)",
        "CREATE UNIQUE idx_delegations_idempotency (caller_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)",
    }


def test_delegations_has_a_key_and_a_check_and_deliberately_no_foreign_key(migrated: Connection) -> None:
    found = migrated.execute(
        "SELECT contype, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'delegations'::regclass AND contype <> 'n' ORDER BY 1"
    )
    states = "'queued'::text, 'dispatched'::text, 'in_progress'::text, 'completed'::text, 'failed'::text, 'stuck'::text"
    assert found.fetchall() == [
        ("c", f"CHECK ((status = ANY (ARRAY[{states}])))"),
        ("p", "PRIMARY KEY (delegation_id)"),
    ]


def test_states_in_sql_are_those_of_the_lifecycle() -> None:
    lists = [
        set(re.findall(r"'(\w+)'", states))
        for migration in migrations.known()
        for states in re.findall(r"status IN \(([^)]*)\)", migration.up.decode())
    ]
    assert sorted(lists, key=len) == [set(IN_FLIGHT), set(Status), set(Status)]


def test_a_seventh_state_is_refused(migrated: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match="delegations_status_check"):
        migrated.execute(INSERT, {"id": "d1", "key": None, "status": "cancelled"})


def test_an_idempotency_key_is_held_once_and_no_key_by_many(migrated: Connection) -> None:
    for delegation_id, key in (("d1", None), ("d2", None), ("d3", "k")):
        migrated.execute(INSERT, {"id": delegation_id, "key": key, "status": "completed"})
    with pytest.raises(errors.UniqueViolation, match="idx_delegations_idempotency"):
        migrated.execute(INSERT, {"id": "d4", "key": "k", "status": "queued"})


def test_the_projectors_own_tables_have_the_agreed_columns(migrated: Connection) -> None:
    names = migrated.execute(
        "SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns "
        "WHERE table_schema = 'projector' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert names == [
        ("dead_letters", "topic partition offset record_at key value reason field died_at value_hash"),
        ("large_rows", "row_id delegation_id"),
        (
            "parked",
            "seq topic partition offset delegation_id kind status at result_preview error_detail parked_at",
        ),
        ("positions", "topic partition next_offset owner topic_id generation member claimed_at moved_at record_at"),
    ]


SHADOWED = {
    "projector_shadow.dead_letters": "projector.dead_letters",
    "projector_shadow.large_rows": "projector.large_rows",
    "projector_shadow.parked": "projector.parked",
    "projector_shadow.positions": "projector.positions",
}


def test_the_tables_of_the_shadow_are_unlogged_and_no_others(migrated: Connection) -> None:
    found = migrated.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u' ORDER BY 1"
    )
    assert [name for (name,) in found] == sorted(
        [*SHADOWED, "projector_shadow.delegations", "projector_shadow.suspects", "projector_shadow.work"]
    )
    logged = migrated.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'projector_shadow'::regnamespace AND relpersistence <> 'u'"
    )
    assert logged.fetchall() == []


@pytest.mark.parametrize(("shadow", "original"), SHADOWED.items())
def test_a_table_of_the_shadow_has_the_columns_constraints_and_indexes_of_its_original(
    migrated: Connection, shadow: str, original: str
) -> None:
    assert columns(migrated, shadow) == columns(migrated, original)
    assert made_by_postgres(migrated, shadow) == made_by_postgres(migrated, original)
    assert constraints(migrated, shadow) == constraints(migrated, original)
    assert indexes(migrated, shadow) == indexes(migrated, original)


def test_delegations_of_the_shadow_are_those_of_the_view_and_whether_they_were_carried_over(
    migrated: Connection,
) -> None:
    further = ("projector_carried_over", "boolean", "not null", "false")
    assert set(columns(migrated, "projector_shadow.delegations")) == {*columns(migrated, "delegations"), further}
    assert constraints(migrated, "projector_shadow.delegations") == constraints(migrated, "delegations")


def test_delegations_of_the_shadow_have_the_indexes_that_statements_need_and_no_others(migrated: Connection) -> None:
    assert indexes(migrated, "projector_shadow.delegations") == [
        "UNIQUE btree (caller_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)",
        "UNIQUE btree (delegation_id)",
    ]


def test_the_shadow_notes_who_is_at_work_once_and_each_suspect_once(migrated: Connection) -> None:
    assert columns(migrated, "projector_shadow.work") == [
        ("one", "boolean", "not null", "true"),
        ("source", "text", "not null", None),
        ("owner", "text", "not null", None),
        ("since", "timestamp with time zone", "not null", "now()"),
        ("coverage", "jsonb", "not null", None),
        ("carried_over", "bigint", "not null", None),
    ]
    assert constraints(migrated, "projector_shadow.work") == ["CHECK (one)", "PRIMARY KEY (one)"]
    assert columns(migrated, "projector_shadow.suspects") == [("delegation_id", "text", "not null", None)]
    assert constraints(migrated, "projector_shadow.suspects") == ["PRIMARY KEY (delegation_id)"]


def made_by_postgres(conn: Connection, table: str) -> list[tuple[str, str, str]]:
    """The columns that nobody fills: identities and generated ones."""
    return conn.execute(
        "SELECT attname, attidentity, attgenerated FROM pg_attribute "
        "WHERE attrelid = %(table)s::regclass AND attnum > 0 AND (attidentity <> '' OR attgenerated <> '') ORDER BY 1",
        {"table": table},
    ).fetchall()


def constraints(conn: Connection, table: str) -> list[str]:
    found = conn.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = %(table)s::regclass AND contype <> 'n' ORDER BY 1",
        {"table": table},
    )
    return [definition for (definition,) in found]


def indexes(conn: Connection, table: str) -> list[str]:
    """The indexes of a table, whatever their names."""
    found = conn.execute(
        "SELECT regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', '\\1') AS definition "
        "FROM pg_index WHERE indrelid = %(table)s::regclass ORDER BY 1",
        {"table": table},
    )
    return [definition for (definition,) in found]


@pytest.mark.parametrize(
    ("kind", "status"), [("status", None), ("heartbeat", "queued"), ("status", "x"), ("hello", None)]
)
def test_parked_holds_only_what_healing_understands(migrated: Connection, kind: str, status: str | None) -> None:
    with pytest.raises(errors.CheckViolation):
        migrated.execute(PARK, {"kind": kind, "status": status})


@pytest.mark.parametrize(("kind", "status"), [("status", "queued"), ("status", "stuck"), ("heartbeat", None)])
def test_a_record_is_parked_once(migrated: Connection, kind: str, status: str | None) -> None:
    migrated.execute(PARK, {"kind": kind, "status": status})
    with pytest.raises(errors.UniqueViolation):
        migrated.execute(PARK, {"kind": kind, "status": status})


def test_a_position_moves_without_touching_its_index(migrated: Connection) -> None:
    migrated.execute("""
        INSERT INTO projector.positions (topic, partition, next_offset, owner, topic_id, generation, member, moved_at)
        SELECT 'activity-log', n, 0, gen_random_uuid(), repeat('A', 22), 1, repeat('h', 45), now()
        FROM generate_series(1, 200) n""")
    for _ in range(50):
        migrated.execute("UPDATE projector.positions SET next_offset = next_offset + 1, moved_at = now()")
    migrated.execute("SELECT pg_stat_force_next_flush()")
    moved = migrated.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'projector.positions'::regclass"
    ).fetchone()
    assert moved is not None
    assert moved[0] == 200 * 50
    assert moved[1] > 0.9 * moved[0]  # a snapshot of another session may keep a page full for a moment


SILENT = """
    SELECT delegation_id FROM delegations
    WHERE status IN ('queued', 'dispatched', 'in_progress')
      AND (last_heartbeat IS NULL OR last_heartbeat < now() - interval '10 minutes')
"""


@pytest.mark.parametrize("query", [SILENT, SILENT + "ORDER BY last_heartbeat NULLS FIRST LIMIT 50"])
def test_the_sweeper_reads_only_the_index_of_what_is_in_flight(migrated: Connection, query: LiteralString) -> None:
    fill_history(migrated)
    plan = "\n".join(line for (line,) in migrated.execute("EXPLAIN " + query))
    assert "idx_delegations_inflight_heartbeat" in plan
    assert "Seq Scan" not in plan


def test_a_caller_and_a_callee_read_their_latest_from_an_index(migrated: Connection) -> None:
    fill_history(migrated)
    for query, index in (
        (
            "EXPLAIN SELECT * FROM delegations WHERE caller_id = %(id)s ORDER BY created_at DESC LIMIT 20",
            "caller_created",
        ),
        (
            "EXPLAIN SELECT * FROM delegations WHERE callee_id = %(id)s ORDER BY created_at DESC LIMIT 20",
            "callee_created",
        ),
    ):
        found = psycopg.ClientCursor(migrated).execute(query, {"id": "00000000-0000-0000-0000-000000000007"})
        plan = "\n".join(line for (line,) in found)
        assert f"idx_delegations_{index}" in plan
        assert "Sort" not in plan


def test_the_newest_dead_letters_are_read_from_an_index(migrated: Connection) -> None:
    migrated.execute(
        'INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason) '
        "SELECT 'activity-log', 0, n, 'x', 'not JSON' FROM generate_series(1, 5000) n"
    )
    migrated.execute("ANALYZE projector.dead_letters")
    found = migrated.execute(
        'EXPLAIN SELECT * FROM projector.dead_letters ORDER BY died_at DESC, topic, partition, "offset" LIMIT 50'
    )
    plan = "\n".join(line for (line,) in found)
    assert "dead_letters_died" in plan
    assert "Sort" not in plan


def fill_history(conn: Connection) -> None:
    """20,000 delegations of which one in two hundred is still in flight."""
    conn.execute("""
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat)
        SELECT 'd' || n, lpad((n % 100)::text, 32, '0')::uuid, lpad((n % 90)::text, 32, '0')::uuid, 'sum',
               CASE WHEN n % 200 = 0 THEN 'in_progress' ELSE 'completed' END,
               CASE WHEN n % 400 > 0 THEN now() - n * interval '1 minute' END
        FROM generate_series(1, 20000) n""")
    conn.execute("ANALYZE delegations")
