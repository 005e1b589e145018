"""A producer that waits until each of its records is acknowledged, or refused permanently."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka import errors as client_errors

from projector.errors import BrokerUnavailable
from projector.kafka import connection
from projector.kafka.connection import mapped_errors
from projector.kafka.security import security
from projector.settings import KafkaSettings

_MAX_BYTES = 64 * 1024 * 1024
"""The limit of the client. That of the topic is lower, as a rule, and holds for compressed records."""
_CLOSE_SECONDS = 1.0
_ABOUT_DATA = (
    client_errors.MessageSizeTooLargeError,
    client_errors.RecordListTooLargeError,
    client_errors.InvalidRecordError,
    client_errors.InvalidTimestampError,
)


class Message(NamedTuple):
    """A record to be sent."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Sends records to one topic, each at least once.

    After BrokerUnavailable, close it: some of the records may be sent all the same.
    """

    def __init__(self, settings: KafkaSettings, topic: str, seconds: float, *, idempotent: bool = False) -> None:
        """`seconds`: how long an acknowledgement may take. Raises BrokerUnavailable, Misconfigured.

        `idempotent`: the client sends no record twice, but fails all of them if Kafka refuses one.
        """
        connection.require_reachable(settings.bootstrap_servers)
        self._topic = topic
        self._seconds = seconds
        with mapped_errors():
            self._client = connection.started(KafkaProducer, _arguments(settings, seconds, idempotent), settings)
            try:
                self._client.partitions_for(topic)
            except client_errors.KafkaTimeoutError as error:
                self.close()
                raise BrokerUnavailable(f"topic {topic} does not exist: create it") from error
            except BaseException:
                self.close()
                raise

    def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Send these records. Returns for each of them why Kafka refuses it; None if it is acknowledged.

        Raises BrokerUnavailable if one of them is not acknowledged in time.
        """
        until = time.monotonic() + self._seconds
        with mapped_errors():
            sent = [self._send(message) for message in messages]
            return [_refusal(each, until) for each in sent]

    def _send(self, message: Message) -> Any:
        """What the client promises, or its error if the record is too large for it."""
        try:
            return self._client.send(self._topic, message.value, message.key, list(message.headers))
        except _ABOUT_DATA as error:
            return error

    def close(self) -> None:
        """Close it. Records that are not acknowledged yet are dropped."""
        with suppress(client_errors.KafkaTimeoutError):
            self._client.close(timeout=_CLOSE_SECONDS)


def _arguments(settings: KafkaSettings, seconds: float, idempotent: bool) -> dict[str, object]:
    timeout_ms = max(1, int(seconds * 1000))
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "projector",
        "enable_idempotence": idempotent,
        "max_in_flight_requests_per_connection": 1,
        "acks": -1,
        "compression_type": "gzip",
        "allow_auto_create_topics": False,
        "max_request_size": _MAX_BYTES,
        "request_timeout_ms": timeout_ms,
        "delivery_timeout_ms": timeout_ms,
        "max_block_ms": timeout_ms,
        "bootstrap_timeout_ms": 10_000,
        "metadata_max_age_ms": settings.metadata_max_age_ms,
        "reconnect_backoff_max_ms": 1_000,
        "metrics_enabled": False,
        **security(settings),
    }


def _refusal(sent: Any, until: float) -> str | None:
    """Why Kafka refuses a record; None if it is acknowledged. Raises the client's error if another try may succeed."""
    try:
        if isinstance(sent, BaseException):
            raise sent
        sent.get(timeout=max(0.0, until - time.monotonic()))
    except _ABOUT_DATA as error:
        return f"Kafka refuses it: {error}"
    return None
