"""Open transactions: their transactional ids, if the broker returns them."""

import logging
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient, TopicPartition

from projector.errors import ProjectorError
from projector.kafka import connection
from projector.kafka.connection import mapped_errors
from projector.settings import KafkaSettings

log = logging.getLogger(__name__)


def transactional_ids(settings: KafkaSettings, offsets: Mapping[int, int]) -> dict[int, str]:
    """Partition → the transactional id of the open transaction that begins at this offset (partition → offset).

    Kafka lists only transactional ids that the user has the right to describe. A partition whose id is unknown is
    missing: nothing depends on the id, so this raises nothing.
    """
    if not offsets:
        return {}
    try:
        with mapped_errors(), closing(_admin(settings)) as admin:
            return _transactional_ids(admin, settings.topic, offsets)
    except ProjectorError as error:
        log.debug("the transactional id is unknown", extra={"error": repr(error)})
        return {}


def _admin(settings: KafkaSettings) -> Any:
    arguments = connection.arguments(settings)
    known = {name: arguments[name] for name in arguments.keys() & KafkaAdminClient.DEFAULT_CONFIG.keys()}
    return connection.started(KafkaAdminClient, known, settings)


def _transactional_ids(admin: Any, topic: str, offsets: Mapping[int, int]) -> dict[int, str]:
    described = admin.describe_producers([TopicPartition(topic, partition) for partition in offsets])
    producers = {
        place.partition: producer.producer_id
        for place, state in described.items()
        for producer in state.active_producers
        if producer.current_transaction_start_offset == offsets[place.partition]
    }
    listed = admin.list_transactions(producer_id_filters=producers.values()) if producers else {}
    ids = {each.producer_id: each.transactional_id for transactions in listed.values() for each in transactions}
    return {partition: ids[producer] for partition, producer in producers.items() if producer in ids}
