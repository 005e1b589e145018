"""A Quix Streams application with its PostgreSQL sink, upserting; it runs in its own virtual environment.

It writes the fields of each delegation event over the row of its delegation, in log order: no fold, no positions beside
the rows, at least once. It prints one JSON line per write.
"""

import json
import sys
import time
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # not in the environment that mypy sees
from quixstreams.sinks.community.postgresql import PostgreSQLSink  # type: ignore[import-not-found]

STATUS = {"pending": "queued", "error": "failed", "timeout": "failed", "ok": "in_progress"}


class Progress:
    """When the first and the last record arrived, in seconds since 1970, and the number of records."""

    began_at = 0.0
    last_at = 0.0
    seen = 0

    def is_event(self, row: dict[str, Any]) -> bool:
        """Whether a record is a delegation event; counts all records."""
        self.last_at = time.time()
        if not self.seen:
            self.began_at = self.last_at
        self.seen += 1
        return bool(row["activity_type"] == "delegation")


class TimedSink(PostgreSQLSink):  # type: ignore[misc]  # not in the environment that mypy sees
    """Prints each write; `idle` is the time since the last record, spent waiting for the commit interval."""

    progress: Progress

    def write(self, batch: Any) -> None:
        progress = self.progress
        idle = time.time() - progress.last_at
        super().write(batch)
        written = {"began_at": progress.began_at, "ended_at": time.time() - idle, "seen": progress.seen}
        print(json.dumps(written), flush=True)


def columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event by column of the view; always the same columns, as the sink requires."""
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
    settings = json.loads(sys.argv[1])
    interval = settings["commit_interval"]
    progress = Progress()
    app = Application(
        broker_address=settings["bootstrap_servers"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        commit_every=settings["commit_every"],
        commit_interval=interval,
        consumer_poll_timeout=interval or 1.0,  # an interval does not end before a poll does
        loglevel="WARNING",
    )
    sink = TimedSink(
        **settings["database"],
        table_name="delegations",
        schema_auto_update=False,
        primary_key_columns="delegation_id",
        upsert_on_primary_key=True,
        include_metadata=False,
    )
    sink.progress = progress
    rows = app.dataframe(app.topic(settings["topic"], value_deserializer="json"))
    rows.filter(progress.is_event).apply(columns).sink(sink)
    app.run()


if __name__ == "__main__":
    main()
