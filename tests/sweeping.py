"""The platform's table and the view of one database, for tests of the sweeper. Times are minutes before the start."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from activity_table import create_activity_table, insert_activities
from builders import log
from projecting import connected
from rows import CALLEE, CALLER, Columns

from projector.domain.outcomes import Outcome
from projector.postgres import queries
from projector.postgres.connection import Connection, connect
from projector.projection.transaction import Outcomes, project
from projector.settings import PostgresSettings, Settings
from projector.sweep.one_pass import Mode, Pass
from projector.sweep.report import Report
from projector.sweep.sink import ActivityLogs

OTHER = "c3c3c3c3-0000-4000-8000-000000000003"
SIGNS_EACH_MINUTES = 2


class Platform:
    """Writes rows into the table, the view, or both. `fed` has the ids of the rows that the view has."""

    def __init__(self, conn: Connection, sweeper: Connection, url: str) -> None:
        """`sweeper`: a session as the sweeper has it."""
        self.conn, self.sweeper, self.url = conn, sweeper, url
        self.start = queries.clock(conn)
        self._fed = 0

    # --- rows

    def at(self, minutes: float) -> str:
        """The text of the time so many minutes before the start."""
        return (self.start - timedelta(minutes=minutes)).astimezone(UTC).isoformat(timespec="microseconds")

    def request(
        self, of: str = "d-1", minutes: float = 30, status: str = "pending", *, due: float = -60, **columns: Any
    ) -> Columns:
        """A request; its deadline is `due` minutes before the start."""
        body = {"delegation_id": of, "task": "count to three", "deadline": self.at(due)}
        row: Columns = {"activity_type": "delegation", "method": "delegate", "status": status, "request_body": body}
        row |= {"id": str(uuid4()), "workspace_id": CALLER, "target_id": CALLEE, "created_at": self.at(minutes)}
        return row | columns

    def beat(self, of: str = "d-1", minutes: float = 20, **columns: Any) -> Columns:
        row: Columns = {"activity_type": "delegation", "method": "heartbeat", "request_body": {"delegation_id": of}}
        return row | {"id": str(uuid4()), "workspace_id": CALLER, "created_at": self.at(minutes)} | columns

    def answer(self, of: str = "d-1", status: str = "completed", minutes: float = 5, **columns: Any) -> Columns:
        row: Columns = {"activity_type": "delegation", "method": "delegate_result", "status": status}
        row |= {"response_body": {"delegation_id": of, "text": "one two three"}, "id": str(uuid4())}
        return row | {"workspace_id": CALLER, "created_at": self.at(minutes)} | columns

    def sign(self, minutes: float, workspace: str = OTHER, **columns: Any) -> Columns:
        row: Columns = {"id": str(uuid4()), "workspace_id": workspace, "activity_type": "chat"}
        return row | {"created_at": self.at(minutes)} | columns

    # --- where they go

    def write(self, *rows: Mapping[str, Any]) -> Self:
        insert_activities(self.conn, *rows)
        return self

    def project(self, *rows: Mapping[str, Any]) -> Outcomes:
        records = [each._replace(offset=self._fed + number) for number, each in enumerate(log(*rows))]
        self._fed += len(records)
        return project(self.conn, records)

    def both(self, *rows: Mapping[str, Any]) -> Self:
        self.write(*rows)
        self.project(*rows)
        return self

    def is_alive(self, since: int = 40) -> Self:
        """Another workspace has given signs of life up to now."""
        return self.write(*(self.sign(minutes + 0.5) for minutes in range(0, since, SIGNS_EACH_MINUTES)))

    def feed_verdicts(self) -> Outcomes:
        """Project the verdicts of the table in their order, as a change feed does."""
        return self.project(*self.verdicts())

    # --- the sweeper

    def sweep(self, *, writes: bool = True, anyway: bool = False, **settings: Any) -> Report:
        """Make a pass with these settings."""
        return self.begin_pass(writes=writes, anyway=anyway, **settings).run()

    def begin_pass(self, *, writes: bool = True, anyway: bool = False, **settings: Any) -> Pass:
        mode = Mode(writes=writes, anyway=anyway)
        return Pass(self.sweeper, ActivityLogs(self.sweeper), Settings(**settings), mode, lambda: None)

    def verdicts(self) -> list[Columns]:
        rows = self.conn.execute(
            """
            SELECT to_jsonb(a)::text FROM activity_logs a
             WHERE activity_type = 'delegation' AND method = 'verdict' ORDER BY created_at, id
            """
        ).fetchall()
        return [json.loads(row) for (row,) in rows]

    def told(self) -> dict[str, str]:
        """Delegation → status, of the verdicts in the table."""
        return {each["request_body"]["delegation_id"]: each["status"] for each in self.verdicts()}

    def statuses(self) -> dict[str, str]:
        return dict(self.conn.execute("SELECT delegation_id, status FROM delegations ORDER BY 1").fetchall())


@contextmanager
def platform(url: str, *, has_view: bool = True) -> Iterator[Platform]:
    """A platform in this database, which has no table yet."""
    create_activity_table(url)
    settings = PostgresSettings(database_url=url)
    with connected(url) if has_view else connect(settings) as conn, connect(settings) as sweeper:
        yield Platform(conn, sweeper, url)


def counts(report: Report) -> dict[str, int]:
    """The counts of a report that are not 0."""
    found = report.as_json()
    flat = {**found["verdicts"], **{name: found[name] for name in NAMES}}
    return {name: count for name, count in flat.items() if count}


NAMES = ("candidates", "repeated", "spared", "unknown", "future", "held")
STALE, REFUSED, ADVANCED = Outcome.STALE, Outcome.REFUSED, Outcome.ADVANCED


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
