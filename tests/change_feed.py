"""A change feed of a platform's table: its connector, and what the view must be behind it."""

from typing import Literal

import psycopg
from cluster import Cluster, until
from connect_worker import ConnectWorker, connector_config
from platform_script import Platform
from topic_log import TopicLog

from testbed.oracle import differences, stored_rows


class Feed:
    """A connector from the scene's database to its topic, with the platform in front and the view behind it."""

    def __init__(self, scene: Cluster, conn: psycopg.Connection, log: TopicLog) -> None:
        self.conn, self.log = conn, log
        self.platform = Platform(conn)
        self._scene = scene
        self._worker: ConnectWorker | None = None
        self._name = f"slot_{conn.info.dbname}"

    def begins(self, worker: ConnectWorker, *, snapshot: Literal["initial", "no_data"] = "initial") -> None:
        """A connector that is new, or that this worker had before it was killed."""
        config = connector_config(self._scene.database_url, slot=self._name, topic=self._scene.topic)
        worker.run(self._name, config | {"snapshot.mode": snapshot})
        self._worker = worker

    def begins_anew(self, worker: ConnectWorker) -> None:
        """Another connector takes the place of the one there was, and knows nothing of it."""
        self.ends()
        self._name += "_anew"
        self.begins(worker)

    def streams(self) -> None:
        """Wait until what is written from now on comes by the stream, in no snapshot."""
        until(lambda: self._is_well() and self.slot_is_used(), "a slot from which the connector reads")
        self.platform.streamed = True

    def slot_is_used(self) -> bool:
        """One that is still being made has confirmed nothing."""
        found = self.conn.execute(
            "SELECT active AND confirmed_flush_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = %s",
            [self._name],
        ).fetchone()
        return found is not None and bool(found[0])

    def tells(self, rows: list[str]) -> None:
        """Wait until these activity rows are in the topic."""
        until(lambda: self._is_well() and self.log.holds(rows), "the platform's last rows in the topic")

    def tells_all(self) -> None:
        """Wait until all that the platform wrote is in the topic."""
        self.tells(self.platform.marks())

    def view_equals_what_the_platform_did(self) -> None:
        """Once all that was read of the topic is projected: whole rows, and nothing beside them."""
        self._scene.acknowledged = self.log.records
        self._scene.caught_up()
        found = differences(self.platform.expected, stored_rows(self.conn))
        assert not found, "\n".join(found)
        assert self.conn.execute("SELECT reason FROM projector.dead_letters").fetchall() == []
        assert self.conn.execute("SELECT delegation_id FROM projector.parked").fetchall() == []

    def ends(self) -> None:
        """The connector is gone; its slot is left."""
        if self._worker:
            self._worker.remove(self._name)

    def _is_well(self) -> bool:
        if self._worker:
            self._worker.require_well(self._name)
        return True
