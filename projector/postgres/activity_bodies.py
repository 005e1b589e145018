"""How `activity_logs` stores bodies, and the SQL that reads a field of one in each form that `translate` accepts.

A body is an object, or a JSON text that holds one: in a column of type text, or as a text inside jsonb, where a writer
encoded it twice. Such a text may hold what jsonb cannot (U+0000, a lone surrogate), or no JSON at all: no text raises
an error.
"""

from typing import LiteralString, NamedTuple

from projector.postgres.connection import Connection, mapped_errors

_SOFT_ERRORS_SINCE = 160_000
_FIELD: LiteralString = """
    CASE jsonb_typeof(BODY)
         WHEN 'string' THEN
              CASE WHEN BRACKETS(TEXT) > 1000 AND BRACKETS(STRUCTURE) > 1000 THEN OTHERWISE -- the stack may not hold it
                   WHEN pg_input_is_valid(TEXT, 'jsonb') THEN TEXT::jsonb ->> 'FIELD'
                   WHEN pg_input_is_valid(CLEAN, 'jsonb') THEN CLEAN::jsonb ->> 'FIELD'
                   ELSE OTHERWISE END
         ELSE BODY ->> 'FIELD' END
    """
_FIELD_BEFORE_16: LiteralString = """
    CASE jsonb_typeof(BODY) WHEN 'string' THEN OTHERWISE ELSE BODY ->> 'FIELD' END
    """
_CLEAN: LiteralString = r"""
    regexp_replace(TEXT, '\\u0000|\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})'
                         '|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}', '\\ufffd', 'gi')
    """
_STRUCTURE: LiteralString = r"""regexp_replace(TEXT, '"([^"\\]|\\.)*"', '', 'g')"""
"""A JSON text without its strings, whose brackets are no levels."""
_FIRST: LiteralString = r"""substring(TEXT FROM '"delegation_id"\s*:\s*"([^"\\]*)"')"""
_TEXT: LiteralString = "(BODY #>> '{}')"


class Bodies(NamedTuple):
    """`are_jsonb`: the type of both columns, else it is text or json. `has_soft_errors`: Postgres 16 or later.

    An older server cannot say whether a text is JSON: there the first id in a text counts, and no other field.
    """

    are_jsonb: bool
    has_soft_errors: bool

    def delegation_id(self, column: LiteralString) -> LiteralString:
        """SQL for the delegation id in a column. In a text that Postgres does not read as JSON, the first one."""
        return self._field(column, "delegation_id", _FIRST)

    def field(self, column: LiteralString, name: LiteralString) -> LiteralString:
        """SQL for another field as text. It is NULL in a text that Postgres does not read as JSON."""
        return self._field(column, name, "NULL")

    def _field(self, column: LiteralString, name: LiteralString, otherwise: LiteralString) -> LiteralString:
        body: LiteralString = column if self.are_jsonb else "to_jsonb(" + column + ")"
        sql = _FIELD if self.has_soft_errors else _FIELD_BEFORE_16
        sql = sql.replace("BRACKETS(TEXT)", _brackets("TEXT")).replace("BRACKETS(STRUCTURE)", _brackets(_STRUCTURE))
        sql = sql.replace("OTHERWISE", otherwise).replace("CLEAN", _CLEAN).replace("FIELD", name)
        return sql.replace("TEXT", _TEXT).replace("BODY", body)


def _brackets(text: LiteralString) -> LiteralString:
    return "length(" + text + ") - length(translate(" + text + ", '[{', ''))"


def read(conn: Connection) -> Bodies:
    """How this database's `activity_logs` has them."""
    with mapped_errors():
        [(are_jsonb,)] = conn.execute(
            """
            SELECT count(*) = 2 FROM pg_attribute
             WHERE attrelid = to_regclass('activity_logs') AND attname IN ('request_body', 'response_body')
               AND atttypid = 'jsonb'::regtype
            """
        ).fetchall()
    return Bodies(bool(are_jsonb), conn.info.server_version >= _SOFT_ERRORS_SINCE)
