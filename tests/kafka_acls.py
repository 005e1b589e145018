"""A Kafka with access control lists: what a user may do, the test allows."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from secured_kafka import PASSWORD, sasl_options

from projector.settings import Settings, load
from testbed.servers.start import Kafka, start_kafka

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


@contextmanager
def start_kafka_with_acls(folder: Path) -> Iterator[Kafka]:
    """Start a broker that lets its plain listener do everything, and the user `projector` nothing."""
    options = {**AUTHORIZER, **sasl_options("sasl")}
    with start_kafka(folder, options=options, listeners={"SASL": "SASL_PLAINTEXT"}, own=True) as server:
        yield server


def settings_of(server: Kafka, topic: str, **more: str) -> Settings:
    """The settings of the user `projector`."""
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_username": "projector"}
    address = {"bootstrap_servers": server.addresses["SASL"], "topic": topic, "sasl_password": PASSWORD}
    return load({**address, **login, **more}, {})


def allow(server: Kafka, operation: ACLOperation, kind: ResourceType, name: str) -> None:
    """Allow the user `projector` an operation."""
    with closing(KafkaAdminClient(bootstrap_servers=server.bootstrap_servers)) as admin:
        pattern = ResourcePattern(kind, name)
        admin.create_acls([ACL("User:projector", "*", operation, ACLPermissionType.ALLOW, pattern)])
