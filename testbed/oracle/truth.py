"""The rows of the platform's table, as the judge of sweeps reads them: signs of life, gaps, and who could see what.

A sign of life is a row that a workspace wrote by itself. Verdicts and rows of inboxes are none. Heartbeats have the
workspace of the caller, so they count for their own delegation only.
"""

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import args_row

TERMINAL_WORDS = frozenset({"completed", "failed", "error", "timeout"})
"""Statuses of activity rows after which a sweeper has nothing to say; `stuck` is a verdict of somebody else."""


class TruthRow(NamedTuple):
    """A row of `activity_logs`. `xid` wrote its last version, `snapshot` is what its INSERT saw."""

    id: str
    workspace_id: str
    activity_type: str
    source_id: str | None
    target_id: str | None
    method: str | None
    status: str | None
    request_body: dict[str, Any]
    response_body: dict[str, Any]
    error_detail: str | None
    created_at: datetime
    xid: int
    snapshot: str | None

    @property
    def delegation_id(self) -> str | None:
        """The delegation that the row belongs to, if it is one of a delegation or of an inbox."""
        found = self.request_body.get("delegation_id")
        if self.method == "delegate_result":
            found = self.response_body.get("delegation_id") or found
        return found if isinstance(found, str) else None

    @property
    def is_sign_of_life(self) -> bool:
        return self.activity_type != "a2a_receive" and self.method != "verdict"

    @property
    def is_own_sign(self) -> bool:
        """Whether `workspace_id` wrote it, and not a callee on its behalf."""
        is_beat = self.activity_type == "delegation" and self.method == "heartbeat"
        return self.is_sign_of_life and not is_beat

    @property
    def is_terminal(self) -> bool:
        """Whether it reports the end of its delegation."""
        is_report = self.activity_type == "delegation" and self.method in ("delegate", "delegate_result")
        return is_report and self.status in TERMINAL_WORDS


class Truth:
    """All rows of the table at one moment."""

    def __init__(self, rows: Iterable[TruthRow]) -> None:
        self.by_id = {row.id: row for row in rows}
        self._of_delegation: defaultdict[str, list[TruthRow]] = defaultdict(list)
        self._of_workspace: defaultdict[str, list[TruthRow]] = defaultdict(list)
        for row in sorted(self.by_id.values(), key=lambda row: row.created_at):
            if row.activity_type == "delegation" and row.delegation_id is not None:
                self._of_delegation[row.delegation_id].append(row)
            if row.is_own_sign:
                self._of_workspace[row.workspace_id].append(row)
        self._signs = sorted(row.created_at for row in self.by_id.values() if row.is_sign_of_life)
        self._gaps: dict[timedelta, list[datetime]] = {}

    def request(self, delegation_id: str, caller_id: str) -> TruthRow | None:
        """Return the delegation's own `delegate` row, which a verdict copies the workspaces from."""
        rows = [row for row in self._of_delegation[delegation_id] if row.method == "delegate"]
        return next((row for row in rows if caller_id in (row.workspace_id, row.source_id)), None)

    def reports(self, delegation_id: str) -> list[TruthRow]:
        """Return its rows without verdicts, oldest first."""
        return [row for row in self._of_delegation[delegation_id] if row.method != "verdict"]

    def signs(self, delegation_id: str, caller_id: str, callee_id: str) -> Iterator[TruthRow]:
        """Yield the rows that show that somebody works on the delegation."""
        yield from self.reports(delegation_id)
        if callee_id != caller_id:
            yield from self._of_workspace[callee_id]

    def end_of_latest_gap(self, now: datetime, threshold: timedelta) -> datetime | None:
        """Return when the platform spoke again after its latest silence of more than half the threshold.

        A silence that lasts ends now: nobody can be judged. The start of the window, two thresholds ago, counts as a
        sign.
        """
        start = now - 2 * threshold
        first, end = bisect_left(self._signs, start), bisect_right(self._signs, now)
        if first == end or now - self._signs[end - 1] > threshold / 2:
            return now
        gaps = self._ends_of_gaps(threshold / 2)
        known = bisect_right(gaps, now)
        if known and gaps[known - 1] > self._signs[first]:
            return gaps[known - 1]
        return self._signs[first] if self._signs[first] - start > threshold / 2 else None

    def _ends_of_gaps(self, longer_than: timedelta) -> list[datetime]:
        if longer_than not in self._gaps:
            steps = pairwise(self._signs)
            self._gaps[longer_than] = [after for before, after in steps if after - before > longer_than]
        return self._gaps[longer_than]


def is_visible(xid: int, snapshot: str) -> bool:
    """Whether a snapshot (`xmin:xmax:running,…`, as Postgres writes it) shows what this transaction wrote."""
    oldest, next_xid, running = snapshot.split(":")
    return xid < int(oldest) or (xid < int(next_xid) and str(xid) not in running.split(","))


def read_truth(conn: psycopg.Connection[Any]) -> Truth:
    """Read the whole table, which must have the column `written_snapshot` of the test bed's platform."""
    with conn.cursor(row_factory=args_row(_row)) as cursor:
        cursor.execute(
            """SELECT id::text, workspace_id::text, activity_type, source_id::text, target_id::text, method, status,
                      request_body, response_body, error_detail, created_at, xmin::text::bigint, written_snapshot::text
                 FROM activity_logs"""
        )
        return Truth(cursor)


def _row(*columns: Any) -> TruthRow:
    row = TruthRow(*columns)
    return row._replace(request_body=body_of(row.request_body), response_body=body_of(row.response_body))


def body_of(column: Any) -> dict[str, Any]:
    """Return the body in a column: an object, or a JSON text that holds one; anything else is empty."""
    if isinstance(column, str):
        try:
            column = json.loads(column)
        except ValueError:
            return {}
    return column if isinstance(column, dict) else {}
