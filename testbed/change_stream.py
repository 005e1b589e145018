"""Carries the rows of `activity_logs` into the topic, in the order of their commits, as a connector does.

It reads a logical replication slot, so it needs a server with `wal_level=logical`. Delivery is at least once: after
`kill`, the next `start` repeats what was not confirmed to the slot.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from testbed.producer import connect
from testbed.recording import AcknowledgedRecord
from testbed.workload.feeds import UNAVAILABLE_VALUE
from testbed.workload.log import Record, partition_of
from testbed.workload.pgoutput import RowChange, Transaction, transactions
from testbed.workload.table import COLUMNS, JSON_COLUMNS

Form = Literal["debezium", "bare"]
MAX_CHANGES = 2000
POLL_SECONDS = 0.02


class ChangeStream:
    """A thread from the table to the topic. `on_acknowledged` is called for each record, in order.

    `form` is the shape of the values: change events, or bare rows, for which the table needs the full replica identity.
    """

    def __init__(
        self,
        url: str,
        bootstrap_servers: str,
        topic: str,
        on_acknowledged: Callable[[AcknowledgedRecord], object],
        *,
        form: Form = "debezium",
        confirm_seconds: float = 0.5,
    ) -> None:
        self._url, self._bootstrap_servers, self._topic = url, bootstrap_servers, topic
        self._on_acknowledged, self._form, self._confirm_seconds = on_acknowledged, form, confirm_seconds
        self._slot = f"stream_{topic.replace('-', '_')}"
        self._thread: threading.Thread | None = None
        self._failed: list[BaseException] = []
        self._ended, self._flowing, self._killed = threading.Event(), threading.Event(), False
        self._flowing.set()
        self._turn = threading.Lock()  # held for one reading and its delivery
        self._delivered = 0  # everything that was committed before this place is in the topic

    def create(self) -> None:
        """Create the publication and the slot; changes from now on are carried."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            conn.execute("CREATE PUBLICATION activity FOR TABLE activity_logs")
            conn.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [self._slot])

    def start(self) -> None:
        """Start the thread, which continues at the slot's confirmed position."""
        self._ended.clear()
        self._killed, self._delivered = False, 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def pause(self) -> None:
        """Carry nothing that is committed from now on, until `resume`."""
        self._flowing.clear()
        with self._turn:
            pass

    def resume(self) -> None:
        self._flowing.set()

    def stop(self) -> None:
        """Stop the thread after its current reading, which is confirmed; raises what went wrong in it."""
        self._ended.set()
        self._flowing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._failed:
            raise self._failed[0]

    def kill(self) -> None:
        """Stop the thread without telling the slot how far it came."""
        self._killed = True
        self.stop()

    def drop(self) -> None:
        """Stop it, and drop its slot, which would keep the write-ahead log."""
        self.stop()
        with psycopg.connect(self._url, autocommit=True) as conn:
            statement = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
            conn.execute(statement, [self._slot])

    def wait_until_delivered(self, seconds: float = 60) -> None:
        """Block until all that is committed now is in the topic."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            committed = _lsn(conn, "SELECT pg_current_wal_insert_lsn()")
            conn.execute("SELECT pg_logical_emit_message(true, 'test bed', 'a commit that reaches the disk')")
        deadline = time.monotonic() + seconds
        while self._delivered < committed:
            if self._failed:
                raise self._failed[0]
            assert time.monotonic() < deadline, f"the feed has not delivered within {seconds} seconds"
            time.sleep(POLL_SECONDS)

    def _run(self) -> None:
        try:
            with closing(connect(self._bootstrap_servers)) as producer:
                while not self._ended.is_set():
                    self._run_session(producer)
        except BaseException as error:
            self._failed.append(error)

    def _run_session(self, producer: Any) -> None:
        """Carry changes until the thread ends or Postgres does."""
        try:
            with psycopg.connect(self._url, autocommit=True, application_name="feed") as conn:
                conn.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")
                self._carry(conn, producer)
        except psycopg.OperationalError:
            self._ended.wait(0.1)

    def _carry(self, conn: psycopg.Connection[Any], producer: Any) -> None:
        confirmed_at, sent = time.monotonic(), 0
        while not self._ended.is_set():
            self._flowing.wait()
            with self._turn:
                if not self._flowing.is_set():
                    continue
                end = _lsn(conn, "SELECT pg_current_wal_flush_lsn()")
                read, is_all = self._read(conn)
                fresh = [each for each in read if each.end_lsn > sent]
                self._send(producer, fresh)
                sent = self._delivered = max([sent, *(each.end_lsn for each in read), *([end] if is_all else [])])
            if not is_all or time.monotonic() - confirmed_at > self._confirm_seconds:
                self._confirm(conn, sent)
                confirmed_at = time.monotonic()
            if not fresh:
                self._ended.wait(POLL_SECONDS)
        if not self._killed:
            self._confirm(conn, sent)

    def _read(self, conn: psycopg.Connection[Any]) -> tuple[list[Transaction], bool]:
        """Return the transactions after the confirmed position, and whether these are all of them."""
        rows = conn.execute(
            """SELECT data FROM pg_logical_slot_peek_binary_changes(
                   %s, NULL, %s, 'proto_version', '1', 'publication_names', 'activity')""",
            [self._slot, MAX_CHANGES],
        ).fetchall()
        return list(transactions(data for (data,) in rows)), len(rows) < MAX_CHANGES

    def _confirm(self, conn: psycopg.Connection[Any], lsn: int) -> None:
        if lsn:
            conn.execute("SELECT pg_replication_slot_advance(%s, '0/0'::pg_lsn + %s::numeric)", [self._slot, lsn])

    def _send(self, producer: Any, read: Iterable[Transaction]) -> None:
        changes = [(change, each.at) for each in read for change in each.changes if change.table == "activity_logs"]
        records = [record for change, at in changes if (record := to_record(change, at, self._form)) is not None]
        if not records:
            return
        partitions = len(producer.partitions_for(self._topic))
        sent = [
            producer.send(
                self._topic,
                each.value,
                each.key,
                partition=partition_of(each.key, partitions),
                timestamp_ms=each.timestamp,
            )
            for each in records
        ]
        producer.flush()
        for record, answer in zip(records, sent, strict=True):
            place = answer.get(60)
            at = place.topic, place.partition, place.offset
            self._on_acknowledged(AcknowledgedRecord(*at, record.timestamp, record.key, record.value))


def to_record(change: RowChange, at: int, form: Form) -> Record | None:
    """Return the record of a change that was committed at `at` (ms); writers of bare rows tell nothing of deletes."""
    row = {name: change.row[name] for name in COLUMNS if name in change.row}
    if change.op == "d":
        return None if form == "bare" else Record(b"", _change_event(change, None, at), at)
    row["duration_ms"] = None if row["duration_ms"] is None else int(row["duration_ms"])
    row["created_at"] = iso_time(row["created_at"])
    value = _change_event(change, row, at) if form == "debezium" else _bare_row(row)
    return Record(row["workspace_id"].encode(), value, at)


def iso_time(text: str) -> str:
    """Return a time of Postgres as a connector writes it: UTC, with six decimals."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _change_event(change: RowChange, row: dict[str, Any] | None, at: int) -> bytes:
    before = change.row if row is None else None
    source = {"connector": "postgresql", "name": "platform", "ts_ms": at, "schema": "public", "table": change.table}
    return json.dumps({"before": before, "after": row, "source": source, "op": change.op, "ts_ms": at}).encode()


def _bare_row(row: dict[str, Any]) -> bytes:
    assert UNAVAILABLE_VALUE not in row.values(), "bare rows need the full replica identity"
    bodies = {name: json.loads(row[name]) for name in JSON_COLUMNS if row[name] is not None}
    return json.dumps(row | bodies).encode()


def _lsn(conn: psycopg.Connection[Any], statement: Any) -> int:
    """Return a place in the write-ahead log as a number."""
    [(place,)] = conn.execute(statement).fetchall()
    high, low = str(place).split("/")
    return int(high, 16) << 32 | int(low, 16)
