"""`projector doctor` and Kafka: each fault is really there and is named."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from cluster import wait_until
from doctoring import NOWHERE, check, checks, execute
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ACLOperation, ConfigResource, ConfigResourceType, ResourceType
from kafka_acls import allow, settings_of, start_kafka_with_acls
from topics import create_topic
from transactions import open_transaction

from projector.doctor.checks import Level
from projector.doctor.report import examine
from testbed.servers.start import Kafka
from testbed.workload import Record

DAY_MS = 86_400_000


@pytest.fixture
def settings(database_url: str, kafka: str, topic: str) -> dict[str, Any]:
    """The settings of a member of the test's own group."""
    return {"database_url": database_url, "bootstrap_servers": kafka, "topic": topic, "group_id": f"group-{topic}"}


def publish(kafka: str, topic: str, timestamps: dict[int, int]) -> None:
    """Publish a record into each of these partitions, with these timestamps (ms since 1970)."""
    with closing(KafkaProducer(bootstrap_servers=kafka)) as producer:
        for partition, at in timestamps.items():
            producer.send(topic, b"{}", partition=partition, timestamp_ms=at)
        producer.flush()


def configure(kafka: str, topic: str, **configs: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        values = {name.replace("_", "."): value for name, value in configs.items()}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, values)])


def set_positions(url: str, topic: str, offsets: dict[int, int], topic_id: str | None = None) -> None:
    with psycopg.connect(url) as conn, conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO projector.positions (topic, partition, next_offset, topic_id) VALUES (%s, %s, %s, %s)",
            [(topic, partition, offset, topic_id) for partition, offset in offsets.items()],
        )


def now_ms() -> int:
    return int(time.time() * 1000)


# --- topic


def test_missing_topic_must_be_created(settings: dict[str, Any]) -> None:
    found = check("topic", **settings | {"topic": "nowhere"})
    assert found.level is Level.CHANGE
    assert (found.found, found.remedy) == ("topic nowhere does not exist", "create it, or set PROJECTOR_TOPIC")


def test_compacted_topic_must_be_changed(settings: dict[str, Any], kafka: str, topic: str) -> None:
    configure(kafka, topic, cleanup_policy="compact")
    found = check("cleanup.policy", **settings)
    assert (found.level, found.found) == (Level.CHANGE, "it is compact")
    configure(kafka, topic, cleanup_policy="delete")
    assert check("cleanup.policy", **settings).level is Level.OK


# --- retention


def test_unlimited_retention_is_ok(settings: dict[str, Any], database_url: str, topic: str) -> None:
    set_positions(database_url, topic, {0: 0, 1: 0, 2: 0})
    found = checks(**settings)
    assert (found["retention"].level, found["log"].level, found["partitions"].level) == (Level.OK,) * 3


def test_retention_is_compared_with_the_oldest_position(
    settings: dict[str, Any], database_url: str, kafka: str, topic: str
) -> None:
    set_positions(database_url, topic, {0: 0, 1: 0, 2: 0})
    configure(kafka, topic, retention_ms=str(10 * DAY_MS))
    publish(kafka, topic, {0: now_ms(), 1: now_ms() - 4 * DAY_MS})
    found = check("retention", **settings)
    assert found.level is Level.OK
    assert "for 10 d 0 h; a projector that stops now loses records after 5 d 23 h" in found.found


def test_records_that_retention_deletes_soon_must_be_projected(
    settings: dict[str, Any], database_url: str, kafka: str, topic: str
) -> None:
    set_positions(database_url, topic, {0: 0, 1: 0, 2: 0})
    configure(kafka, topic, retention_ms=str(10 * DAY_MS))
    publish(kafka, topic, {0: now_ms(), 1: now_ms() - int(9.5 * DAY_MS)})
    found = check("retention", **settings)
    assert found.level is Level.CHANGE
    assert "loses records after 11 h " in found.found
    assert "retention.ms" in str(found.remedy)
    set_positions_at_end = "UPDATE projector.positions SET next_offset = 1 WHERE partition = 1"
    execute(database_url, set_positions_at_end)
    assert check("retention", **settings).level is Level.OK


def test_short_retention_and_retention_by_size_are_notes(
    settings: dict[str, Any], database_url: str, kafka: str, topic: str
) -> None:
    set_positions(database_url, topic, {0: 0, 1: 0, 2: 0})
    publish(kafka, topic, {0: now_ms()})
    configure(kafka, topic, retention_ms="3600000")
    assert check("retention", **settings).level is Level.NOTE
    configure(kafka, topic, retention_ms="-1", retention_bytes="1000000")
    found = check("retention", **settings)
    assert found.level is Level.NOTE
    assert found.found.startswith("retention.bytes keeps 1.0 MB per partition (the largest has ")


def test_records_that_are_lost_must_be_restored(
    settings: dict[str, Any], database_url: str, kafka: str, topic: str
) -> None:
    set_positions(database_url, topic, {0: 0, 1: 0, 2: 0})
    for _ in range(3):
        publish(kafka, topic, {1: now_ms()})
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        admin.delete_records({TopicPartition(topic, 1): 2})
    found = check("log", **settings)
    assert found.level is Level.CHANGE
    assert "2 records were deleted by retention before they were projected" in found.found
    assert "projector rebuild --from activity-logs" in str(found.remedy)


def test_topic_that_was_created_again_must_be_repaired(settings: dict[str, Any], database_url: str, topic: str) -> None:
    set_positions(database_url, topic, {0: 0}, topic_id="another")
    found = check("log", **settings)
    assert found.level is Level.CHANGE
    assert "was deleted and created again" in found.found


def test_open_transaction_is_a_note(settings: dict[str, Any], database_url: str, kafka: str, topic: str) -> None:
    set_positions(database_url, topic, {0: 0, 1: 0, 2: 0})
    with open_transaction(kafka, topic, Record(None, b"{}", now_ms())):
        found = check("log", **settings)
    assert found.level is Level.NOTE
    assert "an open transaction" in found.found


# --- partitions


def test_partitions_that_were_added_are_named(
    settings: dict[str, Any], database_url: str, kafka: str, topic: str
) -> None:
    set_positions(database_url, topic, {0: 1, 1: 1, 2: 1})
    publish(kafka, topic, {0: 0, 1: 5000, 2: 9000})
    assert check("partitions", **settings).level is Level.OK
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        admin.create_partitions({topic: 5})
    wait_until(lambda: "partitions 3, 4" in check("partitions", **settings).found, "the new partitions are named")
    found = check("partitions", **settings)
    assert (found.level, "decision 0010" in str(found.remedy)) == (Level.NOTE, True)
    set_positions(database_url, topic, {3: 0, 4: 0})
    publish(kafka, topic, {3: 5 * DAY_MS})
    found = check("partitions", **settings)
    assert found.level is Level.NOTE
    assert "partition 3 got the first record days after the others" in found.found


# --- clocks


def test_record_in_the_future_is_a_note(settings: dict[str, Any], kafka: str, topic: str) -> None:
    assert check("clocks", **settings).level is Level.OK
    publish(kafka, topic, {0: now_ms() + 3_600_000})
    found = check("clocks", **settings)
    assert found.level is Level.NOTE
    assert "the newest record is 5" in found.found


# --- a user with few rights, and a new cluster


@pytest.fixture(scope="module")
def kafka_with_acls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with start_kafka_with_acls(tmp_path_factory.mktemp("acls")) as server:
        yield server


def test_user_without_rights_gets_a_line_for_each(kafka_with_acls: Kafka, database_url: str) -> None:
    topic = create_topic(kafka_with_acls.bootstrap_servers)
    settings = settings_of(kafka_with_acls, topic, database_url=database_url)
    assert _named(settings)["topic"].level is Level.CHANGE
    allow(kafka_with_acls, ACLOperation.DESCRIBE, ResourceType.TOPIC, topic)
    found = _named(settings)["topic"]
    assert (found.level, found.found) == (Level.CHANGE, f"this user may not read topic {topic}")
    assert f"READ on topic {topic}" in str(found.remedy)
    allow(kafka_with_acls, ACLOperation.READ, ResourceType.TOPIC, topic)
    found_all = _named(settings)
    assert found_all["topic"].level is found_all["log"].level is Level.OK
    assert found_all["cleanup.policy"].level is found_all["broker space"].level is Level.NOTE
    assert "cannot be checked" in found_all["cleanup.policy"].found
    assert "Kafka's clock is unknown" in found_all["clocks"].found


def test_new_cluster_gets_no_topic_of_offsets(kafka_with_acls: Kafka, database_url: str) -> None:
    topic = create_topic(kafka_with_acls.bootstrap_servers)
    checks(database_url=database_url, bootstrap_servers=kafka_with_acls.bootstrap_servers, topic=topic)
    with closing(KafkaAdminClient(bootstrap_servers=kafka_with_acls.bootstrap_servers)) as admin:
        assert "__consumer_offsets" not in admin.list_topics()


def _named(settings: Any) -> dict[str, Any]:
    return {each.name: each for each in examine(settings)}


# --- no server


def test_unreachable_kafka_is_one_line(database_url: str) -> None:
    found = checks(database_url=database_url, bootstrap_servers=NOWHERE)
    assert found["kafka"].level is Level.CHANGE
    assert NOWHERE in found["kafka"].found
    assert "PROJECTOR_BOOTSTRAP_SERVERS" in str(found["kafka"].remedy)
    assert found["schema"].level is Level.OK
    assert {"topic", "log"}.isdisjoint(found)
