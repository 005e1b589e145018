"""One simulated delegation: each method makes one change of an activity row."""

import random
from typing import NamedTuple

from testbed.workload.feeds import UNAVAILABLE_VALUE, Feed, Row
from testbed.workload.texts import new_uuid, task, text

# Postgres stores a column out of line from about 2 KB. With the default replica identity, updates then omit it.
OUT_OF_LINE_LENGTH = 2000


class Change(NamedTuple):
    """A row after a change; `op` as in Debezium (c, u, r), `at` in ms."""

    op: str
    row: Row
    at: int


class Delegation:
    """A delegation and its activity rows; `set_now` comes before each change. Times are in ms."""

    def __init__(self, rng: random.Random, caller: str, callee: str, feed: Feed) -> None:
        self.rng, self.caller, self.callee, self.feed = rng, caller, callee, feed
        self.now = 0
        self.created_at: int | None = None
        self.id = new_uuid(rng) if rng.random() < 0.9 else f"dlg-{rng.getrandbits(60):x}"
        self.idempotency_key = f"key-{self.id}" if rng.random() < 0.3 else None
        self.task: str | None = task(rng)
        self._row: Row = {}
        self._row_id = new_uuid(rng)
        self._retry: Delegation | None = None

    def set_now(self, now: int) -> None:
        self.now = now
        if self._retry is not None:
            self._retry.set_now(now)

    def retry(self) -> "Delegation":
        """Return the same request under another id, as a caller's retry makes it."""
        retry = self._retry = Delegation(self.rng, self.caller, self.callee, self.feed)
        retry.idempotency_key, retry.task, retry.now = self.idempotency_key, self.task, self.now
        return retry

    def long_text(self) -> str:
        return text(self.rng, 20, 600 if self.rng.random() < 0.9 else 4000)

    def deadline(self) -> str | int:
        return self.feed.time(self.now + self.rng.randint(60_000, 48 * 3_600_000))

    def request(self, status: str, *, op: str = "c", deadline: str | int | None = None, **columns: object) -> Change:
        """Insert the `delegate` row."""
        body: Row = {"task": self.task, "delegation_id": self.id}
        if deadline is not None:
            body["deadline"] = deadline
        self.created_at = self.created_at or self.now
        self._row = self._columns("delegate", status, self._row_id, self.created_at) | {
            "target_id": self.callee,
            "summary": f"Delegating to {self.callee}",
            "request_body": body,
            "idempotency_key": self.idempotency_key,
        }
        if self.rng.random() < 0.1:
            self._row["source_id"] = None
        self._row |= columns
        return Change(op, self._row, self.now)

    def update(self, status: str, **columns: object) -> Change:
        """Update the `delegate` row in place."""
        return self.update_row(Change("c", self._row, self.now), status=status, **columns)

    def update_row(self, change: Change, **columns: object) -> Change:
        """Update any activity row in place; some feeds omit large bodies that did not change."""
        before, after = change.row, change.row | columns
        self._row = after
        bodies = ("request_body", "response_body") if self.feed.omits_unchanged else ()
        unchanged = {
            name: UNAVAILABLE_VALUE for name in bodies if after[name] is before[name] and _is_large(after[name])
        }
        return Change("u", after | unchanged, self.now)

    def result(self, status: str, *, text: str | None = None, error: str | None = None, **columns: object) -> Change:
        """Insert a `delegate_result` row."""
        fields = {"delegation_id": self.id, "text": text, "error": error}
        body = {name: content for name, content in fields.items() if content is not None}
        row = self._columns("delegate_result", status, new_uuid(self.rng), self.now) | {
            "source_id": self.callee,
            "target_id": self.caller,
            "response_body": body,
        }
        if self.rng.random() < 0.2:
            row["request_body"] = {"delegation_id": body.pop("delegation_id")}
        return Change("c", row | columns, self.now)

    def heartbeat(self, *, skew_ms: int = 0, **columns: object) -> Change:
        """Insert a `heartbeat` row; `skew_ms` is how far its clock is behind."""
        row = self._columns("heartbeat", "ok", new_uuid(self.rng), self.now - skew_ms)
        row["request_body"] = {"delegation_id": self.id, "progress": self.rng.random()}
        return Change("c", row | columns, self.now - skew_ms)

    def verdict(self, status: str, *, silent_since: int | None = None, **columns: object) -> Change:
        """Insert the row of a sweeper; `silent_since` in ms is the last sign of life that it knew."""
        row = self._columns("verdict", status, new_uuid(self.rng), self.now)
        row["request_body"] = {"delegation_id": self.id}
        if silent_since is not None:
            row["request_body"]["silent_since"] = self.feed.time(silent_since)
        return Change("c", row | columns, self.now)

    def uncorrelated(self, method: str, status: str | None) -> Change:
        """Insert a row without a delegation id."""
        row = self._columns(method, status, new_uuid(self.rng), self.now)
        row["response_body"] = {"text": "target is busy, message queued"}
        return Change("c", row, self.now)

    def inbox_copy(self) -> Change:
        """Insert the result's copy in the caller's inbox: an unrelated row that looks like a result."""
        copy = self.result("completed", text="see result")
        return copy._replace(row=copy.row | {"activity_type": "a2a_receive"})

    def _columns(self, method: str, status: str | None, row_id: str, created_at: int) -> Row:
        return {
            "id": row_id,
            "workspace_id": self.caller,
            "activity_type": "delegation",
            "source_id": self.caller,
            "target_id": None,
            "method": method,
            "summary": None,
            "request_body": None,
            "response_body": None,
            "duration_ms": None,
            "status": status,
            "error_detail": None,
            "idempotency_key": None,
            "tool_trace": None,
            "created_at": self.feed.time(created_at),
        }


def _is_large(body: Row | None) -> bool:
    return isinstance(body, dict) and any(
        isinstance(text, str) and len(text) > OUT_OF_LINE_LENGTH for text in body.values()
    )
