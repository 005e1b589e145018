"""The replies that are due: claimed, and marked with how the try ended. No function here commits."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast

from projector.contract.facts import Status
from projector.domain.reply import End, Ended, Kind, State
from projector.postgres.connection import Connection

_ENDED = (
    "d.delegation_id, d.caller_id::text, d.callee_id::text, d.status, d.result_preview, d.error_detail, d.created_at"
)
"""The columns of `Ended`."""


class Claimed(NamedTuple):
    """A reply that is due, locked until the end of the transaction. `row` is None if the view has no row of it."""

    delegation_id: str
    attempts: int
    is_expired: bool
    row: Ended | None


class Mark(NamedTuple):
    """How a reply ended in this pass. One that stays DUE is tried again after `delay`. `target`: where it was tried."""

    delegation_id: str
    state: State
    error: str | None = None
    target: str | None = None
    delay: timedelta = timedelta(0)


def make_due(conn: Connection, *, text_delay: timedelta, no_text_delay: timedelta) -> int:
    """Bring forward replies that waited for a text, or for an answer after a verdict. Returns how many.

    A text makes a reply about `completed` due after `text_delay`. A real answer makes a reply about a verdict due at
    once, and one without a text after `no_text_delay`. Replies that another relay holds are left out.
    """
    return conn.execute(
        """
        WITH answered AS (
            SELECT o.delegation_id, min(CASE
                       WHEN d.status = 'completed' THEN e.at + %(text_delay)s::interval
                       WHEN e.status = 'completed' AND NOT e.has_text THEN e.at + %(no_text_delay)s::interval
                       ELSE least(e.at, now())
                   END) AS due_at
              FROM outbox o
              JOIN delegations d ON d.delegation_id = o.delegation_id
              JOIN ends e ON e.delegation_id = o.delegation_id AND e.kind = 'report'
             WHERE o.ended_as IS NULL AND o.next_attempt_at > now() AND o.attempts = 0
               AND CASE d.status
                   WHEN 'completed' THEN e.status = 'completed' AND e.has_text
                   WHEN 'failed' THEN EXISTS (SELECT FROM ends v WHERE v.delegation_id = o.delegation_id
                                                 AND v.kind = 'verdict' AND v.status = 'failed')
                   ELSE d.status = 'stuck' END
             GROUP BY o.delegation_id
        ), earlier AS (
            SELECT o.delegation_id, a.due_at FROM outbox o JOIN answered a USING (delegation_id)
             WHERE o.ended_as IS NULL AND o.due_at > a.due_at
               FOR UPDATE OF o SKIP LOCKED
        )
        UPDATE outbox o SET due_at = e.due_at, next_attempt_at = e.due_at
          FROM earlier e WHERE o.delegation_id = e.delegation_id
        """,
        {"text_delay": text_delay, "no_text_delay": no_text_delay},
    ).rowcount


def claim(conn: Connection, *, until: datetime, limit: int, max_age: timedelta) -> list[Claimed]:
    """Lock replies that were due at `until`, the longest due first. Those that another relay holds are left out.

    The age of a reply counts from when it was due, or from when it was queued if that is later.
    """
    rows = conn.execute(
        f"""
        SELECT o.delegation_id, o.attempts, greatest(o.due_at, o.queued_at) < now() - %(max_age)s::interval,
               {_ENDED}
          FROM outbox o LEFT JOIN delegations d ON d.delegation_id = o.delegation_id
         WHERE o.ended_as IS NULL AND o.next_attempt_at <= %(until)s::timestamptz
         ORDER BY o.next_attempt_at LIMIT %(limit)s
           FOR UPDATE OF o SKIP LOCKED
        """,  # noqa: S608 - made of constants
        {"until": until, "limit": limit, "max_age": max_age},
    )
    return [Claimed._make((*row[:3], None if row[3] is None else _ended(row[3:]))) for row in rows]


def _ended(columns: Sequence[object]) -> Ended:
    delegation_id, caller_id, callee_id, status, *others = columns
    return Ended._make((delegation_id, caller_id, callee_id, Status(cast(str, status)), *others))


def ends(conn: Connection, delegation_ids: Collection[str]) -> dict[str, list[End]]:
    """Delegation id → what was read about its end, in the order of the log."""
    rows = conn.execute(
        """
        SELECT delegation_id, kind, status, at, has_text, row_id::text
          FROM ends WHERE delegation_id = ANY (%(ids)s) ORDER BY topic, partition, "offset"
        """,
        {"ids": list(delegation_ids)},
    )
    found: dict[str, list[End]] = defaultdict(list)
    for delegation_id, kind, status, *others in rows:
        found[delegation_id].append(End(Kind(kind), Status(status), *others))
    return found


def mark(conn: Connection, marks: Sequence[Mark]) -> None:
    """Note how these replies ended. They must be locked."""
    conn.execute(
        """
        UPDATE outbox o
           SET ended_as = m.ended_as,
               sent_to = CASE WHEN m.ended_as = 'sent' THEN m.target END,
               sent_at = CASE WHEN m.ended_as IN ('sent', 'told_by_platform') THEN clock_timestamp() END,
               given_up_at = CASE WHEN m.ended_as IN ('given_up', 'expired') THEN clock_timestamp() END,
               attempts = o.attempts + (m.ended_as IS DISTINCT FROM 'expired')::int,
               next_attempt_at = CASE WHEN m.ended_as IS NULL THEN clock_timestamp() + m.delay
                                      ELSE o.next_attempt_at END,
               last_error = coalesce(m.error, o.last_error)
          FROM unnest(%(ids)s::text[], %(states)s::text[], %(errors)s::text[], %(targets)s::text[],
                      %(delays)s::interval[]) AS m (delegation_id, ended_as, error, target, delay)
         WHERE o.delegation_id = m.delegation_id
        """,
        {
            "ids": [each.delegation_id for each in marks],
            "states": [None if each.state is State.DUE else str(each.state) for each in marks],
            "errors": [each.error for each in marks],
            "targets": [each.target for each in marks],
            "delays": [each.delay for each in marks],
        },
    )


def states(conn: Connection, delegation_ids: Iterable[str]) -> dict[str, State]:
    """Delegation id → the state of its reply. Waits until the transaction that holds the reply has ended."""
    rows = conn.execute(
        """
        SELECT delegation_id, coalesce(ended_as, 'due') FROM outbox WHERE delegation_id = ANY (%(ids)s)
         ORDER BY delegation_id FOR SHARE
        """,
        {"ids": list(delegation_ids)},
    )
    return {delegation_id: State(state) for delegation_id, state in rows}


def waiting(conn: Connection) -> int:
    """How many replies are due later than now."""
    [(count,)] = conn.execute(
        "SELECT count(*) FROM outbox WHERE ended_as IS NULL AND next_attempt_at > now()"
    ).fetchall()
    return int(count)


def ended(conn: Connection, delegation_id: str) -> Ended | None:
    """The row of the view that a reply is about; None if there is none."""
    row = conn.execute(
        f"SELECT {_ENDED} FROM delegations d WHERE d.delegation_id = %(id)s",  # noqa: S608 - made of constants
        {"id": delegation_id},
    ).fetchone()
    return _ended(row) if row else None
