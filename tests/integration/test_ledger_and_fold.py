"""The ledger and the fold: the same steps, written by either, make the same row with the same outcomes."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CALLEE, CALLER, Columns, answer, delegate, heartbeat, record_at

from projector import ledger
from projector.contract.facts import FAILED, Heartbeat, Reported, Requested, Status
from projector.domain.lifecycle import Delegation, evolve
from projector.domain.outcomes import Outcome
from projector.ledger import AlreadyExists, Effect, Inserted
from projector.ledger.rows import Connection
from projector.postgres import delegations, write_batch
from projector.projection import transaction


class Call(NamedTuple):
    """A status with its texts; a heartbeat if the status is None."""

    status: Status | None
    result: str | None = None
    error: str | None = None


QUEUED, DISPATCHED, IN_PROGRESS, COMPLETED, FAILURE, STUCK = map(Call, Status)
BEAT = Call(None)
RESULT, LATER_RESULT = Call(Status.COMPLETED, result="1 2 3"), Call(Status.COMPLETED, result="4 5 6")

CALLS = {
    "forward": [DISPATCHED, IN_PROGRESS, BEAT, RESULT],
    "completed at once": [RESULT],
    "result after completed": [DISPATCHED, COMPLETED, RESULT, LATER_RESULT],
    "error after failed": [FAILURE, Call(Status.FAILED, error="disk"), Call(Status.FAILED, error="net")],
    "backwards": [IN_PROGRESS, DISPATCHED, QUEUED, BEAT],
    "repeated": [QUEUED, QUEUED, DISPATCHED, DISPATCHED, RESULT, RESULT],
    "result after stuck": [BEAT, STUCK, RESULT, BEAT, Call(Status.STUCK, error="silence")],
    "unused texts": [Call(Status.DISPATCHED, "r", "e"), Call(Status.STUCK, "r"), Call(Status.FAILED, "r")],
    "texts that Postgres cannot store": [Call(Status.COMPLETED, result="\x00\ud800" + "é" * 4000)],
    "empty texts": [Call(Status.FAILED, error=""), Call(Status.FAILED, error="disk")],
}


def by_ledger(conn: Connection, delegation_id: str, call: Call) -> Effect:
    if call.status is None:
        return ledger.heartbeat(conn, delegation_id)
    return ledger.set_status(conn, delegation_id, call.status, result=call.result, error=call.error)


def as_row(delegation_id: str, minute: int, call: Call) -> Columns:
    if call.status is None:
        return heartbeat(minute, of=delegation_id)
    body = {"delegation_id": delegation_id, "text": call.result}
    return answer(minute, call.status, response_body=body, error_detail=call.error)


def request(delegation_id: str, task: str = "count to three", key: str | None = None) -> Columns:
    body = {"delegation_id": delegation_id, "task": task}
    return delegate(0, request_body=body, idempotency_key=key)


def project(conn: Connection, *rows: Columns) -> list[Outcome]:
    """The outcome of each row, projected one at a time."""
    write_batch.prepare(conn)
    outcomes = (transaction.project(conn, [record_at(offset, row)]) for offset, row in enumerate(rows))
    return [outcome for counted in outcomes for outcome in counted]


def read(conn: Connection, delegation_id: str) -> Delegation:
    (row,) = delegations.read_delegations(conn, [delegation_id])
    return row


def timeless(row: Delegation) -> dict[str, Any]:
    """The columns that do not depend on a clock; of the heartbeat, whether there was one."""
    columns = row._asdict() | {"last_heartbeat": row.last_heartbeat is not None}
    times = ("delegation_id", "deadline", "created_at", "updated_at")
    return {name: value for name, value in columns.items() if name not in times}


def assert_same_row(conn: Connection, calls: list[Call], task: str = "count to three") -> None:
    """Write through the ledger and through events; then project the events over the row of the ledger."""
    direct, projected = f"ledger {uuid.uuid4()}", f"events {uuid.uuid4()}"
    ledger.insert(conn, direct, CALLER, CALLEE, task)
    effects = [by_ledger(conn, direct, call) for call in calls]
    outcomes = project(conn, request(projected, task), *(as_row(projected, n, call) for n, call in enumerate(calls)))
    assert [str(effect) for effect in effects] == [str(outcome) for outcome in outcomes[1:]]
    written = read(conn, direct)
    assert timeless(written) == timeless(read(conn, projected))
    project(conn, request(direct, task), *(as_row(direct, n, call) for n, call in enumerate(calls)))
    assert read(conn, direct) == written


@pytest.mark.parametrize("calls", CALLS)
def test_ledger_and_fold_make_the_same_row(conn: Connection, calls: str) -> None:
    assert_same_row(conn, CALLS[calls])


TEXTS = st.none() | st.sampled_from(["", "three", "\x00", "x" + "é" * 2048])
STEPS = st.builds(Call, st.none() | st.sampled_from(Status), TEXTS, TEXTS)
TASKS = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\ud800"), min_size=1)


@given(calls=st.lists(STEPS, max_size=6), task=TASKS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_calls_make_the_same_row(conn: Connection, calls: list[Call], task: str) -> None:
    # One database for all examples: each has delegations of its own.
    assert_same_row(conn, calls, task)


def test_insert_makes_the_row_of_the_fold(conn: Connection) -> None:
    at = now(conn)
    ledger.insert(conn, "d-1", CALLER, CALLEE, "count to three", idempotency_key="k")
    event = Requested("d-1", CALLER, CALLEE, "count to three", "k", at + timedelta(hours=6), at)
    assert read(conn, "d-1") == evolve(None, event).after


def now(conn: Connection) -> datetime:
    """The start of this transaction."""
    found = conn.execute("SELECT now()").fetchone()
    assert found is not None
    at: datetime = found[0].astimezone(UTC)
    return at


@pytest.mark.parametrize("status", Status)
def test_each_transition_is_that_of_the_fold(conn: Connection, status: Status) -> None:
    """From each status to each status, with and without texts before and after, times included."""
    texts = (None, "first"), (None, "second")
    for n, (new, (before, after)) in enumerate(itertools.product(Status, itertools.product(*texts))):
        row = row_at(conn, f"d-{n}", status, before)
        counts = after if new is Status.COMPLETED else None, after if new in FAILED else None
        step = evolve(row, Reported(f"d-{n}", new, now(conn), *counts))
        assert ledger.set_status(conn, f"d-{n}", new, result=after, error=after) == str(step.outcome)
        assert read(conn, f"d-{n}") == step.after


@pytest.mark.parametrize("text", ["ours", None])
@pytest.mark.parametrize("new", [status for status in Status if status is not Status.QUEUED])
def test_text_of_another_writer_is_treated_as_by_the_fold(conn: Connection, new: Status, text: str | None) -> None:
    """An end replaces its own text, even by none: the text of the log stands. Every other text is kept."""
    assert ledger.insert(conn, "d-1", CALLER, CALLEE, "count to three") == Inserted("d-1")
    project(conn, request("d-2"))
    conn.execute("UPDATE delegations SET result_preview = 'theirs', error_detail = 'theirs'")
    call = Call(new, text, text)
    outcome = project(conn, as_row("d-2", 1, call))
    assert [str(by_ledger(conn, "d-1", call))] == outcome == ["advanced"]
    direct, projected = read(conn, "d-1"), read(conn, "d-2")
    assert timeless(direct) == timeless(projected)
    assert direct.result_preview == (text if new is Status.COMPLETED else "theirs")
    assert direct.error_detail == (text if new in FAILED else "theirs")


@pytest.mark.parametrize("status", Status)
def test_heartbeat_is_that_of_the_fold(conn: Connection, status: Status) -> None:
    step = evolve(row_at(conn, "d-1", status), Heartbeat("d-1", now(conn)))
    assert ledger.heartbeat(conn, "d-1") == str(step.outcome)
    assert read(conn, "d-1") == step.after


def row_at(conn: Connection, delegation_id: str, status: Status, text: str | None = None) -> Delegation:
    """A row with a status, last updated yesterday."""
    assert ledger.insert(conn, delegation_id, CALLER, CALLEE, "count") == Inserted(delegation_id)
    ledger.set_status(conn, delegation_id, status, result=text, error=text)
    conn.execute("UPDATE delegations SET updated_at = now() - interval '1 day'")
    return read(conn, delegation_id)


def test_row_is_missing_where_the_fold_parks(conn: Connection) -> None:
    assert evolve(None, Heartbeat("d-1", now(conn))).outcome is Outcome.PARKED
    assert ledger.heartbeat(conn, "d-1") is ledger.set_status(conn, "d-1", "queued") is Effect.MISSING


def test_second_request_with_a_key_makes_no_row(conn: Connection) -> None:
    ledger.insert(conn, "d-1", CALLER, CALLEE, "count to three", idempotency_key="k")
    assert isinstance(ledger.insert(conn, "d-2", CALLER, CALLEE, "count", idempotency_key="k"), AlreadyExists)
    assert project(conn, request("d-2", key="k"), request("d-1", key="k")) == [Outcome.DUPLICATE] * 2
    assert [row[0] for row in conn.execute("SELECT delegation_id FROM delegations")] == ["d-1"]


def test_parked_event_is_applied_by_the_request_event(conn: Connection) -> None:
    assert project(conn, as_row("d-1", 1, RESULT)) == [Outcome.PARKED]
    ledger.insert(conn, "d-1", CALLER, CALLEE, "count to three")
    assert read(conn, "d-1").status is Status.QUEUED
    project(conn, request("d-1"))
    assert (read(conn, "d-1").status, read(conn, "d-1").result_preview) == ("completed", "1 2 3")
