"""`projector migrate up` under defaults that change printed definitions, literals or the storage of tables."""

import psycopg
import pytest
from commands import run_projector
from foreign_defaults import FOREIGN, UNUSED, foreign_default, neutral
from psycopg import Connection

from migrating import platform_table

DEFAULTS = [
    (name, value)
    for name, value in [*FOREIGN, *UNUSED]
    if name in ("quote_all_identifiers", "standard_conforming_strings", "DateStyle", "plpgsql.extra_errors")
]


@pytest.mark.parametrize("source", ["database", "environment"])
@pytest.mark.parametrize(("name", "value"), DEFAULTS)
def test_table_of_the_platform_is_adopted(
    existing: Connection, empty_url: str, name: str, value: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing.execute(platform_table.INDEXES)
    with foreign_default(source, empty_url, name, value, monkeypatch) as url:
        done = run_projector("migrate", "up", database_url=url)
        assert (done.code, done.err) == (0, "")
        assert "applied 049_delegations" in done.out
        assert "049_delegations (adopted)" in run_projector("migrate", "status", database_url=url).out


@pytest.mark.parametrize("source", ["database", "environment"])
def test_tables_have_versions_of_rows(
    empty: Connection, empty_url: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.execute("DROP ACCESS METHOD IF EXISTS another_heap CASCADE")
    empty.execute("CREATE ACCESS METHOD another_heap TYPE TABLE HANDLER heap_tableam_handler")
    name = "default_table_access_method"
    with foreign_default(source, empty_url, name, "another_heap", monkeypatch) as url:
        assert run_projector("migrate", "up", database_url=url).code == 0
        assert run_projector("migrate", "recreate-shadow", database_url=url).code == 0
    with psycopg.connect(neutral(empty_url)) as conn:
        assert conn.execute(
            """
            SELECT DISTINCT amname FROM pg_class JOIN pg_am ON pg_am.oid = relam
             WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_)'
            """
        ).fetchall() == [("heap",)]
