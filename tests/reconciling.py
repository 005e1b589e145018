"""A log on a real broker, the view that a member made of it, and the two compared in this process."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, LiteralString, Self
from uuid import uuid4

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from projecting import asked as rows_of
from projecting import connected
from rows import CALLEE, CALLER, Columns, at, delegate

from projector.domain.lifecycle import Delegation
from projector.domain.positions import Fence, LogRange, Polled
from projector.kafka import reader
from projector.kafka.reader import TopicReader, open_topic
from projector.postgres import connection, delegations, positions
from projector.postgres.connection import Connection
from projector.postgres.positions import Claim
from projector.postgres.write_batch import prepare
from projector.projection.batch import batches
from projector.projection.transaction import project
from projector.rebuild import reconcile, shadow
from projector.rebuild.comparison import Options
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Progress, Result
from projector.rebuild.source import RebuildSource
from projector.settings import BatchLimits, KafkaSettings, PostgresSettings

reconcile.FEED_SECONDS = 0.0  # no test of these has a feed
reader.FIRST_RECORDS = 1  # they are all that these logs have


def asked(minute: int, of: str, **columns: Any) -> Columns:
    """A request of a delegation, whose id is also its task."""
    return delegate(minute, request_body={"delegation_id": of, "task": f"do {of}"}, **columns)


class Log:
    """A topic of three partitions, and a database whose view is projected when the test says so."""

    def __init__(self, url: str, kafka: str, name: str) -> None:
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
                open_topic(KafkaSettings(bootstrap_servers=self.kafka, topic=self.name, group_id="nobody"))
            )
        return self._topic

    def made_anew(self) -> None:
        """Forget the topic that was there."""
        self._topic = None

    # --- what the platform does, and the broker

    def say(self, *values: Columns | bytes, partition: int = 0, minute: int | None = None) -> Self:
        """A record each, as old as what it tells unless `minute` tells otherwise."""
        for value in values:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            told = value.get("created_at") if minute is None and isinstance(value, dict) else at(minute or 0)
            ms = int(datetime.fromisoformat(told or at(0)).timestamp() * 1000)
            self._producer.send(self.name, content, partition=partition, timestamp_ms=ms)
        self._producer.flush()
        return self

    def shorten(self, beginnings: Mapping[int, int]) -> Self:
        """Let retention take what is before these offsets (partition → offset)."""
        admin = KafkaAdminClient(bootstrap_servers=self.kafka)
        admin.delete_records({TopicPartition(self.name, number): offset for number, offset in beginnings.items()})
        admin.close()
        return self

    # --- what a member does

    def claim(self) -> dict[int, int]:
        """Own every partition anew; partition → where to go on."""
        self._token = uuid4()
        found = {}
        with connection.transaction(self.conn):
            for number, span in self.topic.log_ranges().items():
                place = Claim(self.name, number, self._token, self.topic.topic_id, span.beginning, 1, "test")
                offset = positions.claim(self.conn, place)
                assert offset is not None
                found[number] = offset
        return found

    def polled(self) -> Iterator[Sequence[Polled]]:
        """Claim, and read up to the end."""
        reached, spans = self.claim(), self.topic.log_ranges()
        yield from self.topic.read({number: LogRange(reached[number], span.end) for number, span in spans.items()})

    def projected(self) -> Self:
        """Project up to the end of the log."""
        for polled in self.polled():
            self.write(polled)
        return self

    def write(self, polled: Sequence[Polled]) -> None:
        for batch in batches(polled, BatchLimits()):
            project(self.conn, batch.records, Fence(self._token, batch.moves))

    # --- what is compared

    def reconcile(
        self,
        source: RebuildSource | None = None,
        *,
        progress: Progress | None = None,
        batch: int = 5000,
        **options: Any,
    ) -> Result:
        """Verify, or with `mend=True` rebuild, in sessions as the commands open them."""
        with self.sessions() as (view, shadow_conn):
            return reconcile.reconcile(
                view,
                shadow_conn,
                source or FromTopic(self.topic),
                Options(**options),
                limits=BatchLimits(batch_records=batch),
                progress=progress,
            )

    @contextmanager
    def sessions(self) -> Iterator[tuple[Connection, Connection]]:
        settings = PostgresSettings(database_url=self.url)
        with connection.connect(settings) as view, connection.connect(settings, schema=shadow.SCHEMA) as shadow_conn:
            prepare(shadow_conn)
            yield view, shadow_conn

    def verify(self, **options: Any) -> dict[str, int]:
        """How much of each kind has drifted."""
        report = self.reconcile(**options).report
        return {str(kind): count for kind, count in report.kinds.items()}

    def rebuild(self, source: RebuildSource | None = None, **options: Any) -> tuple[int, int, int] | None:
        """How many rows were inserted, updated and deleted; none where nothing had drifted."""
        return self.reconcile(source, repair=True, **options).applied

    # --- what the database holds

    def rows(self) -> dict[str, Delegation]:
        ids = rows_of(self.conn, "SELECT delegation_id FROM delegations")
        rows = sorted(delegations.read_delegations(self.conn, ids))
        return {row.delegation_id: row for row in rows}

    def statuses(self) -> dict[str, str]:
        return {delegation_id: str(row.status) for delegation_id, row in sorted(self.rows().items())}

    def versions(self) -> dict[str, str]:
        """Delegation → the transaction that wrote its row."""
        return dict(rows_of(self.conn, "SELECT delegation_id, xmin::text FROM delegations ORDER BY 1"))

    def parked(self) -> list[Any]:
        return rows_of(self.conn, 'SELECT delegation_id, partition, "offset", status FROM parked ORDER BY 1, 2, 3')

    def positions(self) -> dict[int, int]:
        return {number: position.offset for number, position in positions.read(self.conn, self.name).items()}

    def owners(self) -> list[Any]:
        return rows_of(self.conn, "SELECT partition, owner, member FROM positions ORDER BY 1")

    def shadow_is_empty(self) -> bool:
        tables = rows_of(
            self.conn,
            """
            SELECT relname FROM pg_class
             WHERE relnamespace = 'projector_shadow'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
            """,
        )
        return tables == []


class At(Progress):
    """Does something once, where a phase begins or, with `records`, once so many are folded."""

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


def change(log: Log, statement: LiteralString) -> None:
    """Change the view by hand."""
    assert log.conn.execute(statement).rowcount > 0


def plant(log: Log, delegation_id: str, minute: int, key: str | None = None) -> None:
    """Put a row there by hand."""
    log.conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, idempotency_key, created_at,
                                 updated_at)
        SELECT %s, %s, %s, 'planted', %s, at, at FROM (SELECT '2025-05-05 10:00Z'::timestamptz + %s * '1 min'::interval)
               AS planted (at)
        """,
        [delegation_id, CALLER, CALLEE, key, minute],
    )
