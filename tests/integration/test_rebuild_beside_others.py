"""`verify` and `rebuild` beside members, other writers and readers."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from cluster import wait_until
from projecting import lock_parking
from projecting import query as query
from psycopg.errors import LockNotAvailable
from reconciling import At, Log, change, plant, request
from rows import answer, heartbeat

from projector.errors import Fenced
from projector.postgres import write_batch
from projector.postgres.connection import Connection
from projector.projection import sending
from projector.rebuild import repair
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Progress
from projector.rebuild.repair import Deletion
from projector.rebuild.source import ShadowProjector


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """Three delegations in two partitions, projected."""
    with Log(database_url, kafka, topic) as log:
        log.produce(request(0, "a"), request(1, "b"), answer(2, "completed", of="a"))
        yield log.produce(request(3, "c"), heartbeat(4, of="c"), partition=1).project()


# --- members


def before_its_write(monkeypatch: pytest.MonkeyPatch, member: Connection, act: Callable[[], object]) -> None:
    """Call `act` when the member has read and folded a batch, before it writes the batch."""
    real = write_batch.write
    calls: list[object] = []

    def late(conn: Connection, *arguments: Any, **named: Any) -> Callable[[], None]:
        if conn is member and not calls:
            calls.append(act())
        return real(conn, *arguments, **named)

    monkeypatch.setattr(sending, "write", late)


def test_batch_read_before_a_repair_is_fenced(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch decided from a wrong row that nothing changes."""
    change(log, "UPDATE delegations SET status = 'failed' WHERE delegation_id = 'b'")
    log.produce(answer(10, "completed", of="b"))
    polled = [each for each in log.poll() if each]
    before_its_write(monkeypatch, log.conn, log.rebuild)
    with pytest.raises(Fenced):
        log.write(polled[0])
    assert log.statuses()["b"] == "queued"
    assert log.project().statuses()["b"] == "completed"
    assert log.verify() == {}


def test_member_is_not_fenced_without_drift(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.produce(answer(10, "completed", of="b"))
    polled = [each for each in log.poll() if each]
    before_its_write(monkeypatch, log.conn, log.rebuild)
    log.write(polled[0])
    assert log.statuses()["b"] == "completed"


@contextmanager
def repairing(log: Log) -> Iterator[None]:
    """A rebuild that has written its rows; it commits at the end of the block."""
    written, commit = threading.Event(), threading.Event()

    class Slow(FromTopic):
        def release_positions(self, view: Connection, until: Mapping[int, int], **how: Any) -> None:
            written.set()
            assert commit.wait(30)
            super().release_positions(view, until, **how)

    thread = threading.Thread(target=log.rebuild, args=[Slow(log.topic)])
    thread.start()
    try:
        assert written.wait(30)
        yield
    finally:
        commit.set()
        thread.join()


def test_member_waits_at_its_fence_during_a_repair(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    log.produce(answer(10, "completed", of="c"), partition=1)
    polled = [each for each in log.poll() if each]
    with ThreadPoolExecutor(1) as threads:
        with repairing(log), psycopg.connect(log.url) as observer:
            member = threads.submit(log.write, polled[0])
            pid = [log.conn.info.backend_pid]
            waits = "SELECT pg_blocking_pids(%s) <> '{}'"
            wait_until(lambda: observer.execute(waits, pid).fetchone() == (True,), "the member waits", 10)
            assert not member.done()
        assert isinstance(member.exception(), Fenced)
    assert log.project().statuses() == {"a": "completed", "b": "queued", "c": "completed"}


# --- other writers


def before_it_writes(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call `act` when the drift is known, before it is written for the first time."""
    real = repair.write_rows
    calls: list[object] = []

    def late(view: Connection, deletion: Deletion, *, steps: bool) -> tuple[int, int, int]:
        if not calls:
            calls.append(act())
        return real(view, deletion, steps=steps)

    monkeypatch.setattr(repair, "write_rows", late)


def test_candidates_are_locked_against_other_writers(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    change(log, "UPDATE delegations SET status = 'stuck' WHERE delegation_id = 'a'")
    log.conn.execute("SET lock_timeout = '200ms'")

    def write_too() -> None:
        with pytest.raises(LockNotAvailable):
            log.conn.execute("UPDATE delegations SET retry_count = 1 WHERE delegation_id = 'a'")
        with pytest.raises(LockNotAvailable), log.conn.transaction():
            lock_parking(log.conn)
        change(log, "UPDATE delegations SET retry_count = 1 WHERE delegation_id = 'b'")

    before_it_writes(monkeypatch, write_too)
    assert log.rebuild() == (0, 1, 0)
    assert log.verify() == {"differs": 1}


def test_row_that_took_a_key_becomes_a_candidate(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = log.produce(request(6, "keyed", idempotency_key="k")).project().rows()
    change(log, "DELETE FROM delegations WHERE delegation_id = 'keyed'")
    before_it_writes(monkeypatch, lambda: plant(log, "planted", 60, key="k"))
    assert log.rebuild() == (1, 0, 1)
    assert log.rows() == rows


# --- readers


def test_reader_never_waits_or_sees_a_half_repair(log: Log) -> None:
    change(log, "UPDATE delegations SET status = 'stuck' WHERE delegation_id = 'a'")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    plant(log, "planted", 60)
    old = log.statuses()
    read = "SELECT delegation_id, status FROM delegations"
    options = "-c lock_timeout=1s -c default_transaction_isolation=repeatable\\ read"
    with psycopg.connect(log.url, options=options) as before, psycopg.connect(log.url, options=options) as during:
        assert dict(before.execute(read).fetchall()) == old
        with repairing(log):
            assert dict(during.execute(read).fetchall()) == old
            assert log.statuses() == old
        assert dict(before.execute(read).fetchall()) == dict(during.execute(read).fetchall()) == old
        assert log.statuses() == {"a": "completed", "b": "queued", "c": "queued"}


def test_table_keeps_its_indexes_grants_and_views(log: Log) -> None:
    log.conn.execute("CREATE VIEW public.recent AS SELECT * FROM delegations WHERE created_at > '2025-01-01'")
    log.conn.execute("GRANT SELECT ON delegations TO PUBLIC")
    log.conn.execute("ALTER TABLE delegations REPLICA IDENTITY FULL")
    log.conn.execute("CREATE INDEX of_another_service ON delegations (status)")
    before = catalog(log)
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    assert log.rebuild() == (1, 0, 0)
    assert catalog(log) == before
    assert query(log.conn, "SELECT count(*) FROM public.recent") == [3]


def catalog(log: Log) -> list[Any]:
    return query(
        log.conn,
        """
        SELECT c.oid, c.relname, c.relfilenode, c.relacl::text, c.relreplident::text, c.reloptions::text
          FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
         WHERE 'public.delegations'::regclass IN (c.oid, i.indrelid) ORDER BY c.oid
        """,
    )


def test_tables_are_locked_only_during_a_repair(log: Log) -> None:
    locks: list[Any] = []

    class Observed(FromTopic):
        def catch_up(self, into: ShadowProjector, until: Mapping[int, int]) -> bool:
            locks.append(locked(log))
            return super().catch_up(into, until)

    log.reconcile(Observed(log.topic))
    log.reconcile(Observed(log.topic), repair=True, progress=At(lambda: locks.append(locked(log)), records=1), batch=1)
    assert locks == [[], [], [], ["positions"]]  # verify; rebuild: its first batch, its plan, its repair


def locked(log: Log) -> list[str]:
    """The tables on which other sessions hold more than a lock for reading."""
    return query(
        log.conn,
        """
        SELECT DISTINCT relname FROM pg_locks l JOIN pg_class c ON c.oid = relation
          JOIN pg_database d ON d.oid = l.database AND datname = current_database()
         WHERE relnamespace IN ('public'::regnamespace, 'projector'::regnamespace) AND relkind = 'r'
           AND pid <> pg_backend_pid() AND mode <> 'AccessShareLock' ORDER BY 1
        """,
    )


def test_fold_commits_after_each_batch(log: Log) -> None:
    class Counting(Progress):
        done = 0
        most = 0

        def folded(self, done: int, total: int) -> None:
            self.most, self.done = max(self.most, done - self.done), done

    progress = Counting()
    log.reconcile(progress=progress, batch=2)
    assert (progress.done, progress.most) == (5, 2)
