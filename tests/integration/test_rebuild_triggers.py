"""A trigger of the platform changes or swallows what a rebuild writes: `rebuild` looks again, and names the trigger."""

from collections.abc import Iterator
from typing import LiteralString

import pytest
from reconciling import Log, change, produce_whole


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield produce_whole(log)


def create_trigger(log: Log, when: LiteralString, body: LiteralString) -> None:
    log.conn.execute("CREATE FUNCTION public.theirs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + body + " END $$")
    log.conn.execute("CREATE TRIGGER theirs " + when + " ON delegations FOR EACH ROW EXECUTE FUNCTION public.theirs()")


def test_row_that_a_trigger_changes_still_differs(log: Log) -> None:
    change(log, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id IN ('a', 'b')")
    create_trigger(log, "BEFORE INSERT OR UPDATE", "NEW.updated_at = now(); RETURN NEW;")
    done = log.reconcile(repair=True)
    assert done.written == (0, 2, 0)
    assert done.remaining is not None
    assert (done.remaining.drift, dict(done.remaining.columns)) == (2, {"updated_at": 2})
    assert done.triggers == ["trigger theirs"]


@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "DELETE"])
def test_write_that_a_trigger_swallows_still_differs(log: Log, event: LiteralString) -> None:
    statements: dict[str, LiteralString] = {
        "INSERT": "DELETE FROM delegations WHERE delegation_id = 'b'",
        "UPDATE": "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id = 'b'",
        "DELETE": "UPDATE delegations SET delegation_id = 'planted' WHERE delegation_id = 'd'",
    }
    change(log, statements[event])
    create_trigger(log, "BEFORE " + event, "RETURN NULL;")
    done = log.reconcile(repair=True)
    assert done.applied is not None
    assert done.remaining is not None
    assert (done.remaining.drift, done.triggers) == (1, ["trigger theirs"])
    assert done.applied.kept == 0


def test_trigger_that_changes_nothing_is_not_blamed(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    create_trigger(log, "BEFORE INSERT", "RETURN NEW;")
    done = log.reconcile(repair=True)
    assert done.remaining is not None
    assert (done.remaining.drift, done.triggers) == (0, ())


def test_deferred_trigger_is_seen_after_the_commit(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    log.conn.execute(
        "CREATE FUNCTION public.theirs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE delegations SET retry_count = 7 WHERE delegation_id = NEW.delegation_id; RETURN NULL; END $$"
    )
    log.conn.execute(
        "CREATE CONSTRAINT TRIGGER theirs AFTER INSERT ON delegations DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION public.theirs()"
    )
    done = log.reconcile(repair=True)
    assert done.remaining is not None
    assert dict(done.remaining.columns) == {"retry_count": 1}
