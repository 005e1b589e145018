"""Stories of delegations: every way we saw one go, told as changes of activity rows."""

from collections.abc import Callable, Iterator

from testbed.workload.delegation import Change, Delegation
from testbed.workload.texts import odd_text, text

Scenario = Callable[[Delegation], Iterator[Change]]


def step_by_step(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("dispatched")
    yield d.becomes(d.rng.choice(["received", "delivered", "in_progress"]))
    yield d.answers("completed", text=d.prose())
    yield d.inbox_copy()
    yield d.becomes("completed", response_body={"text": d.prose(), "delegation_id": d.id})


def straight_to_completed(d: Delegation) -> Iterator[Change]:
    yield d.opens("queued")
    yield d.answers("completed", text=d.prose())


def parked_by_a_busy_target(d: Delegation) -> Iterator[Change]:
    yield d.opens("dispatched")
    yield d.becomes("queued")
    yield d.uncorrelated("delegate_result", "queued")
    yield d.becomes("dispatched")
    yield d.becomes("completed", response_body={"text": d.prose()})


def failed(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("dispatched")
    yield d.becomes("failed", error_detail=text(d.rng, 10, 200))


def failed_late(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("dispatched")
    yield d.becomes("in_progress")
    yield from (d.beats() for _ in range(3))
    yield d.answers("failed", error=text(d.rng, 10, 200))


def stuck(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("in_progress")
    yield d.beats()
    yield d.answers("stuck", error_detail="no heartbeat since an hour")


def timed_out(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending", deadline=d.deadline())
    yield d.becomes("dispatched")
    yield d.becomes(d.rng.choice(["timeout", "error"]), response_body={"error": "the callee did not answer"})


def retried_with_the_same_key(d: Delegation) -> Iterator[Change]:
    d.idempotency_key = d.idempotency_key or f"retry-{d.id}"
    again = d.again()
    yield d.opens("pending")
    yield again.opens("pending")
    yield d.becomes("dispatched")
    yield again.becomes("dispatched")
    yield again.answers("completed", text=again.prose())
    yield d.answers("completed", text=d.prose())


def result_first(d: Delegation) -> Iterator[Change]:
    yield d.answers("completed", text=d.prose())
    yield d.opens("pending")
    yield d.becomes("dispatched")
    yield d.becomes("completed", response_body={"text": d.prose()})


def heartbeat_first(d: Delegation) -> Iterator[Change]:
    yield d.beats()
    yield d.answers("in_progress")
    yield d.opens("dispatched")
    yield d.beats()
    yield d.becomes("completed")


def heartbeating(d: Delegation) -> Iterator[Change]:
    yield d.opens("dispatched")
    for _ in range(d.rng.randint(2, 12)):
        yield d.beats(skew_ms=d.rng.choice([0, 0, 0, 90_000]))
    yield d.uncorrelated("heartbeat", None)
    yield d.answers("completed", text=d.prose())


def never_done(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    if d.rng.random() < 0.6:
        yield d.becomes("dispatched")
    if d.rng.random() < 0.4:
        yield d.becomes("received")
    if d.rng.random() < 0.5:
        yield d.beats()


def forgotten(d: Delegation) -> Iterator[Change]:
    """In flight since days or weeks; a snapshot finds it."""
    d.created_at = d.now - d.rng.randint(1, 40 * 24) * 3_600_000
    yield d.opens(d.rng.choice(["pending", "dispatched", "in_progress"]), op="r")


def answered_too_late(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("dispatched")
    yield d.answers(d.rng.choice(["stuck", "failed", "timeout"]), error="gave up")
    yield d.answers("completed", text=d.prose())
    yield d.beats()
    yield d.becomes("in_progress")


def text_follows(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("completed")
    yield d.answers("completed", text=d.prose())
    yield d.answers("completed", text=d.prose())


def error_follows(d: Delegation) -> Iterator[Change]:
    yield d.opens("dispatched")
    yield d.becomes("failed", error_detail="")
    yield d.answers("failed", error="connection reset")
    yield d.answers("stuck", error="too late to be stuck")


def told_twice(d: Delegation) -> Iterator[Change]:
    """As a connector does after a crash: the row goes through all its states again."""
    for _ in range(2):
        yield d.opens("pending")
        yield d.becomes("dispatched")
        yield d.becomes("in_progress")
        yield d.becomes("completed", response_body={"text": "done"})


def told_by_a_snapshot(d: Delegation) -> Iterator[Change]:
    final = d.rng.choice(["completed", "failed", "dispatched"])
    yield d.opens(final, op="r", response_body={"text": d.prose()}, error_detail="broke" if final == "failed" else None)
    yield d.beats()


def moves_backwards(d: Delegation) -> Iterator[Change]:
    yield d.opens("pending")
    yield d.becomes("in_progress")
    yield d.becomes("dispatched")
    yield d.becomes("delivered")
    yield d.answers("completed", text=d.prose())


def orphan(d: Delegation) -> Iterator[Change]:
    """Its `delegate` row never comes."""
    yield d.beats()
    yield d.answers("completed", text=d.prose())


def large(d: Delegation) -> Iterator[Change]:
    """So large that the change feed leaves out what did not change."""
    d.task = text(d.rng, 2500, 6000)
    yield d.opens("pending")
    yield d.becomes("dispatched")
    yield d.becomes("completed", response_body={"text": text(d.rng, 2500, 6000)})
    yield d.becomes("completed", tool_trace=[{"tool": "search", "ms": 12}])


def odd(d: Delegation) -> Iterator[Change]:
    """Whatever no rule forbids: ids and texts of strange characters, columns that nobody reads in a wrong shape."""
    d.id = d.rng.choice(["\x00", "\ud800", "é" * 230, "'", "日本"]) + d.id[:28]
    d.task = d.rng.choice([odd_text(d.rng), None, "", "\x00", text(d.rng, 4090, 4097)])
    yield d.opens("pending", duration_ms=10**300, summary=["not", "a", "text"], tool_trace="{")
    yield d.beats(target_id=17, status={"any": "thing"}, response_body="][")
    yield d.becomes("dispatched", response_body=[1, 2], error_detail={"unused": True})
    yield d.answers("completed", text=odd_text(d.rng), target_id="not a uuid")


def answers_left_out(d: Delegation) -> Iterator[Change]:
    """A large result row, updated: the id too must be recalled."""
    yield d.opens("dispatched")
    answer = d.answers("in_progress", text=text(d.rng, 2500, 4000))
    yield answer
    yield d.updated(answer, status="completed")


KINDS: dict[Scenario, float] = {
    step_by_step: 22,
    straight_to_completed: 30,
    parked_by_a_busy_target: 3,
    failed: 6,
    failed_late: 3,
    stuck: 2,
    timed_out: 3,
    retried_with_the_same_key: 4,
    result_first: 4,
    heartbeat_first: 1,
    heartbeating: 5,
    never_done: 3,
    forgotten: 0.3,
    answered_too_late: 2,
    text_follows: 2,
    error_follows: 1,
    told_twice: 2,
    told_by_a_snapshot: 2,
    moves_backwards: 1,
    orphan: 0.5,
    large: 2,
    odd: 1,
    answers_left_out: 0.5,
}
