"""Every login to a real Kafka: `run` projects an event over it, and no output contains the secret."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import wait_until
from commands import environment, run_projector
from kafka import KafkaProducer
from rows import CALLER, delegate
from secured_kafka import PASSWORD, SCRAM, Authority, token
from topics import create_topic

from testbed.servers.start import Kafka


@pytest.fixture
def topic_with_request(secured_kafka: Kafka) -> str:
    """A topic with one request."""
    topic = create_topic(secured_kafka.bootstrap_servers, partitions=1)
    producer = KafkaProducer(bootstrap_servers=secured_kafka.bootstrap_servers)
    producer.send(topic, json.dumps(delegate(0, source_id=CALLER)).encode()).get(10)
    producer.close()
    return topic


@contextmanager
def running(output: Path, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `projector run` with the log level DEBUG."""
    with output.open("wb") as out:
        command = [sys.executable, "-m", "projector", "run", "--log-level", "DEBUG"]
        process = subprocess.Popen(command, env=environment(settings), stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def project_one(output: Path, database_url: str, **settings: str) -> str:
    """Wait until `run` has projected the request, stop it, and return its output."""

    def is_projected() -> bool:
        with psycopg.connect(database_url) as conn:
            return conn.execute("SELECT delegation_id FROM delegations").fetchall() == [("d-1",)]

    with running(output, database_url=database_url, **settings) as process:
        wait_until(lambda: is_projected() or process.poll() is not None, "a row, or the end of the process")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, output.read_text()[-3000:]
    assert is_projected()
    return output.read_text()


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAM])
@pytest.mark.parametrize("listener", ["SASL", "BOTH"])
def test_password_logs_in(
    secured_kafka: Kafka,
    topic_with_request: str,
    database_url: str,
    authority: Authority,
    tmp_path: Path,
    listener: str,
    mechanism: str,
) -> None:
    output = project_one(
        tmp_path / "output",
        database_url,
        bootstrap_servers=secured_kafka.addresses[listener],
        topic=topic_with_request,
        security_protocol={"SASL": "SASL_PLAINTEXT", "BOTH": "SASL_SSL"}[listener],
        ssl_ca_file=str(authority.certificate),
        sasl_mechanism=mechanism,
        sasl_username="projector",
        sasl_password=PASSWORD,
    )
    assert_no_secret(output, PASSWORD)


def assert_no_secret(output: str, *secrets: str) -> None:
    """Look for the secrets as plain text, as the repr of bytes, and in base64."""
    assert output
    for secret in secrets:
        assert secret not in output
        assert ascii(secret.encode())[2:-1] not in output
        assert base64.b64encode(secret.encode()).decode() not in output


def test_password_from_a_file_logs_in(
    secured_kafka: Kafka, topic_with_request: str, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    output = project_one(
        tmp_path / "output",
        database_url,
        bootstrap_servers=secured_kafka.addresses["SASL"],
        topic=topic_with_request,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="projector",
        sasl_password_file=str(file),
    )
    assert_no_secret(output, PASSWORD)


def test_bearer_token_from_a_file_logs_in(
    secured_kafka: Kafka, topic_with_request: str, database_url: str, tmp_path: Path
) -> None:
    file, content = tmp_path / "token", token()
    file.write_text(content)
    output = project_one(
        tmp_path / "output",
        database_url,
        bootstrap_servers=secured_kafka.addresses["SASL"],
        topic=topic_with_request,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_file=str(file),
    )
    assert_no_secret(output, content)


def test_client_certificate_logs_in(
    secured_kafka: Kafka, topic_with_request: str, database_url: str, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("client", names="DNS:projector", password="key-password")
    output = project_one(
        tmp_path / "output",
        database_url,
        bootstrap_servers=secured_kafka.addresses["TLS"],
        topic=topic_with_request,
        security_protocol="SSL",
        ssl_ca_file=str(authority.certificate),
        ssl_cert_file=str(certificate),
        ssl_key_file=str(key),
        ssl_key_password="key-password",
    )
    assert_no_secret(output, "key-password")


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAM])
def test_wrong_password_ends_with_exit_code_2(
    secured_kafka: Kafka, topic_with_request: str, database_url: str, tmp_path: Path, mechanism: str
) -> None:
    with running(
        tmp_path / "output",
        database_url=database_url,
        bootstrap_servers=secured_kafka.addresses["SASL"],
        topic=topic_with_request,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_username="projector",
        sasl_password="a-wrong-password",
    ) as process:
        code = process.wait(timeout=60)
    output = (tmp_path / "output").read_text()
    assert code == 2, output[-3000:]
    assert output.splitlines()[-1].startswith(
        "projector: PROJECTOR_SASL_USERNAME, PROJECTOR_SASL_PASSWORD: Kafka refuses access: "
    )
    assert_no_secret(output, "a-wrong-password")


def test_status_logs_in_too(secured_kafka: Kafka, topic_with_request: str, database_url: str) -> None:
    settings = {
        "database_url": database_url,
        "bootstrap_servers": secured_kafka.addresses["SASL"],
        "topic": topic_with_request,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "projector",
    }
    report = run_projector("status", "--json", sasl_password=PASSWORD, **settings)
    assert report.json()["partitions"][0]["lag_records"] == 1
    refused = run_projector("status", sasl_password="a-wrong-password", **settings)
    assert refused.code == 2
    (sentence,) = refused.err.splitlines()
    assert "PROJECTOR_SASL_PASSWORD: Kafka refuses access: Authentication failed: Invalid username" in sentence


def test_missing_certificate_is_named(database_url: str) -> None:
    result = run_projector("run", database_url=database_url, security_protocol="SSL", ssl_ca_file="nowhere.pem")
    assert result.code == 2
    assert "nowhere.pem is not a file" in result.err
