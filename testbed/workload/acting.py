"""Delegations as the platform writes them into its table: each function plays one, and yields seconds to wait.

Histories are dated back, so that no test waits for a threshold. The callee of a silent delegation beat last
`SILENT_SECONDS` ago or earlier.
"""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from testbed.workload.table import ActivityTable
from testbed.workload.texts import CORPUS, new_uuid, text

SILENT_SECONDS = 1200.0
"""Twice the sweeper's default threshold."""
ONE_MEGABYTE = 1_000_000

Act = Callable[["Delegated"], Iterator[float]]


class Delegated:
    """One delegation and its rows. `act` is the function that plays it; `row_id` is the id of its `delegate` row."""

    def __init__(self, table: ActivityTable, rng: random.Random, caller: str, callee: str, act: Act) -> None:
        self.table, self.rng, self.caller, self.callee, self.act = table, rng, caller, callee, act
        self.id, self.row_id = new_uuid(rng), new_uuid(rng)
        self.idempotency_key: str | None = None

    def words(self) -> str:
        return text(self.rng, 20, 600)

    def wait(self, seconds: float) -> float:
        """Return a random number of seconds around this one."""
        return seconds * self.rng.uniform(0.5, 1.5)

    def request(
        self, status: str = "pending", *, ago: float = 0, deadline_in: float | None = None, **columns: Any
    ) -> None:
        """Insert the `delegate` row; `deadline_in` in seconds after the request."""
        body: dict[str, Any] = {"delegation_id": self.id, "task": self.words()}
        if deadline_in is not None:
            body["deadline"] = (self.table.now() + timedelta(seconds=deadline_in - ago)).isoformat()
        row: dict[str, Any] = {"id": self.row_id, "method": "delegate", "status": status, "target_id": self.callee}
        row |= {"request_body": body, "idempotency_key": self.idempotency_key}
        self._insert(ago, **(row | columns))

    def update(self, status: str, *, text: str | None = None, error: str | None = None) -> None:
        """Update the `delegate` row in place."""
        columns: dict[str, Any] = {"status": status}
        if text is not None:
            columns["response_body"] = {"delegation_id": self.id, "text": text}
        if error is not None:
            columns["error_detail"] = error
        self.table.update(self.row_id, **columns)

    def beat(self, *, ago: float = 0) -> None:
        """Insert a `heartbeat` row; it has the caller's workspace, as the platform's writers do."""
        body = {"delegation_id": self.id}
        self._insert(ago, method="heartbeat", status="ok", target_id=self.callee, request_body=body)

    def beats(self, *, since: float, until: float = 0, every: float = 60) -> None:
        """Insert heartbeats, dated back; all in seconds, `since` and `until` before now."""
        ago = since
        while ago >= until:
            self.beat(ago=ago)
            ago -= every

    def result(self, status: str, *, text: str | None = None, error: str | None = None) -> None:
        """Insert a `delegate_result` row."""
        fields = {"delegation_id": self.id, "text": text, "error": error}
        body = {name: content for name, content in fields.items() if content is not None}
        columns = {"source_id": self.callee, "target_id": self.caller, "response_body": body}
        self._insert(0, method="delegate_result", status=status, **columns)

    def chat(self, *, ago: float = 0) -> None:
        """Insert a row of the callee about something else."""
        columns = {"workspace_id": self.callee, "source_id": self.callee, "activity_type": "agent_log"}
        self._insert(ago, **columns, summary="thinking")

    def inbox_row(self, text: str) -> None:
        """Insert the platform's own reply into the caller's inbox."""
        columns = {"activity_type": "a2a_receive", "method": "delegate_result", "status": "ok"}
        bodies = {"request_body": {"delegation_id": self.id}, "response_body": {"text": text, "delegation_id": self.id}}
        self._insert(0, **columns, **bodies, target_id=self.callee)

    def _insert(self, ago: float, **columns: Any) -> None:
        defaults = {"workspace_id": self.caller, "source_id": self.caller, "activity_type": "delegation"}
        self.table.insert(seconds_ago=ago, **(defaults | columns))


def answers(d: Delegated) -> Iterator[float]:
    d.request()
    yield d.wait(0.2)
    d.update("dispatched")
    yield d.wait(0.3)
    d.beat()
    yield d.wait(0.3)
    d.result("completed", text=d.words())


def answers_in_place(d: Delegated) -> Iterator[float]:
    d.request("dispatched")
    yield d.wait(0.3)
    d.update("in_progress")
    yield d.wait(0.3)
    d.update("completed", text=d.words())


def fails(d: Delegated) -> Iterator[float]:
    d.request()
    yield d.wait(0.5)
    d.update("failed", error=d.words())


def fails_before_its_error(d: Delegated) -> Iterator[float]:
    """The status first, and its error a moment later."""
    d.request("dispatched")
    yield d.wait(0.3)
    d.update("failed")
    yield d.wait(0.5)
    d.result("failed", error=d.words())


def ends_twice(d: Delegated) -> Iterator[float]:
    """A row of the result, the request's row in place, the platform's opinion later: one end."""
    d.request("dispatched")
    d.beat()
    yield d.wait(0.5)
    answer = d.words()
    d.result("completed", text=answer)
    d.update("completed", text=answer)
    yield d.wait(0.5)
    d.result("failed", error="timed out")


def completes_before_its_text(d: Delegated) -> Iterator[float]:
    d.request("dispatched")
    yield d.wait(0.3)
    d.update("completed")
    yield d.wait(0.5)
    d.result("completed", text=d.words())


def completes_without_text(d: Delegated) -> Iterator[float]:
    """Its reply is due half a minute later."""
    d.request("dispatched")
    yield d.wait(0.3)
    d.result("completed")


def answers_at_length(d: Delegated) -> Iterator[float]:
    d.request("dispatched")
    yield d.wait(0.3)
    copies = ONE_MEGABYTE // len(CORPUS) + 1
    d.result("completed", text=(CORPUS * copies)[:ONE_MEGABYTE])


def repeats_with_its_key(d: Delegated) -> Iterator[float]:
    """The caller asks again under another id, which makes no row; the answer has the first id."""
    d.idempotency_key = f"key-{d.id}"
    d.request("dispatched")
    again = Delegated(d.table, d.rng, d.caller, d.callee, d.act)
    again.idempotency_key = d.idempotency_key
    yield d.wait(0.2)
    again.request("dispatched")
    yield d.wait(0.3)
    d.result("completed", text=d.words())


def loses_its_caller(d: Delegated) -> Iterator[float]:
    """The caller's workspace is deleted as soon as the answer is there. It must be a workspace of its own."""
    d.request("dispatched")
    yield d.wait(0.3)
    d.result("completed", text=d.words())
    d.table.delete_workspace(d.caller)


def is_told_by_the_platform(d: Delegated) -> Iterator[float]:
    """The platform writes the reply itself, before the result can be due."""
    d.request("dispatched")
    yield d.wait(0.3)
    answer = d.words()
    d.inbox_row(answer)
    d.result("completed", text=answer)
