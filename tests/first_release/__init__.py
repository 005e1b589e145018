"""What the first release left behind: its database (`database.sql`), and the log that it had projected.

Of commit b6eb1dc, with migrations 049 and 050. The log was written by the simulated platform of that commit (30
delegations, seed 7) to a topic with three partitions, and its `projector run` projected it.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
from cluster import Cluster
from commands import CommandResult, run_projector
from kafka import KafkaProducer

from testbed.recording import AcknowledgedRecord, read_recording

COMMIT = "b6eb1dc"
_FOLDER = Path(__file__).parent
_TOPIC = "activity-log-of-the-first-release"


def log() -> Iterator[AcknowledgedRecord]:
    return read_recording(_FOLDER / "log.jsonl.gz")


def restore(cluster: Cluster) -> None:
    """Load the database into the empty one of the cluster, and the log into its topic."""
    dump = (_FOLDER / "database.sql").read_text().replace(_TOPIC, cluster.topic)
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute(dump.encode())
        conn.execute("UPDATE projector.positions SET topic_id = NULL")  # the topic of the test has an id of its own
    with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap_servers, linger_ms=5)) as producer:
        for record in log():
            producer.send(
                cluster.topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp
            )
            cluster.acknowledged.append(record._replace(topic=cluster.topic))
        producer.flush()


def run(cluster: Cluster, *arguments: str, code: int = 0) -> CommandResult:
    """Run a command of this release, which must end with this code."""
    place = {"database_url": cluster.database_url, "bootstrap_servers": cluster.bootstrap_servers}
    done = run_projector(*arguments, **place, topic=cluster.topic)
    assert done.code == code, done
    return done
