"""A topic and a view for the tests of `projector explain`, and the parts of its report."""

import json
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
from commands import CommandResult, run_projector
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from projecting import connected
from rows import CALLER, TEN

from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord

TEN_MS = int(TEN.timestamp() * 1000)
PARTITIONS = 6
BY_CALLER = CALLER.encode()


class Platform(NamedTuple):
    """A topic of six partitions and a database; sends records to the topic and projects them into the view."""

    bootstrap_servers: str
    topic: str
    database_url: str

    def send(
        self, value: object, key: bytes | None = BY_CALLER, *, minute: float = 0, partition: int | None = None
    ) -> RecordedRecord:
        """Send one record; returns it with its partition and offset."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        at = TEN_MS + int(minute * 60_000)
        with closing(KafkaProducer(bootstrap_servers=self.bootstrap_servers)) as producer:
            sent = producer.send(self.topic, content, key, partition=partition, timestamp_ms=at).get(10)
        return RecordedRecord(self.topic, sent.partition, sent.offset, at, key, content)

    def project(self, *records: RecordedRecord) -> None:
        """Project records as a member does, and advance their positions."""
        with connected(self.database_url) as conn:
            project(conn, records)
            for record in records:
                conn.execute(
                    "INSERT INTO positions (topic, partition, next_offset) VALUES (%s, %s, %s) "
                    "ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                    [record.topic, record.partition, record.offset + 1],
                )

    def explain(self, *arguments: str) -> CommandResult:
        return run_projector(
            "explain",
            *arguments,
            database_url=self.database_url,
            bootstrap_servers=self.bootstrap_servers,
            topic=self.topic,
        )

    def report(self, *arguments: str, code: int = 0) -> Any:
        done = self.explain("d-1", "--json", *arguments)
        assert (done.code, done.err) == (code, "")
        return done.json()

    def damage(self, statement: str) -> None:
        with psycopg.connect(self.database_url) as conn:
            conn.execute(statement.encode())


def outcomes(report: Any) -> list[tuple[int, str]]:
    return [(each["offset"], each["outcome"]) for each in report["records"]]


def ranges_of(report: Any) -> dict[int, tuple[int, int]]:
    return {each["partition"]: (each["from"], each["to"]) for each in report["looked_at"]["ranges"]}


def check(platform: Platform, word: str, code: int, *arguments: str, of: str = "d-1") -> tuple[list[str], Any]:
    """Explain a delegation twice; returns the lines of the text and the JSON. Both have this verdict and exit code."""
    text, done = platform.explain(of, *arguments), platform.explain(of, "--json", *arguments)
    report = done.json()
    assert (report["verdict"], done.code, text.code, done.err, text.err) == (word, code, code, "", "")
    lines = text.out.splitlines()
    assert lines[0] == report["sentence"]
    if report["advice"]:
        assert lines[1] == report["advice"]
    return lines, report


def delete_records(platform: Platform, partition: int, before: int) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=platform.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(platform.topic, partition): before})
