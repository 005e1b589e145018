"""Relays that end, or lose a server, at each point of a batch: a caller is told once."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from activity_table import SEARCH_PATH
from cluster import wait_until
from relaying import Relaying, create_inbox, passed, push, push_settings

from projector.errors import DatabaseUnavailable
from projector.postgres import outbox
from projector.push.relay import Relay

IN_COMMIT = """
    CREATE FUNCTION public.wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4715);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER wait_in_commit AFTER UPDATE ON projector.outbox DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION public.wait_in_commit()
"""


@pytest.fixture(params=["one database", "two databases"])
def activity_url(request: pytest.FixtureRequest, database_url: str, empty_url: str) -> str:
    url = database_url if request.param == "one database" else empty_url
    create_inbox(url)
    return url


@pytest.fixture
def relaying(database_url: str, activity_url: str) -> Iterator[Relaying]:
    with (
        psycopg.connect(database_url, options=SEARCH_PATH, autocommit=True) as conn,
        psycopg.connect(activity_url, autocommit=True) as activity,
    ):
        yield Relaying(conn, activity)


def waiting_for_a_lock(relaying: Relaying) -> list[Any]:
    return relaying.conn.execute(
        """
        SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
         WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
        """
    ).fetchall()


def kill_in_mark(relaying: Relaying, patch: pytest.MonkeyPatch) -> None:
    """End the session of the relay between the insert and the mark."""

    def killed(conn: psycopg.Connection[Any], marks: object) -> None:
        relaying.conn.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])
        conn.execute("SELECT 1")

    patch.setattr(outbox, "mark", killed)


def test_relay_that_ends_before_the_mark_tells_once(
    database_url: str, activity_url: str, relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one database the insert is rolled back too. In two it is there, and the next try finds it by its id."""
    relaying.answered("d-1")
    with monkeypatch.context() as patch:
        kill_in_mark(relaying, patch)
        with pytest.raises(DatabaseUnavailable):
            push(database_url, activity_database_url=activity_url)
    assert len(relaying.inbox()) == (activity_url != database_url)
    assert relaying.states() == {"d-1": None}
    assert push(database_url, activity_database_url=activity_url) == passed(sent=1)
    assert relaying.texts() == {"d-1": "done"}


def test_error_in_another_database_is_that_of_its_row(database_url: str, activity_url: str, relaying: Relaying) -> None:
    relaying.answered("d-1")
    relaying.delegation("gone", "completed", caller="c1c1c1c1-0000-4000-8000-00000000dead")
    relaying.queue("gone")
    found = push(database_url, activity_database_url=activity_url)
    assert found == passed(sent=1, given_up=1)
    assert set(relaying.inbox()) == {"d-1"}


@pytest.mark.parametrize("activity_url", ["two databases"], indirect=True)
@pytest.mark.parametrize("is_committed", [True, False])
def test_batch_whose_commit_is_not_answered_is_looked_up(
    database_url: str, activity_url: str, relaying: Relaying, is_committed: bool
) -> None:
    """The commit waits. Then the client loses its connection and the server commits, or the server ends the session."""
    relaying.answered("d-1")
    relaying.conn.execute(IN_COMMIT.encode())
    lost = Relay(push_settings(database_url, activity_database_url=activity_url))
    with psycopg.connect(database_url) as holder, ThreadPoolExecutor(1) as thread:
        holder.execute("SELECT pg_advisory_xact_lock(4715)")
        done = thread.submit(lost.send_due)
        wait_until(lambda: waiting_for_a_lock(relaying), "the commit waits")
        assert lost._conn is not None
        if is_committed:
            with socket.socket(fileno=os.dup(lost._conn.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
        else:
            relaying.conn.execute("SELECT pg_terminate_backend(%s)", [lost._conn.info.backend_pid])
        holder.commit()
        found = done.result(timeout=30)._replace(seconds=0)
    lost.close()
    assert found == passed(sent=1)
    assert relaying.states() == {"d-1": "sent"}
    assert relaying.texts() == {"d-1": "done"}
