"""Kafka in a container: the image reads properties of the broker from variables."""

import pytest

from testbed.servers.containers import broker_variable


@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ("log.retention.ms", "KAFKA_LOG_RETENTION_MS"),
        ("listener.name.sasl.scram-sha-512.sasl", "KAFKA_LISTENER_NAME_SASL_SCRAM___SHA___512_SASL"),
        ("listener.name.with_underscore", "KAFKA_LISTENER_NAME_WITH__UNDERSCORE"),
    ],
)
def test_image_of_kafka_reads_the_property_from_its_variable(option: str, variable: str) -> None:
    assert broker_variable(option) == variable
