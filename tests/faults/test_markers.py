"""What a log holds beside useful records: aborted transactions, markers, holes of compaction, unrelated records."""

import itertools
import json
from collections.abc import Iterator

import psycopg
from cluster import Cluster, wait_until
from commands import run_projector
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from proxied_kafka import ProxiedKafka
from repetitions import Repetition
from topics import create_topic

from testbed.workload import Mix, Record

UNRELATED = json.dumps({"activity_type": "agent_log", "summary": "s" * 100}).encode()
LONG_AGO_MS = 1_746_439_200_000
MISSING = "records are missing in the log: compaction removed them"


def lags(cluster: Cluster) -> list[int]:
    """The lag of each partition, as `projector status` reports it."""
    settings = {name: getattr(cluster, name) for name in ("database_url", "bootstrap_servers", "topic")}
    partitions = run_projector("status", "--json", **settings).json()["partitions"]
    return [partition["lag_records"] for partition in partitions]


def lag_ends(cluster: Cluster) -> None:
    wait_until(lambda: lags(cluster) == [0, 0, 0], "no lag")


def test_aborted_transactions_leave_no_lag(cluster: Cluster) -> None:
    """They lie in the middle of the log and at its end."""
    cluster.publish(Mix(delegations=30))
    member = cluster.start_member()
    _abort(cluster)
    cluster.publish(Mix(delegations=30, seed=8))
    cluster.wait_until_caught_up()
    _abort(cluster)
    ends = {
        partition: end + 2 for partition, end in cluster.end_offsets().items()
    }  # the record, and the marker of the abort
    wait_until(lambda: cluster.positions() == ends, f"positions at {ends}")
    lag_ends(cluster)
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_outcomes_counted_once()
    assert MISSING not in member.text()


def _abort(cluster: Cluster) -> None:
    """Send one record per partition in a transaction, and abort it."""
    name = f"aborting-{cluster.topic}"
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap_servers, transactional_id=name, acks="all")
    producer.init_transactions()
    producer.begin_transaction()
    for partition in range(3):
        producer.send(cluster.topic, b"aborted", partition=partition)
    producer.flush()
    producer.abort_transaction()
    producer.close()


def test_holes_left_by_compaction_are_passed(proxied_cluster: Cluster, broker: ProxiedKafka) -> None:
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "100"}
    proxied_cluster.topic = create_topic(broker.bootstrap_servers, config=config)
    keys = [b"c%d" % n for n in range(10)]
    for minute in range(3):  # Kafka compacts a segment once the next one has begun
        proxied_cluster.publish(Record(key, UNRELATED, LONG_AGO_MS + 60_000 * minute) for key in keys * 20)
    wait_until(
        lambda: _readable(proxied_cluster) < len(proxied_cluster.acknowledged) / 2, "most of the log is compacted"
    )
    member = proxied_cluster.start_member()
    proxied_cluster.wait_until_caught_up()
    member.wait_for_log(MISSING)
    lag_ends(proxied_cluster)
    proxied_cluster.assert_projected_once()


def _readable(cluster: Cluster) -> int:
    """Count the records that a reader of the whole log receives."""
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap_servers, auto_offset_reset="earliest")
    places = [TopicPartition(cluster.topic, partition) for partition in range(3)]
    consumer.assign(places)
    ends, count = consumer.end_offsets(places), 0
    while any(consumer.position(place) < ends[place] for place in places):
        count += sum(map(len, consumer.poll(timeout_ms=500).values()))
    consumer.close()
    return count


def test_unrelated_records_move_position_and_lag(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    cluster.start_member()
    cluster.publish(_unrelated(repetition.pick(6_000, 1_000_000)))  # more than one batch of 5,000
    cluster.wait_until_caught_up()
    lag_ends(cluster)
    with psycopg.connect(cluster.database_url) as conn:
        assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (0,)
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def _unrelated(count: int) -> Iterator[Record]:
    keys = itertools.cycle(b"c%d" % n for n in range(100))
    return (Record(key, UNRELATED, LONG_AGO_MS) for key, _ in zip(keys, range(count), strict=False))
