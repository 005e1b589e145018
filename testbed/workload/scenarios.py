"""Scenarios: each yields the changes of one delegation's activity rows, as seen on real platforms."""

from collections.abc import Callable, Iterator

from testbed.workload.delegation import Change, Delegation
from testbed.workload.feeds import Row
from testbed.workload.texts import text, unusual_text
from testbed.workload.verdicts import VERDICT_WEIGHTS

Scenario = Callable[[Delegation], Iterator[Change]]


def step_by_step(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.update(d.rng.choice(["received", "delivered", "in_progress"]))
    yield d.result("completed", text=d.long_text())
    yield d.inbox_copy()
    yield d.update("completed", response_body={"text": d.long_text(), "delegation_id": d.id})


def straight_to_completed(d: Delegation) -> Iterator[Change]:
    yield d.request("queued")
    yield d.result("completed", text=d.long_text())


def queued_by_busy_target(d: Delegation) -> Iterator[Change]:
    yield d.request("dispatched")
    yield d.update("queued")
    yield d.uncorrelated("delegate_result", "queued")
    yield d.update("dispatched")
    yield d.update("completed", response_body={"text": d.long_text()})


def failed(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.update("failed", error_detail=text(d.rng, 10, 200))


def failed_after_heartbeats(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.update("in_progress")
    yield from (d.heartbeat() for _ in range(3))
    yield d.result("failed", error=text(d.rng, 10, 200))


def stuck(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("in_progress")
    yield d.heartbeat()
    yield d.result("stuck", error_detail="no heartbeat since an hour")


def timed_out(d: Delegation) -> Iterator[Change]:
    yield d.request("pending", deadline=d.deadline())
    yield d.update("dispatched")
    yield d.update(d.rng.choice(["timeout", "error"]), response_body={"error": "the callee did not answer"})


def retried_with_same_key(d: Delegation) -> Iterator[Change]:
    d.idempotency_key = d.idempotency_key or f"retry-{d.id}"
    retry = d.retry()
    yield d.request("pending")
    yield retry.request("pending")
    yield d.update("dispatched")
    yield retry.update("dispatched")
    yield retry.result("completed", text=retry.long_text())
    yield d.result("completed", text=d.long_text())


def result_first(d: Delegation) -> Iterator[Change]:
    yield d.result("completed", text=d.long_text())
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.update("completed", response_body={"text": d.long_text()})


def heartbeat_first(d: Delegation) -> Iterator[Change]:
    yield d.heartbeat()
    yield d.result("in_progress")
    yield d.request("dispatched")
    yield d.heartbeat()
    yield d.update("completed")


def many_heartbeats(d: Delegation) -> Iterator[Change]:
    yield d.request("dispatched")
    for _ in range(d.rng.randint(2, 12)):
        yield d.heartbeat(skew_ms=d.rng.choice([0, 0, 0, 90_000]))
    yield d.uncorrelated("heartbeat", None)
    yield d.result("completed", text=d.long_text())


def stays_in_flight(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    if d.rng.random() < 0.6:
        yield d.update("dispatched")
    if d.rng.random() < 0.4:
        yield d.update("received")
    if d.rng.random() < 0.5:
        yield d.heartbeat()


def old_in_flight(d: Delegation) -> Iterator[Change]:
    """In flight for days or weeks, read by a snapshot."""
    d.created_at = d.now - d.rng.randint(1, 40 * 24) * 3_600_000
    yield d.request(d.rng.choice(["pending", "dispatched", "in_progress"]), op="r")


def late_result(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.result(d.rng.choice(["stuck", "failed", "timeout"]), error="gave up")
    yield d.result("completed", text=d.long_text())
    yield d.heartbeat()
    yield d.update("in_progress")


def text_after_status(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("completed")
    yield d.result("completed", text=d.long_text())
    yield d.result("completed", text=d.long_text())


def error_after_status(d: Delegation) -> Iterator[Change]:
    yield d.request("dispatched")
    yield d.update("failed", error_detail="")
    yield d.result("failed", error="connection reset")
    yield d.result("stuck", error="too late to be stuck")


def repeated_by_connector(d: Delegation) -> Iterator[Change]:
    """A connector repeats all changes after a crash."""
    for _ in range(2):
        yield d.request("pending")
        yield d.update("dispatched")
        yield d.update("in_progress")
        yield d.update("completed", response_body={"text": "done"})


def read_by_snapshot(d: Delegation) -> Iterator[Change]:
    final = d.rng.choice(["completed", "failed", "dispatched"])
    yield d.request(
        final, op="r", response_body={"text": d.long_text()}, error_detail="broke" if final == "failed" else None
    )
    yield d.heartbeat()


def status_moves_back(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("in_progress")
    yield d.update("dispatched")
    yield d.update("delivered")
    yield d.result("completed", text=d.long_text())


def without_request(d: Delegation) -> Iterator[Change]:
    """The `delegate` row is missing."""
    yield d.heartbeat()
    yield d.result("completed", text=d.long_text())


def large_bodies(d: Delegation) -> Iterator[Change]:
    """Bodies so large that the change feed omits them from updates."""
    d.task = text(d.rng, 2500, 6000)
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.update("completed", response_body={"text": text(d.rng, 2500, 6000)})
    yield d.update("completed", tool_trace=[{"tool": "search", "ms": 12}])


def unusual_values(d: Delegation) -> Iterator[Change]:
    """Valid but unusual: special characters in ids and texts, and wrong types in columns that no rule reads."""
    d.id = d.rng.choice(["\ufffd", "\ufeff", "é" * 230, "'", "日本"]) + d.id[:28].upper() + d.rng.choice(["", " "])
    d.task = d.rng.choice([unusual_text(d.rng), None, "", "\x00", text(d.rng, 4090, 4097)])
    columns: Row = {"op": d.rng.choice(["d", "c", 7]), "specversion": "1.0", "schema": {}, "payload": None}
    yield d.request("pending", duration_ms=10**300, summary=["not", "a", "text"], tool_trace="{")
    yield d.heartbeat(target_id=17, status={"any": "thing"}, response_body="][", **columns)
    yield d.update("dispatched", response_body=[1, 2], error_detail={"unused": True})
    yield d.result("completed", text=unusual_text(d.rng), target_id="not a uuid", **columns)


def large_result_updated(d: Delegation) -> Iterator[Change]:
    """A large result row is updated: its delegation id is only in the earlier row."""
    yield d.request("dispatched")
    result = d.result("in_progress", text=text(d.rng, 2500, 4000))
    yield result
    yield d.update_row(result, status="completed")


SCENARIO_WEIGHTS: dict[Scenario, float] = {
    step_by_step: 22,
    straight_to_completed: 30,
    queued_by_busy_target: 3,
    failed: 6,
    failed_after_heartbeats: 3,
    stuck: 2,
    timed_out: 3,
    retried_with_same_key: 4,
    result_first: 4,
    heartbeat_first: 1,
    many_heartbeats: 5,
    stays_in_flight: 3,
    old_in_flight: 0.3,
    late_result: 2,
    text_after_status: 2,
    error_after_status: 1,
    repeated_by_connector: 2,
    read_by_snapshot: 2,
    status_moves_back: 1,
    without_request: 0.5,
    large_bodies: 2,
    unusual_values: 1,
    large_result_updated: 0.5,
    **VERDICT_WEIGHTS,
}
