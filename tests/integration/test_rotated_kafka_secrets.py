"""A password that is rotated while a member runs: at Kafka first, and then in the file that the setting names."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, Member, wait_until
from kafka import KafkaProducer
from rows import CALLER, delegate
from secured_kafka import set_scram_password
from topics import create_topic

from testbed.servers.start import Kafka

USER = "rotating"
OLD, NEW = "old-password", "new-password"


@pytest.fixture
def password_file(tmp_path: Path, secured_kafka: Kafka) -> Path:
    """The file with the password of the user."""
    file = tmp_path / "password"
    file.write_text(OLD)
    set_scram_password(secured_kafka, OLD, user=USER)
    return file


@pytest.fixture
def member(secured_kafka: Kafka, database_url: str, tmp_path: Path, password_file: Path) -> Iterator[Member]:
    """A member whose connections must log in again every two seconds."""
    topic = create_topic(secured_kafka.bootstrap_servers, partitions=1)
    cluster = Cluster(database_url, secured_kafka.addresses["BRIEF"], topic, tmp_path)
    member = cluster.start_member(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username=USER,
        sasl_password_file=str(password_file),
    )
    member.wait_for_log("partition claimed")
    yield member
    cluster.end()


def project_one(secured_kafka: Kafka, database_url: str, member: Member) -> None:
    """Publish a request, and wait until it is projected."""
    (topic,) = {line["topic"] for line in member.lines() if line["message"] == "starting"}
    producer = KafkaProducer(bootstrap_servers=secured_kafka.bootstrap_servers)
    producer.send(topic, json.dumps(delegate(0, source_id=CALLER)).encode()).get(10)
    producer.close()

    def is_projected() -> bool:
        assert member.process.poll() is None, member.text()[-2000:]
        with psycopg.connect(database_url) as conn:
            return conn.execute("SELECT delegation_id FROM delegations").fetchall() == [("d-1",)]

    wait_until(is_projected, "the request in the view")


def test_new_password_is_used_by_the_next_login(
    secured_kafka: Kafka, database_url: str, member: Member, password_file: Path
) -> None:
    set_scram_password(secured_kafka, NEW, user=USER)
    password_file.write_text(NEW)
    summaries = sum(line["message"] == "summary" for line in member.lines())
    member.wait_for_log("summary", times=summaries + 5)  # one per second, and a login every two seconds
    project_one(secured_kafka, database_url, member)
    assert member.signal(signal.SIGTERM).exit_code() == 0


def test_refused_login_of_a_member_waits_for_the_new_password(
    secured_kafka: Kafka, database_url: str, member: Member, password_file: Path
) -> None:
    set_scram_password(secured_kafka, NEW, user=USER)
    waiting = member.wait_for_log("waiting for Kafka")
    assert waiting["reason"].startswith(
        "PROJECTOR_SASL_USERNAME, PROJECTOR_SASL_PASSWORD: Kafka refuses access: Authentication failed"
    )
    password_file.write_text(NEW)
    member.wait_for_log("Kafka is back")
    project_one(secured_kafka, database_url, member)
    assert member.signal(signal.SIGTERM).exit_code() == 0
    assert OLD not in member.text()
    assert NEW not in member.text()
