"""A platform whose rows reach the topic, and members that project them, for tests of the command `sweep`."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, run_projector
from kafka import KafkaProducer
from sweeping import Platform, platform

LINE = {
    "candidates": 0,
    "verdicts": {"stuck": 0, "failed": 0},
    "repeated": 0,
    "spared": 0,
    "unknown": 0,
    "future": 0,
    "held": 0,
    "skipped": None,
}
"""The line of a pass that found nothing; seconds aside."""


class Feed:
    """A platform whose rows reach the topic, and members that project them."""

    def __init__(self, it: Platform, cluster: Cluster) -> None:
        self.it, self.cluster = it, cluster
        self.fed: set[str] = set()

    def settings(self, **others: str) -> dict[str, str]:
        own = {"database_url": self.it.url, "bootstrap_servers": self.cluster.bootstrap_servers}
        return {**own, "topic": self.cluster.topic, **others}

    def sweep(self, *arguments: str, **others: str) -> CommandResult:
        return run_projector("sweep", *arguments, **self.settings(**others))

    def once(self, *arguments: str, code: int = 0, **others: str) -> Any:
        """The line of a pass; seconds aside."""
        done = self.sweep("--once", "--json", *arguments, **others)
        assert done.code == code, done.err
        line = done.json()
        assert line.pop("seconds") >= 0
        return line

    def feed(self) -> int:
        """Send the rows of the table that were not sent yet, in their order; the table's key is the workspace."""
        rows = self.it.conn.execute(
            "SELECT id::text, workspace_id::text, to_jsonb(a)::text FROM activity_logs a ORDER BY created_at, id"
        ).fetchall()
        new = [row for row in rows if row[0] not in self.fed]
        with closing(KafkaProducer(bootstrap_servers=self.cluster.bootstrap_servers)) as producer:
            for row_id, workspace, value in new:
                at = int(datetime.fromisoformat(json.loads(value)["created_at"]).timestamp() * 1000)
                producer.send(self.cluster.topic, value.encode(), workspace.encode(), timestamp_ms=at)
                self.fed.add(row_id)
        return len(new)

    def project(self) -> None:
        """Feed the topic, and wait until everything is projected."""
        self.feed()
        wait_until(lambda: self.cluster.projected_records() == len(self.fed), "all records projected")


@pytest.fixture
def it(database_url: str) -> Iterator[Platform]:
    with platform(database_url) as it:
        yield it


@pytest.fixture
def feed(cluster: Cluster, it: Platform) -> Feed:
    return Feed(it, cluster)
