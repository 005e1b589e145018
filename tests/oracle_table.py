"""A table of activity rows and the log that a feed makes of it, for tests of the model of sweeps."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rows import CALLEE, CALLER, TEN, delegate, heartbeat, record_at

from testbed.oracle import Judgement, Overdue, Rules, Truth, TruthRow, faults, fold_in_order, judge, overdue
from testbed.recording import AcknowledgedRecord

RULES = Rules()
SAW_ALL = "1000:1000:"


def at(minute: float) -> datetime:
    return TEN + timedelta(minutes=minute)


class Table:
    """Activity rows in the order in which they are written, and the log that a feed makes of them."""

    def __init__(self) -> None:
        self.rows: list[TruthRow] = []
        self.log: list[AcknowledgedRecord] = []

    def write(self, row: dict[str, Any], *, snapshot: str = SAW_ALL, in_log: bool = True) -> str:
        """Append a row to the table and, unless it races, to the log; returns its id."""
        number = len(self.rows) + 1
        columns: dict[str, Any] = {"source_id": CALLER, "target_id": CALLEE, "status": None, "error_detail": None}
        columns |= {"workspace_id": CALLER, "method": None, "request_body": {}, "response_body": {}}
        columns |= row | {"id": str(UUID(int=number)), "created_at": datetime.fromisoformat(row["created_at"])}
        known = {name: columns[name] for name in TruthRow._fields if name in columns}
        self.rows.append(TruthRow(**known, xid=number, snapshot=snapshot))
        if in_log:
            self.carry(row | {"id": columns["id"]})
        return str(columns["id"])

    def carry(self, row: dict[str, Any]) -> None:
        """Append a record of this row to the log."""
        self.log.append(record_at(len(self.log), row))

    def chat(self, minutes: Iterable[float], workspace: str = "c9c9c9c9-0000-4000-8000-000000000009") -> None:
        """Rows of a workspace about something else."""
        for minute in minutes:
            row = {"activity_type": "agent_log", "workspace_id": workspace, "created_at": at(minute).isoformat()}
            self.write(row | {"source_id": workspace, "target_id": None})

    def truth(self) -> Truth:
        return Truth(self.rows)

    def overdue(self, minute: float, rules: Rules = RULES) -> dict[str, Overdue]:
        return overdue(fold_in_order(self.log).rows, self.truth(), at(minute), rules)

    def judge(self) -> list[Judgement]:
        return judge(self.log, self.truth(), RULES)

    def faults(self) -> list[str]:
        return faults(self.judge())


@pytest.fixture
def table() -> Table:
    """A platform that speaks all the time, and a delegation whose callee beat for the last time at 10:01."""
    table = Table()
    table.chat(range(-30, 60))
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(heartbeat(1) | {"workspace_id": CALLER})
    return table
