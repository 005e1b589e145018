"""Others write the same rows at full speed, with the ledger and with their own SQL: rows move only forward."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from cluster import Cluster
from psycopg import errors
from repetitions import Repetition

from projector.ledger import rows
from testbed.oracle import fold_log, stored_rows
from testbed.workload import Mix

IN_FLIGHT = ["queued", "dispatched", "in_progress"]
WATCH_STATUS = """
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
def writing(url: str, *writes: Callable[[psycopg.Connection], None]) -> Iterator[list[BaseException]]:
    """Repeat each function on a thread and a connection of its own, also after a deadlock; yield the other errors."""
    ended, failed = threading.Event(), list[BaseException]()

    def run(write: Callable[[psycopg.Connection], None]) -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            while not ended.is_set():
                try:
                    write(conn)
                except errors.DeadlockDetected:
                    continue
                except BaseException as error:
                    failed.append(error)
                    return

    threads = [threading.Thread(target=run, args=(write,)) for write in writes]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def some_ids(conn: psycopg.Connection, rng: random.Random, count: int) -> list[str]:
    """Some delegations of the newest 300, which the projector writes as well."""
    ids = [row[0] for row in conn.execute("SELECT delegation_id FROM delegations ORDER BY updated_at DESC LIMIT 300")]
    return rng.sample(ids, min(len(ids), count))


def test_concurrent_writers_move_no_row_backwards(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute(WATCH_STATUS)
    rng = repetition.rng()

    def with_ledger(conn: psycopg.Connection) -> None:
        for delegation_id in some_ids(conn, rng, 20):
            with conn.transaction():
                rows.set_status(conn, delegation_id, rng.choice(["dispatched", "in_progress"]))
                rows.heartbeat(conn, delegation_id)

    def with_sql(conn: psycopg.Connection) -> None:
        with conn.transaction():
            for delegation_id in some_ids(conn, rng, 3):  # one by one and in random order, to provoke deadlocks
                conn.execute(TOUCH, [delegation_id])

    member = cluster.start_member(batch_records="200")
    # without verdicts: a heartbeat of the ledger is a sign of life, after which a verdict of the log is stale
    workload = Mix(delegations=repetition.pick(250, 2_000), seed=repetition.seed, verdicts=False)
    with writing(cluster.database_url, with_ledger, with_ledger, with_sql) as failed:
        cluster.publish(workload, per_second=1000)
        cluster.wait_until_caught_up()
    assert failed == []
    nothing_went_backwards(cluster)
    no_row_is_behind_the_log(cluster)
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()
    assert "gave up" not in member.text()


def nothing_went_backwards(cluster: Cluster) -> None:
    with psycopg.connect(cluster.database_url) as conn:
        assert conn.execute("SELECT * FROM public.backwards").fetchall() == []


def no_row_is_behind_the_log(cluster: Cluster) -> None:
    """Rows that the log ended are equal to it. Other rows have at least its status: the ledger may have moved them."""
    expected = fold_log(cluster.acknowledged).rows
    with psycopg.connect(cluster.database_url) as conn:
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
