"""Which callers were not told, although their delegations ended after the push was switched on."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple, TypeVar

from projector.domain.reply import event_id
from projector.errors import Misconfigured, NothingFound
from projector.postgres import activity_table, outbox_missing, outbox_retention
from projector.postgres.connection import Connection, connect
from projector.postgres.outbox_missing import NeverQueued, SentReply
from projector.postgres.push import switched_on_at
from projector.push.inbox import is_elsewhere
from projector.settings import Settings

_CHUNK = 1000

RowT = TypeVar("RowT", NeverQueued, SentReply)


class Missing(NamedTuple):
    """Ended delegations without a reply in the outbox, and replies that were sent and are in no inbox."""

    never_queued: list[NeverQueued]
    not_in_inbox: list[SentReply]

    @property
    def total(self) -> int:
        """How many delegations they are."""
        return len(self.never_queued) + len(self.not_in_inbox)


def find(conn: Connection, settings: Settings, only: Collection[str] | None) -> Missing:
    """What is missing of these delegations; None means of all.

    Inboxes are compared with the target `inbox` alone, and as far back as `activity_logs` reaches. Raises NothingFound
    if the push was never switched on.
    """
    since = switched_on_at(conn, settings.topic)
    if since is None:
        raise NothingFound(f"the push of the results of topic {settings.topic} was never switched on in this database")
    never = [row for rows in _never_queued(conn, settings.topic, only) for row in rows]
    if settings.result_push != "inbox":
        return Missing(never, [])
    with _activity(conn, settings) as activity:
        return Missing(never, list(_not_in_inbox(conn, activity, since, only)))


def queue(conn: Connection, missing: Missing) -> int:
    """Queue the missing replies, due now. Returns how many. Those that others queued meanwhile are not counted."""
    count = 0
    for never in _parts(missing.never_queued):
        count += outbox_missing.queue(conn, [each.delegation_id for each in never])
    for sent in _parts(missing.not_in_inbox):
        count += outbox_missing.send_again(conn, [each.delegation_id for each in sent])
    return count


@contextmanager
def _activity(conn: Connection, settings: Settings) -> Iterator[Connection]:
    """A session with the database of `activity_logs`. Raises Misconfigured if it has no such table."""
    if not is_elsewhere(settings):
        yield _with_table(conn)
        return
    with connect(settings, url_setting="activity_database_url") as activity:
        yield _with_table(activity)


def _with_table(activity: Connection) -> Connection:
    if not activity_table.is_readable(activity):
        raise Misconfigured("the database has no table activity_logs that the role can read")
    return activity


def _never_queued(conn: Connection, topic: str, only: Collection[str] | None) -> Iterator[list[NeverQueued]]:
    return _chunks(lambda after: outbox_missing.never_queued(conn, topic, after=after, only=only, limit=_CHUNK))


def _not_in_inbox(
    conn: Connection, activity: Connection, since: datetime, only: Collection[str] | None
) -> Iterator[SentReply]:
    oldest = outbox_retention.oldest_activity(activity)
    begin = max(since, oldest) if oldest else since
    for sent in _chunks(lambda after: outbox_missing.sent(conn, begin, after=after, only=only, limit=_CHUNK)):
        event_ids = {each.delegation_id: event_id(each.delegation_id) for each in sent}
        there = outbox_missing.in_inbox(activity, list(event_ids.values()))
        yield from (each for each in sent if event_ids[each.delegation_id] not in there)


def _chunks(read: Callable[[str | None], list[RowT]]) -> Iterator[list[RowT]]:
    rows = read(None)
    while rows:
        yield rows
        rows = read(rows[-1].delegation_id)


def _parts(rows: Sequence[RowT]) -> Iterator[Sequence[RowT]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
