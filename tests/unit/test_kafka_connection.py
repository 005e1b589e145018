"""Errors of the Kafka settings that appear before any connection is made, and errors that nobody expects."""

import pytest
from kafka.errors import IllegalStateError, KafkaConnectionError

from projector.errors import BrokerUnavailable, Misconfigured
from projector.kafka import connection
from projector.kafka.connection import mapped_errors, require_reachable
from projector.kafka.consumer import GroupConsumer
from projector.kafka.reader import open_topic
from projector.settings import KafkaSettings


@pytest.fixture(autouse=True)
def _no_errors_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_unexpected", [])


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


def fail(error: Exception) -> None:
    with mapped_errors():
        raise error


def bug() -> None:
    with mapped_errors():
        None.missing  # type: ignore[attr-defined]  # noqa: B018


def test_unexpected_error_is_an_outage_four_times() -> None:
    for _ in range(4):
        with pytest.raises(BrokerUnavailable, match="the Kafka client failed: AttributeError"):
            bug()
    with pytest.raises(AttributeError):
        bug()


def test_unexpected_errors_of_all_kinds_are_counted_together() -> None:
    for error in (
        ValueError("one"),
        KeyError("two"),
        IllegalStateError("three"),
        KafkaConnectionError("down"),
        TypeError(),
    ):
        with pytest.raises(BrokerUnavailable):
            fail(error)
    with pytest.raises(AttributeError):
        bug()


def test_success_begins_the_count_again() -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(BrokerUnavailable):
                bug()
        connection.forget_unexpected_errors()


@pytest.mark.parametrize("error", [KafkaConnectionError("down"), OSError("cut off")])
def test_expected_error_is_always_an_outage(error: Exception) -> None:
    for _ in range(9):
        with pytest.raises(BrokerUnavailable):
            fail(error)
