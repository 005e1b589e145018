"""A Kafka that requires a login or a client certificate, with a listener per protocol."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion

from testbed.servers.start import Kafka, start_kafka

PASSWORD = "open-sesame"
SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
JAAS = "org.apache.kafka.common.security"


def sasl_options(listener: str) -> dict[str, str]:
    """Return the options of a broker for one listener with four SASL mechanisms."""
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
    """A certificate authority in a folder, for the broker and for clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.pem"
        name = ["-subj", "/CN=test authority", "-days", "2"]
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", *name)

    def issue(self, name: str, *, names: str, password: str | None = None) -> tuple[Path, Path]:
        """Issue a certificate for these alternative names; returns it and its key, which may have a password."""
        key_options = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        self._openssl(
            "req",
            "-newkey",
            "rsa:2048",
            *key_options,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *sign)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@contextmanager
def start_secured_kafka(folder: Path, authority: Authority) -> Iterator[Kafka]:
    """Start a broker with the listeners SASL, TLS, BOTH and BRIEF.

    TLS requires a client certificate. BRIEF requires a new login of each connection within two seconds (KIP-368).
    """
    certificate, key = authority.issue("broker", names="IP:127.0.0.1,DNS:localhost")
    pem = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": _one_line(certificate),
        "ssl.keystore.key": _one_line(key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": _one_line(authority.certificate),
        "listener.name.tls.ssl.client.auth": "required",
        "listener.name.brief.connections.max.reauth.ms": "2000",
    }
    listeners = {"SASL": "SASL_PLAINTEXT", "TLS": "SSL", "BOTH": "SASL_SSL", "BRIEF": "SASL_PLAINTEXT"}
    sasl = {name: value for listener in ("sasl", "both", "brief") for name, value in sasl_options(listener).items()}
    with start_kafka(folder, options={**pem, **sasl}, listeners=listeners, own=True) as server:
        set_scram_password(server, PASSWORD)
        yield server


def set_scram_password(server: Kafka, password: str, *, user: str = "projector") -> None:
    """Give a user this password. Logins that were accepted before stay."""
    admin = KafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    for mechanism in SCRAM:  # a request can change a user only once
        results = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, mechanism, password)])
        assert results == {user: None}
    admin.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Kafka]:
    with start_secured_kafka(tmp_path_factory.mktemp("secured"), authority) as server:
        yield server


def _one_line(pem: Path) -> str:
    return pem.read_text().strip().replace("\n", "\\n")


def token(lifetime: int = 600) -> str:
    """Build an unsigned JSON web token, which a broker without a production setup accepts."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": "projector", "iat": now, "exp": now + lifetime})
    header, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{header}.{claims}."
