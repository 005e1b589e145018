"""Replies as operators see them: listed and counted by a selection, and sent again or discarded by them."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from projector.domain.reply import State
from projector.postgres.connection import Connection, mapped_errors

RETRIED = (State.DUE, State.GIVEN_UP, State.EXPIRED, State.DISCARDED)
"""The states of replies that may be tried again. A reply that was sent is never sent again."""
DISCARDED = (State.DUE, State.GIVEN_UP, State.EXPIRED)
"""The states of replies that may be discarded."""


_SELECTED = """
    (%(ids)s::text[] IS NULL OR o.delegation_id = ANY (%(ids)s))
    AND (%(states)s::text[] IS NULL OR coalesce(o.ended_as, 'due') = ANY (%(states)s))
    AND (%(before)s::timestamptz IS NULL OR coalesce(o.sent_at, o.given_up_at, o.due_at) < %(before)s)
"""
"""Whether a reply is in a Selection."""


class Selection(NamedTuple):
    """Replies of these delegations, in one of these states, that were due or ended before this time. None means any."""

    ids: Collection[str] | None = None
    states: Collection[State] | None = None
    before: datetime | None = None

    def parameters(self) -> dict[str, object]:
        """The parameters of the statements of this module."""
        return {
            "ids": None if self.ids is None else list(self.ids),
            "states": None if self.states is None else [str(state) for state in self.states],
            "before": self.before,
        }


class QueuedReply(NamedTuple):
    """A reply. `ended_at` is when it was sent, given up, expired or discarded. The rest of it is in the view's row."""

    delegation_id: str
    state: State
    queued_at: datetime
    due_at: datetime
    next_attempt_at: datetime
    attempts: int
    ended_at: datetime | None
    sent_to: str | None
    last_error: str | None
    caller_id: str | None
    callee_id: str | None
    status: str | None


class Backlog(NamedTuple):
    """Counts of replies by state. `waiting`: those DUE whose time has not come. `oldest_due_seconds`: of the others."""

    counts: dict[State, int]
    waiting: int
    oldest_due_seconds: float | None


def oldest(conn: Connection, wanted: Selection, *, limit: int) -> list[QueuedReply]:
    """The selected replies, those first that were due first."""
    with mapped_errors(), conn.cursor(row_factory=class_row(QueuedReply)) as cursor:
        found = cursor.execute(
            f"""
            SELECT o.delegation_id, coalesce(o.ended_as, 'due') AS state, o.queued_at, o.due_at,
                   o.next_attempt_at, o.attempts, coalesce(o.sent_at, o.given_up_at) AS ended_at, o.sent_to,
                   o.last_error, d.caller_id::text, d.callee_id::text, d.status
              FROM outbox o LEFT JOIN delegations d ON d.delegation_id = o.delegation_id
             WHERE {_SELECTED}
             ORDER BY o.next_attempt_at, o.delegation_id LIMIT %(limit)s
            """,  # noqa: S608 - made of constants
            wanted.parameters() | {"limit": limit},
        ).fetchall()
    return [each._replace(state=State(each.state)) for each in found]


def count(conn: Connection, wanted: Selection) -> int:
    """How many replies are selected."""
    with mapped_errors():
        [(count,)] = conn.execute(
            f"""
            SELECT count(*) FROM outbox o
             WHERE {_SELECTED}
            """,  # noqa: S608 - made of constants
            wanted.parameters(),
        ).fetchall()
    return int(count)


def backlog(conn: Connection) -> Backlog:
    """Counts over the whole outbox. Every state has an entry, which can be 0."""
    with mapped_errors():
        counts: dict[str, int] = dict(
            conn.execute("SELECT coalesce(ended_as, 'due'), count(*) FROM outbox GROUP BY 1").fetchall()
        )
        [(waiting, oldest_due)] = conn.execute(
            """
            SELECT count(*) FILTER (WHERE next_attempt_at > now()),
                   extract(epoch FROM now() - min(due_at) FILTER (WHERE next_attempt_at <= now()))::float
              FROM outbox WHERE ended_as IS NULL
            """
        ).fetchall()
    return Backlog({state: counts.get(state.value, 0) for state in State}, waiting, oldest_due)


def retry(conn: Connection, wanted: Selection) -> set[str]:
    """Make the selected replies due now, as if none had been tried. Returns their delegation ids.

    Those that were sent are not selected.
    """
    with mapped_errors():
        rows = conn.execute(
            f"""
            UPDATE outbox o
               SET ended_as = NULL, given_up_at = NULL, attempts = 0, queued_at = clock_timestamp(),
                   due_at = least(o.due_at, clock_timestamp()), next_attempt_at = clock_timestamp()
             WHERE {_SELECTED}
            RETURNING o.delegation_id
            """,  # noqa: S608 - made of constants
            _within(wanted, RETRIED).parameters(),
        )
        return {delegation_id for (delegation_id,) in rows}


def discard(conn: Connection, wanted: Selection) -> set[str]:
    """Never send the selected replies. Their rows stay. Returns their delegation ids."""
    with mapped_errors():
        rows = conn.execute(
            f"""
            UPDATE outbox o SET ended_as = 'discarded', given_up_at = clock_timestamp()
             WHERE {_SELECTED}
            RETURNING o.delegation_id
            """,  # noqa: S608 - made of constants
            _within(wanted, DISCARDED).parameters(),
        )
        return {delegation_id for (delegation_id,) in rows}


def _within(wanted: Selection, allowed: Collection[State]) -> Selection:
    states = allowed if wanted.states is None else [state for state in wanted.states if state in allowed]
    return wanted._replace(states=states)
