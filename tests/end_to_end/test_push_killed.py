"""Relays as processes, killed or frozen between the insert and the mark, for each target."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from activity_table import SEARCH_PATH
from cluster import wait_until
from commands import Process, environment, run_projector, start
from kafka import KafkaConsumer, TopicPartition
from relaying import Relaying, create_inbox
from topics import create_topic

from projector.domain.reply import event_id

REPLIES = 30
IN_MARK = """
    CREATE FUNCTION public.wait_in_mark() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4716);
        RETURN NULL;
    END $$;
    CREATE TRIGGER wait_in_mark BEFORE UPDATE OF ended_as ON projector.outbox EXECUTE FUNCTION public.wait_in_mark()
"""


@pytest.fixture(params=["inbox", "inbox in another database", "topic"])
def settings(request: pytest.FixtureRequest, database_url: str, empty_url: str, kafka: str) -> dict[str, str]:
    """The settings of a relay for each target."""
    create_inbox(empty_url if "another" in request.param else database_url)
    own = {"database_url": database_url, "result_push": request.param.split()[0], "bootstrap_servers": kafka}
    if "another" in request.param:
        own["activity_database_url"] = empty_url
    if request.param == "topic":
        own["push_topic"] = create_topic(kafka)
    return own


@pytest.fixture
def relaying(settings: dict[str, str]) -> Iterator[Relaying]:
    activity_url = settings.get("activity_database_url", settings["database_url"])
    with (
        psycopg.connect(settings["database_url"], options=SEARCH_PATH, autocommit=True) as conn,
        psycopg.connect(activity_url, autocommit=True) as activity,
    ):
        relaying = Relaying(conn, activity)
        for number in range(REPLIES):
            relaying.answered(f"d-{number}")
        conn.execute(IN_MARK.encode())
        yield relaying


@contextmanager
def halted(relaying: Relaying, settings: dict[str, str]) -> Iterator[tuple[Process, psycopg.Connection[Any]]]:
    """A relay that has sent its replies and waits in the mark, until the yielded connection commits."""
    with psycopg.connect(settings["database_url"]) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(4716)")
        process = start(["push", "run", "--once"], environment(settings))
        try:
            wait_until(lambda: waiting(relaying), "a relay in the mark")
            yield process, holder
        finally:
            holder.commit()
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()


def waiting(relaying: Relaying) -> list[Any]:
    return relaying.conn.execute(
        """
        SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
         WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
        """
    ).fetchall()


def told(relaying: Relaying, settings: dict[str, str]) -> set[str]:
    """The ids that callers see; fails if an inbox has one twice."""
    if settings["result_push"] == "inbox":
        return {str(row["id"]) for row in relaying.inbox().values()}
    consumer = KafkaConsumer(bootstrap_servers=settings["bootstrap_servers"], enable_auto_commit=False)
    places = [TopicPartition(settings["push_topic"], number) for number in range(3)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends, found = consumer.end_offsets(places), set()
    while sum(consumer.position(place) for place in places) < sum(ends.values()):
        for polled in consumer.poll(timeout_ms=200).values():
            found |= {dict(record.headers)["ce_id"].decode() for record in polled}
    consumer.close()
    return found


EVERYONE = {str(event_id(f"d-{number}")) for number in range(REPLIES)}


def test_relay_killed_before_the_mark_tells_everyone_once(relaying: Relaying, settings: dict[str, str]) -> None:
    with halted(relaying, settings) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not open_transactions(relaying), "the server notices that its client is gone")
    is_one_transaction = settings["result_push"] == "inbox" and "activity_database_url" not in settings
    assert told(relaying, settings) == (set() if is_one_transaction else EVERYONE)
    assert set(relaying.states().values()) == {None}
    done = run_projector("push", "run", "--once", "--json", **settings)
    assert (done.code, done.json()["sent"]) == (0, REPLIES)
    assert told(relaying, settings) == EVERYONE
    assert set(relaying.states().values()) == {"sent"}


def test_frozen_relay_keeps_its_replies_until_its_session_ends(relaying: Relaying, settings: dict[str, str]) -> None:
    """Another relay passes over them, and sends them after Postgres has ended the frozen one's session."""
    own = settings | {"idle_in_transaction_timeout_ms": "9000"}  # the mark may wait for a third of it
    with halted(relaying, own) as (process, holder):
        process.send_signal(signal.SIGSTOP)
        assert run_projector("push", "run", "--once", "--json", **settings).json()["sent"] == 0
        holder.commit()
        wait_until(lambda: not open_transactions(relaying), "Postgres ends the session of the frozen relay")
        assert run_projector("push", "run", "--once", "--json", **settings).json()["sent"] == REPLIES
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == 0, "it looks its replies up"
    assert told(relaying, settings) == EVERYONE


def open_transactions(relaying: Relaying) -> list[Any]:
    return relaying.conn.execute(
        """
        SELECT FROM pg_stat_activity
         WHERE application_name = 'projector' AND datname = current_database() AND xact_start IS NOT NULL
        """
    ).fetchall()
