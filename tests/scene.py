"""A day of a small company of agents, as records: what the dashboard shows in its browser tests and its screenshots.

The oracle and the faults have workloads of their own. This one is for the eyes: plausible tasks, reasons and times, one
agent that is wedged, one that retries, one that delegates to itself, and records that cannot be read or placed.
"""

import json
import random
import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from scene_texts import REASONS, RESULTS, TASKS

from testbed.workload import Record

AGENTS = 12
WEDGED, FLAKY, RETRIED, SELFISH = 3, 5, 7, 9
"""Agents by number: finishes nothing for two hours, fails often, is asked again within seconds, asks itself."""
STUCK_AFTER = timedelta(minutes=10)


class Scene(NamedTuple):
    """The records in the order of their times, and delegations that a page or a test names."""

    records: list[Record]
    agents: list[str]
    overdue: str
    stuck: str
    late: str
    failed: str
    parked: str


def scene(now: datetime, *, delegations: int = 1_600, seed: int = 11) -> Scene:
    """Play a day that ends now."""
    return _Day(now, random.Random(seed)).played(delegations)


class _Event(NamedTuple):
    at: datetime
    caller: str
    row: dict[str, Any]


class _Day:
    def __init__(self, now: datetime, rng: random.Random) -> None:
        self.now, self.rng = now, rng
        self.events: list[_Event] = []
        self.agents = [self._uuid() for _ in range(AGENTS)]

    def played(self, delegations: int) -> Scene:
        for _ in range(delegations):
            self._ordinary(self._moment())
        for number in range(18):
            self._wedged(self.now - timedelta(minutes=130 - 6 * number))
        for number in range(6):
            self._retried(self.now - timedelta(minutes=37 * number + 9))
        for number in range(4):
            self._flying(self.now - timedelta(minutes=50 * number + 31), self.agents[SELFISH], self.agents[SELFISH])
        overdue = [self._overdue(hours) for hours in (5, 3, 2)]
        stuck = [self._stuck(minutes) for minutes in (190, 52, 27)]
        late, failed, parked = self._late(), self._failed(self.now - timedelta(minutes=6)), self._parked()
        self._unreadable()
        ordered = sorted(self.events, key=lambda event: event.at)
        records = [
            Record(event.caller.encode(), json.dumps(event.row).encode(), int(event.at.timestamp() * 1000))
            for event in ordered
        ]
        return Scene(records, self.agents, overdue[0], stuck[1], late, failed, parked)

    # --- stories

    def _ordinary(self, at: datetime) -> None:
        caller, callee = self._pair()
        flaky = 0.3 if callee == self.agents[FLAKY] else 0.035
        spans = [timedelta(seconds=self.rng.lognormvariate(mean, 0.8)) for mean in (0.5, 2.0, 5.2)]
        ends_at = at + sum(spans, timedelta())
        if ends_at > self.now:
            self._flying(at, caller, callee)
            return
        delegation = self._request(at, caller, callee)
        self._status(delegation, at + spans[0], caller, callee, "dispatched")
        self._status(delegation, at + spans[0] + spans[1], caller, callee, "in_progress")
        if spans[2] > timedelta(seconds=90):
            self._heartbeat(delegation, ends_at - spans[2] / 2, caller)
        if self.rng.random() < flaky:
            self._result(delegation, ends_at, caller, callee, "failed", error=self._reason())
        else:
            self._result(delegation, ends_at, caller, callee, "completed", text=self.rng.choice(RESULTS))

    def _flying(self, at: datetime, caller: str, callee: str) -> str:
        delegation = self._request(at, caller, callee)
        if self.rng.random() < 0.85:
            self._status(delegation, at + timedelta(seconds=2), caller, callee, "dispatched")
        if self.rng.random() < 0.7:
            self._status(delegation, at + timedelta(seconds=9), caller, callee, "in_progress")
            self._heartbeat(delegation, self.now - timedelta(seconds=self.rng.randint(2, 55)), caller)
        return delegation

    def _wedged(self, at: datetime) -> None:
        caller = self.agents[self.rng.choice((0, 1, 2))]
        delegation = self._request(at, caller, self.agents[WEDGED])
        self._status(delegation, at + timedelta(seconds=3), caller, self.agents[WEDGED], "dispatched")
        if self.rng.random() < 0.6:
            self._heartbeat(delegation, at + timedelta(minutes=1), caller)

    def _retried(self, at: datetime) -> None:
        caller, task = self.agents[1], self.rng.choice(TASKS)
        for number in range(3):
            moment = at + timedelta(seconds=0.9 * number)
            delegation = self._request(moment, caller, self.agents[RETRIED], task=task)
            ended = moment + timedelta(seconds=40 + number)
            self._result(delegation, ended, caller, self.agents[RETRIED], "completed", text=RESULTS[0])

    def _overdue(self, hours: int) -> str:
        caller, callee = self._pair()
        at = self.now - timedelta(hours=hours)
        delegation = self._request(at, caller, callee, deadline=at + timedelta(hours=1, minutes=37))
        self._status(delegation, at + timedelta(seconds=4), caller, callee, "in_progress")
        for minutes in range(20, hours * 60, 37):
            self._heartbeat(delegation, at + timedelta(minutes=minutes), caller)
        return delegation

    def _stuck(self, minutes: int) -> str:
        """In progress, a few signs of life, silence, a verdict."""
        caller, callee = self._pair()
        at = self.now - timedelta(minutes=minutes)
        delegation = self._request(at, caller, callee, idempotency_key=f"review-{minutes}")
        self._status(delegation, at + timedelta(seconds=2), caller, callee, "dispatched")
        self._status(delegation, at + timedelta(seconds=7), caller, callee, "in_progress")
        for beat in range(4):
            self._heartbeat(delegation, at + timedelta(seconds=40 * beat + 50), caller)
        silent_since = at + timedelta(seconds=170)
        judged_at = silent_since + STUCK_AFTER + timedelta(seconds=31)
        self._add(
            judged_at,
            caller,
            method="verdict",
            status="stuck",
            source_id=caller,
            target_id=callee,
            error_detail=f"no sign of life for 10 min 31 s: silent since {silent_since:%Y-%m-%d %H:%M:%S} UTC",
            request_body={
                "delegation_id": delegation,
                "rule": "silence",
                "silent_since": silent_since.isoformat(timespec="microseconds"),
                "threshold_seconds": STUCK_AFTER.seconds,
                "judged_at": judged_at.isoformat(timespec="microseconds"),
            },
        )
        return delegation

    def _late(self) -> str:
        """Stuck, and then an answer all the same."""
        delegation = self._stuck(44)
        caller, callee = next((e.caller, e.row["target_id"]) for e in self.events if _is_of(e, delegation))
        at = self.now - timedelta(minutes=19)
        self._result(delegation, at, caller, callee, "completed", text=RESULTS[3])
        return delegation

    def _failed(self, at: datetime) -> str:
        caller, callee = self._pair()
        delegation = self._request(at, caller, callee)
        self._status(delegation, at + timedelta(seconds=3), caller, callee, "in_progress")
        self._result(delegation, at + timedelta(minutes=2), caller, callee, "failed", error=self._reason())
        return delegation

    def _parked(self) -> str:
        delegation, (caller, callee) = self._uuid(), self._pair()
        self._result(delegation, self.now - timedelta(minutes=71), caller, callee, "completed", text=RESULTS[4])
        return delegation

    def _unreadable(self) -> None:
        for number in range(5):
            caller, _ = self._pair()
            at = self.now - timedelta(minutes=17 * number + 3)
            body = {"delegation_id": self._uuid(), "task": TASKS[0]}
            self._add(at, caller, method="delegate", status="reviewed", request_body=body)
        lost = {"method": "delegate", "status": "queued", "target_id": "agent-7"}
        self._add(self.now - timedelta(hours=4), self.agents[2], **lost)

    # --- rows of activity_logs

    def _request(self, at: datetime, caller: str, callee: str, task: str | None = None, **columns: Any) -> str:
        delegation = self._uuid()
        body = {"delegation_id": delegation, "task": task or self._task()}
        if deadline := columns.pop("deadline", None):
            body["deadline"] = deadline.isoformat()
        self._add(
            at,
            caller,
            method="delegate",
            status="pending",
            source_id=caller,
            target_id=callee,
            request_body=body,
            **columns,
        )
        return delegation

    def _status(self, delegation: str, at: datetime, caller: str, callee: str, status: str) -> None:
        body = {"delegation_id": delegation, "task": ""}
        self._add(at, caller, method="delegate", status=status, source_id=caller, target_id=callee, request_body=body)

    def _heartbeat(self, delegation: str, at: datetime, caller: str) -> None:
        self._add(at, caller, method="heartbeat", status="ok", request_body={"delegation_id": delegation})

    def _result(self, delegation: str, at: datetime, caller: str, callee: str, status: str, **texts: str) -> None:
        body = {"delegation_id": delegation, **texts}
        self._add(
            at, caller, method="delegate_result", status=status, source_id=callee, target_id=caller, response_body=body
        )

    def _add(self, at: datetime, caller: str, **columns: Any) -> None:
        row = {"id": self._uuid(), "workspace_id": caller, "activity_type": "delegation", "created_at": at.isoformat()}
        self.events.append(_Event(at, caller, row | columns))

    def _pair(self) -> tuple[str, str]:
        caller = self.agents[self.rng.choice((0, 0, 0, 1, 1, 2, 4, 6))]
        callee = self.rng.choice([a for n, a in enumerate(self.agents) if a != caller and n not in (WEDGED, SELFISH)])
        return caller, callee

    def _moment(self) -> datetime:
        """More by day than by night."""
        while True:
            hours = self.rng.uniform(0, 25)
            if self.rng.random() < (0.35 if 8 < hours < 16 else 1.0):
                return self.now - timedelta(hours=hours)

    def _task(self) -> str:
        return f"{self.rng.choice(TASKS)} (OPS-{self.rng.randint(1000, 9999)})"

    def _reason(self) -> str:
        return self.rng.choice(REASONS).format(n=self.rng.randint(2, 90), id=self._uuid())

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))


def _is_of(event: _Event, delegation: str) -> bool:
    return bool(event.row.get("request_body", {}).get("delegation_id") == delegation and event.row.get("target_id"))
