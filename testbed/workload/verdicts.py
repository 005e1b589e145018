"""Scenarios with a sweeper, which judges delegations that gave no sign of life for too long."""

from collections.abc import Iterator

from testbed.workload.delegation import Change, Delegation


def judged_stuck(d: Delegation) -> Iterator[Change]:
    yield d.request("pending")
    yield d.update("dispatched")
    yield d.heartbeat()
    silent_since = d.now
    yield d.verdict("stuck", silent_since=silent_since, error_detail="no sign of life")
    yield d.verdict("stuck", silent_since=silent_since, error_detail="no sign of life, from a second sweeper")
    yield d.result("completed", text=d.long_text())


def judged_too_early(d: Delegation) -> Iterator[Change]:
    """The verdict is stale: a heartbeat came after the sign of life that the sweeper knew."""
    yield d.request("dispatched")
    silent_since = d.now - 60_000
    yield d.heartbeat()
    yield d.verdict(d.rng.choice(["stuck", "failed"]), silent_since=silent_since, error_detail="no sign of life")
    if d.rng.random() < 0.7:
        yield d.result("completed", text=d.long_text())


def judged_before_request(d: Delegation) -> Iterator[Change]:
    yield d.verdict("stuck", silent_since=d.now - 60_000 if d.rng.random() < 0.5 else d.now + 600_000)
    yield d.heartbeat()
    yield d.request("pending")
    yield d.update("dispatched")


def judged_after_end(d: Delegation) -> Iterator[Change]:
    yield d.request("dispatched")
    silent_since = d.now
    final = d.rng.choice(["completed", "failed", "stuck"])
    yield d.result(final)
    yield d.verdict("failed", silent_since=silent_since, error_detail="no sign of life")
    yield d.verdict("stuck", silent_since=silent_since, error_detail="no sign of life")


def judged_without_evidence(d: Delegation) -> Iterator[Change]:
    """A verdict `failed` without evidence is a plain status."""
    yield d.request("pending")
    yield d.heartbeat()
    yield d.verdict("failed", error_detail="cancelled by an operator", response_body={"error": "unused"})


def judged_without_request(d: Delegation) -> Iterator[Change]:
    """The `delegate` row is missing."""
    yield d.verdict("stuck", silent_since=d.now)
    yield d.verdict("failed")


def retried_often(d: Delegation) -> Iterator[Change]:
    """Some requests with one key; a sweeper judges one that made no row."""
    d.idempotency_key = d.idempotency_key or f"retry-{d.id}"
    yield d.request("dispatched")
    for _ in range(d.rng.randint(2, 4)):
        retry = d.retry()
        yield retry.request(d.rng.choice(["pending", "failed"]))
        yield retry.heartbeat()
    yield retry.verdict("stuck", silent_since=d.now, error_detail="no sign of life")
    yield d.result("completed", text=d.long_text())


VERDICT_WEIGHTS = {
    judged_stuck: 2.0,
    judged_too_early: 1.5,
    judged_before_request: 0.5,
    judged_after_end: 1.0,
    judged_without_evidence: 0.5,
    judged_without_request: 0.2,
    retried_often: 1.0,
}
