"""Since when the results of a topic are pushed (docs/pushing.md)."""

import logging
from datetime import datetime

from psycopg.errors import Diagnostic

from projector.postgres import positions
from projector.postgres.connection import Connection, mapped_errors, transaction

log = logging.getLogger(__name__)

_OFF = "PJ003"
"""The SQLSTATE of the notice of `write_ends.sql`."""


def switch_on(conn: Connection, topic: str) -> bool:
    """Switch the push of a topic on, if it is off: store the positions of this moment, and the database's time.

    Of several callers at once, one does it, logs it and gets True. Raises DatabaseUnavailable, also if a batch holds
    the positions for longer than the lock timeout.
    """
    place = {"topic": topic}
    with transaction(conn):
        row = conn.execute(
            "INSERT INTO push (topic) VALUES (%(topic)s) ON CONFLICT DO NOTHING RETURNING switched_on_at", place
        ).fetchone()
        if row is None:
            return False
        positions.lock(conn, topic)  # a batch that is written now is before this moment or after it, not both
        conn.execute(
            """
            INSERT INTO push_from (topic, partition, next_offset)
            SELECT topic, partition, next_offset FROM positions WHERE topic = %(topic)s
            """,
            place,
        )
    log.info("results are pushed from now on", extra={"topic": topic, "since": row[0].isoformat()})
    return True


def switched_on_at(conn: Connection, topic: str) -> datetime | None:
    """When the push of this topic's results was switched on, by whatever process; None if it is off."""
    with mapped_errors():
        row = conn.execute("SELECT switched_on_at FROM push WHERE topic = %(topic)s", {"topic": topic}).fetchone()
    return row[0] if row else None


def warn_if_off(conn: Connection, topic: str) -> None:
    """Log a warning, once, if a batch of this session has ends and the row of the push is gone."""
    has_warned = False

    def noticed(notice: Diagnostic) -> None:
        nonlocal has_warned
        if notice.sqlstate == _OFF and not has_warned:
            has_warned = True
            log.warning(
                "results are not queued any more: the push was switched off, the row of projector.push is gone. To "
                "switch it on again, restart this process. Else set PROJECTOR_RESULT_PUSH=off",
                extra={"topic": topic},
            )

    conn.add_notice_handler(noticed)
