"""What operators read: positions, totals, parked events, and the lag of each partition."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from rows import CALLER, answer, delegate, heartbeat

from projector.contract.facts import Status
from projector.domain.positions import LogRange, Position
from projector.errors import BrokerUnavailable
from projector.lag import Backlog, partitions, topic_state
from projector.postgres import connection, queries
from projector.postgres.connection import Connection
from projector.postgres.parked import ParkedFilter
from projector.postgres.queries import PositionDetail
from projector.postgres.write_batch import prepare
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from projector.settings import KafkaSettings, PostgresSettings

TEN = datetime(2025, 5, 5, 10, tzinfo=UTC)
TEN_MS = int(TEN.timestamp() * 1000)
KEYED = {"source_id": CALLER}


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connection.connect(PostgresSettings(database_url=database_url)) as conn:
        prepare(conn)
        yield conn


def projected(conn: Connection, *values: object) -> None:
    project(
        conn,
        [
            RecordedRecord("activity-log", 0, n, TEN_MS, None, json.dumps(value).encode())
            for n, value in enumerate(values)
        ],
    )


def settings(kafka: str, topic: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="unused")


def send(kafka: str, topic: str, partition: int, count: int, *, transaction: str | None = None) -> None:
    """Send records whose timestamps are one minute apart, from ten o'clock."""
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=transaction)
    if transaction:
        producer.init_transactions()
        producer.begin_transaction()
    for n in range(count):
        producer.send(topic, b"{}", partition=partition, timestamp_ms=TEN_MS + n * 60_000)
    producer.flush()
    if transaction:
        producer.commit_transaction()
    producer.close()


def test_totals_have_every_status(session: Connection) -> None:
    requests = [delegate(0, request_body={"delegation_id": f"d-{n}", "task": "t"}, **KEYED) for n in range(3)]
    projected(session, *requests, answer(1, "completed", of="d-0"), answer(1, "failed", of="d-9"), {"nonsense": 1})
    found = queries.totals(session, topic="activity-log")
    expected = dict.fromkeys(Status, 0) | {Status.QUEUED: 2, Status.COMPLETED: 1}
    assert found == (expected, 1, 1, 1)
    assert queries.totals(session, topic="other").dead_letters_of_topic == 0


def test_parked_events_are_listed_in_order(session: Connection) -> None:
    projected(session, heartbeat(1, of="d-2"), answer(2, "failed", of="d-2"), answer(3, "completed", of="d-1"))
    session.execute("UPDATE parked SET parked_at = now() - interval '1 hour' WHERE delegation_id = 'd-1'")
    parked = queries.parked(session, limit=50)
    assert [(each.delegation_id, each.kind, each.status) for each in parked] == [
        ("d-2", "heartbeat", None),
        ("d-2", "status", "failed"),
        ("d-1", "status", "completed"),
    ]
    assert 3600 <= parked[2].age_seconds < 3660
    assert [each.offset for each in queries.parked(session, delegation_id="d-2", limit=1)] == [0]
    summary = queries.parked_summary(session)
    assert (summary.events, summary.delegations) == (3, 2)
    assert 3600 <= (summary.oldest_age_seconds or 0) < 3660
    assert queries.parked_summary(session, ParkedFilter(["d-9"])) == (0, 0, 0, None, None, None)


def test_positions_are_those_of_one_topic(session: Connection) -> None:
    session.execute(
        "INSERT INTO positions (topic, partition, next_offset, member) "
        "VALUES ('a', 2, 7, 'here/1'), ('a', 0, 3, NULL), ('b', 1, 9, NULL)"
    )
    assert [(each.partition, each.next_offset, each.member) for each in queries.positions(session, topic="a")] == [
        (0, 3, None),
        (2, 7, "here/1"),
    ]


def at(topic: str, offsets: dict[int, int]) -> dict[int, Position]:
    return {partition: Position(topic, partition, offset) for partition, offset in offsets.items()}


def test_backlog_joins_no_group(kafka: str, topic: str) -> None:
    send(kafka, topic, 0, 5)
    send(kafka, topic, 1, 2)
    found = topic_state(settings(kafka, topic), at(topic, {0: 3, 1: 2})).backlog
    assert found == {
        0: Backlog(LogRange(0, 5), TEN_MS + 3 * 60_000),
        1: Backlog(LogRange(0, 2), None),
        2: Backlog(LogRange(0, 0), None),
    }
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    assert "unused" not in str(admin.list_groups())
    admin.close()


def test_uncommitted_records_are_no_lag(kafka: str, topic: str) -> None:
    send(kafka, topic, 0, 1)
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"{}", partition=0).get(10)
    found = topic_state(settings(kafka, topic), at(topic, {0: 1})).backlog[0]
    assert (found.held, found.first_timestamp) == (LogRange(0, 1), None)
    assert found.open_transaction is not None
    assert found.open_transaction[:3] == (0, 1, 2)
    assert found.open_transaction.transactional_id == topic
    producer.commit_transaction()
    producer.close()
    after = topic_state(settings(kafka, topic), at(topic, {0: 1})).backlog[0]
    assert (after.held.end, after.open_transaction) == (3, None)


def test_backlog_of_a_lost_position_starts_at_the_beginning(kafka: str, topic: str) -> None:
    send(kafka, topic, 0, 5)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, 0): 4})
    admin.close()
    assert topic_state(settings(kafka, topic), at(topic, {0: 1})).backlog[0] == Backlog(
        LogRange(4, 5), TEN_MS + 4 * 60_000
    )


def test_missing_topic_is_named(kafka: str) -> None:
    with pytest.raises(BrokerUnavailable, match=r"topic missing does not exist: create it, or set PROJECTOR_TOPIC"):
        topic_state(settings(kafka, "missing"), {})


def position(partition: int, offset: int) -> PositionDetail:
    return PositionDetail(partition, offset, "here/1", TEN, TEN, TEN)


def test_lag_is_the_age_of_the_first_record() -> None:
    log = {
        0: Backlog(LogRange(0, 9), TEN_MS),
        1: Backlog(LogRange(0, 9), None),
        2: Backlog(LogRange(0, 5), TEN_MS),
        3: Backlog(LogRange(2, 5), TEN_MS - 60_000),
        4: Backlog(LogRange(0, 0), None),
    }
    found = partitions([position(0, 4), position(1, 4), position(2, 5)], log, at=TEN + timedelta(seconds=90))
    lags = [(each.partition, each.position, each.lag_records, each.lag_seconds) for each in found]
    assert lags == [
        (0, 4, 5, 90.0),
        (1, 4, 5, 90.0),  # no timestamp arrived in time: the age of the last projected record
        (2, 5, 0, 0.0),
        (3, None, 3, 150.0),
        (4, None, 0, 0.0),
    ]


def test_records_lost_to_retention_are_counted() -> None:
    (found,) = partitions([position(0, 4)], {0: Backlog(LogRange(7, 9), None)}, at=TEN)
    assert (found.lost_records, found.lag_records) == (3, 2)


def test_truncated_log_has_no_negative_lag() -> None:
    (found,) = partitions([position(0, 40)], {0: Backlog(LogRange(0, 9), None)}, at=TEN)
    assert (found.lag_records, found.lag_seconds) == (0, 0.0)


def test_without_kafka_the_stored_columns_remain() -> None:
    (found,) = partitions([position(0, 4)], {}, at=TEN)
    assert (found.position, found.owner, found.moved_at) == (4, "here/1", TEN)
    assert (found.beginning, found.end, found.lag_records, found.lag_seconds) == (None, None, None, None)
