"""Others who write the same rows at full speed, through the ledger and by hand: everybody gets on, and only forward."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from cluster import Cluster
from psycopg import errors
from repetitions import Round

from projector.ledger import rows
from testbed.oracle import fold_log, stored_rows
from testbed.workload import Mix

IN_FLIGHT = ["queued", "dispatched", "in_progress"]
FORWARD_ONLY = """
    CREATE TABLE public.backwards (delegation_id text, was text, now text);
    CREATE FUNCTION public.note_backwards() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.status <> OLD.status AND (
            OLD.status NOT IN ('queued', 'dispatched', 'in_progress') OR NEW.status = 'queued'
            OR (OLD.status = 'in_progress' AND NEW.status = 'dispatched')
        ) THEN
            INSERT INTO public.backwards VALUES (OLD.delegation_id, OLD.status, NEW.status);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER note_backwards AFTER UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION public.note_backwards()
"""
TOUCH = "UPDATE delegations SET retry_count = retry_count + 1 WHERE delegation_id = %s"


@contextmanager
def meddling(url: str, *acts: Callable[[psycopg.Connection], None]) -> Iterator[list[BaseException]]:
    """Each act again and again, on a connection and a thread of its own; a deadlock is not its fault."""
    enough, failed = threading.Event(), list[BaseException]()

    def run(act: Callable[[psycopg.Connection], None]) -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            while not enough.is_set():
                try:
                    act(conn)
                except errors.DeadlockDetected:
                    continue
                except BaseException as error:
                    failed.append(error)
                    return

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def some_ids(conn: psycopg.Connection, rng: random.Random, count: int) -> list[str]:
    """Some that were touched of late: those that the projector is at."""
    found = [row[0] for row in conn.execute("SELECT delegation_id FROM delegations ORDER BY updated_at DESC LIMIT 300")]
    return rng.sample(found, min(len(found), count))


def test_writers_on_the_same_rows_cost_no_record_and_no_step_forward(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    with psycopg.connect(scene.database_url) as conn:
        conn.execute(FORWARD_ONLY)
    rng = chance.chances()

    def by_ledger(conn: psycopg.Connection) -> None:
        for delegation_id in some_ids(conn, rng, 20):
            with conn.transaction():
                rows.set_status(conn, delegation_id, rng.choice(["dispatched", "in_progress"]))
                rows.heartbeat(conn, delegation_id)

    def by_hand(conn: psycopg.Connection) -> None:
        with conn.transaction():
            for delegation_id in some_ids(conn, rng, 3):  # one after the other, in any order: made for deadlocks
                conn.execute(TOUCH, [delegation_id])

    member = scene.member(batch_records="200")
    with meddling(scene.database_url, by_ledger, by_ledger, by_hand) as failed:
        scene.play(Mix(delegations=chance.of(400, 2_000), seed=chance.seed), per_second=1000)
        scene.caught_up()
    assert failed == []
    nothing_went_backwards(scene)
    each_row_is_as_far_as_the_log_says(scene)
    scene.nothing_dropped()
    scene.nothing_twice()
    assert "gave up" not in member.text()


def nothing_went_backwards(scene: Cluster) -> None:
    with psycopg.connect(scene.database_url) as conn:
        assert conn.execute("SELECT * FROM public.backwards").fetchall() == []


def each_row_is_as_far_as_the_log_says(scene: Cluster) -> None:
    """At its end if the log tells of one, since the ledger ended none; else as far, or further by the ledger's word."""
    expected = fold_log(scene.acknowledged).rows
    with psycopg.connect(scene.database_url) as conn:
        stored = stored_rows(conn)
    assert stored.keys() == expected.keys()
    for delegation_id, row in expected.items():
        found = stored[delegation_id]
        if row.status in IN_FLIGHT:
            assert IN_FLIGHT.index(found.status) >= IN_FLIGHT.index(row.status), (found, row)
        else:
            assert (found.status, found.result_preview, found.error_detail) == (
                row.status,
                row.result_preview,
                row.error_detail,
            )
