"""`verify` and `rebuild` while others are at work: members, readers, another rebuild, a log that goes on."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from cluster import until
from projecting import asked as told
from projecting import exclude_parking
from psycopg.errors import LockNotAvailable
from reconciling import At, Log, asked, change, plant
from rows import LEFT_OUT, Columns, answer, beat, updated

from projector.errors import Fenced
from projector.kafka.reader import TopicReader
from projector.postgres import write_batch
from projector.postgres.connection import Connection
from projector.projection import transaction
from projector.rebuild import from_topic, repair
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Progress
from projector.rebuild.repair import Applied
from projector.rebuild.source import ShadowProjector


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """Three delegations in two partitions, projected."""
    with Log(database_url, kafka, topic) as log:
        log.say(asked(0, "a"), asked(1, "b"), answer(2, "completed", of="a"))
        yield log.say(asked(3, "c"), beat(4, of="c"), partition=1).projected()


# --- members


def before_the_gate(monkeypatch: pytest.MonkeyPatch, member: Connection, act: Callable[[], object]) -> None:
    """Let something happen when the member has read and folded a batch, and is about to write it."""
    real = write_batch.write
    acted: list[object] = []

    def late(conn: Connection, *arguments: Any, **named: Any) -> Callable[[], None]:
        if conn is member and not acted:
            acted.append(act())
        return real(conn, *arguments, **named)

    monkeypatch.setattr(transaction, "write", late)


def test_batch_that_was_read_before_the_swap_is_dropped_and_nothing_is_lost(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the row that was wrong it decided that nothing changes."""
    change(log, "UPDATE delegations SET status = 'failed' WHERE delegation_id = 'b'")
    log.say(answer(10, "completed", of="b"))
    polled = [each for each in log.polled() if each]
    before_the_gate(monkeypatch, log.conn, log.rebuild)
    with pytest.raises(Fenced):
        log.write(polled[0])
    assert log.statuses()["b"] == "queued"
    assert log.projected().statuses()["b"] == "completed"
    assert log.verify() == {}


def test_member_is_left_in_peace_where_nothing_has_drifted(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.say(answer(10, "completed", of="b"))
    polled = [each for each in log.polled() if each]
    before_the_gate(monkeypatch, log.conn, log.rebuild)
    log.write(polled[0])
    assert log.statuses()["b"] == "completed"


@contextmanager
def swapping(log: Log) -> Iterator[None]:
    """A rebuild that has written every row and not committed it yet; it does at the end of the block."""
    written, commit = threading.Event(), threading.Event()

    class Slow(FromTopic):
        def release_positions(self, view: Connection, held: Mapping[int, int], **how: Any) -> None:
            written.set()
            assert commit.wait(30)
            super().release_positions(view, held, **how)

    thread = threading.Thread(target=log.rebuild, args=[Slow(log.topic)])
    thread.start()
    try:
        assert written.wait(30)
        yield
    finally:
        commit.set()
        thread.join()


def test_member_waits_before_its_gate_while_drift_is_written(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    log.say(answer(10, "completed", of="c"), partition=1)
    polled = [each for each in log.polled() if each]
    with ThreadPoolExecutor(1) as threads:
        with swapping(log), psycopg.connect(log.url) as onlooker:
            member = threads.submit(log.write, polled[0])
            pid = [log.conn.info.backend_pid]
            until(
                lambda: onlooker.execute("SELECT pg_blocking_pids(%s) <> '{}'", pid).fetchone() == (True,), "a wait", 10
            )
            assert not member.done()
        assert isinstance(member.exception(), Fenced)
    assert log.projected().statuses() == {"a": "completed", "b": "queued", "c": "completed"}


# --- other writers


def before_it_writes(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen when the drift is known and about to be written, the first time."""
    real = repair.apply
    acted: list[object] = []

    def late(view: Connection, *, steps: bool) -> Applied:
        if not acted:
            acted.append(act())
        return real(view, steps=steps)

    monkeypatch.setattr(repair, "apply", late)


def test_other_writers_are_kept_from_the_rows_that_are_judged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    change(log, "UPDATE delegations SET status = 'stuck' WHERE delegation_id = 'a'")
    log.conn.execute("SET lock_timeout = '200ms'")

    def write_too() -> None:
        with pytest.raises(LockNotAvailable):
            log.conn.execute("UPDATE delegations SET retry_count = 1 WHERE delegation_id = 'a'")
        with pytest.raises(LockNotAvailable), log.conn.transaction():
            exclude_parking(log.conn)
        change(log, "UPDATE delegations SET retry_count = 1 WHERE delegation_id = 'b'")

    before_it_writes(monkeypatch, write_too)
    assert log.rebuild() == (0, 1, 0)
    assert log.verify() == {"differs": 1}


def test_row_that_takes_a_key_in_between_is_looked_at_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = log.say(asked(6, "keyed", idempotency_key="k")).projected().rows()
    change(log, "DELETE FROM delegations WHERE delegation_id = 'keyed'")
    before_it_writes(monkeypatch, lambda: plant(log, "planted", 60, key="k"))
    assert log.rebuild() == (1, 0, 1)
    assert log.rows() == rows


# --- readers


def test_reader_sees_the_old_view_or_the_new_one_and_never_waits(log: Log) -> None:
    change(log, "UPDATE delegations SET status = 'stuck' WHERE delegation_id = 'a'")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    plant(log, "planted", 60)
    old = log.statuses()
    read = "SELECT delegation_id, status FROM delegations"
    patient = "-c lock_timeout=1s -c default_transaction_isolation=repeatable\\ read"
    with psycopg.connect(log.url, options=patient) as held, psycopg.connect(log.url, options=patient) as during:
        assert dict(held.execute(read).fetchall()) == old
        with swapping(log):
            assert dict(during.execute(read).fetchall()) == old
            assert log.statuses() == old
        assert dict(held.execute(read).fetchall()) == dict(during.execute(read).fetchall()) == old
        assert log.statuses() == {"a": "completed", "b": "queued", "c": "queued"}


def test_table_stays_the_one_that_others_know(log: Log) -> None:
    log.conn.execute("CREATE VIEW public.lately AS SELECT * FROM delegations WHERE created_at > '2025-01-01'")
    log.conn.execute("GRANT SELECT ON delegations TO PUBLIC")
    log.conn.execute("ALTER TABLE delegations REPLICA IDENTITY FULL")
    log.conn.execute("CREATE INDEX of_somebody_else ON delegations (status)")
    before = catalog(log)
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    assert log.rebuild() == (1, 0, 0)
    assert catalog(log) == before
    assert told(log.conn, "SELECT count(*) FROM public.lately") == [3]


def catalog(log: Log) -> list[Any]:
    return told(
        log.conn,
        """
        SELECT c.oid, c.relname, c.relfilenode, c.relacl::text, c.relreplident::text, c.reloptions::text
          FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
         WHERE 'public.delegations'::regclass IN (c.oid, i.indrelid) ORDER BY c.oid
        """,
    )


def test_nothing_is_locked_that_others_write_but_to_write_drift(log: Log) -> None:
    locks: list[Any] = []

    class Settling(FromTopic):
        def catch_up(self, into: ShadowProjector, held: Mapping[int, int]) -> bool:
            locks.append(locked(log))
            return super().catch_up(into, held)

    log.reconcile(Settling(log.topic))
    log.reconcile(Settling(log.topic), repair=True, progress=At(lambda: locks.append(locked(log)), records=1), batch=1)
    assert locks == [[], [], ["positions"]]


def locked(log: Log) -> list[str]:
    """The tables in which somebody else holds rows or more."""
    return told(
        log.conn,
        """
        SELECT DISTINCT relname FROM pg_locks JOIN pg_class c ON c.oid = relation
         WHERE relnamespace IN ('public'::regnamespace, 'projector'::regnamespace) AND relkind = 'r'
           AND pid <> pg_backend_pid() AND mode <> 'AccessShareLock' ORDER BY 1
        """,
    )


def test_no_transaction_of_the_fold_holds_more_than_a_batch(log: Log) -> None:
    class Counting(Progress):
        done = 0
        most = 0

        def folded(self, done: int, total: int) -> None:
            self.most, self.done = max(self.most, done - self.done), done

    progress = Counting()
    log.reconcile(progress=progress, batch=2)
    assert (progress.done, progress.most) == (5, 2)


# --- a log that goes on


def test_log_that_grows_while_it_is_looked_at_has_no_gap(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TopicReader.log_ranges
    grown: list[bool] = []

    def log_ranges(topic: TopicReader, *partitions: Any) -> Any:
        found = real(topic, *partitions)
        if not grown:
            grown.append(True)
            log.say(asked(20, "f")).projected()
        return found

    fold = At(lambda: monkeypatch.setattr(TopicReader, "log_ranges", log_ranges), "folding")
    assert log.reconcile(progress=fold).report.drift == 0
    assert grown


LARGE = asked(0, "large", id="f0f0f0f0-0000-4000-8000-00000000000f", summary="x" * 2000)
LEFT_OUT_OF = {**updated({**LARGE, "status": "completed", "request_body": LEFT_OUT}, 30), "created_at": "2025-05-05"}


@pytest.mark.parametrize("last", [answer(30, "completed", of="large"), LEFT_OUT_OF], ids=["whole", "left out"])
@pytest.mark.parametrize("mend", [False, True])
def test_row_that_drifts_after_it_was_compared_is_found(log: Log, last: Columns, repair: bool) -> None:
    log.say(LARGE).projected()

    def drift() -> None:
        log.say(last).projected()
        change(log, "UPDATE delegations SET status = 'queued', updated_at = created_at WHERE delegation_id = 'large'")

    done = log.reconcile(repair=repair, progress=At(drift, "mending" if repair else "looking again"))
    assert done.report.drift == 1
    assert log.statuses()["large"] == ("completed" if repair else "queued")


def test_members_wait_for_a_short_tail_only(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_topic, "TAIL_RECORDS", 2)
    settled: list[tuple[bool, int]] = []

    class Counted(FromTopic):
        def catch_up(self, into: ShadowProjector, held: Mapping[int, int]) -> bool:
            before = into.records
            settled.append((super().catch_up(into, held), into.records - before))
            return settled[-1][0]

    def go_on() -> None:
        log.say(*(asked(20 + n, f"late-{n}") for n in range(5))).projected()
        change(log, "DELETE FROM delegations WHERE delegation_id = 'late-3'")

    done = log.reconcile(Counted(log.topic), repair=True, progress=At(go_on, "mending"))
    assert done.applied == (1, 0, 0)
    assert settled == [(False, 0), (True, 0)]
