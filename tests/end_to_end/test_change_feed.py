"""A real change feed: Postgres with logical replication, Debezium's connector in Kafka Connect, Kafka, the projector.

The view must equal the rows that the platform expects, in every column. The tests look at the records of the feed only
to check that the difficult cases occurred.
"""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from change_feed import Feed
from cluster import Cluster, wait_until
from connect_worker import ConnectWorker
from platform_scenarios import (
    complete_in_two_steps,
    incompressible,
    write_all_kinds,
    write_large_rows,
    write_old_rows,
)
from platform_script import CALLERS, TABLE
from psycopg import sql
from topic_log import TopicLog, change_id, changes, ops

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres

UNAVAILABLE_VALUE = "__debezium_unavailable_value"
SIZES = (0, 1_450, 1_900, 2_100, 60_000, 1_500_000)  # around the size of a page, and above Kafka's default limit
DAY_MS = 24 * 3_600_000


@pytest.fixture(scope="module")
def logical_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A separate server, since connectors leave slots behind, and slots keep the write-ahead log."""
    options = ["wal_level=logical", "track_commit_timestamp=on", "fsync=off"]
    with start_postgres(tmp_path_factory.mktemp("logical"), options=options, own=True) as server:
        yield server


@pytest.fixture(scope="module")
def worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectWorker]:
    """The worker of all tests that do not kill theirs."""
    with ConnectWorker(tmp_path_factory.mktemp("connect"), kafka) as worker:
        yield worker


@pytest.fixture
def killable_worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectWorker]:
    """A worker that a test may kill before it stores offsets."""
    with ConnectWorker(tmp_path_factory.mktemp("connect"), kafka, offset_flush_interval_ms=DAY_MS) as worker:
        yield worker


@pytest.fixture
def database_url(logical_postgres: Postgres) -> str:
    """The URL of a database with the platform's table and the view."""
    name = f"feed_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(logical_postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = urlsplit(logical_postgres.url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(url) as conn:
        migrations.up(conn)
    with psycopg.connect(url) as conn:
        conn.execute(TABLE.read_bytes())
    return url


@pytest.fixture
def feed(cluster: Cluster) -> Iterator[Feed]:
    cluster.start_member()
    with (
        psycopg.connect(cluster.database_url, autocommit=True) as conn,
        TopicLog(cluster.bootstrap_servers, cluster.topic) as log,
    ):
        feed = Feed(cluster, conn, log)
        yield feed
        feed.remove()


def test_snapshot_and_stream_are_projected(feed: Feed, worker: ConnectWorker) -> None:
    platform = feed.platform
    write_old_rows(platform)
    last = platform.write_markers()
    feed.start(worker)
    feed.wait_for(last)
    feed.assert_view_is_expected()
    assert ops(feed.log).keys() == {"r"}
    platform.streamed = True
    platform.update_request("old-moving", "completed", text="an answer to an old request")
    platform.write_result("old-waiting", "late, in a row of its own")
    platform.write_late_failure("old-done")
    for number in range(10):
        write_all_kinds(platform, f"new-{number}")
    feed.wait_for_all()
    feed.assert_view_is_expected()
    assert ops(feed.log).keys() == {"r", "c", "u"}
    assert_keyed_by_caller(feed.log)


@pytest.mark.parametrize("identity", ["default", "full"])
def test_large_bodies_work_with_both_replica_identities(feed: Feed, worker: ConnectWorker, identity: str) -> None:
    if identity == "full":
        feed.conn.execute("ALTER TABLE activity_logs REPLICA IDENTITY FULL")
    platform = feed.platform
    platform.request("from-the-snapshot", task=incompressible(60_000))
    last = platform.write_markers()
    feed.start(worker)
    feed.wait_for(last)
    platform.streamed = True
    platform.update_request("from-the-snapshot", "completed", text="a result for a request in the snapshot")
    for size in SIZES:
        write_large_rows(platform, size)
    small = incompressible(300)
    large = incompressible(30_000)
    complete_in_two_steps(platform, "small", small, in_feed=small)
    complete_in_two_steps(platform, "large", large, in_feed=large if identity == "full" else None)
    feed.wait_for_all()
    feed.assert_view_is_expected()
    unavailable_in = {
        change["op"] for change in changes(feed.log.records) if UNAVAILABLE_VALUE in change["after"].values()
    }
    assert unavailable_in == ({"u"} if identity == "default" else set())


def test_repetitions_of_killed_worker_change_nothing(killable_worker: ConnectWorker, feed: Feed) -> None:
    feed.start(killable_worker, snapshot="no_data")  # without an offset it continues from the position of its slot
    feed.wait_until_streaming()
    write_all_kinds(feed.platform, "before")
    feed.wait_for_all()
    feed.assert_view_is_expected()
    records_once = Counter(map(change_id, changes(feed.log.records)))
    assert set(records_once.values()) == {1}
    killable_worker.kill()
    assert not killable_worker.has_stored_offsets()
    wait_until(lambda: not feed.slot_is_active(), "an inactive slot after the kill")
    feed.platform.update_request("before-waiting", "dispatched")
    write_all_kinds(feed.platform, "meanwhile")
    killable_worker.start()
    feed.start(killable_worker, snapshot="no_data")
    write_all_kinds(feed.platform, "after")
    feed.wait_for_all()
    feed.assert_view_is_expected()
    assert records_once + records_once <= Counter(map(change_id, changes(feed.log.records)))


def test_second_snapshot_changes_nothing(feed: Feed, worker: ConnectWorker) -> None:
    feed.start(worker)
    feed.wait_until_streaming()
    write_all_kinds(feed.platform, "before")
    feed.wait_for_all()
    feed.replace(worker)
    feed.wait_until_streaming()
    write_all_kinds(feed.platform, "new")
    feed.wait_for_all()
    feed.assert_view_is_expected()
    assert {change["op"] for change in changes(feed.log.records)} == {"c", "u", "r"}


def test_deleted_activity_rows_change_no_delegation(feed: Feed, worker: ConnectWorker) -> None:
    feed.start(worker)
    feed.wait_until_streaming()
    for number in range(5):
        write_all_kinds(feed.platform, f"old-{number}")
    feed.wait_for_all()
    deleted = feed.platform.delete_all_rows()
    feed.platform.write_heartbeat("old-0-waiting")
    feed.platform.write_result("old-1-waiting", "an answer to a request that is not in the table any more")
    write_all_kinds(feed.platform, "new")
    feed.wait_for_all()
    wait_until(lambda: tombstones(feed.log.read_on()) == len(deleted), "one tombstone per delete")
    feed.assert_view_is_expected()
    assert ops(feed.log)["d"] == len(deleted)


def tombstones(log: TopicLog) -> int:
    return sum(record.value is None for record in log.records)


def assert_keyed_by_caller(log: TopicLog) -> None:
    partitions = defaultdict(set)
    for record in log.records:
        caller = changes([record])[0]["after"]["workspace_id"]
        assert json.loads(record.key or b"null") == {"workspace_id": caller}
        partitions[caller].add(record.partition)
    assert partitions.keys() == set(CALLERS)
    assert {len(of_caller) for of_caller in partitions.values()} == {1}
    assert len(set.union(*partitions.values())) > 1
