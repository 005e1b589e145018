"""A table that Postgres writes too slowly: large inserts, or single rows, take longer than a statement may take."""

import psycopg
from psycopg import sql

TOO_LONG_SECONDS = 30
"""Longer than the statement timeout of any test that slows a table down."""


def slow_down_inserts(url: str, *, of_more_than: int, table: str = "public.delegations") -> None:
    """Let each insert of more than this number of rows take too long."""
    _create(
        url,
        table,
        "AFTER INSERT ON {table} REFERENCING NEW TABLE AS written FOR EACH STATEMENT",
        sql.SQL("(SELECT count(*) FROM written) > {}").format(of_more_than),
    )


def slow_down_row(url: str, delegation_id: str) -> None:
    """Let the insert of this delegation take too long."""
    condition = sql.SQL("NEW.delegation_id = {}").format(delegation_id)
    _create(url, "public.delegations", "AFTER INSERT ON {table} FOR EACH ROW", condition)


def speed_up(url: str, table: str = "public.delegations") -> None:
    """End what `slow_down_inserts` or `slow_down_row` began."""
    with psycopg.connect(url) as conn:
        conn.execute(sql.SQL("DROP TRIGGER slow ON {}").format(sql.Identifier(*table.split("."))))


def _create(url: str, table: str, when: str, condition: sql.Composed) -> None:
    body = sql.SQL("BEGIN IF {} THEN PERFORM pg_sleep({}); END IF; RETURN NULL; END").format(
        condition, TOO_LONG_SECONDS
    )
    function = sql.SQL("CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS {}")
    trigger = sql.SQL("CREATE TRIGGER slow " + when + " EXECUTE FUNCTION public.slow()")
    with psycopg.connect(url) as conn:
        conn.execute(function.format(body.as_string(conn)))
        conn.execute(trigger.format(table=sql.Identifier(*table.split("."))))
