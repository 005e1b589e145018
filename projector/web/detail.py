"""One delegation: its row, its story, whether its caller was told, and its parked events."""

from datetime import datetime
from typing import NamedTuple

from projector.contract.fields import storable
from projector.explain.timeline import Entry
from projector.postgres import outbox_queries, queries, views_delegations
from projector.postgres.outbox_queries import QueuedReply, Selection
from projector.postgres.queries import ParkedEvent
from projector.postgres.views_delegations import DelegationRow
from projector.web.parameters import BadParameter, Parameters
from projector.web.reader import Reader

_PARKED = 100


class Step(NamedTuple):
    """A record, the time since the one before it, and the start of its value."""

    record: Entry
    gap_seconds: float | None
    value: str | None


class Letter(NamedTuple):
    """A dead letter that mentions the delegation."""

    topic: str
    partition: int
    offset: int
    died_at: datetime
    reason: str


class Story(NamedTuple):
    """What the records say. `source`: topic, activity_logs, or row if no record was read; `reason` is then why.

    `searched` is the number of records that were read. `left_out`: how many of the delegation are not among the steps,
    between the first and the latest ones.
    """

    source: str
    sentence: str | None
    advice: str | None
    agreement: str | None
    searched: int
    steps: list[Step]
    left_out: int
    letters: list[Letter]
    reason: str | None


class Detail(NamedTuple):
    """What is known of one delegation. `row` is None if the view has no row of this id."""

    as_of: datetime
    delegation_id: str
    row: DelegationRow | None
    story: Story
    reply: QueuedReply | None
    parked: list[ParkedEvent]


def asked_id(given: Parameters) -> str:
    """The id of a request for one delegation. Raises BadParameter."""
    delegation_id = given.text("id")
    given.refuse_unknown()
    if delegation_id is None:
        raise BadParameter("id is missing: /delegation?id=…")
    if storable(delegation_id) != delegation_id:
        raise BadParameter("id is not UTF-8, and no delegation has such an id")
    return delegation_id


class Stored(NamedTuple):
    """What Postgres has of one delegation."""

    now: datetime
    row: DelegationRow | None
    reply: QueuedReply | None
    parked: list[ParkedEvent]


def stored(reader: Reader, delegation_id: str) -> Stored:
    """Read it, with one connection that is given back before the topic is searched."""
    with reader.connection() as conn:
        replies = outbox_queries.oldest(conn, Selection(ids=[delegation_id]), limit=1)
        return Stored(
            queries.clock(conn),
            views_delegations.one(conn, delegation_id),
            next(iter(replies), None),
            queries.parked(conn, delegation_id=delegation_id, limit=_PARKED),
        )
