"""Every way to log in to Kafka, against a real broker: `run` projects an event over it, and tells nobody the secret."""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import wait_until
from commands import environment, run_projector
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import UserScramCredentialUpsertion
from rows import CALLER, delegate
from topics import create_topic

from testbed.servers.start import Kafka, start_kafka

PASSWORD = "open-sesame"
SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
JAAS = "org.apache.kafka.common.security"


def sasl(listener: str) -> dict[str, str]:
    """What a broker needs to let a user in over one listener by any of four mechanisms."""
    prefix = f"listener.name.{listener}"
    return {
        f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        f"{prefix}.plain.sasl.jaas.config": f'{JAAS}.plain.PlainLoginModule required user_projector="{PASSWORD}";',
        f"{prefix}.scram-sha-256.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
        f"{prefix}.scram-sha-512.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
        f"{prefix}.oauthbearer.sasl.jaas.config": f"{JAAS}.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="broker";',
    }


class Authority:
    """A certificate authority of our own: for the broker, and for a client whose key has a password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.pem"
        name = ["-subj", "/CN=an authority of our own", "-days", "2"]
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", *name)

    def issue(self, name: str, *, names: str, password: str | None = None) -> tuple[Path, Path]:
        """A certificate for these alternative names, and its key."""
        lock = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        self._openssl(
            "req", "-newkey", "rsa:2048", *lock, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *by)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Kafka]:
    """A broker with a listener for each protocol; over TLS alone it wants the client's certificate."""
    certificate, key = authority.issue("broker", names="IP:127.0.0.1,DNS:localhost")
    pem = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": one_line(certificate),
        "ssl.keystore.key": one_line(key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": one_line(authority.certificate),
        "listener.name.tls.ssl.client.auth": "required",
    }
    listeners = {"SASL": "SASL_PLAINTEXT", "TLS": "SSL", "BOTH": "SASL_SSL"}
    folder = tmp_path_factory.mktemp("guarded")
    with start_kafka(folder, options={**pem, **sasl("sasl"), **sasl("both")}, listeners=listeners, own=True) as server:
        admin = KafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
        for mechanism in SCRAM:  # one request takes one change of a user
            told = admin.alter_user_scram_credentials([UserScramCredentialUpsertion("projector", mechanism, PASSWORD)])
            assert told == {"projector": None}
        admin.close()
        yield server


def one_line(pem: Path) -> str:
    return pem.read_text().strip().replace("\n", "\\n")


@pytest.fixture
def fed(guarded: Kafka) -> str:
    """A topic with one request on it."""
    topic = create_topic(guarded.bootstrap_servers, partitions=1)
    producer = KafkaProducer(bootstrap_servers=guarded.bootstrap_servers)
    producer.send(topic, json.dumps(delegate(0, source_id=CALLER)).encode()).get(10)
    producer.close()
    return topic


def token(lifetime: int = 600) -> str:
    """A JSON web token that nobody signed, as brokers take it that are none of production."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": "projector", "iat": now, "exp": now + lifetime})
    header, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{header}.{claims}."


@contextmanager
def running(said: Path, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A `projector run` that logs all it can."""
    with said.open("wb") as out:
        command = [sys.executable, "-m", "projector", "run", "--log-level", "DEBUG"]
        process = subprocess.Popen(command, env=environment(settings), stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def projects(said: Path, database_url: str, **settings: str) -> str:
    """Wait until `run` made the row, let it end, and return what it said."""

    def is_there() -> bool:
        with psycopg.connect(database_url) as conn:
            return conn.execute("SELECT delegation_id FROM delegations").fetchall() == [("d-1",)]

    with running(said, database_url=database_url, **settings) as process:
        wait_until(lambda: is_there() or process.poll() is not None, "a row, or the end of the process")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, said.read_text()[-3000:]
    assert is_there()
    return said.read_text()


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAM])
@pytest.mark.parametrize("listener", ["SASL", "BOTH"])
def test_password_logs_in(
    guarded: Kafka, fed: str, database_url: str, authority: Authority, tmp_path: Path, listener: str, mechanism: str
) -> None:
    said = projects(
        tmp_path / "said",
        database_url,
        bootstrap_servers=guarded.addresses[listener],
        topic=fed,
        security_protocol={"SASL": "SASL_PLAINTEXT", "BOTH": "SASL_SSL"}[listener],
        ssl_ca_file=str(authority.certificate),
        sasl_mechanism=mechanism,
        sasl_username="projector",
        sasl_password=PASSWORD,
    )
    keeps_secret(said, PASSWORD)


def keeps_secret(said: str, *secrets: str) -> None:
    """Neither as it is, nor in the encodings in which it travels."""
    assert said
    for secret in secrets:
        assert secret not in said
        assert ascii(secret.encode())[2:-1] not in said
        assert base64.b64encode(secret.encode()).decode() not in said


def test_password_from_a_file_logs_in(guarded: Kafka, fed: str, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    said = projects(
        tmp_path / "said",
        database_url,
        bootstrap_servers=guarded.addresses["SASL"],
        topic=fed,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="projector",
        sasl_password_file=str(file),
    )
    keeps_secret(said, PASSWORD)


def test_bearer_token_from_a_file_logs_in(guarded: Kafka, fed: str, database_url: str, tmp_path: Path) -> None:
    file, held = tmp_path / "token", token()
    file.write_text(held)
    said = projects(
        tmp_path / "said",
        database_url,
        bootstrap_servers=guarded.addresses["SASL"],
        topic=fed,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_file=str(file),
    )
    keeps_secret(said, held)


def test_client_certificate_logs_in(
    guarded: Kafka, fed: str, database_url: str, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("client", names="DNS:projector", password="key-word")
    said = projects(
        tmp_path / "said",
        database_url,
        bootstrap_servers=guarded.addresses["TLS"],
        topic=fed,
        security_protocol="SSL",
        ssl_ca_file=str(authority.certificate),
        ssl_cert_file=str(certificate),
        ssl_key_file=str(key),
        ssl_key_password="key-word",
    )
    keeps_secret(said, "key-word")


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAM])
def test_wrong_password_ends_with_exit_code_2(
    guarded: Kafka, fed: str, database_url: str, tmp_path: Path, mechanism: str
) -> None:
    with running(
        tmp_path / "said",
        database_url=database_url,
        bootstrap_servers=guarded.addresses["SASL"],
        topic=fed,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_username="projector",
        sasl_password="a-wrong-word",
    ) as process:
        code = process.wait(timeout=60)
    said = (tmp_path / "said").read_text()
    assert code == 2, said[-3000:]
    assert said.splitlines()[-1].startswith("projector: Kafka refuses access: ")
    keeps_secret(said, "a-wrong-word")


def test_status_logs_in_too(guarded: Kafka, fed: str, database_url: str) -> None:
    settings = {
        "database_url": database_url,
        "bootstrap_servers": guarded.addresses["SASL"],
        "topic": fed,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "projector",
    }
    report = run_projector("status", "--json", sasl_password=PASSWORD, **settings)
    assert report.json()["partitions"][0]["lag_records"] == 1
    refused = run_projector("status", sasl_password="a-wrong-word", **settings)
    assert refused.code == 2
    assert refused.err.splitlines()[-1].startswith("projector: Kafka refuses access: ")


def test_missing_certificate_is_named(database_url: str) -> None:
    done = run_projector("run", database_url=database_url, security_protocol="SSL", ssl_ca_file="nowhere.pem")
    assert done.code == 2
    assert "nowhere.pem is not a file" in done.err
