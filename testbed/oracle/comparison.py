"""The judge's comparison: every row and every column of `delegations` against what the log says."""

from collections.abc import Mapping
from dataclasses import astuple, fields

import psycopg
from psycopg.rows import args_row

from testbed.oracle.fold import Row


def stored_rows(conn: psycopg.Connection[object]) -> dict[str, Row]:
    """The whole table as it stands, by id."""
    with conn.cursor(row_factory=args_row(Row)) as cursor:
        cursor.execute(
            """SELECT delegation_id, caller_id::text, callee_id::text, task_preview, status, last_heartbeat, deadline,
                      result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key
                 FROM delegations
                ORDER BY delegation_id"""
        )
        return {row.delegation_id: row for row in cursor}


def differences(expected: Mapping[str, Row], stored: Mapping[str, Row]) -> list[str]:
    """One sentence for each row missing or too many, and for each column that differs."""
    found = []
    for delegation_id in sorted(expected.keys() | stored.keys()):
        if delegation_id not in stored:
            found.append(f"{delegation_id}: missing in the table")
        elif delegation_id not in expected:
            found.append(f"{delegation_id}: not in the log")
        else:
            found += _unequal_columns(expected[delegation_id], stored[delegation_id])
    return found


def _unequal_columns(expected: Row, stored: Row) -> list[str]:
    columns = zip(fields(Row), astuple(expected), astuple(stored), strict=True)
    return [
        f"{expected.delegation_id}: {column.name} is {is_!r}, expected {should_be!r}"
        for column, should_be, is_ in columns
        if is_ != should_be
    ]
