"""The definition of one table, as Postgres's catalog describes it."""

from psycopg import Connection


def columns(conn: Connection, table: str) -> list[tuple[str, str, str, str | None]]:
    """Name, type, nullability and default of each column, in order."""
    return conn.execute(
        "SELECT attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' ELSE 'null' END, "
        "       pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = %(table)s::regclass AND attnum > 0 ORDER BY attnum",
        {"table": table},
    ).fetchall()


def generated_columns(conn: Connection, table: str) -> list[tuple[str, str, str]]:
    """Identity columns and generated columns."""
    return conn.execute(
        "SELECT attname, attidentity, attgenerated FROM pg_attribute "
        "WHERE attrelid = %(table)s::regclass AND attnum > 0 AND (attidentity <> '' OR attgenerated <> '') ORDER BY 1",
        {"table": table},
    ).fetchall()


def constraints(conn: Connection, table: str) -> list[str]:
    """The definitions of all constraints but NOT NULL."""
    definitions = conn.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = %(table)s::regclass AND contype <> 'n' ORDER BY 1",
        {"table": table},
    )
    return [definition for (definition,) in definitions]


def indexes(conn: Connection, table: str) -> list[str]:
    """The definitions of all indexes, without their names."""
    definitions = conn.execute(
        "SELECT regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', '\\1') AS definition "
        "FROM pg_index WHERE indrelid = %(table)s::regclass ORDER BY 1",
        {"table": table},
    )
    return [definition for (definition,) in definitions]
