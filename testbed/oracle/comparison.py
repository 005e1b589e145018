"""Compares every row and column of `delegations` with the oracle's fold of the log."""

from collections.abc import Mapping
from dataclasses import astuple, fields

import psycopg
from psycopg.rows import args_row

from testbed.oracle.groups import Undecided
from testbed.oracle.rows import Row


def stored_rows(conn: psycopg.Connection[object]) -> dict[str, Row]:
    """Read the whole table: delegation id → row."""
    with conn.cursor(row_factory=args_row(Row)) as cursor:
        cursor.execute(
            """SELECT delegation_id, caller_id::text, callee_id::text, task_preview, status, last_heartbeat, deadline,
                      result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key
                 FROM delegations
                ORDER BY delegation_id"""
        )
        return {row.delegation_id: row for row in cursor}


DECIDED = Undecided(frozenset(), presence=False)


def differences(
    expected: Mapping[str, Row], stored: Mapping[str, Row], undecided: Mapping[str, Undecided] | None = None
) -> list[str]:
    """Return one sentence per missing row, per extra row and per column that differs.

    `undecided` (from `order_not_told`) has what may differ.
    """
    sentences = []
    for delegation_id in sorted(expected.keys() | stored.keys()):
        may_differ = (undecided or {}).get(delegation_id, DECIDED)
        if delegation_id in expected and delegation_id in stored:
            sentences += _unequal_columns(expected[delegation_id], stored[delegation_id], may_differ.columns)
        elif not may_differ.presence:
            missing = "missing in the table" if delegation_id in expected else "not in the log"
            sentences.append(f"{delegation_id}: {missing}")
    return sentences


def _unequal_columns(expected: Row, stored: Row, may_differ: frozenset[str]) -> list[str]:
    columns = zip(fields(Row), astuple(expected), astuple(stored), strict=True)
    return [
        f"{expected.delegation_id}: {column.name} is {actual!r}, expected {wanted!r}"
        for column, wanted, actual in columns
        if actual != wanted and column.name not in may_differ
    ]
