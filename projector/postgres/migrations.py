"""Migrations: the numbered SQL files of `schema/`, applied and taken back, one transaction a file.

golang-migrate can be used on the same folder and database, with `x-migrations-table=projector_schema_migrations`:
version table and lock are the ones it would use. Decision 0003 tells why the table has a name of its own.
"""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import Connection, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row, tuple_row

from projector.errors import DatabaseUnavailable, Misconfigured, ProjectorError

AnyConnection = Connection[Any]

_FILE = re.compile(r"(\d+)_(\w+)\.(up|down)\.sql")


class Migration(NamedTuple):
    """A pair of files. `name` is as in the folder: 049_delegations."""

    version: int
    name: str
    up: bytes
    down: bytes


class SchemaStatus(NamedTuple):
    """Where a database stands: what is applied, what is not yet, and whether `delegations` was there before us."""

    applied: list[Migration]
    pending: list[Migration]
    adopted: bool


def _folder() -> Path:
    """The SQL files: in the package where a wheel is installed, at the repository's root in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "schema"
    return installed if installed.is_dir() else package.parent / "schema"


def known() -> list[Migration]:
    """Every migration of this projector, oldest first."""
    found: dict[str, dict[str, bytes]] = {}
    for file in _folder().iterdir():
        if match := _FILE.fullmatch(file.name):
            number, title, direction = match.groups()
            found.setdefault(f"{number}_{title}", {})[direction] = file.read_bytes()
    return [Migration(int(name.split("_")[0]), name, pair["up"], pair["down"]) for name, pair in sorted(found.items())]


def up(conn: AnyConnection) -> list[Migration]:
    """Apply what is pending and return it. `conn` is outside any transaction; autocommit or not makes no difference.

    Whoever comes second waits for the first, then finds nothing to do.
    """
    with _locked(conn):
        pending = status(conn).pending
        for migration in pending:
            with _applying(conn, migration, "up"):
                conn.execute(migration.up, prepare=False)
                _write_version(conn, migration.version)
        return pending


def down(conn: AnyConnection, *, to: int = 0) -> list[Migration]:
    """Take back every migration above version `to`, newest first, and return them; 0 takes back everything.

    Everything is also what golang-migrate's `down` means. Rows go with their tables: ask `at_stake` before.
    A table `delegations` that was adopted stays, with its rows.
    """
    with _locked(conn):
        leaving = _above(conn, to)
        for migration in leaving:
            below = max((other.version for other in known() if other.version < migration.version), default=None)
            with _applying(conn, migration, "down"):
                conn.execute(migration.down, prepare=False)
                _write_version(conn, below)
        return leaving


def rows_to_be_lost(conn: AnyConnection, *, to: int = 0) -> dict[str, int]:
    """The rows that `down(conn, to=to)` would destroy, by table; empty where it destroys none.

    The shadow of 051 counts for nothing: whatever is in it can be folded again.
    """
    with _reading(conn):
        leaving = {migration.version for migration in _above(conn, to)}
        counts: dict[str, int] = {}
        if 50 in leaving:
            counts |= _own_rows(conn)
        if 49 in leaving and not _is_adopted(conn):
            counts["delegations"] = _view_rows(conn)
        return {table: rows for table, rows in counts.items() if rows}


def status(conn: AnyConnection) -> SchemaStatus:
    """Where the database stands; changes nothing. Raises Misconfigured where its version is none of ours, or dirty."""
    with _reading(conn):
        version = _version(conn)
        every = known()
        if version is not None and version not in {migration.version for migration in every}:
            raise Misconfigured(_foreign(version, every))
        at = version or 0
        return SchemaStatus(
            applied=[migration for migration in every if migration.version <= at],
            pending=[migration for migration in every if migration.version > at],
            adopted=version is not None and _is_adopted(conn),
        )


def require_current(conn: AnyConnection) -> None:
    """Raise Misconfigured, with what to do about it, unless the schema is the one this projector was written for."""
    if pending := status(conn).pending:
        names = ", ".join(migration.name for migration in pending)
        raise Misconfigured(f"The database lacks {names}: run `projector migrate up` first.")


def _above(conn: AnyConnection, to: int) -> list[Migration]:
    """What is applied above version `to`, newest first."""
    every = known()
    if to not in {0, *(migration.version for migration in every)}:
        numbers = ", ".join(str(migration.version) for migration in every)
        raise Misconfigured(f"There is no version {to} to go down to: there are {numbers}, and 0 for none at all.")
    return [migration for migration in reversed(status(conn).applied) if migration.version > to]


def _foreign(version: int, every: list[Migration]) -> str:
    if version > every[-1].version:
        return (
            f"The database is at schema version {version}, and this projector knows them up to {every[-1].version}: "
            "a newer projector migrated it, use that one (or its `projector migrate down --to` first)."
        )
    return (
        f"The table projector_schema_migrations holds version {version}, which no migration of the projector has: "
        "another tool wrote it. Give that tool a version table of its own."
    )


@contextmanager
def _locked(conn: AnyConnection) -> Iterator[None]:
    """Hold golang-migrate's own lock, so that either tool waits for the other."""
    if conn.info.transaction_status is not TransactionStatus.IDLE:
        raise ValueError("migrations open their own transactions: give them a connection that is outside of any")
    key = _lock_key(conn)
    with _mapped_errors("Waiting for another migration"), conn.transaction():
        conn.execute("SET LOCAL statement_timeout = 0")
        conn.execute("SET LOCAL lock_timeout = 0")
        conn.execute("SELECT pg_advisory_lock(%(key)s)", {"key": key})
    try:
        yield
    finally:
        if not conn.closed:
            with conn.transaction():
                conn.execute("SELECT pg_advisory_unlock(%(key)s)", {"key": key})


@contextmanager
def _applying(conn: AnyConnection, migration: Migration, direction: str) -> Iterator[None]:
    """The transaction of one file and of the version it leads to."""
    with _mapped_errors(f"{migration.name}.{direction}.sql"), conn.transaction():
        conn.execute("SET LOCAL statement_timeout = 0")  # an index on a large table takes its time
        _leave_own_schemas(conn)
        yield


@contextmanager
def _reading(conn: AnyConnection) -> Iterator[None]:
    with _mapped_errors("Reading the schema's version"), conn.transaction():
        _leave_own_schemas(conn)
        yield


@contextmanager
def _mapped_errors(what: str) -> Iterator[None]:
    try:
        yield
    except errors.RaiseException as refusal:  # a sentence of the SQL file itself
        raise Misconfigured(f"{what}: {refusal.diag.message_primary}. It was rolled back.") from refusal
    except errors.InsufficientPrivilege as refusal:
        raise Misconfigured(f"{what}: {refusal.diag.message_primary}. Use a role that may.") from refusal
    except errors.OperationalError as trouble:
        raise DatabaseUnavailable(f"{what}: {trouble}") from trouble
    except errors.Error as trouble:
        raise ProjectorError(f"{what}: {trouble.diag.message_primary or trouble}. It was rolled back.") from trouble


def _lock_key(conn: AnyConnection) -> int:
    with _reading(conn):
        schema = conn.cursor(row_factory=scalar_row).execute("SELECT current_schema()").fetchone()
    if schema is None:
        raise Misconfigured("The search_path names no schema that exists: there is nowhere to put the tables.")
    return golang_migrate_lock(conn.info.dbname, schema)


def golang_migrate_lock(database: str, schema: str) -> int:
    """The advisory lock that the `migrate` command takes; to it, the database's name is the path of its URL."""
    names = "\0".join([schema, "projector_schema_migrations", f"/{database}"])
    return zlib.crc32(names.encode()) * 1486364155 % 2**32


def _leave_own_schemas(conn: AnyConnection) -> None:
    """Take the projector's schemas off the search path: `delegations` is in the first that is somebody else's."""
    conn.execute("""
        SELECT set_config('search_path', coalesce(string_agg(quote_ident(name), ', ' ORDER BY place), ''), true)
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place)
        WHERE name NOT IN ('projector', 'projector_shadow')""")


def _version(conn: AnyConnection) -> int | None:
    scalar = conn.cursor(row_factory=scalar_row)
    if scalar.execute("SELECT to_regclass('projector_schema_migrations')").fetchone() is None:
        return None
    rows = conn.cursor(row_factory=tuple_row).execute("SELECT version, dirty FROM projector_schema_migrations")
    version: int | None
    version, dirty = rows.fetchone() or (None, False)
    if dirty:
        raise Misconfigured(
            f"golang-migrate failed on the way to version {version} and marked the database dirty: see which of the "
            "projector's tables are there, then tell it the version they belong to (`migrate force N`, -1 for none)."
        )
    return version


def _write_version(conn: AnyConnection, version: int | None) -> None:
    """The one row, as golang-migrate reads it; no table at all once nothing is applied."""
    if version is None:
        conn.execute("DROP TABLE projector_schema_migrations")
        return
    conn.execute("""
        CREATE TABLE IF NOT EXISTS projector_schema_migrations (
            version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL)""")
    conn.execute("DELETE FROM projector_schema_migrations")
    conn.execute("INSERT INTO projector_schema_migrations VALUES (%(version)s, false)", {"version": version})


def _is_adopted(conn: AnyConnection) -> bool:
    found = conn.cursor(row_factory=scalar_row).execute("""
        SELECT coalesce(obj_description(to_regclass('delegations'), 'pg_class'), '')
               NOT LIKE '%made by the delegations projector%'""")
    return bool(found.fetchone())


def _view_rows(conn: AnyConnection) -> int:
    return conn.cursor(row_factory=scalar_row).execute("SELECT count(*) FROM delegations").fetchone() or 0


def _own_rows(conn: AnyConnection) -> dict[str, int]:
    counts = conn.cursor(row_factory=tuple_row).execute("""
        SELECT 'projector.positions', count(*) FROM projector.positions
        UNION ALL SELECT 'projector.parked', count(*) FROM projector.parked
        UNION ALL SELECT 'projector.dead_letters', count(*) FROM projector.dead_letters
        UNION ALL SELECT 'projector.large_rows', count(*) FROM projector.large_rows""")
    return dict(counts)
