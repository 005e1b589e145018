"""Migrations: apply the numbered SQL files of `schema/` and revert them, one transaction per file.

golang-migrate can be used on the same folder and database, with `x-migrations-table=projector_schema_migrations`:
the version table and the lock are the ones that it uses. docs/decisions/0003 gives the reason for that table name.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row, tuple_row

from projector.errors import DatabaseUnavailable, Misconfigured, ProjectorError
from projector.postgres import migration_losses, session
from projector.postgres.migration_files import Migration, available, shadow_script


class SchemaStatus(NamedTuple):
    """The migrations that are applied, those that are pending, and whether the table `delegations` was adopted."""

    applied: list[Migration]
    pending: list[Migration]
    adopted: bool


def up(conn: Connection[Any]) -> list[Migration]:
    """Apply the pending migrations and return them. `conn` must be outside a transaction; autocommit does not matter.

    Of several callers at once, one applies them. The others wait for it and find nothing pending.
    """
    with _locked(conn):
        pending = status(conn).pending
        for migration in pending:
            with _transaction(conn, f"{migration.name}.up.sql"):
                conn.execute("SET LOCAL statement_timeout = 0")  # an index on a large table takes its time
                conn.execute(migration.up, prepare=False)
                _write_version(conn, migration.version)
        return pending


def down(conn: Connection[Any], *, to: int = 0) -> list[Migration]:
    """Revert every migration above version `to`, newest first, and return them; 0 reverts all, as in golang-migrate.

    The rows are lost with their tables: `rows_to_be_lost` counts them beforehand. An adopted table `delegations` stays.
    """
    with _locked(conn):
        reverted = _applied_above(conn, to)
        for migration in reverted:
            below = max((other.version for other in available() if other.version < migration.version), default=None)
            with _transaction(conn, f"{migration.name}.down.sql"):
                conn.execute("SET LOCAL statement_timeout = 0")
                conn.execute(migration.down, prepare=False)
                _write_version(conn, below)
        return reverted


def recreate_shadow(conn: Connection[Any]) -> None:
    """Create the tables of the shadow again, from the tables that they copy. No row of the view is touched.

    Raises ProjectorError if a verify or rebuild uses the shadow, Misconfigured if a migration is pending.
    """
    recreate = shadow_script()
    with _locked(conn):
        require_current(conn)
        with _transaction(conn, "recreate_shadow.sql"):
            if not _scalar(conn, "SELECT pg_try_advisory_xact_lock(hashtext('delegations projector: shadow'))"):
                raise ProjectorError("a verify or rebuild is running: wait until it ends, or stop it")
            conn.execute(recreate, prepare=False)


def rows_to_be_lost(conn: Connection[Any], *, to: int = 0) -> dict[str, int]:
    """Count the rows that `down(conn, to=to)` would destroy, per table that loses some, without the shadow of 051."""
    with _transaction(conn):
        versions = {migration.version for migration in _applied_above(conn, to)}
        counts: dict[str, int] = {}
        if 57 in versions:
            counts |= migration_losses.of_pruning(conn)
        if 56 in versions:
            counts["projector.passes"] = _scalar(conn, "SELECT count(*) FROM projector.passes")
        if 55 in versions:
            counts |= migration_losses.of_push(conn)
        if 53 in versions:
            counts["projector.deleted"] = _scalar(conn, "SELECT count(*) FROM projector.deleted")
        if 52 in versions:
            counts["projector.repeated_requests"] = _scalar(conn, "SELECT count(*) FROM projector.repeated_requests")
            counts["projector.parked"] = _scalar(conn, "SELECT count(*) FROM projector.parked WHERE kind = 'verdict'")
        if 50 in versions:
            counts |= migration_losses.of_projector(conn)
        if 49 in versions and not _is_adopted(conn):
            counts["delegations"] = _scalar(conn, "SELECT count(*) FROM delegations")
        return {table: rows for table, rows in counts.items() if rows}


def status(conn: Connection[Any]) -> SchemaStatus:
    """Return the status and change nothing. Raises Misconfigured if the database's version is unknown or dirty."""
    with _transaction(conn):
        version = _version(conn)
        migrations = available()
        if version is not None and version not in {migration.version for migration in migrations}:
            raise Misconfigured(_unknown_version(version, newest=migrations[-1].version))
        return SchemaStatus(
            applied=[migration for migration in migrations if migration.version <= (version or 0)],
            pending=[migration for migration in migrations if migration.version > (version or 0)],
            adopted=version is not None and _is_adopted(conn),
        )


def require_current(conn: Connection[Any]) -> None:
    """Raise Misconfigured, with the remedy, unless every migration of this release is applied, and no later one."""
    if pending := status(conn).pending:
        names = ", ".join(migration.name for migration in pending)
        raise Misconfigured(f"The database lacks {names}: run `projector migrate up` first.")


def _applied_above(conn: Connection[Any], to: int) -> list[Migration]:
    """Return the applied migrations above version `to`, newest first."""
    versions = [migration.version for migration in available()]
    if to not in {0, *versions}:
        numbers = ", ".join(map(str, versions))
        raise Misconfigured(f"--to {to}: there is no such version. Choose one of {numbers}, or 0 to revert them all.")
    return [migration for migration in reversed(status(conn).applied) if migration.version > to]


def _unknown_version(version: int, newest: int) -> str:
    if version > newest:
        return (
            f"The database is at schema version {version}, and the newest migration of this projector is {newest}. "
            "A newer projector migrated it: use that release, or run its `projector migrate down --to` first."
        )
    return (
        f"The table projector_schema_migrations holds version {version}, which no migration of the projector has. "
        "Another tool wrote it: give that tool a version table of its own."
    )


@contextmanager
def _locked(conn: Connection[Any]) -> Iterator[None]:
    """Hold the advisory lock of golang-migrate, so that the two tools wait for each other."""
    if conn.info.transaction_status is not TransactionStatus.IDLE:
        raise ValueError("migrations open their own transactions: pass a connection outside a transaction")
    key = _lock_key(conn)
    with _transaction(conn, "Waiting for another migration"):
        conn.execute("SET LOCAL statement_timeout = 0")
        conn.execute("SET LOCAL lock_timeout = 0")
        # A lock of the session: it outlives this transaction and spans those of the files.
        conn.execute("SELECT pg_advisory_lock(%(key)s)", {"key": key})
    try:
        yield
    finally:
        if not conn.closed:
            with conn.transaction():
                conn.execute("SELECT pg_advisory_unlock(%(key)s)", {"key": key})


@contextmanager
def _transaction(conn: Connection[Any], step: str = "Reading the schema version") -> Iterator[None]:
    """Open one transaction outside the projector's own schemas, and map its errors; `step` starts each message."""
    try:
        with conn.transaction():
            _hide_own_schemas(conn)
            yield
    except errors.RaiseException as error:  # the SQL file itself raised it, with a sentence for people
        raise Misconfigured(f"{step}: {error.diag.message_primary}. It was rolled back.") from error
    except errors.InsufficientPrivilege as error:
        reason = session.hidden_rows(error) or session.missing_right(error, conn.info.user)
        raise Misconfigured(f"{step}: {reason}") from error
    except errors.OperationalError as error:
        raise DatabaseUnavailable(f"{step}: {error}") from error
    except errors.Error as error:
        raise ProjectorError(f"{step}: {error.diag.message_primary or error}. It was rolled back.") from error


def _lock_key(conn: Connection[Any]) -> int:
    with _transaction(conn):
        schema = _scalar(conn, "SELECT current_schema()")
    if schema is None:
        raise Misconfigured("No schema of the search_path exists: create one, or set the search_path to one that does.")
    return golang_migrate_lock(conn.info.dbname, schema)


def golang_migrate_lock(database: str, schema: str) -> int:
    """Compute the key of golang-migrate's advisory lock; it uses the path of the URL as the database's name."""
    names = "\0".join([schema, "projector_schema_migrations", f"/{database}"])
    return zlib.crc32(names.encode()) * 1486364155 % 2**32


def _hide_own_schemas(conn: Connection[Any]) -> None:
    """Remove the projector's schemas from the search path: `delegations` belongs to the first of the others."""
    conn.execute("""
        SELECT set_config('search_path', coalesce(string_agg(quote_ident(name), ', ' ORDER BY place), ''), true)
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place)
        WHERE name NOT IN ('projector', 'projector_shadow')""")


def _version(conn: Connection[Any]) -> int | None:
    if _scalar(conn, "SELECT to_regclass('projector_schema_migrations')") is None:
        return None
    rows = conn.cursor(row_factory=tuple_row).execute("SELECT version, dirty FROM projector_schema_migrations")
    version: int | None
    version, dirty = rows.fetchone() or (None, False)
    if dirty:
        raise Misconfigured(
            f"golang-migrate failed while it migrated to version {version} and marked the database as dirty. Check "
            "which tables of the projector exist, then set their version: `migrate force N`, -1 if there are none."
        )
    return version


def _write_version(conn: Connection[Any], version: int | None) -> None:
    """Store the version as golang-migrate does, in a single row; drop the table when no migration is applied."""
    if version is None:
        conn.execute("DROP TABLE projector_schema_migrations")
        return
    conn.execute("""
        CREATE TABLE IF NOT EXISTS projector_schema_migrations (
            version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL)""")
    conn.execute("DELETE FROM projector_schema_migrations")
    conn.execute("INSERT INTO projector_schema_migrations VALUES (%(version)s, false)", {"version": version})


def _is_adopted(conn: Connection[Any]) -> bool:
    """Return whether `delegations` lacks the comment by which 049 marks a table that it created."""
    comment = _scalar(conn, "SELECT obj_description(to_regclass('delegations'), 'pg_class')")
    return "made by the delegations projector" not in (comment or "")


def _scalar(conn: Connection[Any], statement: LiteralString) -> Any:
    """Return the only column of the only row."""
    return conn.cursor(row_factory=scalar_row).execute(statement).fetchone()
