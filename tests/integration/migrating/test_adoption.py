"""A table `delegations` that the platform made before us: adopted if it fits, named column by column if not."""

from collections.abc import Callable
from typing import LiteralString

import pytest
from projecting import asked, expected_of, in_batches, table
from psycopg import Connection

from migrating.conftest import Shape
from projector.errors import Misconfigured
from projector.postgres import connection, migrations, write_batch
from projector.rebuild import shadow
from projector.recordings.file import RecordedRecord
from projector.settings import PostgresSettings
from testbed.workload import Mix, records
from testbed.workload.log import logged

PLATFORMS_TABLE = """
    CREATE TABLE delegations (
        delegation_id text PRIMARY KEY,
        caller_id uuid NOT NULL,
        callee_id uuid NOT NULL,
        task_preview text NOT NULL,
        status text NOT NULL DEFAULT 'queued' CONSTRAINT known_status
            CHECK (status IN ('stuck', 'failed', 'completed', 'in_progress', 'dispatched', 'queued')),
        last_heartbeat timestamptz,
        deadline timestamptz NOT NULL DEFAULT now() + interval '6 hours',
        result_preview text,
        error_detail text,
        retry_count int NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        idempotency_key text
    );
    CREATE TABLE workspaces (id uuid PRIMARY KEY);
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
    VALUES ('theirs', '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b', 'sum');
"""
PLATFORMS_INDEXES = """
    CREATE INDEX idx_delegations_inflight_heartbeat ON delegations (last_heartbeat NULLS FIRST) WITH (fillfactor = 80)
        WHERE status IN ('in_progress', 'dispatched', 'queued');
    CREATE INDEX idx_delegations_caller_created ON delegations (caller_id, created_at DESC);
    CREATE INDEX idx_delegations_callee_created ON delegations (callee_id, created_at DESC);
    CREATE UNIQUE INDEX idx_delegations_idempotency ON delegations (caller_id, idempotency_key)
        WHERE idempotency_key IS NOT NULL;
"""


@pytest.fixture
def platforms(empty: Connection) -> Connection:
    empty.execute(PLATFORMS_TABLE)
    return empty


def about_delegations(shape: Shape) -> list[tuple[object, ...]]:
    return [row for rows in shape.values() for row in rows if "delegations" in f"{row}" and "shadow" not in f"{row}"]


def test_a_table_that_fits_is_adopted_as_it_is_with_its_rows(platforms: Connection, shape: Callable[[], Shape]) -> None:
    platforms.execute(PLATFORMS_INDEXES)
    platforms.execute("COMMENT ON TABLE delegations IS 'the platform says this'")
    before = about_delegations(shape())
    migrations.up(platforms)
    assert migrations.status(platforms).adopted
    assert about_delegations(shape()) == before
    assert platforms.execute("SELECT delegation_id FROM delegations").fetchall() == [("theirs",)]


def test_the_table_of_our_own_migration_fits(empty: Connection, shape: Callable[[], Shape]) -> None:
    migrations.up(empty)
    whole = shape()
    migrations.down(empty, to=49)
    empty.execute("DROP TABLE projector_schema_migrations")
    assert migrations.up(empty) == migrations.known()
    assert shape() == whole
    assert not migrations.status(empty).adopted


def test_missing_indexes_are_made(platforms: Connection) -> None:
    migrations.up(platforms)
    found = platforms.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'idx_delegations_%' ORDER BY 1")
    assert [name for (name,) in found] == [
        "idx_delegations_callee_created",
        "idx_delegations_caller_created",
        "idx_delegations_idempotency",
        "idx_delegations_inflight_heartbeat",
    ]


FURTHER = (
    "ALTER TABLE delegations ADD note text",
    "ALTER TABLE delegations ADD priority int NOT NULL DEFAULT 3",
    "ALTER TABLE delegations ADD number bigint GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE delegations ADD size int NOT NULL GENERATED ALWAYS AS (length(task_preview)) STORED",
    "ALTER TABLE delegations ADD gone text NOT NULL DEFAULT ''; ALTER TABLE delegations DROP gone",
    "ALTER TABLE delegations ADD CHECK (retry_count >= 0)",
    "ALTER TABLE delegations ALTER task_preview SET DEFAULT ''",
    "CREATE INDEX theirs ON delegations (updated_at)",
    "CREATE UNIQUE INDEX theirs ON delegations (caller_id, idempotency_key) WHERE idempotency_key IS NOT NULL",
)


@pytest.mark.parametrize("change", FURTHER)
def test_what_stands_in_nobodys_way_is_no_misfit(platforms: Connection, change: LiteralString) -> None:
    platforms.execute(change)
    migrations.up(platforms)
    platforms.execute(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) "
        "VALUES ('ours', gen_random_uuid(), gen_random_uuid(), 'sum')"
    )


PLATFORM = [
    RecordedRecord(*each)
    for each in logged(records(Mix(delegations=60, live=15, seed=5, repeat_every=300, longest_repeat=60)), partitions=3)
]
COLUMNS_OF_THEIRS = {
    "nullable": "note text",
    "with a default": "priority int NOT NULL DEFAULT 3",
    "of a sequence": "number bigserial",
    "identity by default": "number bigint GENERATED BY DEFAULT AS IDENTITY",
    "identity always": "number bigint GENERATED ALWAYS AS IDENTITY",
    "generated": "size int NOT NULL GENERATED ALWAYS AS (length(task_preview)) STORED",
}


@pytest.mark.parametrize("column", COLUMNS_OF_THEIRS.values(), ids=COLUMNS_OF_THEIRS)
def test_the_log_is_folded_into_the_shadow_of_an_adopted_table_with_a_column_of_its_own(
    platforms: Connection, empty_url: str, column: LiteralString
) -> None:
    platforms.execute("ALTER TABLE delegations ADD " + column)
    migrations.up(platforms)
    with connection.connect(PostgresSettings(database_url=empty_url), schema=shadow.SCHEMA) as shadow_conn:
        write_batch.prepare(shadow_conn)
        in_batches(shadow_conn, PLATFORM, 200)
        assert table(shadow_conn) == expected_of(PLATFORM)
    with connection.connect(PostgresSettings(database_url=empty_url)) as view:
        assert shadow.carry_over_rows(view, view.execute("SELECT now() + interval '1 hour'").fetchall()[0][0]) == 1
        assert asked(view, "SELECT delegation_id FROM delegations") == ["theirs"]
    found = platforms.execute("SELECT count(*) FROM projector_shadow.delegations").fetchone()
    assert found == (len(expected_of(PLATFORM)) + 1,)


@pytest.mark.parametrize("column", COLUMNS_OF_THEIRS.values(), ids=COLUMNS_OF_THEIRS)
def test_the_shadow_of_an_adopted_table_with_a_column_of_its_own_goes_and_comes_again(
    platforms: Connection, shape: Callable[[], Shape], column: LiteralString
) -> None:
    platforms.execute(PLATFORMS_INDEXES)
    platforms.execute("ALTER TABLE delegations ADD " + column)
    before = shape()
    migrations.up(platforms)
    whole = shape()
    migrations.down(platforms, to=50)
    assert "shadow" not in f"{shape()}"
    migrations.up(platforms)
    assert shape() == whole
    migrations.down(platforms)
    assert shape() == before


SIX = "CHECK ((status = ANY (ARRAY[completed, dispatched, failed, in_progress, queued, stuck])))"
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
    "ALTER TABLE delegations DROP CONSTRAINT known_status": f"CHECK of status is missing, expected {SIX}",
    "ALTER TABLE delegations DROP CONSTRAINT known_status, ADD CHECK (status IN ('queued', 'completed'))": (
        f"CHECK of status is CHECK ((status = ANY (ARRAY[completed, queued]))), expected {SIX}"
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
def test_a_misfit_is_named_and_nothing_is_changed(
    platforms: Connection, shape: Callable[[], Shape], change: LiteralString, sentence: str
) -> None:
    platforms.execute(change)
    before = shape()
    with pytest.raises(Misconfigured) as refusal:
        migrations.up(platforms)
    assert "049_delegations.up.sql: the existing table delegations does not fit: " in str(refusal.value)
    assert sentence in str(refusal.value)
    assert shape() == before


def test_an_index_that_was_never_finished_is_named(platforms: Connection) -> None:
    platforms.execute(PLATFORMS_INDEXES)
    platforms.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_delegations_callee_created'::regclass"
    )
    with pytest.raises(
        Misconfigured, match=r"callee_created is btree \(callee_id, created_at DESC\) INVALID, expected"
    ):
        migrations.up(platforms)


def test_all_that_differs_is_named_at_once(platforms: Connection) -> None:
    platforms.execute("ALTER TABLE delegations DROP error_detail, ALTER caller_id TYPE text, ALTER status DROP DEFAULT")
    with pytest.raises(Misconfigured) as refusal:
        migrations.up(platforms)
    assert str(refusal.value) == (
        "049_delegations.up.sql: the existing table delegations does not fit: "
        "column caller_id is text NOT NULL, expected uuid NOT NULL; "
        "column error_detail is missing, expected text; "
        "default of status is missing, expected there. It was rolled back."
    )


def test_down_leaves_an_adopted_table_to_whoever_made_it(platforms: Connection, shape: Callable[[], Shape]) -> None:
    platforms.execute(PLATFORMS_INDEXES)
    before = shape()
    migrations.up(platforms)
    assert migrations.rows_to_be_lost(platforms) == {}
    assert migrations.down(platforms) == migrations.known()[::-1]
    assert shape() == before
    assert platforms.execute("SELECT delegation_id FROM delegations").fetchall() == [("theirs",)]
    assert migrations.up(platforms) == migrations.known()
