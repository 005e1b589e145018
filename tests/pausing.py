"""Members that are halted at a chosen point of their transaction on the server, until the test lets go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from cluster import Cluster, until

POINTS = ("before the write", "in the write", "in the commit")
"""Those of a batch."""

LOCKS: dict[str, LiteralString] = {
    "before the write": "SELECT FROM projector.positions FOR UPDATE",  # the gate waits, nothing is written yet
    "in the write": "SELECT pg_advisory_xact_lock(4712)",  # the gate is passed, its rows are being written
    "in the commit": "SELECT pg_advisory_xact_lock(4711)",
    "in the claim": "SELECT pg_advisory_xact_lock(4713)",  # the position's row is locked
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
def halting(scene: Cluster, point: str) -> Iterator[None]:
    """Whoever projects within is halted there, and goes on behind it."""
    with psycopg.connect(scene.database_url) as blocker:
        blocker.execute(LOCKS[point])
        yield


def prepare(scene: Cluster, point: str) -> None:
    """Put in what makes a member wait there; it waits for nobody until `halting`."""
    if statement := TRIGGERS.get(point):
        with psycopg.connect(scene.database_url) as conn:
            conn.execute(statement)


def until_halted(scene: Cluster) -> None:
    until(lambda: sessions(scene, waiting=True), "a member waits for our lock")


def until_gone(scene: Cluster) -> None:
    """What a killed member left behind: its session, which ends when it has done what it was told."""
    until(lambda: not sessions(scene), "the sessions of the dead are over")


def sessions(scene: Cluster, *, waiting: bool = False) -> int:
    with psycopg.connect(scene.database_url) as conn:
        row = conn.execute(
            "SELECT count(*) FILTER (WHERE NOT %(waiting)s OR wait_event_type = 'Lock') FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'projector'",
            {"waiting": waiting},
        ).fetchone()
    assert row is not None
    return int(row[0])


def end_sessions(scene: Cluster) -> int:
    """What an administrator does to those who hold things up; how many there were."""
    with psycopg.connect(scene.database_url, autocommit=True) as conn:
        ended = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'projector'"
        )
        return len(ended.fetchall())
