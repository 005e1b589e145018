"""A platform that writes to its table, as agents make it do, and the topic that a change feed makes of it."""

import json
import random
import uuid

import psycopg
from cluster import Cluster
from kafka import KafkaConsumer, TopicPartition
from psycopg.types.json import Jsonb

from testbed.recording import AcknowledgedRecord

# Larger than a page can hold, and than compression can help: Postgres moves it out of line.
LARGE = 60_000
# Larger than what a producer and a broker take unless told otherwise.
HUGE = 3_000_000


class Platform:
    """Two workspaces and their delegations."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self._caller, self._callee = str(uuid.uuid4()), str(uuid.uuid4())

    def play(self) -> dict[str, str]:
        """Write the stories; delegation → the status it must come to."""
        for size in (0, LARGE, HUGE):
            row = self._asks(f"done-{size}", size)
            self._becomes(row, "dispatched")
            self._beats(f"done-{size}")
            self._becomes(row, "completed", response_body=Jsonb({"text": f"the result of {size}"}))
        failed = self._asks("failed", LARGE)
        self._becomes(failed, "failed", error_detail="target unreachable")
        answered = self._asks("answered-apart", 10)
        self._answers("answered-apart")
        self._forgets(answered)  # deleting an activity row ends nothing
        self._beats("never-heard-of")
        self._asks("in-flight", LARGE)
        self.passes_by()
        done = {f"done-{size}": "completed" for size in (0, LARGE, HUGE)}
        return done | {"failed": "failed", "answered-apart": "completed", "in-flight": "queued"}

    def passes_by(self) -> str:
        """A row that no delegation is about, without a status; its id."""
        return self._writes(activity_type="agent_log", method=None, status=None, summary="thinking")

    def _asks(self, delegation: str, size: int) -> str:
        body = {"delegation_id": delegation, "task": random.Random(size).randbytes(size // 2).hex() or "small"}
        return self._writes(method="delegate", status="pending", request_body=Jsonb(body))

    def _answers(self, delegation: str) -> None:
        body = {"delegation_id": delegation, "text": "an answer in a row of its own"}
        self._writes(method="delegate_result", status="completed", response_body=Jsonb(body))

    def _beats(self, delegation: str) -> None:
        body = {"delegation_id": delegation}
        self._writes(method="heartbeat", status=None, request_body=Jsonb(body))

    def _becomes(self, row: str, status: str, **columns: object) -> None:
        values = {"row": row, "status": status, "response_body": None, "error_detail": None} | columns
        self._conn.execute(
            """
            UPDATE activity_logs SET status = %(status)s, error_detail = %(error_detail)s,
                                     response_body = %(response_body)s
             WHERE id = %(row)s
            """,
            values,
        )

    def _forgets(self, row: str) -> None:
        self._conn.execute("DELETE FROM activity_logs WHERE id = %(row)s", {"row": row})

    def _writes(self, **columns: object) -> str:
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


def read_topic(scene: Cluster, *, until_it_holds: str) -> list[AcknowledgedRecord]:
    """All of the topic in the order of each partition; empty while nothing in it holds this text."""
    consumer = KafkaConsumer(bootstrap_servers=scene.bootstrap_servers, enable_auto_commit=False)
    try:
        places = [TopicPartition(scene.topic, number) for number in consumer.partitions_for_topic(scene.topic)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends, found = consumer.end_offsets(places), []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=500).values():
                found += [
                    AcknowledgedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value) for r in records
                ]
    finally:
        consumer.close()
    sought = json.dumps(until_it_holds).encode()
    return found if any(sought in (record.value or b"") for record in found) else []
