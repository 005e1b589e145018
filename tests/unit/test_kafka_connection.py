"""Errors of the Kafka settings that appear before any connection is made."""

import pytest

from projector.errors import Misconfigured
from projector.kafka.connection import require_reachable
from projector.kafka.consumer import GroupConsumer
from projector.kafka.reader import open_topic
from projector.settings import KafkaSettings

UNREACHABLE = "127.0.0.1:1"


@pytest.mark.parametrize("host", ["kafka..svc", "k" * 64])
def test_impossible_host_name_is_a_misconfiguration(host: str) -> None:
    with pytest.raises(Misconfigured, match=r"PROJECTOR_BOOTSTRAP_SERVERS: .* is not host:port"):
        require_reachable(f"{UNREACHABLE},{host}:9092")


def test_missing_certificate_is_named_while_kafka_is_down() -> None:
    settings = KafkaSettings(bootstrap_servers=UNREACHABLE, security_protocol="SSL", ssl_ca_file="nowhere.pem")
    with pytest.raises(Misconfigured, match=r"nowhere\.pem is not a file"):
        GroupConsumer(settings)
    with pytest.raises(Misconfigured, match=r"nowhere\.pem is not a file"), open_topic(settings):
        pass
