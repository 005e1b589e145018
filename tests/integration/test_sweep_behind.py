"""Whether the view is behind: by every topic whose positions moved within a day."""

from collections.abc import Iterator

import pytest
from kafka import KafkaProducer
from projecting import connected
from topics import create_topic

from projector.postgres.connection import Connection
from projector.settings import KafkaSettings
from projector.sweep import behind


@pytest.fixture
def view(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


def projected_to(view: Connection, topic: str, offset: int, *, days_ago: int = 0) -> None:
    """Set the position of partition 0."""
    view.execute(
        """
        INSERT INTO positions (topic, partition, next_offset, owner, moved_at)
        VALUES (%s, 0, %s, NULL, now() - make_interval(days => %s))
        ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
        """,
        [topic, offset, days_ago],
    )


def ask(view: Connection, kafka: str, topic: str) -> str | None:
    """The sentence, for a sweeper whose setting is this topic."""
    return behind.behind(view, KafkaSettings(bootstrap_servers=kafka, topic=topic), lambda: None)


def with_records(kafka: str, count: int) -> str:
    """A topic with this number of records in partition 0."""
    topic = create_topic(kafka)
    producer = KafkaProducer(bootstrap_servers=kafka)
    for _ in range(count):
        producer.send(topic, b"{}", partition=0)
    producer.flush()
    producer.close()
    return topic


def test_other_topic_that_moved_lately_counts(view: Connection, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "WAIT_SECONDS", 0.1)
    own, other = with_records(kafka, 2), with_records(kafka, 3)
    projected_to(view, own, 2)
    assert ask(view, kafka, own) is None
    projected_to(view, other, 1)
    assert ask(view, kafka, own) == f"partition 0 of topic {other} is projected up to offset 1 of 3"
    projected_to(view, other, 3)
    assert ask(view, kafka, own) is None


def test_other_topic_that_rests_for_days_does_not_count(view: Connection, kafka: str) -> None:
    own, other = with_records(kafka, 1), with_records(kafka, 3)
    projected_to(view, own, 1)
    projected_to(view, other, 1, days_ago=2)
    assert ask(view, kafka, own) is None


def test_topic_that_was_deleted_does_not_count(view: Connection, kafka: str) -> None:
    own = with_records(kafka, 1)
    projected_to(view, own, 1)
    projected_to(view, f"gone-{own}", 1)
    assert ask(view, kafka, own) is None


def test_position_that_arrives_meanwhile_is_waited_for(view: Connection, kafka: str) -> None:
    own = with_records(kafka, 2)
    projected_to(view, own, 1)
    settings = KafkaSettings(bootstrap_servers=kafka, topic=own)
    assert behind.behind(view, settings, lambda: projected_to(view, own, 2)) is None
