"""How to reach Kafka: the client's arguments, its start and end, and which of our errors its errors become."""

import difflib
import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as client_errors

from projector.domain.positions import LogRange
from projector.errors import BrokerUnavailable, LogGap, Misconfigured, ProjectorError
from projector.kafka import failures
from projector.kafka.client import Client
from projector.kafka.group import CLIENT_ID, Assignor
from projector.kafka.security import secrets, security
from projector.settings import KafkaSettings

CONNECT_SECONDS = 2.0
_CLOSE_MS = 5_000
POLL_MS = 500
ALL_RECORDS = 2**31 - 1
FETCH_BYTES = 4 * 1024 * 1024
"""Compressed bytes that one fetch may return for all partitions of a broker. A poll decompresses all of them."""
_ACCESS_ERRORS = (client_errors.AuthorizationError, client_errors.KafkaConfigurationError)
_BUGS = (client_errors.IllegalArgumentError, client_errors.IllegalStateError)
"""The errors of the client that only a bug causes, ours or its own."""
_MAX_UNEXPECTED = 5
_unexpected: list[str] = []
"""The unexpected errors since the last success."""


def log_ranges(consumer: Any, topic: str, partitions: Iterable[int]) -> dict[int, LogRange]:
    """Partition → the offsets that it holds now."""
    places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    beginnings, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return {place.partition: LogRange(beginnings[place], ends[place]) for place in places}


def topic_id(consumer: Any, topic: str) -> str | None:
    """Kafka's id of the topic: a topic that was created again has another one. None before Kafka 2.8."""
    found = consumer._cluster.topic_id(topic)  # the client has no public way without another connection
    return str(found) if found else None


def no_topic(topic: str, others: Iterable[str] = ()) -> str:
    """The sentence for a topic that does not exist, with the name of `others` that it may be a typing error of."""
    similar = difflib.get_close_matches(topic, others, n=1, cutoff=0.7)
    meant = f" (did you mean {similar[0]}?)" if similar else ""
    return f"topic {topic} does not exist{meant}: create it, or set PROJECTOR_TOPIC"


def require_reachable(bootstrap_servers: str) -> None:
    """Raise BrokerUnavailable if no bootstrap address accepts a connection.

    A consumer that is built while none does leaks a thread, so this comes first.
    """
    reasons = []
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
                return
        except ValueError as error:  # a host name that IDNA cannot encode
            raise Misconfigured(f"PROJECTOR_BOOTSTRAP_SERVERS: {address.strip()!r} is not host:port") from error
        except OSError as error:
            reasons.append(f"{address.strip()}: {error.strerror or error}")
    raise BrokerUnavailable("PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer: " + "; ".join(reasons))


def consumer(configs: Mapping[str, object], settings: KafkaSettings) -> Any:
    """A consumer that has reached its cluster. Raises as `started`."""
    return started(KafkaConsumer, configs, settings)


def started(kind: Any, configs: Mapping[str, object], settings: KafkaSettings) -> Any:
    """A consumer or an admin client that has reached its cluster.

    If it cannot start, its client is closed: else its thread would stay. Raises Misconfigured if Kafka, or something
    else, gave a definite answer, and BrokerUnavailable if no broker answered.
    """
    secrets(settings)  # a file that is missing now is named at once
    created: list[Client] = []

    def create(**client_configs: object) -> Client:
        created.append(Client(lambda: secrets(settings), **client_configs))
        return created[0]

    try:
        client = kind(**configs, kafka_client=create)
    except BaseException as error:
        for failed in created:
            failed.close()
            if failed.refused:
                raise Misconfigured(failures.refusal(failed.refused, configs)) from failed.refused.error
            if isinstance(error, client_errors.KafkaConnectionError | client_errors.KafkaTimeoutError | OSError):
                raise BrokerUnavailable(failures.no_answer(failed.last, configs)) from error
        raise
    created[0].is_starting = False
    return client


def close(client: Any) -> None:
    """Close a consumer. Requests in flight are cancelled, which the client would log as errors."""
    log = logging.getLogger("kafka")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        client.close(autocommit=False, timeout_ms=_CLOSE_MS)
    finally:
        log.setLevel(level)


def arguments(settings: KafkaSettings) -> dict[str, object]:
    """The client's arguments for a member of the group. Raises Misconfigured if a certificate's file is missing."""
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": CLIENT_ID,
        "group_id": settings.group_id,
        "group_instance_id": settings.group_instance_id,
        # Positions live in Postgres. What the group stores is for lag tools only.
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.heartbeat_interval_ms,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "metadata_max_age_ms": settings.metadata_max_age_ms,
        "max_partition_fetch_bytes": settings.max_partition_fetch_bytes,
        # An eager assignor: decision 0002, trap T3.
        "partition_assignment_strategy": (Assignor,),
        "fetch_max_bytes": max(FETCH_BYTES, settings.max_partition_fetch_bytes),
        "reconnect_backoff_max_ms": 1_000,
        "request_timeout_ms": 10_000,
        "bootstrap_timeout_ms": 10_000,  # SIGTERM waits for it
        "metrics_enabled": False,
        **security(settings),
    }


def forget_unexpected_errors() -> None:
    """A consumer works: the next unexpected error is the first one."""
    _unexpected.clear()


@contextmanager
def mapped_errors(consumer: Any = None) -> Iterator[None]:
    """Turn the client's errors into ours. An unexpected error means that the client is broken: another one may work.

    The fifth unexpected error without a success in between is a bug, and is raised as it is. With a `consumer`, an
    error names the brokers that it cannot reach.
    """
    try:
        yield
    except ProjectorError:
        raise
    except client_errors.LogTruncationError as error:
        places = sorted(error.divergent_offsets)
        partitions = [place.partition for place in places]
        raise LogGap(
            f"topic {places[0].topic} was truncated before the position, in partitions {partitions}"
        ) from error
    except failures.LOGIN_ERRORS as error:
        refused = consumer and consumer._client.refused
        sentence = failures.refusal(refused, consumer.config) if refused else f"Kafka refuses access: {error}"
        raise Misconfigured(sentence) from error
    except _ACCESS_ERRORS as error:
        raise Misconfigured(f"Kafka refuses access: {error}") from error
    except Exception as error:
        if not isinstance(error, client_errors.KafkaError | OSError) or isinstance(error, _BUGS):
            _unexpected.append(repr(error))
            if len(_unexpected) >= _MAX_UNEXPECTED:
                raise
        raise BrokerUnavailable(unreachable(consumer) or f"the Kafka client failed: {error!r}") from error


def unreachable(consumer: Any) -> str | None:
    """The sentence about the brokers that this consumer cannot connect to, if there are any."""
    if consumer is None:
        return None
    servers = consumer.config["bootstrap_servers"]
    return failures.unreachable(consumer._client.unreachable, consumer._client.cluster, servers)


def require_login(consumer: Any) -> None:
    """Raise the client's error if a broker refused a login of this consumer, which has worked before."""
    refused = consumer._client.refused
    if refused and isinstance(refused.error, failures.LOGIN_ERRORS):
        raise refused.error
