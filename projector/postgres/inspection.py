"""What `projector doctor` reads in Postgres: each transaction is read-only, and no setting outlives it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from projector.errors import Misconfigured
from projector.postgres import pooler
from projector.postgres.connection import Connection, mapped_errors, transaction
from projector.postgres.login import UrlSetting, named_errors
from projector.postgres.parameters import conninfo
from projector.settings import PostgresSettings

_STATEMENT_MS = "5000"
_LOCK_MS = "1000"


class Server(NamedTuple):
    """Who is connected to what. `quoted_role` is `role` as SQL has it."""

    version: int
    version_name: str
    database: str
    role: str
    quoted_role: str
    encoding: str
    is_standby: bool


class Default(NamedTuple):
    """The value with which a session of this role in this database begins. `scope`: where it is set, if known."""

    name: str
    value: str
    built_in: str | None
    scope: str | None


class SecuredTable(NamedTuple):
    """A table with row-level security; `applies` to the role in use. The name is quoted."""

    name: str
    applies: bool


class ShadowTable(NamedTuple):
    """A table of the shadow whose columns are not those of the table that it copies."""

    name: str
    differences: str


@contextmanager
def open_inspection(settings: PostgresSettings, url_setting: UrlSetting = "database_url") -> Iterator[Connection]:
    """A connection that sets nothing, prepares nothing, and only reads. Raises DatabaseUnavailable, Misconfigured.

    It makes no check, so that it opens where a session of `run` is refused.
    """
    url = getattr(settings, url_setting).get_secret_value()
    with mapped_errors(), named_errors(url_setting, url):
        conn = psycopg.connect(conninfo(url), autocommit=True, prepare_threshold=None)
    conn.read_only = True  # each transaction begins with BEGIN READ ONLY
    try:
        yield conn
    finally:
        conn.close()


def refusal_of_pooler(settings: PostgresSettings) -> str | None:
    """Why a session of the projector refuses the pooler in front of Postgres; None if it does not. It reads only ids.

    Raises DatabaseUnavailable.
    """
    url = settings.database_url.get_secret_value()
    try:
        with mapped_errors(), named_errors("database_url", url):
            pooler.connect(conninfo(url)).close()
    except Misconfigured as error:
        return str(error)
    return None


@contextmanager
def reading(conn: Connection) -> Iterator[None]:
    """One read-only transaction with bounded statements, and `projector` first on its search path."""
    with transaction(conn):
        conn.execute(
            """
            SELECT set_config('statement_timeout', %(statement)s, true), set_config('lock_timeout', %(lock)s, true),
                   set_config('application_name', 'projector doctor', true), set_config('DateStyle', 'ISO', true),
                   set_config('TimeZone', 'UTC', true),
                   set_config('search_path', 'projector' || coalesce(', ' || nullif(current_setting('search_path'), ''),
                              ''), true)
            """,
            {"statement": _STATEMENT_MS, "lock": _LOCK_MS},
        )
        yield


def server(conn: Connection) -> Server:
    """The server, the database and the role."""
    with conn.cursor(row_factory=class_row(Server)) as cursor:
        return cursor.execute(
            """
            SELECT current_setting('server_version_num')::int AS version,
                   current_setting('server_version') AS version_name, current_database()::text AS database,
                   current_user::text AS role, quote_ident(current_user) AS quoted_role,
                   current_setting('server_encoding') AS encoding,
                   pg_is_in_recovery() AS is_standby
            """
        ).fetchall()[0]


def defaults(conn: Connection) -> list[Default]:
    """Every setting of a session as it is before the session sets anything."""
    with conn.cursor(row_factory=class_row(Default)) as cursor:
        return cursor.execute(
            """
            WITH own AS ( -- the last one wins
                SELECT DISTINCT ON (lower(name)) lower(name) AS name, value,
                       concat_ws(' in ', CASE WHEN setrole <> 0 THEN 'role ' || setrole::regrole END,
                                 CASE WHEN setdatabase <> 0 THEN 'database ' || quote_ident(current_database()) END)
                       AS scope
                  FROM pg_db_role_setting,
                       LATERAL (SELECT split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)
                                  FROM unnest(setconfig) AS entry) AS config (name, value)
                 WHERE setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
                   AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                 ORDER BY lower(name), setrole = 0, setdatabase = 0
            )
            SELECT s.name, coalesce(own.value, s.reset_val) AS value, s.boot_val AS built_in, own.scope
              FROM pg_settings s LEFT JOIN own ON own.name = lower(s.name)
            """
        ).fetchall()


def secured_tables(conn: Connection) -> list[SecuredTable]:
    """The view and the projector's own tables that have row-level security."""
    with conn.cursor(row_factory=class_row(SecuredTable)) as cursor:
        return cursor.execute(
            """
            SELECT format('%I.%I', n.nspname, c.relname) AS name, row_security_active(c.oid) AS applies
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relrowsecurity
               AND (c.oid = to_regclass('delegations') OR n.nspname IN ('projector', 'projector_shadow'))
             ORDER BY 1
            """
        ).fetchall()


def differing_shadow_tables(conn: Connection) -> list[ShadowTable]:
    """The tables of the shadow that lack a column of the table that they copy, or have one with another type."""
    with conn.cursor(row_factory=class_row(ShadowTable)) as cursor:
        return cursor.execute(
            """
            WITH tables AS (
                SELECT c.oid, c.relname, n.nspname = 'projector_shadow' AS is_shadow
                  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind = 'r' AND (n.nspname IN ('projector', 'projector_shadow')
                                            OR c.oid = to_regclass('delegations'))
            ), columns AS (
                SELECT t.relname, t.is_shadow, a.attname, format_type(a.atttypid, a.atttypmod) AS type
                  FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                 WHERE t.relname IN ('delegations', 'positions', 'parked', 'dead_letters', 'large_rows',
                                     'repeated_requests')
                   AND a.attname <> 'projector_carried_over'
            )
            SELECT relname::text AS name, string_agg(quote_ident(attname) || ' is ' || coalesce(s.type, 'missing')
                                     || ', expected ' || coalesce(t.type, 'none'), '; ' ORDER BY attname) AS differences
              FROM (SELECT * FROM columns WHERE NOT is_shadow) t
              FULL JOIN (SELECT * FROM columns WHERE is_shadow) s USING (relname, attname)
             WHERE t.type IS DISTINCT FROM s.type GROUP BY relname ORDER BY 1
            """
        ).fetchall()


def client_versions() -> tuple[str, int]:
    """The version of psycopg, and that of libpq as a number: 180004 is 18.4."""
    return psycopg.__version__, psycopg.pq.version()
