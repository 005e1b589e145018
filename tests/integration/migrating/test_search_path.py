"""In which schemas the migrations create their tables, and with which role."""

import uuid
from collections.abc import Callable

import psycopg
import pytest
from psycopg import Connection, sql

from migrating.conftest import Catalog
from migrating.contents import ALL, FILL, FILL_SHADOW, names
from projector.errors import Misconfigured
from projector.postgres import migrations

OWN_SCHEMAS_FIRST = ("projector,public", "projector_shadow,projector,public")


@pytest.mark.parametrize("path", OWN_SCHEMAS_FIRST)
def test_own_schemas_first_on_the_search_path_change_nothing(
    empty: Connection, empty_url: str, catalog: Callable[[], Catalog], path: str
) -> None:
    migrations.up(empty)
    empty.execute(FILL)
    complete = catalog()
    with psycopg.connect(empty_url, options=f"-c search_path={path}") as conn:
        assert migrations.up(conn) == []
        assert migrations.status(conn) == migrations.status(empty)
        assert migrations.rows_to_be_lost(conn) == migrations.rows_to_be_lost(empty)
        migrations.down(conn, to=49)
        migrations.up(conn)
        migrations.down(conn)
    with psycopg.connect(empty_url, options=f"-c search_path={path}") as conn:
        migrations.up(conn)
        assert catalog() == complete
        assert conn.execute("SHOW search_path").fetchone() == (path,)


@pytest.mark.parametrize("path", OWN_SCHEMAS_FIRST)
def test_view_is_not_created_in_own_schemas(empty: Connection, empty_url: str, path: str) -> None:
    empty.execute("CREATE SCHEMA projector; CREATE SCHEMA projector_shadow")
    with psycopg.connect(empty_url, options=f"-c search_path={path}") as conn:
        migrations.up(conn)
    tables = empty.execute(
        "SELECT tablename, schemaname FROM pg_tables "
        "WHERE tablename IN ('delegations', 'projector_schema_migrations') ORDER BY 1, 2"
    )
    assert tables.fetchall() == [
        ("delegations", "projector_shadow"),
        ("delegations", "public"),
        ("projector_schema_migrations", "public"),
    ]


def test_view_is_created_in_the_current_schema(empty: Connection, empty_url: str) -> None:
    empty.execute("CREATE SCHEMA platform")
    with psycopg.connect(empty_url, options="-c search_path=platform") as conn:
        migrations.up(conn)
        migrations.require_current(conn)
    tables = empty.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('platform', 'public') ORDER BY 2"
    )
    assert tables.fetchall() == [("platform", "delegations"), ("platform", "projector_schema_migrations")]


def test_search_path_without_a_schema_is_refused(empty_url: str) -> None:
    with (
        psycopg.connect(empty_url, options="-c search_path=nowhere") as conn,
        pytest.raises(Misconfigured, match="No schema of the search_path exists"),
    ):
        migrations.up(conn)


def test_role_without_create_uses_existing_schemas(empty: Connection) -> None:
    role = sql.Identifier(f"role_{uuid.uuid4().hex[:12]}")
    empty.execute(sql.SQL("CREATE ROLE {}").format(role))
    try:
        empty.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(role))
        empty.execute(sql.SQL("SET ROLE {}").format(role))
        denied = r"050_projector\.up\.sql: permission denied .* \(role \w+\). `projector doctor` prints the GRANT"
        with pytest.raises(Misconfigured, match=denied):
            migrations.up(empty)
        empty.execute("RESET ROLE")
        assert names(migrations.status(empty).applied) == ["049_delegations"]
        for schema in ("projector", "projector_shadow"):
            empty.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(sql.Identifier(schema), role))
        empty.execute(sql.SQL("SET ROLE {}").format(role))
        assert names(migrations.up(empty)) == ALL[1:]
        empty.execute(FILL)
        empty.execute(FILL_SHADOW)
        assert names(migrations.down(empty)) == ALL[::-1]
    finally:
        empty.execute("RESET ROLE")
        empty.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
