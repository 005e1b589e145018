"""The machine itself: partitions and their members, dead letters, parked events, passes, unsent replies."""

from datetime import datetime
from typing import NamedTuple

from projector.postgres import push, queries, views_plumbing
from projector.postgres.passes import FinishedPass
from projector.postgres.views_plumbing import LATEST, LetterGroup, ParkedGroup, Unsent
from projector.web.parameters import Parameters
from projector.web.reader import Reader, TopicView

_PASSES = 20
_UNSENT = 20


class Plumbing(NamedTuple):
    """The state of the topic is of `topic_at`, None before the first; `topic_error` is why it is not newer."""

    as_of: datetime
    topic_name: str
    group_id: str
    topic: TopicView | None
    topic_at: datetime | None
    topic_error: str | None
    latest: int
    letters: list[LetterGroup]
    parked: list[ParkedGroup]
    is_pushed: bool
    unsent: list[Unsent]
    passes: list[FinishedPass]


def plumbing(reader: Reader, given: Parameters) -> Plumbing:
    """Read everything about the machine. Raises Unavailable."""
    given.refuse_unknown()
    settings, (topic, topic_at, topic_error) = reader.settings, reader.topic.snapshot
    with reader.connection() as conn:
        return Plumbing(
            queries.clock(conn),
            settings.topic,
            settings.group_id,
            topic,
            topic_at,
            topic_error,
            LATEST,
            views_plumbing.letters(conn),
            views_plumbing.parked(conn),
            push.switched_on_at(conn, settings.topic) is not None,
            views_plumbing.unsent(conn, limit=_UNSENT),
            views_plumbing.passes(conn, limit=_PASSES),
        )
