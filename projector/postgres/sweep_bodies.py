"""How `activity_logs` stores bodies, and the SQL that reads a delegation id in each form that `translate` accepts.

A body is an object, or a JSON text that holds one: in a column of type text, or as a text inside jsonb, where a writer
encoded it twice. Such a text may hold what jsonb cannot (U+0000, a lone surrogate), or no JSON at all: no text raises
an error.
"""

from typing import LiteralString, NamedTuple

from projector.postgres.connection import Connection, mapped_errors

_SOFT_ERRORS_SINCE = 160_000
_ID: LiteralString = """
    CASE jsonb_typeof(BODY)
         WHEN 'string' THEN
              CASE WHEN length(TEXT) - length(translate(TEXT, '[{', '')) > 1000 THEN FIRST -- the stack may not hold it
                   WHEN pg_input_is_valid(TEXT, 'jsonb') THEN TEXT::jsonb ->> 'delegation_id'
                   WHEN pg_input_is_valid(CLEAN, 'jsonb') THEN CLEAN::jsonb ->> 'delegation_id'
                   ELSE FIRST END
         ELSE BODY ->> 'delegation_id' END
    """
_ID_BEFORE_16: LiteralString = """
    CASE jsonb_typeof(BODY) WHEN 'string' THEN FIRST ELSE BODY ->> 'delegation_id' END
    """
_CLEAN: LiteralString = r"""
    regexp_replace(TEXT, '\\u0000|\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})'
                         '|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}', '\\ufffd', 'gi')
    """
_FIRST: LiteralString = r"""substring(TEXT FROM '"delegation_id"\s*:\s*"([^"\\]*)"')"""
_TEXT: LiteralString = "(BODY #>> '{}')"


class Bodies(NamedTuple):
    """`are_jsonb`: the type of both columns, else it is text or json. `has_soft_errors`: Postgres 16 or later.

    An older server cannot say whether a text is JSON: there the first id in a text counts.
    """

    are_jsonb: bool
    has_soft_errors: bool

    def delegation_id(self, column: LiteralString) -> LiteralString:
        """SQL for the delegation id in a column."""
        body: LiteralString = column if self.are_jsonb else "to_jsonb(" + column + ")"
        template = _ID if self.has_soft_errors else _ID_BEFORE_16
        return template.replace("FIRST", _FIRST).replace("CLEAN", _CLEAN).replace("TEXT", _TEXT).replace("BODY", body)


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
