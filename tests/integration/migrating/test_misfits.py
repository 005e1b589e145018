"""A table `delegations` that does not fit is refused: each difference is named, and nothing changes."""

from collections.abc import Callable
from typing import LiteralString

import pytest
from psycopg import Connection

from migrating import platform_table
from migrating.conftest import Catalog
from projector.errors import Misconfigured
from projector.postgres import migrations

ALL_STATES = "CHECK ((status = ANY (ARRAY[completed, dispatched, failed, in_progress, queued, stuck])))"
MISFITS = {
    "ALTER TABLE delegations DROP error_detail": "column error_detail is missing, expected text",
    "ALTER TABLE delegations ALTER caller_id TYPE text": "column caller_id is text NOT NULL, expected uuid NOT NULL",
    "ALTER TABLE delegations ALTER created_at TYPE timestamp": (
        "column created_at is timestamp without time zone NOT NULL, expected timestamp with time zone NOT NULL"
    ),
    "ALTER TABLE delegations ALTER task_preview TYPE varchar(500)": (
        "column task_preview is character varying(500) NOT NULL, expected text NOT NULL"
    ),
    "ALTER TABLE delegations ALTER callee_id DROP NOT NULL": "column callee_id is uuid, expected uuid NOT NULL",
    "UPDATE delegations SET idempotency_key = ''; ALTER TABLE delegations ALTER idempotency_key SET NOT NULL": (
        "column idempotency_key is text NOT NULL, expected text"
    ),
    "ALTER TABLE delegations DROP retry_count, ADD retry_count int NOT NULL GENERATED ALWAYS AS IDENTITY": (
        "column retry_count is integer NOT NULL GENERATED ALWAYS, expected integer NOT NULL; "
        "default of retry_count is missing, expected there"
    ),
    "TRUNCATE delegations; ALTER TABLE delegations ADD tenant uuid NOT NULL": (
        "column tenant is NOT NULL without a default, and nothing here would fill it"
    ),
    "ALTER TABLE delegations ALTER deadline DROP DEFAULT": "default of deadline is missing, expected there",
    "ALTER TABLE delegations DROP CONSTRAINT delegations_pkey": (
        "primary key is missing, expected PRIMARY KEY (delegation_id)"
    ),
    "ALTER TABLE delegations DROP CONSTRAINT delegations_pkey, ADD PRIMARY KEY (delegation_id, caller_id)": (
        "primary key is PRIMARY KEY (delegation_id, caller_id), expected PRIMARY KEY (delegation_id)"
    ),
    "ALTER TABLE delegations DROP CONSTRAINT known_status": f"CHECK of status is missing, expected {ALL_STATES}",
    "ALTER TABLE delegations DROP CONSTRAINT known_status, ADD CHECK (status IN ('queued', 'completed'))": (
        f"CHECK of status is CHECK ((status = ANY (ARRAY[completed, queued]))), expected {ALL_STATES}"
    ),
    "ALTER TABLE delegations ADD CONSTRAINT nothing_stuck CHECK (status <> 'stuck')": "CHECK of status is ",
    "CREATE INDEX idx_delegations_caller_created ON delegations (caller_id)": (
        "index idx_delegations_caller_created is btree (caller_id), expected btree (caller_id, created_at DESC)"
    ),
    "CREATE INDEX idx_delegations_idempotency ON delegations (caller_id, idempotency_key)": (
        "index idx_delegations_idempotency is btree (caller_id, idempotency_key), expected UNIQUE btree "
    ),
    "CREATE INDEX idx_delegations_inflight_heartbeat ON workspaces (id)": (
        "index idx_delegations_inflight_heartbeat is the name of something else, expected btree (last_heartbeat "
    ),
    "ALTER TABLE delegations ADD CONSTRAINT caller FOREIGN KEY (caller_id) REFERENCES workspaces NOT VALID": (
        "constraint caller is FOREIGN KEY (caller_id) REFERENCES workspaces(id) NOT VALID, expected no foreign key"
    ),
    "CREATE UNIQUE INDEX one_each ON delegations (callee_id)": (
        "index one_each is UNIQUE btree (callee_id), expected no other unique one"
    ),
    "ALTER TABLE delegations SET UNLOGGED": (
        "relation is an unlogged table, which a crash empties, expected an ordinary table"
    ),
    "ALTER TABLE delegations RENAME TO old; CREATE VIEW delegations AS SELECT * FROM old": (
        "relation is a view or some other kind of relation, expected an ordinary table"
    ),
}


@pytest.mark.parametrize(("change", "sentence"), MISFITS.items())
def test_misfit_is_named_and_changes_nothing(
    existing: Connection, catalog: Callable[[], Catalog], change: LiteralString, sentence: str
) -> None:
    existing.execute(change)
    before = catalog()
    with pytest.raises(Misconfigured) as refusal:
        migrations.up(existing)
    assert "049_delegations.up.sql: the existing table delegations does not fit: " in str(refusal.value)
    assert sentence in str(refusal.value)
    assert catalog() == before


def test_invalid_index_is_named(existing: Connection) -> None:
    existing.execute(platform_table.INDEXES)
    existing.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_delegations_callee_created'::regclass"
    )
    with pytest.raises(
        Misconfigured, match=r"callee_created is btree \(callee_id, created_at DESC\) INVALID, expected"
    ):
        migrations.up(existing)


def test_all_differences_are_named_at_once(existing: Connection) -> None:
    existing.execute("ALTER TABLE delegations DROP error_detail, ALTER caller_id TYPE text, ALTER status DROP DEFAULT")
    with pytest.raises(Misconfigured) as refusal:
        migrations.up(existing)
    assert str(refusal.value) == (
        "049_delegations.up.sql: the existing table delegations does not fit: "
        "column caller_id is text NOT NULL, expected uuid NOT NULL; "
        "column error_detail is missing, expected text; "
        "default of status is missing, expected there. It was rolled back."
    )
