"""A simulated platform that writes to its table, and a reader of the topic of its change feed."""

import json
import random
import uuid

import psycopg
from cluster import Cluster
from kafka import KafkaConsumer, TopicPartition
from psycopg.types.json import Jsonb

from testbed.recording import AcknowledgedRecord

# Larger than a page even after compression: Postgres stores it out of line.
LARGE = 60_000
# Larger than the default limits of a producer and a broker.
HUGE = 3_000_000


class Platform:
    """Two workspaces and their delegations."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self._caller, self._callee = str(uuid.uuid4()), str(uuid.uuid4())

    def write_all(self) -> dict[str, str]:
        """Write all changes; returns delegation id → expected status."""
        for size in (0, LARGE, HUGE):
            row = self._request(f"done-{size}", size)
            self._update(row, "dispatched")
            self._write_heartbeat(f"done-{size}")
            self._update(row, "completed", response_body=Jsonb({"text": f"the result of {size}"}))
        failed = self._request("failed", LARGE)
        self._update(failed, "failed", error_detail="target unreachable")
        answered = self._request("answered-apart", 10)
        self._write_result("answered-apart")
        self._delete(answered)  # deleting an activity row changes no delegation
        self._write_heartbeat("without-request")
        self._request("in-flight", LARGE)
        self.write_unrelated()
        done = {f"done-{size}": "completed" for size in (0, LARGE, HUGE)}
        return done | {"failed": "failed", "answered-apart": "completed", "in-flight": "queued"}

    def write_unrelated(self) -> str:
        """Insert an unrelated row without a status; returns its id."""
        return self._insert(activity_type="agent_log", method=None, status=None, summary="thinking")

    def write_overdue(self, delegation: str) -> None:
        """Insert a request whose deadline has passed."""
        self._request(delegation, 10, deadline="2025-01-01T00:00:00Z")

    def _request(self, delegation: str, size: int, **more: str) -> str:
        task = random.Random(size).randbytes(size // 2).hex() or "small"
        body = {"delegation_id": delegation, "task": task, **more}
        return self._insert(method="delegate", status="pending", request_body=Jsonb(body))

    def _write_result(self, delegation: str) -> None:
        body = {"delegation_id": delegation, "text": "an answer in a row of its own"}
        self._insert(method="delegate_result", status="completed", response_body=Jsonb(body))

    def _write_heartbeat(self, delegation: str) -> None:
        body = {"delegation_id": delegation}
        self._insert(method="heartbeat", status=None, request_body=Jsonb(body))

    def _update(self, row: str, status: str, **columns: object) -> None:
        values = {"row": row, "status": status, "response_body": None, "error_detail": None} | columns
        self._conn.execute(
            """
            UPDATE activity_logs SET status = %(status)s, error_detail = %(error_detail)s,
                                     response_body = %(response_body)s
             WHERE id = %(row)s
            """,
            values,
        )

    def _delete(self, row: str) -> None:
        self._conn.execute("DELETE FROM activity_logs WHERE id = %(row)s", {"row": row})

    def _insert(self, **columns: object) -> str:
        values = {
            "id": str(uuid.uuid4()),
            "caller": self._caller,
            "callee": self._callee,
            "activity_type": "delegation",
            "summary": None,
            "request_body": None,
            "response_body": None,
        } | columns
        self._conn.execute(
            """
            INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, summary,
                                       request_body, response_body, status)
            VALUES (%(id)s, %(caller)s, %(activity_type)s, %(caller)s, %(callee)s, %(method)s, %(summary)s,
                    %(request_body)s, %(response_body)s, %(status)s)
            """,
            values,
        )
        return str(values["id"])


def read_topic(cluster: Cluster, *, required: str) -> list[AcknowledgedRecord]:
    """Read the whole topic, in order per partition; returns nothing unless a record has this text."""
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap_servers, enable_auto_commit=False)
    try:
        places = [TopicPartition(cluster.topic, number) for number in consumer.partitions_for_topic(cluster.topic)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends, read = consumer.end_offsets(places), []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=500).values():
                read += [
                    AcknowledgedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value) for r in records
                ]
    finally:
        consumer.close()
    sought = json.dumps(required).encode()
    return read if any(sought in (record.value or b"") for record in read) else []
