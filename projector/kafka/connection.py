"""How Kafka is reached: the client's settings, its start, and the reaction that each of its errors asks for."""

import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    AuthorizationError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    LogTruncationError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from projector.domain.positions import LogRange, log_gap_remedy
from projector.errors import BrokerUnavailable, LogGap, Misconfigured, ProjectorError
from projector.kafka.client import Client

CONNECT_SECONDS = 2.0
_CLOSE_MS = 5_000
FETCH_BYTES = 8 * 1024 * 1024
"""What one fetch may bring of all partitions of a broker, compressed; a poll drains it, and inflates it."""


class KafkaSettings(NamedTuple):
    """How to reach the log, and how patient to be with it."""

    bootstrap_servers: str
    topic: str
    group_id: str
    group_instance_id: str | None = None
    session_timeout_ms: int = 12_000
    heartbeat_interval_ms: int = 3_000
    max_poll_interval_ms: int = 60_000
    metadata_max_age_ms: int = 15_000
    max_partition_fetch_bytes: int = 1024 * 1024
    security: Mapping[str, object] = {}
    """Further arguments of the Kafka client: security_protocol, sasl_*, ssl_*."""


def log_ranges(consumer: Any, topic: str, partitions: Iterable[int]) -> dict[int, LogRange]:
    """What the logs of these partitions hold now."""
    places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    beginnings, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return {place.partition: LogRange(beginnings[place], ends[place]) for place in places}


def no_topic(topic: str) -> str:
    """The sentence for a topic that is not there."""
    return f"topic {topic} does not exist: create it, or set PROJECTOR_TOPIC"


def require_reachable(bootstrap_servers: str) -> None:
    """Raises BrokerAway where no bootstrap address answers: each consumer built in vain would leak a thread."""
    reasons = []
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
                return
        except ValueError as error:
            raise Misconfigured(f"PROJECTOR_BOOTSTRAP_SERVERS: {address!r} is not host:port") from error
        except OSError as error:
            reasons.append(f"{address.strip()}: {error.strerror or error}")
    raise BrokerUnavailable("Kafka does not answer: " + "; ".join(reasons))


def consumer(configs: Mapping[str, object]) -> Any:
    """A consumer that knows its cluster; one that fails to is closed, or its thread would stay."""
    begun: list[Client] = []

    def begin(**its: object) -> Client:
        begun.append(Client(**its))
        return begun[0]

    try:
        return KafkaConsumer(**configs, kafka_client=begin)
    except BaseException as error:
        for client in begun:
            client.close()
            if client.refusal:
                raise client.refusal from error
        if isinstance(error, KafkaTimeoutError):
            raise BrokerUnavailable(
                f"Kafka takes connections at {configs['bootstrap_servers']} and answers nothing: it is not up, or "
                f"speaks something else there than {configs.get('security_protocol', 'PLAINTEXT')}"
            ) from error
        raise


def close(client: Any) -> None:
    """Close a consumer, whatever it has on its way: to call that off is no error, and it would log it as one."""
    log = logging.getLogger("kafka")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        client.close(autocommit=False, timeout_ms=_CLOSE_MS)
    finally:
        log.setLevel(level)


def arguments(settings: KafkaSettings) -> dict[str, object]:
    """The client's arguments for a member of the group."""
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "projector",
        "group_id": settings.group_id,
        "group_instance_id": settings.group_instance_id,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "partition_assignment_strategy": (RangePartitionAssignor,),  # an eager one: T3
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.heartbeat_interval_ms,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "metadata_max_age_ms": settings.metadata_max_age_ms,
        "max_partition_fetch_bytes": settings.max_partition_fetch_bytes,
        "fetch_max_bytes": max(FETCH_BYTES, settings.max_partition_fetch_bytes),
        "reconnect_backoff_max_ms": 1_000,
        "request_timeout_ms": 10_000,
        "bootstrap_timeout_ms": 10_000,  # a signal waits for it
        "metrics_enabled": False,
        **settings.security,
    }


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the client's errors into the reaction they ask for; one it never meant to raise is of a broken client."""
    try:
        yield
    except ProjectorError:
        raise
    except LogTruncationError as error:
        places = sorted(error.divergent_offsets)
        raise LogGap(
            f"the log of {places[0].topic} was truncated behind the position, in partitions "
            f"{[place.partition for place in places]}. {log_gap_remedy()}"
        ) from error
    except _TURNED_AWAY as error:
        raise Misconfigured(f"Kafka does not let us in: {error}") from error
    except Exception as error:
        raise BrokerUnavailable(f"the Kafka client failed: {error!r}") from error


_TURNED_AWAY = (
    AuthorizationError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    KafkaConfigurationError,
)
