"""What a log holds beside useful records: aborted transactions, markers, holes of compaction, unrelated records."""

import itertools
import json
from collections.abc import Iterator

import psycopg
from cluster import Cluster, until
from commands import projector
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from proxied_kafka import Distant
from repetitions import Round
from topics import create_topic

from testbed.workload import Mix, Record

UNRELATED = json.dumps({"activity_type": "agent_log", "summary": "s" * 100}).encode()
LONG_AGO_MS = 1_746_439_200_000


def lags(scene: Cluster) -> list[int]:
    """The lag of each partition, as `projector status` reports it."""
    settings = {name: getattr(scene, name) for name in ("database_url", "bootstrap_servers", "topic")}
    partitions = projector("status", "--json", **settings).json()["partitions"]
    return [partition["lag_records"] for partition in partitions]


def lag_ends(scene: Cluster) -> None:
    until(lambda: lags(scene) == [0, 0, 0], "no lag")


def test_aborted_transactions_leave_no_lag(scene: Cluster) -> None:
    """They lie in the middle of the log and at its end."""
    scene.play(Mix(delegations=30))
    scene.member()
    _abort(scene)
    scene.play(Mix(delegations=30, seed=8))
    scene.caught_up()
    _abort(scene)
    ends = {partition: end + 2 for partition, end in scene.ends().items()}  # the record, and the marker of the abort
    until(lambda: scene.positions() == ends, f"positions at {ends}")
    lag_ends(scene)
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.each_ended_once()


def _abort(scene: Cluster) -> None:
    """Send one record per partition in a transaction, and abort it."""
    name = f"aborting-{scene.topic}"
    producer = KafkaProducer(bootstrap_servers=scene.bootstrap_servers, transactional_id=name, acks="all")
    producer.init_transactions()
    producer.begin_transaction()
    for partition in range(3):
        producer.send(scene.topic, b"aborted", partition=partition)
    producer.flush()
    producer.abort_transaction()
    producer.close()


def test_holes_left_by_compaction_are_passed(far: Cluster, broker: Distant) -> None:
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "100"}
    far.topic = create_topic(broker.bootstrap_servers, config=config)
    keys = [b"c%d" % n for n in range(10)]
    for minute in range(3):  # Kafka compacts a segment once the next one has begun
        far.play(Record(key, UNRELATED, LONG_AGO_MS + 60_000 * minute) for key in keys * 20)
    until(lambda: _readable(far) < len(far.acknowledged) / 2, "most of the log is compacted")
    far.member()
    far.caught_up()
    lag_ends(far)
    far.nothing_twice()


def _readable(scene: Cluster) -> int:
    """Count the records that a reader of the whole log receives."""
    consumer = KafkaConsumer(bootstrap_servers=scene.bootstrap_servers, auto_offset_reset="earliest")
    places = [TopicPartition(scene.topic, partition) for partition in range(3)]
    consumer.assign(places)
    ends, count = consumer.end_offsets(places), 0
    while any(consumer.position(place) < ends[place] for place in places):
        count += sum(map(len, consumer.poll(timeout_ms=500).values()))
    consumer.close()
    return count


def test_unrelated_records_move_position_and_lag(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    scene.member()
    scene.play(_unrelated(chance.of(6_000, 1_000_000)))  # more than one batch of 5,000
    scene.caught_up()
    lag_ends(scene)
    with psycopg.connect(scene.database_url) as conn:
        assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (0,)
    scene.nothing_twice()
    scene.each_ended_once()


def _unrelated(count: int) -> Iterator[Record]:
    keys = itertools.cycle(b"c%d" % n for n in range(100))
    return (Record(key, UNRELATED, LONG_AGO_MS) for key, _ in zip(keys, range(count), strict=False))
