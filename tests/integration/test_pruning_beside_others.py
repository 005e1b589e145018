"""Pruning beside batches, other writers and the push of results, on real Postgres."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from builders import at, log
from projecting import connected, query
from pushing import ends, named, push, pushing
from racing import overtake, race
from rows import CALLEE, CALLER, answer

from projector.contract.facts import Heartbeat, Requested
from projector.domain.fold import Changes, Parked
from projector.domain.lifecycle import Delegation, requested
from projector.errors import WriteConflict
from projector.ledger import Effect, rows
from projector.postgres import delegations, deleted, write_batch
from projector.postgres.connection import Connection
from projector.postgres.dead_letters import Filter
from projector.postgres.deleted import Selection
from projector.postgres.write_batch import prepare, write
from projector.projection import sending
from projector.projection.dead_letters import retry
from projector.projection.transaction import project
from projector.pruning import prune as pruning
from projector.pruning.prune import Pruned
from projector.settings import BatchLimits


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    """`old` has ended, with the key `k`."""
    with connected(database_url) as conn:
        project(conn, log(named("old", idempotency_key="k"), answer(1, "completed", of="old", text="done")))
        yield conn


def ids(conn: Connection) -> list[str]:
    return query(conn, "SELECT delegation_id FROM delegations ORDER BY 1")


def a_row(delegation_id: str, key: str | None = None) -> Delegation:
    return requested(Requested(delegation_id, CALLER, CALLEE, "count", key, at(60), at(0)))


# --- batches that were read before the pruning


@pytest.mark.parametrize(
    "changes",
    [
        Changes(inserted=[a_row("old")]),
        Changes(inserted=[a_row("new", "k")]),
        Changes(parked=[Parked("activity-log", 0, 1, Heartbeat("old", at(2)))]),
    ],
    ids=["same id", "same key", "parked"],
)
def test_batch_that_was_read_before_is_read_again(session: Connection, changes: Changes) -> None:
    pruning.prune(session, at(60))
    with pytest.raises(WriteConflict, match="pruned"):
        write(session, changes, {})()
    assert ids(session) == query(session, "SELECT * FROM parked") == []


def test_batch_fills_no_row_that_is_pruned_meanwhile(database_url: str, session: Connection) -> None:
    """The batch has read the row, and waits before it writes."""
    project(session, log(named("d"), answer(1, "completed", of="d")))
    overtaking = lambda conn: pruning.prune(prepared(conn), at(60))  # noqa: E731
    late = log(named("new"), answer(2, "completed", of="d", text="late"))
    overtake(database_url, lambda conn: project(prepared(conn), late), overtaking, point="before the rows")
    assert ids(session) == ["new"]


def prepared(conn: Connection) -> Connection:
    conn.execute("SET search_path TO projector, public")
    prepare(conn)
    return conn


def test_event_that_is_being_parked_is_waited_for(database_url: str, session: Connection) -> None:
    """The batch has looked before its delegation, whose request repeats a key, was pruned."""
    project(session, log(named("lost", idempotency_key="k")))
    with psycopg.connect(database_url, options="-c search_path=projector,public") as batch:
        write_batch.exclude_requests(batch)
        batch.execute(
            'INSERT INTO parked (topic, partition, "offset", delegation_id, kind, at) '
            "VALUES ('activity-log', 0, 9, 'lost', 'heartbeat', now())"
        )
        prune = lambda conn: pruning.prune(prepared(conn), at(60))  # noqa: E731
        assert race(database_url, prune, release=batch.commit) == [Pruned(1, 1, 1)]
    assert query(session, "SELECT * FROM parked") == []


def test_locked_row_is_left_for_the_next_pruning(database_url: str, session: Connection) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM delegations FOR UPDATE")
        assert pruning.prune(session, at(60)) == Pruned(0, 0, 0)
    assert pruning.prune(session, at(60)) == Pruned(1, 0, 0)


# --- other writers, which do not know the list


def test_other_writers_cannot_insert_what_was_pruned(session: Connection) -> None:
    pruning.prune(session, at(60))
    with pytest.raises(psycopg.errors.RaiseException, match="delegation old was pruned, and its id stays used"):
        rows.insert(session, "old", CALLER, CALLEE, "count")
    with pytest.raises(psycopg.errors.RaiseException, match=r"old was pruned, and its idempotency key, which .* new"):
        rows.insert(session, "new", CALLER, CALLEE, "count", idempotency_key="k")
    assert rows.set_status(session, "old", "failed") == Effect.MISSING
    rows.insert(session, "new", CALLEE, CALLEE, "count", idempotency_key="k")


def test_insert_that_waited_for_a_pruning_is_refused(database_url: str, session: Connection) -> None:
    with psycopg.connect(database_url, options="-c search_path=projector,public") as other:
        other.execute("SELECT")  # so that nothing is committed before the end
        assert pruning.prune(other, at(60)) == Pruned(1, 0, 0)
        with pytest.raises(psycopg.errors.RaiseException, match="old was pruned"):
            race(database_url, insert_old, release=other.commit)
    assert ids(session) == []


def insert_old(conn: Connection) -> None:
    rows.insert(conn, "old", CALLER, CALLEE, "count")


def test_kept_copy_of_what_was_pruned_is_not_put_back(session: Connection) -> None:
    session.execute(
        "INSERT INTO deleted (run_id, source, kind, delegation_id, content) SELECT gen_random_uuid(), 't', "
        "'row', 'new', to_jsonb(d) || '{\"delegation_id\": \"new\"}' FROM delegations d"
    )
    pruning.prune(session, at(60))
    (restored,) = deleted.restore(session, Selection(["new"]))
    assert "old was pruned, and its idempotency key" in str(restored.problem)
    assert ids(session) == []


def test_kept_event_of_what_was_pruned_is_not_parked_again(session: Connection) -> None:
    pruning.prune(session, at(60))
    event = {"kind": "heartbeat", "topic": "t", "partition": 0, "offset": 0, "at": at(2).isoformat()}
    session.execute(
        "INSERT INTO deleted (run_id, source, kind, delegation_id, content) "
        "VALUES (gen_random_uuid(), 't', 'parked event', 'old', %s)",
        [json.dumps({"delegation_id": "old", **event})],
    )
    (restored,) = deleted.restore(session, Selection(["old"]))
    assert restored.problem == "its delegation was pruned"


def test_member_that_does_not_know_the_list_keeps_dead_letters(
    database_url: str, session: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of the release before 057, for which the list is empty, and whose batches do not name themselves."""
    pruning.prune(session, at(60))
    values = log(named("old"), answer(2, "failed", of="old"), named("new", idempotency_key="k"), named("fresh"))
    with connected(database_url) as member, monkeypatch.context() as before:
        before.setattr(delegations, "read_holders", lambda conn, keys: {})
        before.setattr(sending, "delegations", BlindToTheList())
        member.execute("CREATE TEMPORARY TABLE empty AS TABLE projector.pruned WITH NO DATA")
        member.execute(_before_057(write_batch._FUNCTION))
        assert project(member, values) == {"dead_letter": 2, "inserted": 1, "parked": 1}
    assert ids(session) == ["fresh"]
    assert query(session, "SELECT reason FROM dead_letters ORDER BY 1") == [
        f"Postgres refused it: delegation old was pruned, and its {used} used (SQLSTATE P0001)"
        for used in ("id stays", "idempotency key, which delegation new has too, stays")
    ]
    assert retry(session, Filter(), BatchLimits()) == {"duplicate": 2}
    assert pruning.prune(session, at(60)) == Pruned(0, 1, 1)


class BlindToTheList:
    def __getattr__(self, name: str) -> Any:
        return getattr(delegations, name)

    def read_states_and_pruned(self, conn: Connection, ids: list[str]) -> Any:
        return delegations.read_states(conn, ids), []


def _before_057(function: str) -> str:
    assert function.count("projector.pruned") == 3
    without = function.replace("'projector.knows_pruned'", "'projector.unknown'")
    return without.replace("projector.pruned p", "projector.pruned").replace("projector.pruned", "(TABLE empty) AS p")


# --- the push of results


@pytest.fixture
def relayed(database_url: str) -> Iterator[Connection]:
    """Six delegations that have ended, with a reply in each state."""
    with pushing(database_url) as conn:
        for state in ("due", "sent", "told_by_platform", "given_up", "expired", "discarded"):
            push(conn, named(state), answer(1, "completed", of=state, text="done"))
        conn.execute(
            "UPDATE outbox SET ended_as = delegation_id, "
            "sent_at = CASE WHEN delegation_id IN ('sent', 'told_by_platform') THEN now() END, "
            "given_up_at = CASE WHEN delegation_id NOT IN ('sent', 'told_by_platform') THEN now() END "
            "WHERE delegation_id <> 'due'"
        )
        yield conn


def test_delegation_stays_while_its_caller_was_not_told(relayed: Connection) -> None:
    assert pruning.plan(relayed, at(60)) == (3, 6, 3)
    assert pruning.prune(relayed, at(60)) == Pruned(3, 0, 0)
    assert ids(relayed) == ["due", "expired", "given_up"]
    assert query(relayed, "SELECT delegation_id FROM outbox ORDER BY 1") == ["due", "expired", "given_up"]
    assert {each[0] for each in ends(relayed)} == {"due", "expired", "given_up"}


def test_delegation_stays_while_no_reply_was_queued(relayed: Connection) -> None:
    project(relayed, log(named("silent"), answer(1, "failed", of="silent")))
    assert pruning.plan(relayed, at(60)).owed == 4
    assert pruning.prune(relayed, at(60)).delegations == 3
    relayed.execute("UPDATE push SET pruned_before = now()")
    assert pruning.prune(relayed, at(60)).delegations == 1


def test_delegation_stays_whose_reply_becomes_due_meanwhile(database_url: str, relayed: Connection) -> None:
    with psycopg.connect(database_url, options="-c search_path=projector,public") as other:
        other.execute("UPDATE outbox SET ended_as = NULL, sent_at = NULL WHERE delegation_id = 'sent'")
        done = race(database_url, lambda conn: pruning.prune(prepared(conn), at(60)), release=other.commit)
    assert done == [Pruned(2, 0, 0)]
    assert "sent" in ids(relayed)


def test_late_end_of_a_pruned_delegation_is_not_told(relayed: Connection) -> None:
    pruning.prune(relayed, at(60))
    told = ends(relayed)
    assert push(relayed, named("sent"), answer(1, "completed", of="sent", text="done")) == {
        "duplicate": 1,
        "refused": 1,
    }
    assert (ends(relayed), len(query(relayed, "SELECT * FROM outbox"))) == (told, 3)
