"""A Quix Streams application with its PostgreSQL sink, upserting; runs in an environment of its own, without our code.

It writes the fields of each delegation event over the row of its delegation, in the order in which they come: no fold,
no positions beside the rows, at least once. A line of JSON for each write tells how far it is.
"""

import json
import sys
import time
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # not in the environment that mypy sees
from quixstreams.sinks.community.postgresql import PostgreSQLSink  # type: ignore[import-not-found]

STATUS = {"pending": "queued", "error": "failed", "timeout": "failed", "ok": "in_progress"}


class Progress:
    """When the first record and the last one came, and how many there were."""

    began_at = 0.0
    last_at = 0.0
    seen = 0

    def is_event(self, row: dict[str, Any]) -> bool:
        """Whether a record says something of a delegation; counts all of them."""
        self.last_at = time.time()
        if not self.seen:
            self.began_at = self.last_at
        self.seen += 1
        return bool(row["activity_type"] == "delegation")


class TimedSink(PostgreSQLSink):  # type: ignore[misc]  # not in the environment that mypy sees
    """Tells of each write; `idle` is how long it had waited for its interval with nothing to do."""

    progress: Progress

    def write(self, batch: Any) -> None:
        found = self.progress
        idle = time.time() - found.last_at
        super().write(batch)
        told = {"began_at": found.began_at, "ended_at": time.time() - idle, "seen": found.seen}
        print(json.dumps(told), flush=True)


def columns(row: dict[str, Any]) -> dict[str, Any]:
    """The event's fields under the names of the view's columns; the same ones for each, as the sink wants it."""
    request, response = row["request_body"] or {}, row["response_body"] or {}
    return {
        "delegation_id": response.get("delegation_id") or request["delegation_id"],
        "caller_id": row["source_id"],
        "callee_id": row["target_id"],
        "task_preview": request.get("task", "")[:4096],
        "result_preview": response.get("text", "")[:4096],
        "status": STATUS.get(row["status"], row["status"]),
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
    }


def main() -> None:
    """Run until it is killed."""
    told = json.loads(sys.argv[1])
    progress = Progress()
    app = Application(
        broker_address=told["bootstrap_servers"],
        consumer_group=told["group"],
        auto_offset_reset="earliest",
        commit_every=told["commit_every"],
        commit_interval=1.0,
        loglevel="WARNING",
    )
    sink = TimedSink(
        **told["database"],
        table_name="delegations",
        schema_auto_update=False,
        primary_key_columns="delegation_id",
        upsert_on_primary_key=True,
        include_metadata=False,
    )
    sink.progress = progress
    rows = app.dataframe(app.topic(told["topic"], value_deserializer="json"))
    rows.filter(progress.is_event).apply(columns).sink(sink)
    app.run()


if __name__ == "__main__":
    main()
