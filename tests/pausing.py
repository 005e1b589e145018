"""Pauses members at a chosen point of their transaction, by a lock on the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from cluster import Cluster, wait_until

POINTS = ("before the write", "in the write", "in the commit")
"""The points of a batch."""

LOCKS: dict[str, LiteralString] = {
    "before the write": "SELECT FROM projector.positions FOR UPDATE",  # the fence waits, nothing is written yet
    "in the write": "SELECT pg_advisory_xact_lock(4712)",  # the fence has passed, the rows are being written
    "in the commit": "SELECT pg_advisory_xact_lock(4711)",
    "in the claim": "SELECT pg_advisory_xact_lock(4713)",  # the row of the position is locked
}

TRIGGERS: dict[str, LiteralString] = {
    "in the write": """
    CREATE FUNCTION public.wait_at_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4712);
        RETURN NULL;
    END $$;
    CREATE TRIGGER wait_at_rows BEFORE INSERT ON delegations EXECUTE FUNCTION public.wait_at_rows()
    """,
    "in the commit": """
    CREATE FUNCTION public.wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4711);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER wait_in_commit AFTER UPDATE ON projector.positions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (OLD.next_offset <> NEW.next_offset) EXECUTE FUNCTION public.wait_in_commit()
    """,
    "in the claim": """
    CREATE FUNCTION public.wait_in_claim() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4713);
        RETURN NEW;
    END $$;
    CREATE TRIGGER wait_in_claim BEFORE UPDATE ON projector.positions
        FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION public.wait_in_claim()
    """,
}


@contextmanager
def paused_at(cluster: Cluster, point: str) -> Iterator[None]:
    """Pause members at this point for the length of the block."""
    with psycopg.connect(cluster.database_url) as blocker:
        blocker.execute(LOCKS[point])
        yield


def install_pause(cluster: Cluster, point: str) -> None:
    """Create the trigger of this point; it pauses nothing until `paused_at`."""
    if statement := TRIGGERS.get(point):
        with psycopg.connect(cluster.database_url) as conn:
            conn.execute(statement)


def wait_until_paused(cluster: Cluster) -> None:
    """Block until a member waits for the lock."""
    wait_until(lambda: count_sessions(cluster, waiting=True), "a member that waits for the lock")


def wait_until_sessions_end(cluster: Cluster) -> None:
    """Block until no session is left: that of a killed member ends after its current statement."""
    wait_until(lambda: not count_sessions(cluster), "the end of all sessions")


def count_sessions(cluster: Cluster, *, waiting: bool = False) -> int:
    """Return the number of sessions of members, or of those that wait for a lock."""
    with psycopg.connect(cluster.database_url) as conn:
        row = conn.execute(
            "SELECT count(*) FILTER (WHERE NOT %(waiting)s OR wait_event_type = 'Lock') FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'projector'",
            {"waiting": waiting},
        ).fetchone()
    assert row is not None
    return int(row[0])


def terminate_sessions(cluster: Cluster) -> int:
    """Terminate all sessions of members, as an administrator can; returns their number."""
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
        ended = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'projector'"
        )
        return len(ended.fetchall())
