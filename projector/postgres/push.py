"""Since when the results of a topic are pushed (docs/pushing.md), and what ended since without a reply."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg.errors import Diagnostic

from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.postgres import positions
from projector.postgres.connection import Connection, mapped_errors, transaction

log = logging.getLogger(__name__)

_OFF = "PJ003"
"""The SQLSTATE of the notice of `write_ends.sql`."""


class PushedSince(NamedTuple):
    """Where the push of a topic begins: the database's time, and partition → the first offset that counts.

    A partition without an entry counts from 0. `is_new`: this call has switched the push on.
    """

    at: datetime
    offsets: Mapping[int, int]
    is_new: bool


def switch_on(conn: Connection, topic: str) -> PushedSince:
    """Switch the push of a topic on, if it is off: store the positions of this moment, and the database's time.

    Of several callers at once, one stores and logs them. Raises DatabaseUnavailable, also if a batch holds the
    positions for longer than the lock timeout.
    """
    place = {"topic": topic}
    with transaction(conn):
        is_new = conn.execute("INSERT INTO push (topic) VALUES (%(topic)s) ON CONFLICT DO NOTHING", place).rowcount == 1
        if is_new:
            positions.lock(conn, topic)  # a batch that is written now is before this moment or after it, not both
            conn.execute(
                """
                INSERT INTO push_from (topic, partition, next_offset)
                SELECT topic, partition, next_offset FROM positions WHERE topic = %(topic)s
                """,
                place,
            )
        [(at,)] = conn.execute("SELECT switched_on_at FROM push WHERE topic = %(topic)s", place).fetchall()
        offsets = conn.execute("SELECT partition, next_offset FROM push_from WHERE topic = %(topic)s", place)
        since = PushedSince(at, dict(offsets.fetchall()), is_new)
    if is_new:
        log.info("results are pushed from now on", extra={"topic": topic, "since": at.isoformat()})
    return since


def is_on(conn: Connection, topic: str) -> bool:
    """Whether the push of a topic is switched on in this database, by whatever process."""
    with mapped_errors():
        return bool(conn.execute("SELECT FROM push WHERE topic = %(topic)s", {"topic": topic}).rowcount)


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


def count_without_reply(conn: Connection, topic: str) -> int:
    """How many delegations ended since the push of a topic was switched on, and have no row in the outbox."""
    with mapped_errors():
        [(count,)] = conn.execute(
            """
            SELECT count(*) FROM push p CROSS JOIN delegations d
             WHERE p.topic = %(topic)s AND d.status IN ('completed', 'failed', 'stuck')
               AND (d.updated_at >= p.switched_on_at - %(clocks_differ_by)s
                    OR EXISTS (SELECT FROM ends e WHERE e.delegation_id = d.delegation_id))
               AND NOT EXISTS (SELECT FROM outbox o WHERE o.delegation_id = d.delegation_id)
            """,
            {"topic": topic, "clocks_differ_by": CLOCKS_DIFFER_BY},
        ).fetchall()
    return int(count)
