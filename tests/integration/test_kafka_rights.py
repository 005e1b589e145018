"""What a Kafka user with few rights sees of an open transaction and of the group."""

from collections.abc import Iterator

import pytest
from commands import CommandResult, run_projector
from kafka.admin import ACLOperation, ResourceType
from kafka_acls import allow, settings_of, start_kafka_with_acls
from secured_kafka import PASSWORD
from topics import create_topic
from transactions import open_transaction

from projector.lag import open_transactions
from testbed.servers.start import Kafka
from testbed.workload import Record


@pytest.fixture(scope="module")
def kafka_with_acls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with start_kafka_with_acls(tmp_path_factory.mktemp("acls")) as server:
        yield server


def test_only_the_name_needs_a_right_of_its_own(kafka_with_acls: Kafka) -> None:
    topic = create_topic(kafka_with_acls.bootstrap_servers, partitions=1)
    allow(kafka_with_acls, ACLOperation.READ, ResourceType.TOPIC, topic)
    settings = settings_of(kafka_with_acls, topic)
    with open_transaction(kafka_with_acls.bootstrap_servers, topic, Record(None, b"{}", 1_746_439_200_000)):
        found = open_transactions(settings)[0]
        assert (found.offset, found.high_watermark, found.transactional_id) == (0, 1, None)
        assert found.since is not None
        allow(kafka_with_acls, ACLOperation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, f"never-ends-{topic}")
        assert open_transactions(settings)[0].transactional_id == f"never-ends-{topic}"
    assert open_transactions(settings) == {}


def status(server: Kafka, database_url: str, topic: str) -> CommandResult:
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_username": "projector"}
    where = {"database_url": database_url, "bootstrap_servers": server.addresses["SASL"], "topic": topic}
    return run_projector("status", "--json", group_id=f"group-{topic}", sasl_password=PASSWORD, **where, **login)


def test_status_without_the_right_to_describe_the_group_says_so(kafka_with_acls: Kafka, database_url: str) -> None:
    topic = create_topic(kafka_with_acls.bootstrap_servers, partitions=1)
    allow(kafka_with_acls, ACLOperation.READ, ResourceType.TOPIC, topic)
    done = status(kafka_with_acls, database_url, topic)
    assert done.code == 0, done.err
    report = done.json()
    (note,) = report["notes"]
    assert note.startswith(f"the members of group group-{topic} are unknown: Kafka refuses access: ")
    assert (report["group_state"], report["members"]) == (None, None)
    assert report["partitions"][0]["lag_records"] == 0
    allow(kafka_with_acls, ACLOperation.DESCRIBE, ResourceType.GROUP, f"group-{topic}")
    assert status(kafka_with_acls, database_url, topic).json()["notes"] == []
