"""The ledger against the fold: the same story, told to either, gives the same row and the same answers."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CALLEE, CALLER, Columns, answer, beat, delegate, logged

from projector.contract.facts import FAILED, Heartbeat, Reported, Requested, Status
from projector.domain.lifecycle import Delegation, evolve
from projector.domain.outcomes import Outcome
from projector.ledger import rows
from projector.ledger.rows import AlreadyExists, Connection, Effect, Inserted
from projector.postgres import delegations, write_batch
from projector.projection import transaction


class Told(NamedTuple):
    """One step of a story: a status with what came with it, or a heartbeat where it is none."""

    status: Status | None
    result: str | None = None
    error: str | None = None


QUEUED, DISPATCHED, IN_PROGRESS, COMPLETED, FAILURE, STUCK = map(Told, Status)
BEAT = Told(None)
ANSWER, LATER = Told(Status.COMPLETED, result="1 2 3"), Told(Status.COMPLETED, result="4 5 6")

STORIES = {
    "straight": [DISPATCHED, IN_PROGRESS, BEAT, ANSWER],
    "at a stroke": [ANSWER],
    "a silent answer, told later": [DISPATCHED, COMPLETED, ANSWER, LATER],
    "a silent failure, told later": [FAILURE, Told(Status.FAILED, error="disk"), Told(Status.FAILED, error="net")],
    "backwards": [IN_PROGRESS, DISPATCHED, QUEUED, BEAT],
    "repeated": [QUEUED, QUEUED, DISPATCHED, DISPATCHED, ANSWER, ANSWER],
    "stuck, and then answered": [BEAT, STUCK, ANSWER, BEAT, Told(Status.STUCK, error="silence")],
    "texts that do not count": [Told(Status.DISPATCHED, "r", "e"), Told(Status.STUCK, "r"), Told(Status.FAILED, "r")],
    "texts that Postgres cannot hold": [Told(Status.COMPLETED, result="\x00\ud800" + "é" * 4000)],
    "empty texts": [Told(Status.FAILED, error=""), Told(Status.FAILED, error="disk")],
}


def by_ledger(conn: Connection, delegation_id: str, told: Told) -> Effect:
    if told.status is None:
        return rows.heartbeat(conn, delegation_id)
    return rows.set_status(conn, delegation_id, told.status, result=told.result, error=told.error)


def as_row(delegation_id: str, minute: int, told: Told) -> Columns:
    if told.status is None:
        return beat(minute, of=delegation_id)
    body = {"delegation_id": delegation_id, "text": told.result}
    return answer(minute, told.status, response_body=body, error_detail=told.error)


def request(delegation_id: str, task: str = "count to three", key: str | None = None) -> Columns:
    body = {"delegation_id": delegation_id, "task": task}
    return delegate(0, request_body=body, idempotency_key=key)


def project(conn: Connection, *rows: Columns) -> list[Outcome]:
    """The outcome of each row, projected one at a time."""
    write_batch.prepare(conn)
    outcomes = (transaction.project(conn, [logged(offset, row)]) for offset, row in enumerate(rows))
    return [outcome for counted in outcomes for outcome in counted]


def read(conn: Connection, delegation_id: str) -> Delegation:
    (row,) = delegations.read_delegations(conn, [delegation_id])
    return row


def timeless(row: Delegation) -> dict[str, Any]:
    """What no clock had a hand in; of a heartbeat, whether there was one."""
    told = row._asdict() | {"last_heartbeat": row.last_heartbeat is not None}
    return {name: told[name] for name in told if name not in ("delegation_id", "deadline", "created_at", "updated_at")}


def assert_same_story(conn: Connection, story: list[Told], task: str = "count to three") -> None:
    """Through the ledger, through events, and then the events once more over what the ledger wrote."""
    direct, projected = f"ledger {uuid.uuid4()}", f"events {uuid.uuid4()}"
    rows.insert(conn, direct, CALLER, CALLEE, task)
    effects = [by_ledger(conn, direct, told) for told in story]
    outcomes = project(conn, request(projected, task), *(as_row(projected, n, told) for n, told in enumerate(story)))
    assert [str(effect) for effect in effects] == [str(outcome) for outcome in outcomes[1:]]
    written = read(conn, direct)
    assert timeless(written) == timeless(read(conn, projected))
    project(conn, request(direct, task), *(as_row(direct, n, told) for n, told in enumerate(story)))
    assert read(conn, direct) == written


@pytest.mark.parametrize("story", STORIES)
def test_a_story_gives_the_same_row_and_answers(conn: Connection, story: str) -> None:
    assert_same_story(conn, STORIES[story])


TEXTS = st.none() | st.sampled_from(["", "three", "\x00", "x" + "é" * 2048])
STEPS = st.builds(Told, st.none() | st.sampled_from(Status), TEXTS, TEXTS)
TASKS = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\ud800"), min_size=1)


@given(story=st.lists(STEPS, max_size=6), task=TASKS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_story_gives_the_same_row_and_answers(conn: Connection, story: list[Told], task: str) -> None:
    # One database for all examples: each has delegations of its own.
    assert_same_story(conn, story, task)


def test_a_request_makes_the_row_of_the_fold(conn: Connection) -> None:
    at = now(conn)
    rows.insert(conn, "d-1", CALLER, CALLEE, "count to three", idempotency_key="k")
    event = Requested("d-1", CALLER, CALLEE, "count to three", "k", at + timedelta(hours=6), at)
    assert read(conn, "d-1") == evolve(None, event).after


def now(conn: Connection) -> datetime:
    """The one time of this transaction."""
    found = conn.execute("SELECT now()").fetchone()
    assert found is not None
    at: datetime = found[0].astimezone(UTC)
    return at


@pytest.mark.parametrize("status", Status)
def test_each_cell_is_that_of_the_fold(conn: Connection, status: Status) -> None:
    """Each status met by each status, with and without texts on either side, times included."""
    texts = (None, "first"), (None, "second")
    for n, (told, (before, after)) in enumerate(itertools.product(Status, itertools.product(*texts))):
        standing = met(conn, f"d-{n}", status, before)
        counts = after if told is Status.COMPLETED else None, after if told in FAILED else None
        step = evolve(standing, Reported(f"d-{n}", told, now(conn), *counts))
        assert rows.set_status(conn, f"d-{n}", told, result=after, error=after) == str(step.outcome)
        assert read(conn, f"d-{n}") == step.after


@pytest.mark.parametrize("status", Status)
def test_a_heartbeat_is_that_of_the_fold(conn: Connection, status: Status) -> None:
    step = evolve(met(conn, "d-1", status), Heartbeat("d-1", now(conn)))
    assert rows.heartbeat(conn, "d-1") == str(step.outcome)
    assert read(conn, "d-1") == step.after


def met(conn: Connection, delegation_id: str, status: Status, text: str | None = None) -> Delegation:
    """A row that stands at a status since yesterday."""
    assert rows.insert(conn, delegation_id, CALLER, CALLEE, "count") == Inserted(delegation_id)
    rows.set_status(conn, delegation_id, status, result=text, error=text)
    conn.execute("UPDATE delegations SET updated_at = now() - interval '1 day'")
    return read(conn, delegation_id)


def test_no_row_is_where_the_fold_parks(conn: Connection) -> None:
    assert evolve(None, Heartbeat("d-1", now(conn))).outcome is Outcome.PARKED
    assert rows.heartbeat(conn, "d-1") is rows.set_status(conn, "d-1", "queued") is Effect.MISSING


def test_the_key_s_second_request_loses_in_either_way(conn: Connection) -> None:
    rows.insert(conn, "d-1", CALLER, CALLEE, "count to three", idempotency_key="k")
    assert isinstance(rows.insert(conn, "d-2", CALLER, CALLEE, "count", idempotency_key="k"), AlreadyExists)
    assert project(conn, request("d-2", key="k"), request("d-1", key="k")) == [Outcome.DUPLICATE] * 2
    assert [row[0] for row in conn.execute("SELECT delegation_id FROM delegations")] == ["d-1"]


def test_what_came_too_early_is_healed_by_the_event_of_a_row_that_the_ledger_made(conn: Connection) -> None:
    assert project(conn, as_row("d-1", 1, ANSWER)) == [Outcome.PARKED]
    rows.insert(conn, "d-1", CALLER, CALLEE, "count to three")
    assert read(conn, "d-1").status is Status.QUEUED
    project(conn, request("d-1"))
    assert (read(conn, "d-1").status, read(conn, "d-1").result_preview) == ("completed", "1 2 3")
