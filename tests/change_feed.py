"""A change feed of the platform's table, from Postgres by Debezium to the topic, and checks of the view behind it."""

from typing import Literal

import psycopg
from cluster import Cluster, wait_until
from connect_worker import ConnectWorker, connector_config
from platform_script import Platform
from topic_log import TopicLog

from testbed.oracle import differences, stored_rows


class Feed:
    """A connector from the cluster's database to its topic; `platform` writes to the table in front of it."""

    def __init__(self, cluster: Cluster, conn: psycopg.Connection, log: TopicLog) -> None:
        self.conn, self.log = conn, log
        self.platform = Platform(conn)
        self._cluster = cluster
        self._worker: ConnectWorker | None = None
        self._name = f"slot_{conn.info.dbname}"

    def start(self, worker: ConnectWorker, *, snapshot: Literal["initial", "no_data"] = "initial") -> None:
        """Start the connector on this worker, or continue the one that the worker had before it was killed."""
        config = connector_config(self._cluster.database_url, slot=self._name, topic=self._cluster.topic)
        worker.run(self._name, config | {"snapshot.mode": snapshot})
        self._worker = worker

    def replace(self, worker: ConnectWorker) -> None:
        """Replace the connector by another one, with a new slot and without offsets."""
        self.remove()
        self._name += "_2"
        self.start(worker)

    def wait_until_streaming(self) -> None:
        """Block until the snapshot is over: later changes come from the stream."""
        wait_until(lambda: self._is_healthy() and self.slot_is_active(), "an active slot with a confirmed position")
        self.platform.streamed = True

    def slot_is_active(self) -> bool:
        """Whether a connector reads from the slot; a slot that is still being created has confirmed nothing."""
        row = self.conn.execute(
            "SELECT active AND confirmed_flush_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = %s",
            [self._name],
        ).fetchone()
        return row is not None and bool(row[0])

    def wait_for(self, row_ids: list[str]) -> None:
        """Block until the topic has changes of these activity rows."""
        wait_until(lambda: self._is_healthy() and self.log.has_changes_of(row_ids), "the last rows in the topic")

    def wait_for_all(self) -> None:
        """Block until the topic has all changes of the platform."""
        self.wait_for(self.platform.write_markers())

    def assert_view_is_expected(self) -> None:
        """Wait until all records read so far are projected, and compare the whole view with the platform's rows."""
        self._cluster.acknowledged = self.log.records
        self._cluster.wait_until_caught_up()
        found = differences(self.platform.expected, stored_rows(self.conn))
        assert not found, "\n".join(found)
        assert self.conn.execute("SELECT reason FROM projector.dead_letters").fetchall() == []
        assert self.conn.execute("SELECT delegation_id FROM projector.parked").fetchall() == []

    def remove(self) -> None:
        """Delete the connector; its slot stays."""
        if self._worker:
            self._worker.remove(self._name)

    def _is_healthy(self) -> bool:
        if self._worker:
            self._worker.raise_if_failed(self._name)
        return True
