"""One delegation: its row, its records, and whether its caller was told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from projector.contract.fields import storable
from projector.errors import ProjectorError
from projector.explain.report import Explanation, from_topic
from projector.explain.scope import ScopeOptions
from projector.explain.timeline import Entry
from projector.kafka.reader import open_topic
from projector.postgres import outbox_queries, queries, views_delegations
from projector.postgres.outbox_queries import QueuedReply, Selection
from projector.postgres.queries import ParkedEvent
from projector.postgres.views_delegations import DelegationRow
from projector.web.parameters import BadParameter, Parameters
from projector.web.reader import Reader

_SEARCH_SECONDS = 3.0
_SEARCHES_AT_ONCE = threading.BoundedSemaphore(2)
_PARKED = 100


class _TimeUp(ProjectorError):
    """The search of the topic takes too long: show the row alone."""


class Step(NamedTuple):
    """A record, and the time since the one before it."""

    record: Entry
    gap_seconds: float | None


class Story(NamedTuple):
    """What the topic says. `reason`: why there is none, with the command that reads it without a time limit."""

    sentence: str | None
    advice: str | None
    agreement: str | None
    searched: int
    steps: list[Step]
    reason: str | None


class Detail(NamedTuple):
    """What is known of one delegation. `row` is None if the view has no row of this id."""

    as_of: datetime
    delegation_id: str
    row: DelegationRow | None
    story: Story
    reply: QueuedReply | None
    parked: list[ParkedEvent]


def detail(reader: Reader, given: Parameters) -> Detail:
    """Read one delegation, and search its records for a few seconds. Raises BadParameter without an id."""
    delegation_id = given.text("id")
    given.refuse_unknown()
    if delegation_id is None:
        raise BadParameter("id is missing: /delegation?id=…")
    if storable(delegation_id) != delegation_id:
        raise BadParameter("id is not UTF-8, and no delegation has such an id")
    with reader.connection() as conn:
        now = queries.clock(conn)
        row = views_delegations.one(conn, delegation_id)
        replies = outbox_queries.oldest(conn, Selection(ids=[delegation_id]), limit=1)
        parked = queries.parked(conn, delegation_id=delegation_id, limit=_PARKED)
    return Detail(now, delegation_id, row, _story(reader, delegation_id), next(iter(replies), None), parked)


def _story(reader: Reader, delegation_id: str) -> Story:
    try:
        with _one_of_two(), reader.connection() as conn, open_topic(reader.settings) as topic:
            explained = from_topic(conn, topic, delegation_id, ScopeOptions(), _limit(_SEARCH_SECONDS))
    except ProjectorError as error:
        return Story(None, None, None, 0, [], str(error))
    verdict = explained.verdict
    return Story(verdict.sentence, verdict.advice, str(verdict.kind), explained.scope.records, _steps(explained), None)


def _steps(explained: Explanation) -> list[Step]:
    steps, before = [], None
    for entry in explained.entries:
        at = entry.recorded_at
        gap: timedelta | None = at - before if at is not None and before is not None else None
        steps.append(Step(entry, None if gap is None else gap.total_seconds()))
        before = at or before
    return steps


def _limit(seconds: float) -> "_Limit":
    return _Limit(time.monotonic() + seconds)


class _Limit:
    def __init__(self, until: float) -> None:
        self._until = until

    def __call__(self, records: int) -> None:
        if time.monotonic() > self._until:
            raise _TimeUp(f"the search was ended after {records:,} records and {_SEARCH_SECONDS:.0f} s")


@contextmanager
def _one_of_two() -> Iterator[None]:
    if not _SEARCHES_AT_ONCE.acquire(timeout=1.0):
        raise _TimeUp("two other searches of the topic are running: load the page again in a few seconds")
    try:
        yield
    finally:
        _SEARCHES_AT_ONCE.release()
