"""Replies that are missing, and replies that are old, on a real Postgres and a real Kafka."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from builders import log, record
from projecting import connected
from pushing import named, pushing
from relaying import Relaying, ago, create_inbox, passed, push, push_settings
from topics import create_topic

from projector.domain.reply import event_id
from projector.errors import Misconfigured, NothingFound
from projector.postgres.connection import Connection
from projector.postgres.outbox_missing import SentReply
from projector.projection.transaction import project
from projector.push import missing, prune
from projector.push.missing import Missing

DAY_MS = 86_400_000


@pytest.fixture
def session(inbox_url: str) -> Iterator[Connection]:
    with connected(inbox_url) as conn:
        yield conn


def find(inbox_url: str, session: Connection, *only: str) -> Missing:
    return missing.find(session, push_settings(inbox_url), only or None)


def names(found: Missing) -> tuple[list[str], list[str]]:
    return [each.delegation_id for each in found.never_queued], [each.delegation_id for each in found.not_in_inbox]


# --- missing


def test_push_that_was_never_on_is_named(inbox_url: str, session: Connection) -> None:
    with pytest.raises(NothingFound, match="never switched on"):
        find(inbox_url, session)


def test_end_without_a_reply_is_found_and_queued(inbox_url: str, session: Connection, relaying: Relaying) -> None:
    assert push(inbox_url) == passed()  # switches it on
    for number in range(1200):  # more than one chunk
        relaying.delegation(f"d-{number}", "completed", result_preview="done")
    relaying.delegation("in-flight", "in_progress")
    relaying.answered("queued")
    found = find(inbox_url, session)
    assert (len(found.never_queued), found.not_in_inbox) == (1200, [])
    assert missing.queue(session, found) == 1200
    assert missing.queue(session, found) == 0
    assert push(inbox_url) == passed(sent=1201)
    assert names(find(inbox_url, session)) == ([], [])


def test_end_from_before_the_push_is_not_missing(inbox_url: str, session: Connection, relaying: Relaying) -> None:
    assert push(inbox_url) == passed()
    for name in ("old", "old-but-read"):
        relaying.delegation(name, "completed")
    relaying.conn.execute("UPDATE delegations SET updated_at = now() - interval '1 hour'")
    relaying.end("old-but-read", "completed", text="the time alone excludes it")
    assert names(find(inbox_url, session)) == (["old-but-read"], [])


def test_reply_that_left_the_inbox_is_found_and_sent_again(
    inbox_url: str, session: Connection, relaying: Relaying
) -> None:
    for name in ("d-1", "d-2"):
        relaying.answered(name)
    assert push(inbox_url) == passed(sent=2)
    assert names(find(inbox_url, session)) == ([], [])
    relaying.conn.execute("DELETE FROM activity_logs WHERE id = %s", [event_id("d-1")])
    found = find(inbox_url, session)
    assert names(found) == ([], ["d-1"])
    assert names(find(inbox_url, session, "d-2")) == ([], [])
    assert missing.queue(session, found) == 1
    assert push(inbox_url) == passed(sent=1)
    assert set(relaying.inbox()) == {"d-1", "d-2"}


def test_inbox_in_another_database_is_compared(
    database_url: str, empty_url: str, session: Connection, relaying: Relaying
) -> None:
    create_inbox(empty_url)
    own = {"activity_database_url": empty_url}
    with psycopg.connect(empty_url, autocommit=True) as activity:
        other = Relaying(relaying.conn, activity)
        other.answered("d-1")
        assert push(database_url, **own) == passed(sent=1)
        assert missing.find(session, push_settings(database_url, **own), None).total == 0
        activity.execute("DELETE FROM activity_logs WHERE activity_type = 'a2a_receive'")
        assert names(missing.find(session, push_settings(database_url, **own), None)) == ([], ["d-1"])


def test_reply_that_was_sent_to_a_topic_is_not_missing(
    inbox_url: str, session: Connection, relaying: Relaying, kafka: str
) -> None:
    """The target was changed from `topic` to `inbox`. What the topic has must not be sent once more."""
    relaying.answered("in the topic")
    own = {"result_push": "topic", "push_topic": create_topic(kafka), "bootstrap_servers": kafka}
    assert push(inbox_url, **own) == passed(sent=1)
    relaying.answered("in the inbox")
    assert push(inbox_url) == passed(sent=1)
    assert names(find(inbox_url, session)) == ([], [])
    relaying.conn.execute("DELETE FROM activity_logs WHERE activity_type = 'a2a_receive'")
    found = find(inbox_url, session)
    assert names(found) == ([], ["in the inbox"])
    both = [SentReply(name, ago(0)) for name in ("in the inbox", "in the topic")]
    assert missing.queue(session, Missing([], both)) == 1
    assert relaying.states() == {"in the topic": "sent", "in the inbox": None}


# --- old replies


def sent_long_ago(relaying: Relaying, inbox_url: str) -> None:
    """Send three replies: two of 100 days ago, of which one was given up since, and one of now."""
    for name in ("old", "given-up", "new"):
        relaying.answered(name)
    assert push(inbox_url).sent == 3
    relaying.conn.execute(
        """
        UPDATE outbox SET sent_at = now() - interval '100 days' WHERE delegation_id = 'old';
        UPDATE outbox SET sent_at = NULL, given_up_at = now() - interval '100 days', ended_as = 'given_up'
         WHERE delegation_id = 'given-up'
        """
    )
    relaying.delegation("excluded", "completed")
    relaying.end("excluded", "completed", at=ago(100 * 86_400))


def with_retention(kafka: str, days: int, inbox_url: str, **own: Any) -> Any:
    topic = create_topic(kafka, config={"retention.ms": str(days * DAY_MS if days > 0 else -1)})
    return push_settings(inbox_url, bootstrap_servers=kafka, topic=topic, **own)


def test_old_replies_are_deleted_with_their_ends(
    inbox_url: str, session: Connection, relaying: Relaying, kafka: str
) -> None:
    sent_long_ago(relaying, inbox_url)
    relaying.conn.execute("UPDATE ends SET at = now() - interval '100 days' WHERE delegation_id = 'given-up'")
    assert prune.prune(session, with_retention(kafka, 7, inbox_url), timedelta(days=90)) == (1, 1)
    assert set(relaying.states()) == {"given-up", "new"}
    left = relaying.conn.execute("SELECT delegation_id FROM ends ORDER BY 1").fetchall()
    assert left == [("given-up",), ("new",)]


def test_longer_age_does_not_move_the_horizon_back(
    inbox_url: str, session: Connection, relaying: Relaying, kafka: str
) -> None:
    """What was deleted before by a shorter age may still be read again."""
    assert push(inbox_url) == passed()  # switches it on
    settings = with_retention(kafka, 7, inbox_url)
    prune.prune(session, settings, timedelta(days=90))
    horizon = relaying.conn.execute("SELECT pruned_before FROM push").fetchall()
    prune.prune(session, settings, timedelta(days=120))
    assert relaying.conn.execute("SELECT pruned_before FROM push").fetchall() == horizon != [(None,)]


def test_pruned_reply_is_not_missing(inbox_url: str, session: Connection, relaying: Relaying, kafka: str) -> None:
    sent_long_ago(relaying, inbox_url)
    relaying.conn.execute(
        """
        UPDATE push SET switched_on_at = now() - interval '200 days';
        UPDATE delegations SET updated_at = now() - interval '100 days' WHERE delegation_id IN ('old', 'excluded')
        """
    )
    relaying.delegation("lost", "completed")
    assert names(find(inbox_url, session)) == (["excluded", "lost"], [])
    prune.prune(session, with_retention(kafka, 7, inbox_url), timedelta(days=90))
    relaying.end("old", "failed", at=ago(100 * 86_400))  # read again, and refused
    assert names(find(inbox_url, session)) == (["lost"], [])


@pytest.mark.parametrize(
    ("days", "age", "reason"),
    [
        (7, timedelta(hours=1), r"shorter than PROJECTOR_PUSH_MAX_AGE_SECONDS \(86400\)"),
        (95, timedelta(days=90), r"shorter than the retention of topic .*retention.ms=8208000000"),
        (-1, timedelta(days=90), "keeps its records for ever"),
    ],
)
def test_replies_that_may_be_read_again_are_kept(
    inbox_url: str, session: Connection, relaying: Relaying, kafka: str, days: int, age: timedelta, reason: str
) -> None:
    sent_long_ago(relaying, inbox_url)
    with pytest.raises(Misconfigured, match=reason):
        prune.prune(session, with_retention(kafka, days, inbox_url), age)
    assert len(relaying.states()) == 3


def test_replies_are_kept_as_long_as_activity_rows(
    inbox_url: str, session: Connection, relaying: Relaying, kafka: str
) -> None:
    """A new snapshot of the change feed would read the row again."""
    sent_long_ago(relaying, inbox_url)
    relaying.conn.execute("UPDATE activity_logs SET created_at = now() - interval '91 days'")
    with pytest.raises(Misconfigured, match="the age of the oldest row of activity_logs"):
        prune.prune(session, with_retention(kafka, 7, inbox_url), timedelta(days=90))
    assert len(relaying.states()) == 3


def test_pruned_reply_is_not_sent_again(inbox_url: str, session: Connection, relaying: Relaying, kafka: str) -> None:
    """Its record is read again: it has expired. That of another end is read for the first time, after an outage."""
    day = timedelta(days=1)
    with pushing(inbox_url, since=ago(0) - 200 * day) as member:
        ended = [named(name, status="completed", created_at=(ago(0) - age).isoformat()) for name, age in AGES.items()]
        project(member, [record(ended[0])], push=True)
        assert push(inbox_url) == passed(sent=1)
        relaying.conn.execute("UPDATE outbox SET sent_at = now() - interval '95 days'")
        relaying.conn.execute("DELETE FROM activity_logs")
        assert prune.prune(session, with_retention(kafka, 7, inbox_url), timedelta(days=90)).replies == 1
        project(member, log(*ended), push=True)
        assert push(inbox_url) == passed(sent=1, expired=1)
    assert relaying.states() == {"pruned": "expired", "late": "sent"}
    assert set(relaying.inbox()) == {"late"}


AGES = {"pruned": timedelta(days=100), "late": timedelta(days=80)}
