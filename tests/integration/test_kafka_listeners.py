"""A wrong port or protocol of Kafka: one sentence that begins with the setting, and no lines of the client."""

from urllib.parse import urlsplit

import pytest
from commands import CommandResult, run_projector
from secured_kafka import PASSWORD, Authority

from testbed.servers.start import Kafka, Postgres

LOGIN = {"sasl_mechanism": "PLAIN", "sasl_username": "projector", "sasl_password": PASSWORD}


def status(database_url: str, servers: str, protocol: str, authority: Authority) -> CommandResult:
    login = LOGIN if protocol.startswith("SASL") else {}
    tls = {"ssl_ca_file": str(authority.certificate)} if protocol.endswith("SSL") else {}
    where = {"database_url": database_url, "bootstrap_servers": servers, "security_protocol": protocol}
    return run_projector("status", **where, **login, **tls)


@pytest.mark.parametrize(
    ("protocol", "listener", "answer"),
    [
        ("SASL_PLAINTEXT", "PLAIN", "has no login by SASL"),
        ("SASL_PLAINTEXT", "TLS", "requires TLS"),
        ("PLAINTEXT", "TLS", "requires TLS"),
        ("PLAINTEXT", "BOTH", "requires TLS"),
    ],
)
def test_definite_answer_of_a_listener_is_a_misconfiguration(
    secured_kafka: Kafka, authority: Authority, database_url: str, protocol: str, listener: str, answer: str
) -> None:
    address = {**secured_kafka.addresses, "PLAIN": secured_kafka.bootstrap_servers}[listener]
    for command in ("status", "run"):
        if command == "status":
            done = status(database_url, address, protocol, authority)
        else:
            settings = {"database_url": database_url, "bootstrap_servers": address, "security_protocol": protocol}
            done = run_projector("run", **settings, **(LOGIN if protocol.startswith("SASL") else {}))
        assert done.code == 2, done.err
        sentence = f"projector: PROJECTOR_SECURITY_PROTOCOL={protocol}: the listener at {address} {answer}. "
        assert done.err.splitlines()[-1].startswith(sentence)
        assert "Error" not in done.err


def test_another_server_than_kafka_is_a_misconfiguration(
    postgres: Postgres, authority: Authority, database_url: str
) -> None:
    address = f"{urlsplit(postgres.url).hostname}:{urlsplit(postgres.url).port}"
    done = status(database_url, address, "PLAINTEXT", authority)
    assert done.code == 2
    assert done.err == (
        f"projector: PROJECTOR_BOOTSTRAP_SERVERS: what answers at {address} is no Kafka. "
        "Compare host and port (PROJECTOR_SECURITY_PROTOCOL=PLAINTEXT)\n"
    )


def test_untrusted_certificate_names_its_setting(secured_kafka: Kafka, database_url: str) -> None:
    where = {"database_url": database_url, "bootstrap_servers": secured_kafka.addresses["TLS"]}
    done = run_projector("status", security_protocol="SSL", **where)
    assert done.code == 2
    assert done.err.startswith(
        "projector: PROJECTOR_SSL_CA_FILE, PROJECTOR_SSL_CHECK_HOSTNAME: the certificate of the "
    )


@pytest.mark.parametrize(
    ("protocol", "listener", "what"),
    [
        ("SSL", "PLAIN", "closes each connection during the TLS handshake"),
        ("PLAINTEXT", "SASL", "closes each connection"),
    ],
)
def test_listener_that_closes_connections_is_an_outage(
    secured_kafka: Kafka, authority: Authority, database_url: str, protocol: str, listener: str, what: str
) -> None:
    """A broker behind a load balancer does the same while it starts."""
    address = {**secured_kafka.addresses, "PLAIN": secured_kafka.bootstrap_servers}[listener]
    done = status(database_url, address, protocol, authority)
    assert done.code == 1
    (sentence,) = done.err.splitlines()
    start = f"projector: PROJECTOR_SECURITY_PROTOCOL={protocol}: {address} {what}. Kafka is starting, or this listener "
    assert sentence.startswith(start)
