"""Where verdicts are checked and written: the platform's table, or the topic if there is no table."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from projector.domain.overdue import Verdict, as_text
from projector.errors import DatabaseUnavailable, LoginRefused, ProjectorError, TruthAway
from projector.kafka.producer import Message, Producer
from projector.postgres import queries, sweep_candidates, sweep_truth
from projector.postgres.connection import Connection
from projector.postgres.sweep_truth import Checked, Found, Signs
from projector.settings import KafkaSettings
from projector.sweep import gaps


class Sink(Protocol):
    """Its clock counts for everything: the sweeper's own clock may be wrong."""

    def now(self) -> datetime:
        """The time."""
        ...

    def signs(self, now: datetime, threshold: timedelta) -> Signs:
        """The signs of life of the platform."""
        ...

    def check(self, verdicts: Sequence[Verdict]) -> list[Checked]:
        """What speaks for and against each verdict. Writes nothing."""
        ...

    def write(self, verdicts: Sequence[Verdict]) -> list[Checked]:
        """Check each verdict again, and write it."""
        ...


class ActivityLogs:
    """The platform's table. Every method raises TruthAway if its database is unavailable."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        with truth():
            self._statements = sweep_truth.statements(conn)

    def now(self) -> datetime:
        with truth():
            return queries.clock(self._conn)

    def signs(self, now: datetime, threshold: timedelta) -> Signs:
        with truth():
            return sweep_truth.signs(self._conn, now=now, threshold=threshold)

    def check(self, verdicts: Sequence[Verdict]) -> list[Checked]:
        with truth():
            return sweep_truth.run(self._conn, self._statements.check, verdicts)

    def write(self, verdicts: Sequence[Verdict]) -> list[Checked]:
        with truth():
            return sweep_truth.run(self._conn, self._statements.write, verdicts)


@contextmanager
def truth() -> Iterator[None]:
    """Turn an outage of the platform's database into TruthAway. A refused login stays what it is."""
    try:
        yield
    except (LoginRefused, TruthAway):
        raise
    except DatabaseUnavailable as error:
        raise TruthAway(f"the database of activity_logs: {error}") from error


class Topic:
    """The topic. Only the fold refuses a verdict that is out of date: the sweeper must have read the whole topic."""

    def __init__(self, view: Connection, producer: Producer, settings: KafkaSettings) -> None:
        self._view, self._producer, self._settings = view, producer, settings

    def now(self) -> datetime:
        return queries.clock(self._view)

    def signs(self, now: datetime, threshold: timedelta) -> Signs:
        latest_at = sweep_candidates.latest_event(self._view, now=now)
        return Signs(latest_at, gaps.latest_gap_end(self._settings, now=now, threshold=threshold))

    def check(self, verdicts: Sequence[Verdict]) -> list[Checked]:
        return [Checked(Found.DUE, None) for _ in verdicts]

    def write(self, verdicts: Sequence[Verdict]) -> list[Checked]:
        created_at = self.now()
        messages = [Message(each.row.caller_id.encode(), _value(each, created_at)) for each in verdicts]
        if refused := [reason for reason in self._producer.send(messages) if reason]:
            raise ProjectorError(refused[0])
        return [Checked(Found.WRITTEN, None) for _ in verdicts]


def _value(verdict: Verdict, created_at: datetime) -> bytes:
    """The activity row, as a change feed without an envelope would send it."""
    row = {
        "id": str(verdict.id),
        "workspace_id": verdict.row.caller_id,
        "activity_type": "delegation",
        "source_id": verdict.row.caller_id,
        "target_id": verdict.row.callee_id,
        "method": "verdict",
        "status": str(verdict.status),
        "request_body": json.loads(verdict.body),
        "error_detail": verdict.error_detail,
        "created_at": as_text(created_at),
    }
    return json.dumps(row).encode()
