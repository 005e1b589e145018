"""The passes of the commands that are no servers: what each did, the last hundred of each kind."""

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg.rows import class_row

from projector.errors import Misconfigured
from projector.postgres.connection import Connection, mapped_errors

log = logging.getLogger(__name__)

Kind = Literal["verify", "rebuild", "sweep", "push"]

_KEPT = 100


class FinishedPass(NamedTuple):
    """One pass. `result` has the counts that the command printed."""

    kind: str
    started_at: datetime
    ended_at: datetime
    result: dict[str, Any]


def write(conn: Connection, kind: Kind, *, started_at: datetime, result: Mapping[str, object]) -> None:
    """Remember a pass, and forget the oldest of its kind."""
    with mapped_errors():
        conn.execute(
            """
            WITH new AS (
                INSERT INTO passes (kind, started_at, result) VALUES (%(kind)s, %(started_at)s, %(result)s::jsonb)
            )
            DELETE FROM passes WHERE kind = %(kind)s AND id <= (
                SELECT id FROM passes WHERE kind = %(kind)s ORDER BY id DESC OFFSET %(others)s LIMIT 1)
            """,
            {"kind": kind, "started_at": started_at, "result": json.dumps(dict(result)), "others": _KEPT - 1},
        )


class Passes:
    """Writes the passes of a server. That the role may not write them stops nothing, and is logged once."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._is_refused = False

    def remember(self, conn: Connection, *, started_at: datetime, result: Mapping[str, object]) -> None:
        """Write a pass. Raises DatabaseUnavailable."""
        try:
            write(conn, self._kind, started_at=started_at, result=result)
            self._is_refused = False
        except Misconfigured as error:
            if not self._is_refused:
                log.warning("the dashboard will not show this pass", extra={"kind": self._kind, "reason": str(error)})
            self._is_refused = True


def latest(conn: Connection) -> dict[str, FinishedPass]:
    """Kind → its latest pass. `proved`: the latest verify or rebuild after which no row differed."""
    with mapped_errors(), conn.cursor(row_factory=class_row(FinishedPass)) as cursor:
        found = cursor.execute(
            """
            SELECT p.kind, p.started_at, p.ended_at, p.result
              FROM (VALUES ('verify'), ('rebuild'), ('sweep'), ('push')) AS kinds (kind)
             CROSS JOIN LATERAL (SELECT * FROM passes WHERE passes.kind = kinds.kind ORDER BY id DESC LIMIT 1) AS p
             UNION ALL
            (SELECT 'proved', started_at, ended_at, result FROM passes
              WHERE kind IN ('verify', 'rebuild') AND result ->> 'drift' = '0' AND result ->> 'compared' <> '0'
                AND result ->> 'sample' IS NULL
              ORDER BY id DESC LIMIT 1)
            """
        ).fetchall()
    return {each.kind: each for each in found}
