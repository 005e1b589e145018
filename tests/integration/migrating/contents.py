"""What these tests write into the tables of the schema, and how they count it."""

from psycopg import Connection, sql

from projector.postgres.migration_files import Migration

ALL = [
    *("049_delegations", "050_projector", "051_shadow", "052_verdicts", "053_deleted", "054_group_of_claims"),
    *("055_push", "056_dashboard", "057_pruning"),
]
OWN_TABLES = ("projector.positions", "projector.parked", "projector.dead_letters", "projector.large_rows")
"""The tables of 050, each with one row of `FILL`."""

FILL = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
        SELECT id, gen_random_uuid(), gen_random_uuid(), 'sum' FROM unnest(ARRAY['d1', 'd2']) AS id;
    INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('t', 0, 7);
    INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, at)
        VALUES ('t', 0, 3, 'd9', 'heartbeat', now());
    INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason) VALUES ('t', 0, 4, '', 'empty');
    INSERT INTO projector.large_rows VALUES (gen_random_uuid(), 'd1')
"""
"""Two delegations, and one row in each table of 050."""

FILL_LATER = """
    INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since)
        VALUES ('t', 0, 5, 'd9', 'verdict', 'stuck', now(), now());
    INSERT INTO projector.repeated_requests VALUES ('d8', 'd1', 't', 0, 6, now());
    INSERT INTO projector.deleted (run_id, source, kind, delegation_id, content)
        VALUES (gen_random_uuid(), 'topic t', 'row', 'd7', '{}');
    INSERT INTO projector.push VALUES ('t');
    INSERT INTO projector.push_from VALUES ('t', 0, 7);
    INSERT INTO projector.ends VALUES ('d1', 't', 0, 8, 'report', 'failed', NULL, false, now());
    INSERT INTO projector.outbox (delegation_id, due_at, next_attempt_at) VALUES ('d1', now(), now());
    INSERT INTO projector.passes (kind, started_at, result) VALUES ('verify', now(), '{}');
    INSERT INTO projector.pruned (delegation_id) VALUES ('d0');
    INSERT INTO projector.erased (delegation_id) VALUES ('d1')
"""
"""A parked verdict, and one row in each table of later migrations."""

FILL_SHADOW = """
    INSERT INTO projector_shadow.delegations SELECT * FROM delegations;
    INSERT INTO projector_shadow.positions SELECT * FROM projector.positions;
    INSERT INTO projector_shadow.large_rows SELECT * FROM projector.large_rows;
    INSERT INTO projector_shadow.suspects VALUES ('d1');
    INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('topic t', 'here/1', '{}', 0)
"""


def names(migrations: list[Migration]) -> list[str]:
    return [migration.name for migration in migrations]


def count(conn: Connection, table: str) -> int:
    rows = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))).fetchall()
    return int(rows[0][0])
