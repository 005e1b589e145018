"""golang-migrate on the same folder, version table and lock: either tool takes over where the other left.

It is not run here; what it does was read in the source of 4.20.1 and compared with the real command, both ways.
"""

import re
from collections.abc import Callable

import pytest
from psycopg import Connection

from migrating.conftest import Shape
from projector.errors import Misconfigured
from projector.postgres import migrations

# As golang-migrate creates it, word for word.
GOLANG_MIGRATE_TABLE = """
    CREATE TABLE IF NOT EXISTS "public"."projector_schema_migrations"
    (version bigint not null primary key, dirty boolean not null)
"""


def test_the_lock_is_golang_migrates_own() -> None:
    # read from pg_locks while golang-migrate 4.20.1 waited for it on a database named gm
    assert migrations.golang_migrate_lock("gm", "public") == 466411661


def test_golang_migrate_goes_up_and_ours_finds_nothing_to_do(empty: Connection, shape: Callable[[], Shape]) -> None:
    migrations.up(empty)
    ours = shape()
    migrations.down(empty)
    empty.execute(GOLANG_MIGRATE_TABLE)
    for migration in migrations.known():
        empty.execute(migration.up, prepare=False)  # one simple query without a transaction around it, as it does
    empty.execute("INSERT INTO projector_schema_migrations VALUES (51, false)")
    assert migrations.up(empty) == []
    assert shape() == ours


def test_golang_migrate_goes_down_and_ours_goes_up_again(empty: Connection) -> None:
    migrations.up(empty)
    for migration in reversed(migrations.known()):
        empty.execute(migration.down, prepare=False)
    empty.execute("TRUNCATE projector_schema_migrations")  # it leaves the table, empty
    assert migrations.up(empty) == migrations.known()


def test_no_file_opens_or_ends_a_transaction_and_each_tells_what_it_is_for() -> None:
    for migration in migrations.known():
        for text in (migration.up.decode(), migration.down.decode()):
            assert text.startswith("-- ")
            assert not re.search(
                r"^\s*(BEGIN|START TRANSACTION|COMMIT|ROLLBACK)\s*;", text, re.MULTILINE | re.IGNORECASE
            )


@pytest.mark.parametrize(
    ("version", "dirty", "sentence"),
    [
        (52, False, "at schema version 52, and this projector knows them up to 51: a newer projector migrated it"),
        (12, False, "holds version 12, which no migration of the projector has: another tool wrote it"),
        (51, True, r"golang-migrate failed on the way to version 51 .*`migrate force N`"),
        (-1, True, r"golang-migrate failed on the way to version -1 .*`migrate force N`"),
    ],
)
def test_a_version_that_cannot_be_gone_on_from_is_refused(
    empty: Connection, version: int, *, dirty: bool, sentence: str
) -> None:
    migrations.up(empty)
    empty.execute(
        "UPDATE projector_schema_migrations SET version = %(version)s, dirty = %(dirty)s",
        {"version": version, "dirty": dirty},
    )
    for act in (
        migrations.up,
        migrations.down,
        migrations.rows_to_be_lost,
        migrations.status,
        migrations.require_current,
    ):
        with pytest.raises(Misconfigured, match=sentence):
            act(empty)
