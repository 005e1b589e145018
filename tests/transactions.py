"""A transaction of a producer that does not end it."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaProducer

from testbed.workload import Record


@contextmanager
def open_transaction(bootstrap_servers: str, topic: str, record: Record) -> Iterator[None]:
    """The record in a transaction that is open within the block. At its end the next producer of the id aborts it."""
    arguments = {"bootstrap_servers": bootstrap_servers, "transactional_id": f"never-ends-{topic}", "acks": "all"}
    producer = KafkaProducer(transaction_timeout_ms=600_000, **arguments)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, record.value, record.key, partition=0, timestamp_ms=record.timestamp)
    producer.flush()
    yield
    successor = KafkaProducer(**arguments)
    successor.init_transactions()
    successor.close()
    producer.close()
