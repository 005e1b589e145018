"""Deletes old replies. The row of a reply is the proof that its caller was told, so some must stay."""

from datetime import datetime, timedelta
from typing import NamedTuple

from projector.errors import Misconfigured
from projector.kafka.inspection import open_inspection
from projector.postgres import activity_table, outbox_retention, queries
from projector.postgres.connection import Connection, connect
from projector.push.inbox import is_elsewhere
from projector.settings import Settings
from projector.texts import duration

_CHUNK = 5000


class Pruned(NamedTuple):
    """How many replies were deleted, and how many ends without a reply."""

    replies: int
    ends: int


def prune(conn: Connection, settings: Settings, age: timedelta) -> Pruned:
    """Delete replies that were sent or discarded longer ago than `age`.

    Raises Misconfigured if a record or an activity row may be that old and be read again: its reply would be sent
    twice. Raises BrokerUnavailable.
    """
    now = queries.clock(conn)
    _require_longer_than_max_age(settings, age)
    _require_longer_than_topic(settings, age)
    _require_longer_than_activity(conn, settings, age, now)
    before = now - age
    outbox_retention.note(conn, before)
    replies = ends = 0
    while count := outbox_retention.prune(conn, before, limit=_CHUNK):
        replies += count
    while count := outbox_retention.prune_ends(conn, before, limit=_CHUNK):
        ends += count
    return Pruned(replies, ends)


def _require_longer_than_max_age(settings: Settings, age: timedelta) -> None:
    if age < timedelta(seconds=settings.push_max_age_seconds):
        raise _too_short(age, f"PROJECTOR_PUSH_MAX_AGE_SECONDS ({settings.push_max_age_seconds})")


def _require_longer_than_topic(settings: Settings, age: timedelta) -> None:
    with open_inspection(settings) as kafka:
        found = kafka.configs().get("retention.ms")
    if found is None:
        raise Misconfigured(f"the retention of topic {settings.topic} is unknown, so nothing is pruned")
    if int(found) < 0:
        raise Misconfigured(
            f"topic {settings.topic} keeps its records for ever (retention.ms=-1). Each may be read again, so nothing "
            "is pruned"
        )
    if age < timedelta(milliseconds=int(found)):
        raise _too_short(age, f"the retention of topic {settings.topic} (retention.ms={found})")


def _require_longer_than_activity(conn: Connection, settings: Settings, age: timedelta, now: datetime) -> None:
    """A new snapshot of a change feed reads every activity row that is there."""
    activity = connect(settings, url_setting="activity_database_url") if is_elsewhere(settings) else conn
    try:
        oldest = outbox_retention.oldest_activity(activity) if activity_table.is_readable(activity) else None
    finally:
        if activity is not conn:
            activity.close()
    if oldest is not None and oldest < now - age:
        reach = duration((now - oldest).total_seconds())
        raise _too_short(age, f"the age of the oldest row of activity_logs ({reach})")


def _too_short(age: timedelta, reason: str) -> Misconfigured:
    return Misconfigured(
        f"replies of {duration(age.total_seconds())} ago may not be pruned: that is shorter than {reason}. The reply "
        "of a record that is read again would be sent twice. Raise PROJECTOR_PUSH_RETENTION_DAYS or --older-than"
    )
