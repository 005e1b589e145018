"""golang-migrate uses the same folder, version table and lock: each tool continues where the other one stopped.

The tests do not run it. They repeat what its source (4.20.1) does, which was compared with the real command once.
"""

import re
from collections.abc import Callable

import pytest
from psycopg import Connection

from migrating.conftest import Catalog
from projector.errors import Misconfigured
from projector.postgres import migrations
from projector.postgres.migration_files import available

GOLANG_MIGRATE_TABLE = """
    CREATE TABLE IF NOT EXISTS "public"."projector_schema_migrations"
    (version bigint not null primary key, dirty boolean not null)
"""
"""The statement of golang-migrate, unchanged."""


def test_lock_key_is_that_of_golang_migrate() -> None:
    # Read from pg_locks while golang-migrate 4.20.1 waited for it on a database named gm
    assert migrations.golang_migrate_lock("gm", "public") == 466411661


def test_schema_from_golang_migrate_is_up_to_date(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    migrations.up(empty)
    expected = catalog()
    migrations.down(empty)
    empty.execute(GOLANG_MIGRATE_TABLE)
    for migration in available():
        empty.execute(migration.up, prepare=False)  # golang-migrate sends a file as one simple query
    empty.execute("INSERT INTO projector_schema_migrations VALUES (57, false)")
    assert migrations.up(empty) == []
    assert catalog() == expected


def test_up_works_after_down_by_golang_migrate(empty: Connection) -> None:
    migrations.up(empty)
    for migration in reversed(available()):
        empty.execute(migration.down, prepare=False)
    empty.execute("TRUNCATE projector_schema_migrations")  # golang-migrate keeps the empty table
    assert migrations.up(empty) == available()


def test_files_start_with_a_comment_and_no_transaction() -> None:
    for migration in available():
        for text in (migration.up.decode(), migration.down.decode()):
            assert text.startswith("-- ")
            assert not re.search(
                r"^\s*(BEGIN|START TRANSACTION|COMMIT|ROLLBACK)\s*;", text, re.MULTILINE | re.IGNORECASE
            )


@pytest.mark.parametrize(
    ("version", "dirty", "sentence"),
    [
        (
            58,
            False,
            r"at schema version 58, and the newest migration of this projector is 57\. A newer projector",
        ),
        (12, False, r"holds version 12, which no migration of the projector has\. Another tool wrote it"),
        (57, True, r"golang-migrate failed while it migrated to version 57 .*`migrate force N`"),
        (-1, True, r"golang-migrate failed while it migrated to version -1 .*`migrate force N`"),
    ],
)
def test_unknown_or_dirty_version_is_refused(empty: Connection, version: int, *, dirty: bool, sentence: str) -> None:
    migrations.up(empty)
    empty.execute(
        "UPDATE projector_schema_migrations SET version = %(version)s, dirty = %(dirty)s",
        {"version": version, "dirty": dirty},
    )
    for function in (
        migrations.up,
        migrations.down,
        migrations.rows_to_be_lost,
        migrations.status,
        migrations.require_current,
    ):
        with pytest.raises(Misconfigured, match=sentence):
            function(empty)
