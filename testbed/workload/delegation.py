"""A delegation as its story is told: each method is one change of an activity row."""

import random
from typing import NamedTuple

from testbed.workload.feeds import LEFT_OUT, Feed, Row
from testbed.workload.texts import new_uuid, task, text

# Postgres moves a column out of line from about 2 KB; then a default identity leaves it out of updates.
OUT_OF_LINE_FROM = 2000


class Change(NamedTuple):
    op: str
    row: Row
    at: int


class Delegation:
    """Who asked whom for what; `now` is set before each change."""

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

    def again(self) -> "Delegation":
        """The same request once more under another id, as an impatient caller makes it."""
        retry = self._retry = Delegation(self.rng, self.caller, self.callee, self.feed)
        retry.idempotency_key, retry.task, retry.now = self.idempotency_key, self.task, self.now
        return retry

    def prose(self) -> str:
        return text(self.rng, 20, 600 if self.rng.random() < 0.9 else 4000)

    def deadline(self) -> str:
        return self.feed.time(self.now + self.rng.randint(60_000, 48 * 3_600_000))

    def opens(self, status: str, *, op: str = "c", deadline: str | None = None, **columns: object) -> Change:
        asked: Row = {"task": self.task, "delegation_id": self.id}
        if deadline is not None:
            asked["deadline"] = deadline
        self.created_at = self.created_at or self.now
        self._row = self._columns("delegate", status, self._row_id, self.created_at) | {
            "target_id": self.callee,
            "summary": f"Delegating to {self.callee}",
            "request_body": asked,
            "idempotency_key": self.idempotency_key,
        }
        if self.rng.random() < 0.1:
            self._row["source_id"] = None
        self._row |= columns
        return Change(op, self._row, self.now)

    def becomes(self, status: str, **columns: object) -> Change:
        return self.updated(Change("c", self._row, self.now), status=status, **columns)

    def updated(self, change: Change, **columns: object) -> Change:
        """The same activity row again, without the large bodies that did not change where the feed does so."""
        before, after = change.row, change.row | columns
        self._row = after
        bodies = ("request_body", "response_body") if self.feed.leaves_out else ()
        unchanged = {name: LEFT_OUT for name in bodies if after[name] is before[name] and _is_large(after[name])}
        return Change("u", after | unchanged, self.now)

    def answers(self, status: str, *, text: str | None = None, error: str | None = None, **columns: object) -> Change:
        told = {"delegation_id": self.id, "text": text, "error": error}
        answer = {name: content for name, content in told.items() if content is not None}
        row = self._columns("delegate_result", status, new_uuid(self.rng), self.now) | {
            "source_id": self.callee,
            "target_id": self.caller,
            "response_body": answer,
        }
        if self.rng.random() < 0.2:
            row["request_body"] = {"delegation_id": answer.pop("delegation_id")}
        return Change("c", row | columns, self.now)

    def beats(self, *, skew_ms: int = 0, **columns: object) -> Change:
        row = self._columns("heartbeat", "ok", new_uuid(self.rng), self.now - skew_ms)
        row["request_body"] = {"delegation_id": self.id, "progress": self.rng.random()}
        return Change("c", row | columns, self.now - skew_ms)

    def uncorrelated(self, method: str, status: str | None) -> Change:
        row = self._columns(method, status, new_uuid(self.rng), self.now)
        row["response_body"] = {"text": "target is busy, message queued"}
        return Change("c", row, self.now)

    def inbox_copy(self) -> Change:
        """What the caller's inbox shows of an answer: an unrelated row that looks much like one."""
        copy = self.answers("completed", text="see result")
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
    return isinstance(body, dict) and any(isinstance(v, str) and len(v) > OUT_OF_LINE_FROM for v in body.values())
