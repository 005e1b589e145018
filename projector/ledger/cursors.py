"""The connections of services as the ledger uses them: it sets nothing on them, and checks what it depends on."""

from typing import Any

import psycopg
from psycopg.rows import tuple_row

from projector.errors import Misconfigured


def plain_cursor(conn: psycopg.Connection[Any]) -> psycopg.Cursor[tuple[Any, ...]]:
    """A cursor that returns tuples and takes `%s` placeholders; the factories of the connection do not matter.

    Raises Misconfigured if psycopg does not encode and decode the texts of this connection as UTF-8.
    """
    if conn.info.encoding != "utf-8":
        raise Misconfigured(
            f"client_encoding is {conn.info.parameter_status('client_encoding')}, and the ledger writes texts that it "
            "cannot hold: connect with client_encoding=UTF8"
        )
    return psycopg.Cursor(conn, row_factory=tuple_row)


def require_all_rows(conn: psycopg.Connection[Any]) -> None:
    """Raise Misconfigured if a row that was not found may be there, hidden from this role by row-level security."""
    with plain_cursor(conn) as cursor:
        row = cursor.execute("SELECT row_security_active('delegations'::regclass), current_user").fetchone()
    if row and row[0]:
        raise Misconfigured(
            f"row-level security of the table delegations applies to the role {row[1]}, and may hide the "
            "row: use a role with BYPASSRLS, or the owner of the table"
        )
