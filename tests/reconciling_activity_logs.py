"""Rebuilds from the platform's table `activity_logs`, for tests that run them in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from activity_table import create_activity_table, insert_activities
from reconciling import Log, request
from rows import Columns, answer, heartbeat

from projector.postgres import connection
from projector.rebuild.drift import Classification
from projector.rebuild.from_activity_logs import FromActivityLogs
from projector.rebuild.reconcile import Result
from projector.settings import PostgresSettings


@contextmanager
def log_of_table(url: str, kafka: str, topic: str) -> Iterator[Log]:
    """The table `activity_logs` and the log of its changes, projected: seven rows about three delegations."""
    create_activity_table(url)
    with Log(url, kafka, topic) as log:
        write_both(log, request(0, "done"), answer(1, "completed", of="done", text="one"))
        write_both(log, request(2, "keyed", idempotency_key="k"), request(3, "repeat", idempotency_key="k"))
        write_both(
            log, answer(4, "dispatched", of="early", text="so soon"), request(5, "early"), heartbeat(6, of="keyed")
        )
        yield log.project()


def write_both(log: Log, *rows: Columns) -> None:
    """Write rows of the table, and produce their records."""
    insert_activities(log.conn, *rows)
    log.produce(*rows)


@contextmanager
def table(log: Log) -> Iterator[FromActivityLogs]:
    with connection.connect(PostgresSettings(database_url=log.url)) as conn:
        yield FromActivityLogs(conn, log.topic)


def reconcile(log: Log, **options: Any) -> Result:
    with table(log) as source:
        return log.reconcile(source, **options)


def counts(done: Result) -> tuple[int, int, int]:
    """How many delegations are drift, not covered, ahead."""
    report = done.report
    return report.drift, report.not_covered, report.classified[Classification.AHEAD]
