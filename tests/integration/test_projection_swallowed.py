"""Writes that a trigger, a rule or an index of the platform suppresses: dead letters, and no endless conflict."""

from collections.abc import Callable, Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from builders import log
from projecting import claim_partition, connected, expected_rows, fence, position, query, view_rows
from rows import CALLER, Columns, answer, delegate, heartbeat

from projector.domain.outcomes import Outcome
from projector.errors import ProjectorError, WriteConflict
from projector.postgres import write_batch
from projector.postgres.connection import Connection
from projector.postgres.dead_letters import Filter
from projector.projection import dead_letters, sending
from projector.projection.transaction import project
from projector.settings import BatchLimits

UNRELATED = {"activity_type": "llm_call"}
OTHER = "0a0a0a0a-0000-4000-8000-000000000001"
SKIP_ALL: LiteralString = """
    CREATE FUNCTION public.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
"""
SKIP_OTHERS: LiteralString = """
    CREATE FUNCTION public.skip() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RETURN CASE WHEN NEW.caller_id = '0a0a0a0a-0000-4000-8000-000000000001' THEN NULL ELSE NEW END;
    END $$;
"""
ON_INSERT: LiteralString = (
    "CREATE TRIGGER skip_insert BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION public.skip()"
)
ON_UPDATE: LiteralString = (
    "CREATE TRIGGER skip_update BEFORE UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION public.skip()"
)


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


def request(delegation_id: str, caller: str = CALLER, **columns: Any) -> Columns:
    body = {"delegation_id": delegation_id, "task": "count"}
    return delegate(0, request_body=body, workspace_id=caller, **columns)


def retry(conn: Connection) -> dict[Outcome, int]:
    return dict(dead_letters.retry(conn, Filter(), BatchLimits()))


def test_swallowed_insert_is_a_dead_letter_that_names_the_trigger(session: Connection) -> None:
    session.execute(SKIP_ALL)
    session.execute(ON_INSERT)
    token = claim_partition(session)
    assert project(session, log(request("d-1")), fence(token, (0, 0, 1))) == {"dead_letter": 1}
    assert position(session) == 1
    [(reason, field)] = query(session, "SELECT reason, field FROM dead_letters")
    assert reason.startswith("INSERT wrote no row into delegations, and no other writer prevented it")
    assert "trigger skip_insert" in reason
    assert "`projector dead-letters retry`" in reason
    assert field is None


def test_neighbours_of_a_swallowed_insert_are_projected(session: Connection) -> None:
    session.execute(SKIP_OTHERS)
    session.execute(ON_INSERT)
    values = [request(f"d-{n}", OTHER if n in (3, 4, 9) else CALLER) for n in range(12)]
    records = log(*values, answer(1, "completed", of="d-3"), answer(1, "completed", of="d-5"))
    token = claim_partition(session)
    outcomes = project(session, records, fence(token, (0, 0, 14)))
    assert outcomes == {"inserted": 9, "dead_letter": 3, "advanced": 1, "parked": 1}
    assert position(session) == 14
    assert query(session, 'SELECT "offset" FROM dead_letters ORDER BY 1') == [3, 4, 9]
    session.execute("DROP TRIGGER skip_insert ON delegations")
    assert retry(session) == {Outcome.INSERTED: 3}
    assert view_rows(session) == expected_rows(records)


def test_swallowed_update_leaves_the_row_and_names_the_trigger(session: Connection) -> None:
    project(session, log(request("d-1"), request("d-2", OTHER)))
    session.execute(SKIP_OTHERS)
    session.execute(ON_UPDATE)
    records = log(heartbeat(1), answer(2, "completed", of="d-2", text="2"), answer(2, "completed", text="1"))
    assert project(session, records) == {"heartbeat": 1, "advanced": 1, "dead_letter": 1}
    assert query(session, "SELECT delegation_id, status FROM delegations ORDER BY 1") == [
        ("d-1", "completed"),
        ("d-2", "queued"),
    ]
    [reason] = query(session, "SELECT reason FROM dead_letters")
    assert reason.startswith("UPDATE wrote no row into delegations")
    assert "trigger skip_update" in reason
    session.execute("DROP TRIGGER skip_update ON delegations")
    assert retry(session) == {Outcome.ADVANCED: 1}
    assert query(session, "SELECT status FROM delegations WHERE delegation_id = 'd-2'") == ["completed"]


def test_retry_keeps_a_record_that_is_still_swallowed(session: Connection) -> None:
    session.execute(SKIP_OTHERS)
    session.execute(ON_INSERT)
    project(session, log(request("d-1", OTHER), request("d-2"), b"garbage", request("d-3", OTHER), b"garbage"))
    before = query(session, 'SELECT "offset", reason FROM dead_letters ORDER BY 1')
    assert retry(session) == {Outcome.DEAD_LETTER: 4}
    assert query(session, 'SELECT "offset", reason FROM dead_letters ORDER BY 1') == before
    assert query(session, "SELECT delegation_id FROM delegations") == ["d-2"]


@pytest.mark.parametrize(
    ("rule", "value", "outcome"),
    [
        ("ON INSERT TO delegations DO INSTEAD NOTHING", delegate(0), Outcome.INSERTED),
        ("ON UPDATE TO delegations DO INSTEAD NOTHING", answer(1, "completed", of="d-0"), Outcome.ADVANCED),
    ],
)
def test_rule_that_does_nothing_instead_is_named(
    session: Connection, database_url: str, rule: str, value: Columns, outcome: Outcome
) -> None:
    project(session, log(request("d-0")))
    session.execute(f"CREATE RULE quiet AS {rule}".encode())
    assert project(session, log(UNRELATED, value)) == {"unrelated": 1, "dead_letter": 1}
    assert "This may be the cause: rule quiet." in query(session, "SELECT reason FROM dead_letters")[0]
    session.execute("DROP RULE quiet ON delegations")
    with connected(database_url) as fresh:
        assert retry(fresh) == {outcome: 1}


def test_rule_that_was_dropped_is_a_suspect_for_open_connections(session: Connection) -> None:
    project(session, log(request("d-1")))
    session.execute("CREATE RULE no_update AS ON UPDATE TO delegations DO INSTEAD NOTHING")
    project(session, log(answer(1, "completed")))
    session.execute("DROP RULE no_update ON delegations")
    assert retry(session) == {Outcome.DEAD_LETTER: 1}
    [reason] = query(session, "SELECT reason FROM dead_letters")
    assert "none was found (an open connection still follows a rule that was dropped: restart the projector)" in reason


def test_rule_that_postgres_does_not_support_stops_before_anything_is_lost(session: Connection) -> None:
    session.execute("CREATE RULE again AS ON INSERT TO delegations DO ALSO DELETE FROM parked")
    token = claim_partition(session)
    with pytest.raises(ProjectorError, match="If delegations has a rule for INSERT or UPDATE, drop it"):
        project(session, log(request("d-1")), fence(token, (0, 0, 1)))
    assert (position(session), query(session, "SELECT reason FROM dead_letters")) == (0, [])
    session.execute("DROP RULE again ON delegations")
    assert project(session, log(request("d-1")), fence(token, (0, 0, 1))) == {"inserted": 1}


def test_trigger_that_writes_the_row_elsewhere_is_named(session: Connection) -> None:
    session.execute("CREATE TABLE public.delegations_old () INHERITS (public.delegations)")
    session.execute("""
        CREATE FUNCTION public.move() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.delegations_old VALUES (NEW.*); RETURN NULL; END $$;
        CREATE TRIGGER move_insert BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION public.move();
    """)
    assert project(session, log(request("d-1"))) == {"dead_letter": 1}
    assert "trigger move_insert" in query(session, "SELECT reason FROM dead_letters")[0]
    assert view_rows(session) == []


def test_unique_index_of_the_platform_is_named(session: Connection) -> None:
    session.execute("CREATE UNIQUE INDEX one_per_callee ON delegations (callee_id)")
    assert project(session, log(request("d-1"), request("d-2"))) == {"inserted": 1, "dead_letter": 1}
    [reason] = query(session, "SELECT reason FROM dead_letters")
    assert "unique index one_per_callee" in reason
    assert "idx_delegations_idempotency" not in reason


def test_trigger_that_is_no_suspect_is_not_named(session: Connection) -> None:
    session.execute(SKIP_ALL)
    for name, when in (("after_it", "AFTER INSERT"), ("other", "BEFORE UPDATE"), ("off", "BEFORE INSERT")):
        statement = f"CREATE TRIGGER {name} {when} ON delegations FOR EACH ROW EXECUTE FUNCTION public.skip()"
        session.execute(statement.encode())
    session.execute("ALTER TABLE delegations DISABLE TRIGGER off")
    session.execute(ON_INSERT)
    project(session, log(request("d-1")))
    [reason] = query(session, "SELECT reason FROM dead_letters")
    assert "may be the cause: trigger skip_insert." in reason


def test_trigger_that_changes_values_is_no_conflict(session: Connection) -> None:
    session.execute("""
        CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
        CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION public.touch();
    """)
    outcomes = project(session, log(request("d-1")))
    assert outcomes + project(session, log(answer(1, "completed"))) == {"inserted": 1, "advanced": 1}
    assert query(session, "SELECT count(*) FROM dead_letters") == [0]


INSERT: LiteralString = (
    "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) "
    "VALUES ('d-1', gen_random_uuid(), gen_random_uuid(), 'by the ledger')"
)
DELETE: LiteralString = "DELETE FROM delegations WHERE delegation_id = 'd-1'"
TOUCH: LiteralString = "UPDATE delegations SET updated_at = now()"


@pytest.mark.parametrize(
    ("before", "after", "values"),
    [
        (INSERT, DELETE, [delegate(0)]),
        (TOUCH, TOUCH, [answer(1, "completed")]),
        (DELETE, INSERT, [answer(1, "completed")]),
    ],
    ids=["inserted", "updated", "deleted"],
)
def test_row_that_another_writer_changes_at_each_try_is_no_dead_letter(
    session: Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    before: LiteralString,
    after: LiteralString,
    values: list[Columns],
) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        if after is not DELETE:
            other.execute(INSERT)

        def write(*arguments: Any, **options: Any) -> Callable[[], None]:
            other.execute(before)
            wait = write_batch.write(*arguments, **options)

            def wait_and_change() -> None:
                try:
                    wait()
                finally:
                    other.execute(after)

            return wait_and_change

        monkeypatch.setattr(sending, "write", write)
        with pytest.raises(WriteConflict, match="gave up after 10 tries: a delegation was"):
            project(session, log(*values))
    assert query(session, "SELECT count(*) FROM dead_letters") == [0]
