"""A topic on a real broker and the view projected from it, for tests that verify and rebuild in this process."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, LiteralString, Self
from uuid import uuid4

from commands import CommandResult, run_projector
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from projecting import connected
from projecting import query as query
from rows import CALLEE, CALLER, Columns, answer, at, delegate, heartbeat

from projector.domain.lifecycle import Delegation
from projector.domain.positions import Fence, LogRange, Polled
from projector.kafka import reader
from projector.kafka.reader import TopicReader, open_topic
from projector.postgres import connection, delegations, positions
from projector.postgres.connection import Connection
from projector.postgres.positions import Claim
from projector.postgres.write_batch import prepare
from projector.projection.batch import by_partition, cut
from projector.projection.transaction import project
from projector.rebuild import reconcile, shadow
from projector.rebuild.comparison import Options
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Approve, Progress, Result
from projector.rebuild.source import RebuildSource
from projector.settings import BatchLimits, KafkaSettings, PostgresSettings

reconcile.FEED_SECONDS = 0.0  # no change feed runs in these tests
reader.FIRST_RECORDS = 1  # the logs of these tests are too short for more


def request(minute: int, of: str, **columns: Any) -> Columns:
    """The row of a request; its task is made of the delegation's id."""
    return delegate(minute, request_body={"delegation_id": of, "task": f"do {of}"}, **columns)


class Log:
    """A topic of three partitions, and a database whose view is projected when a test calls `project`."""

    def __init__(self, url: str, kafka: str, name: str) -> None:
        self.statement_timeout_ms = 30_000
        self.url, self.name = url, name
        self.kafka = kafka
        self._opened = ExitStack()
        self.conn: Connection = self._opened.enter_context(connected(url))
        self.conn.autocommit = True
        self._producer = KafkaProducer(bootstrap_servers=kafka, linger_ms=0)
        self._opened.callback(self._producer.close)
        self._token = uuid4()
        self._topic: TopicReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def topic(self) -> TopicReader:
        if self._topic is None:
            self._topic = self._opened.enter_context(
                open_topic(KafkaSettings(bootstrap_servers=self.kafka, topic=self.name, group_id="unused"))
            )
        return self._topic

    def reopen_topic(self) -> None:
        """Open the topic again at its next use, after it was recreated."""
        self._topic = None

    # --- the platform and the broker

    def produce(self, *values: Columns | bytes, partition: int = 0, minute: int | None = None) -> Self:
        """Produce one record per value; its timestamp is `minute`, else the value's `created_at`."""
        for value in values:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            created_at = value.get("created_at") if minute is None and isinstance(value, dict) else at(minute or 0)
            ms = int(datetime.fromisoformat(created_at or at(0)).timestamp() * 1000)
            self._producer.send(self.name, content, partition=partition, timestamp_ms=ms)
        self._producer.flush()
        return self

    def shorten(self, beginnings: Mapping[int, int]) -> Self:
        """Delete the records before these offsets, as retention does (partition → offset)."""
        admin = KafkaAdminClient(bootstrap_servers=self.kafka)
        admin.delete_records({TopicPartition(self.name, partition): at for partition, at in beginnings.items()})
        admin.close()
        return self

    # --- a member

    def claim(self) -> dict[int, int]:
        """Claim every partition under a new token; partition → next offset."""
        self._token = uuid4()
        offsets = {}
        with connection.transaction(self.conn):
            for partition, log_range in self.topic.log_ranges().items():
                place = (self.name, partition, self._token, self.topic.topic_id, log_range.beginning)
                wanted = Claim(*place, 1, "test", "group")
                offset = positions.claim(self.conn, wanted)
                assert offset is not None
                offsets[partition] = offset
        return offsets

    def poll(self) -> Iterator[Sequence[Polled]]:
        """Claim every partition and read it up to the end of its log."""
        offsets, log_ranges = self.claim(), self.topic.log_ranges()
        yield from self.topic.read(
            {each: LogRange(offsets[each], log_range.end) for each, log_range in log_ranges.items()}
        )

    def project(self) -> Self:
        """Project up to the end of the log."""
        for polled in self.poll():
            self.write(polled)
        return self

    def write(self, polled: Sequence[Polled]) -> None:
        for batch in cut(by_partition(polled), BatchLimits()):
            project(self.conn, batch.records, Fence(self._token, batch.moves))

    # --- verify and rebuild

    def reconcile(
        self,
        source: RebuildSource | None = None,
        *,
        progress: Progress | None = None,
        batch: int = 5000,
        approve: Approve = lambda plan: None,
        **options: Any,
    ) -> Result:
        """Verify, or rebuild with `repair=True`, over connections as the commands open them."""
        with self.connections() as (view, shadow_conn):
            return reconcile.reconcile(
                view,
                shadow_conn,
                source or FromTopic(self.topic),
                Options(**options),
                limits=BatchLimits(batch_records=batch),
                approve=approve,
                progress=progress,
            )

    @contextmanager
    def connections(self) -> Iterator[tuple[Connection, Connection]]:
        settings = PostgresSettings(database_url=self.url, statement_timeout_ms=self.statement_timeout_ms)
        with connection.connect(settings) as view, connection.connect(settings, schema=shadow.SCHEMA) as shadow_conn:
            prepare(shadow_conn)
            yield view, shadow_conn

    def verify(self, **options: Any) -> dict[str, int]:
        """How many delegations have drifted, by kind."""
        report = self.reconcile(**options).report
        return {str(kind): count for kind, count in report.kinds.items()}

    def rebuild(self, source: RebuildSource | None = None, **options: Any) -> tuple[int, int, int] | None:
        """How many rows were inserted, updated and deleted; None where nothing was to be written."""
        return self.reconcile(source, repair=True, **options).written

    def settings(self) -> dict[str, str]:
        return {"database_url": self.url, "bootstrap_servers": self.kafka, "topic": self.name}

    def run(self, *arguments: str, **others: str) -> CommandResult:
        """Run a command on this topic and database, with other settings."""
        return run_projector(*arguments, **self.settings(), **others)

    # --- the contents of the database

    def rows(self) -> dict[str, Delegation]:
        ids = query(self.conn, "SELECT delegation_id FROM delegations")
        rows = sorted(delegations.read_delegations(self.conn, ids))
        return {row.delegation_id: row for row in rows}

    def statuses(self) -> dict[str, str]:
        return {delegation_id: str(row.status) for delegation_id, row in sorted(self.rows().items())}

    def versions(self) -> dict[str, str]:
        """Delegation → id of the transaction that wrote its row."""
        return dict(query(self.conn, "SELECT delegation_id, xmin::text FROM delegations ORDER BY 1"))

    def parked(self) -> list[Any]:
        return query(self.conn, 'SELECT delegation_id, partition, "offset", status FROM parked ORDER BY 1, 2, 3')

    def positions(self) -> dict[int, int]:
        return {partition: position.offset for partition, position in positions.read(self.conn, self.name).items()}

    def owners(self) -> list[Any]:
        return query(self.conn, "SELECT partition, owner, member FROM positions ORDER BY 1")

    def shadow_is_empty(self) -> bool:
        tables = query(
            self.conn,
            """
            SELECT relname FROM pg_class
             WHERE relnamespace = 'projector_shadow'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
            """,
        )
        return tables == []


class At(Progress):
    """Calls `act` once: when `phase` begins, or as soon as `records` records are folded."""

    def __init__(self, act: Callable[[], object], phase: str | None = None, records: int | None = None) -> None:
        self._act, self._phase, self._records = act, phase, records
        self._acted = False

    def phase(self, name: str) -> None:
        self._reach(name == self._phase)

    def folded(self, done: int, total: int) -> None:
        self._reach(self._records is not None and done >= self._records)

    def _reach(self, reached: bool) -> None:
        if reached and not self._acted:
            self._acted = True
            self._act()


def produce_whole(log: Log) -> Log:
    """Produce and project four delegations, one of them completed, and a parked result. The log keeps all records."""
    log.produce(request(0, "a"), request(1, "b", idempotency_key="k-b"), answer(2, "completed", of="a", text="one"))
    log.produce(request(3, "c", idempotency_key="k-c"), request(4, "d"), heartbeat(5, of="d"), partition=1)
    return log.produce(answer(6, "completed", of="e"), partition=2).project()


def change(log: Log, statement: LiteralString) -> None:
    """Change the database by hand."""
    assert log.conn.execute(statement).rowcount > 0


def plant(log: Log, delegation_id: str, minute: int, key: str | None = None) -> None:
    """Insert a row into the view by hand."""
    log.conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, idempotency_key, created_at,
                                 updated_at)
        SELECT %s, %s, %s, 'planted', %s, at, at FROM (SELECT '2025-05-05 10:00Z'::timestamptz + %s * '1 min'::interval)
               AS planted (at)
        """,
        [delegation_id, CALLER, CALLEE, key, minute],
    )
