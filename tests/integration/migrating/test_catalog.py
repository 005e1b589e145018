"""What the database contains after `migrate up`: the table `delegations`, and the projector's own tables."""

import re
from collections import Counter

import pytest
from psycopg import Connection, errors

from migrating.catalog import columns
from projector.contract.facts import FAILED, IN_FLIGHT, TERMINAL, Status
from projector.postgres.migration_files import available

INSERT = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, idempotency_key, status)
    VALUES (%(id)s, '00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'sum', %(key)s, %(status)s)
"""
PARK = """
    INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since)
    VALUES ('activity-log', 0, 0, 'd1', %(kind)s, %(status)s, '2025-05-05', %(silent_since)s)
"""


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


def test_delegations_has_its_indexes_with_their_predicates(migrated: Connection) -> None:
    definitions = migrated.execute(
        "SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX (.*) ON .* USING btree', '\\1') FROM pg_index "
        "WHERE indrelid = 'delegations'::regclass AND NOT indisprimary"
    )
    failed = "status = ANY (ARRAY['failed'::text, 'stuck'::text])"
    in_flight = "status = ANY (ARRAY['queued'::text, 'dispatched'::text, 'in_progress'::text])"
    assert {definition for (definition,) in definitions} == {
        f"CREATE idx_delegations_inflight_heartbeat (last_heartbeat NULLS FIRST) WHERE ({in_flight})",
        "CREATE idx_delegations_caller_created (caller_id, created_at DESC)",
        "CREATE idx_delegations_callee_created (callee_id, created_at DESC)",
        "CREATE idx_delegations_created (created_at DESC, delegation_id)",
        f"CREATE idx_delegations_failed (updated_at DESC) INCLUDE (status) WHERE ({failed})",
        "CREATE UNIQUE idx_delegations_idempotency (caller_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)",
    }


def test_delegations_has_a_key_a_check_and_no_foreign_key(migrated: Connection) -> None:
    definitions = migrated.execute(
        "SELECT contype, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'delegations'::regclass AND contype <> 'n' ORDER BY 1"
    )
    states = "'queued'::text, 'dispatched'::text, 'in_progress'::text, 'completed'::text, 'failed'::text, 'stuck'::text"
    assert definitions.fetchall() == [
        ("c", f"CHECK ((status = ANY (ARRAY[{states}])))"),
        ("p", "PRIMARY KEY (delegation_id)"),
    ]


def test_states_in_sql_are_those_of_the_lifecycle() -> None:
    lists = Counter(
        frozenset(re.findall(r"'(\w+)'", states))
        for migration in available()
        for states in re.findall(r"status IN \(([^)]*)\)", migration.up.decode())
    )
    assert lists == {FAILED: 2, IN_FLIGHT: 1, TERMINAL: 1, frozenset(Status): 2}


def test_unknown_status_is_refused(migrated: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match="delegations_status_check"):
        migrated.execute(INSERT, {"id": "d1", "key": None, "status": "cancelled"})


def test_idempotency_key_is_unique_unless_null(migrated: Connection) -> None:
    for delegation_id, key in (("d1", None), ("d2", None), ("d3", "k")):
        migrated.execute(INSERT, {"id": delegation_id, "key": key, "status": "completed"})
    with pytest.raises(errors.UniqueViolation, match="idx_delegations_idempotency"):
        migrated.execute(INSERT, {"id": "d4", "key": "k", "status": "queued"})


def test_own_tables_have_the_agreed_columns(migrated: Connection) -> None:
    tables = migrated.execute(
        "SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns "
        "WHERE table_schema = 'projector' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    parked = "seq topic partition offset delegation_id kind status at result_preview error_detail parked_at"
    parked += " silent_since"
    outbox = "delegation_id queued_at due_at next_attempt_at attempts ended_as sent_at sent_to given_up_at last_error"
    assert tables == [
        ("dead_letters", "topic partition offset record_at key value reason field died_at value_hash"),
        ("deleted", "id run_id deleted_at source kind delegation_id content"),
        ("ends", "delegation_id topic partition offset kind status row_id has_text at"),
        ("erased", "delegation_id erased_at"),
        ("large_rows", "row_id delegation_id"),
        ("outbox", outbox),
        ("parked", parked),
        ("passes", "id kind started_at ended_at result"),
        (
            "positions",
            "topic partition next_offset owner topic_id generation member claimed_at moved_at record_at group_id",
        ),
        ("pruned", "delegation_id caller_id idempotency_key pruned_at"),
        ("push", "topic switched_on_at pruned_before"),
        ("push_from", "topic partition next_offset"),
        ("repeated_requests", "delegation_id holder_id topic partition offset requested_at"),
    ]


SILENT = "2025-05-05"


@pytest.mark.parametrize(
    ("kind", "status", "silent_since"),
    [
        *[("status", None, None), ("heartbeat", "queued", None), ("status", "x", None), ("hello", None, None)],
        *[("verdict", None, SILENT), ("verdict", "completed", SILENT), ("verdict", "queued", SILENT)],
        *[("verdict", "stuck", None), ("status", "stuck", SILENT), ("heartbeat", None, SILENT)],
    ],
)
def test_parked_refuses_unknown_kinds_and_states(
    migrated: Connection, kind: str, status: str | None, silent_since: str | None
) -> None:
    with pytest.raises(errors.CheckViolation):
        migrated.execute(PARK, {"kind": kind, "status": status, "silent_since": silent_since})


@pytest.mark.parametrize(
    ("kind", "status", "silent_since"),
    [
        *[("status", "queued", None), ("status", "stuck", None), ("heartbeat", None, None)],
        *[("verdict", "stuck", SILENT), ("verdict", "failed", SILENT), ("verdict", "failed", None)],
    ],
)
def test_event_is_parked_only_once(
    migrated: Connection, kind: str, status: str | None, silent_since: str | None
) -> None:
    event = {"kind": kind, "status": status, "silent_since": silent_since}
    migrated.execute(PARK, event)
    if kind == "verdict":
        migrated.execute(PARK, event | {"silent_since": "2025-05-06"})
    with pytest.raises(errors.UniqueViolation, match="parked_event"):
        migrated.execute(PARK, event)


def test_process_that_cannot_read_a_verdict_cannot_delete_it(migrated: Connection) -> None:
    migrated.execute(PARK, {"kind": "verdict", "status": "stuck", "silent_since": SILENT})
    migrated.execute(PARK, {"kind": "heartbeat", "status": None, "silent_since": None})
    assert migrated.execute("DELETE FROM projector.parked WHERE kind = 'heartbeat'").rowcount == 1
    with (
        pytest.raises(errors.SerializationFailure, match="a verdict is parked for delegation d1, and this release"),
        migrated.transaction(),
    ):
        migrated.execute("DELETE FROM projector.parked")
    migrated.execute("SELECT set_config('projector.reads_verdicts', 'on', true)")
    assert migrated.execute("DELETE FROM projector.parked").rowcount == 1
