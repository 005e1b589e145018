"""Ends and replies beside other writers: the ledger, a relay, other members, and retried dead letters."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from builders import at, log, record
from projecting import TOPIC, claim_partition, fence, view_rows
from pushing import due, ends, named, push, pushing
from racing import race
from rows import CALLER, answer, delegate
from stored_dead_letters import NO_LIMITS, letter, remaining, store

from projector import ledger
from projector.contract.facts import Status
from projector.errors import Fenced, WriteConflict
from projector.postgres.connection import Connection
from projector.postgres.dead_letters import Filter
from projector.postgres.write_batch import prepare
from projector.projection import dead_letters, sending, transaction
from projector.projection.transaction import Outcomes, project

ROW = "ab1c1c1c-0000-4000-8000-000000000001"


SAME_REPLY: LiteralString = "INSERT INTO outbox (delegation_id, due_at, next_attempt_at) VALUES ('d-1', now(), now())"
SAME_END: LiteralString = (
    "INSERT INTO ends VALUES ('d-1', 'activity-log', 0, 0, 'report', 'completed', NULL, false, now())"
)


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with pushing(database_url) as conn:
        yield conn


@pytest.fixture
def other(session: Connection, database_url: str) -> Iterator[Connection]:
    """A second session, not in autocommit."""
    with psycopg.connect(database_url, options="-c search_path=projector,public") as conn:
        yield conn


def test_ledger_that_is_first_leads_to_one_reply(session: Connection) -> None:
    push(session, delegate(0))
    ledger.set_status(session, "d-1", Status.COMPLETED, result="by the service")
    assert due(session) == {}
    outcomes = project(session, [record(answer(5, "completed", text="by the event"), 1)], push=True)
    assert outcomes == {"duplicate": 1}
    assert due(session) == {"d-1": at(5) + timedelta(seconds=2)}
    project(session, [record(answer(6, "completed", text="again"), 2)], push=True)
    assert due(session) == {"d-1": at(5) + timedelta(seconds=2)}


def test_ledger_that_says_otherwise_leads_to_no_reply(session: Connection) -> None:
    push(session, delegate(0))
    ledger.set_status(session, "d-1", Status.FAILED, error="by the service")
    project(session, [record(answer(5, "completed"), 1)], push=True)
    assert (len(ends(session)), due(session)) == (1, {})


@pytest.mark.parametrize(
    "statement",
    ["SELECT FROM outbox FOR UPDATE", "UPDATE outbox SET attempts = 1", "DELETE FROM outbox", "DELETE FROM ends"],
)
def test_relay_that_holds_a_reply_stops_no_batch(
    session: Connection, other: Connection, statement: LiteralString
) -> None:
    values = log(delegate(0), answer(1, "completed"))
    project(session, values, push=True)
    other.execute(statement)
    session.execute("SET lock_timeout = '200ms'")
    again = [*values, record(answer(2, "completed"), 2)]
    assert project(session, again, push=True) == {"refused": 1, "duplicate": 2}
    other.rollback()
    assert (len(ends(session)), len(due(session))) == (2, 1)


@pytest.mark.parametrize("statement", [SAME_REPLY, SAME_END])
def test_end_that_another_session_stores_at_the_same_time_is_passed_over(
    session: Connection, other: Connection, database_url: str, statement: LiteralString
) -> None:
    """As a retried dead letter may. The batch waits for it, and is then sent again: its record is no dead letter."""
    other.execute(statement)

    def call(conn: Connection) -> Outcomes:
        conn.execute("SET search_path TO projector, public")
        prepare(conn, push=True)
        return push(conn, delegate(0, "completed"))

    assert race(database_url, call, release=other.commit) == [{"inserted": 1}]
    assert (len(ends(session)), len(due(session))) == (1, 1)


def test_fenced_batch_stores_nothing(session: Connection) -> None:
    stale = claim_partition(session)
    claim_partition(session)
    with pytest.raises(Fenced):
        project(session, log(delegate(0), answer(1, "completed")), fence(stale, (0, 0, 2)), push=True)
    assert (ends(session), due(session)) == ([], {})


def test_refused_record_stores_no_end(session: Connection) -> None:
    session.execute("ALTER TABLE delegations ADD CONSTRAINT no_two CHECK (delegation_id <> 'd-2')")
    values = [named(f"d-{n}", status="completed") for n in range(5)]
    assert project(session, log(*values), push=True) == {"inserted": 4, "dead_letter": 1}
    assert [end[0] for end in ends(session)] == sorted(due(session)) == ["d-0", "d-1", "d-3", "d-4"]


def test_end_that_postgres_refuses_is_a_dead_letter(session: Connection) -> None:
    """It is never lost with its position moved: a retry queues its reply."""
    session.execute("ALTER TABLE outbox ADD CONSTRAINT no_two CHECK (delegation_id <> 'd-2')")
    values = [named(f"d-{n}", status="completed") for n in range(5)]
    assert project(session, log(*values), push=True) == {"inserted": 4, "dead_letter": 1}
    session.execute("ALTER TABLE outbox DROP CONSTRAINT no_two")
    dead_letters.retry(session, Filter(), NO_LIMITS, push=True)
    assert sorted(due(session)) == [f"d-{n}" for n in range(5)]


@pytest.mark.parametrize("writable", [1, 3])
def test_halved_batch_stores_every_end(session: Connection, monkeypatch: pytest.MonkeyPatch, writable: int) -> None:
    send = sending.send_batch

    def conflicting(conn: Connection, batch: Any, *arguments: Any, **options: Any) -> object:
        if len(batch.records) > writable:
            raise WriteConflict("a delegation was changed by another writer")
        return send(conn, batch, *arguments, **options)

    monkeypatch.setattr(transaction, "send_batch", conflicting)
    push(session, *(named(f"d-{n}", status="completed") for n in range(8)))
    assert [end[0] for end in ends(session)] == sorted(due(session)) == [f"d-{n}" for n in range(8)]


# --- retried dead letters


@pytest.mark.parametrize("retried_with_push", [True, False])
def test_retried_dead_letter_queues_its_reply(session: Connection, *, retried_with_push: bool) -> None:
    push(session, delegate(0))
    store(session, [letter(1, answer(7, "completed", text="done", id=ROW)), letter(2, b"no json")])
    dead_letters.retry(session, Filter(), NO_LIMITS, push=retried_with_push)
    assert len(remaining(session)) == 1
    assert due(session) == ({"d-1": at(7) + timedelta(seconds=2)} if retried_with_push else {})
    assert len(ends(session)) == len(due(session))


def test_retried_dead_letter_of_history_queues_nothing(session: Connection) -> None:
    session.execute("INSERT INTO push_from VALUES (%s, 0, 2)", [TOPIC])
    store(session, [letter(0, delegate(0, source_id=CALLER)), letter(1, answer(7, "completed"))])
    dead_letters.retry(session, Filter(), NO_LIMITS, push=True)
    assert view_rows(session)[0][4] == "completed"
    assert (ends(session), due(session)) == ([], {})
