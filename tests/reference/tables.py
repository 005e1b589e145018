"""docs/tables.md: the tables as the catalog of a migrated database has them."""

from functools import partial

from psycopg import Connection

from reference.blocks import Block, table_with_meanings

_TABLES = """
    SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)::regclass::oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname IN ('public', 'projector') ORDER BY n.nspname DESC, c.relname
"""
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           CASE WHEN a.attidentity <> '' THEN 'a sequence' WHEN a.attgenerated <> '' THEN 'generated'
                ELSE regexp_replace(pg_get_expr(d.adbin, d.adrelid), '::(text|interval)', '', 'g') END
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_KEYS = """
    SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s AND contype IN ('p', 'f', 'u')
     ORDER BY contype DESC, 1
"""
_INDEXES = """
    SELECT regexp_replace(regexp_replace(pg_get_indexdef(indexrelid),
               '^CREATE (UNIQUE )?INDEX (\\S+) .* USING btree ', '\\2 \\1'), '::text', '', 'g')
      FROM pg_index i WHERE indrelid = %s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
     ORDER BY 1
"""
_SHORT = {"timestamp with time zone": "timestamptz", "integer": "int", "boolean": "bool"}


def blocks(conn: Connection) -> dict[str, Block]:
    """A block per table, by its name."""
    tables = conn.execute(_TABLES).fetchall()
    return {
        f"table {name if schema == 'public' else f'{schema}.{name}'}": partial(_described, conn, oid)
        for schema, name, oid in tables
    }


def _described(conn: Connection, oid: int, old: str) -> str:
    columns = ((_cells(*column), "") for column in conn.execute(_COLUMNS, [oid]))
    lists = {query: [definition for (definition,) in conn.execute(query, [oid])] for query in (_KEYS, _INDEXES)}
    bullets = [*(f"- {each}" for each in lists[_KEYS]), *(f"- index `{each}`" for each in lists[_INDEXES])]
    return table_with_meanings(["column", "type", "may be null", "default"], columns, old) + "\n" + "\n".join(bullets)


def _cells(name: str, kind: str, is_required: bool, default: str | None) -> list[str]:
    return [f"`{name}`", _SHORT.get(kind, kind), "" if is_required else "yes", f"`{default}`" if default else ""]
