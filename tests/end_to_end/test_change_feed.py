"""A real change feed: nothing here is ours but `projector run`.

A platform's table in a Postgres with a logical write-ahead log, Debezium's connector in a Kafka Connect worker, Kafka.
The view must equal what the platform did, row by row and in every column; what the feed made of it is looked at only
to be sure that the hard part was there.
"""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from change_feed import Feed
from cluster import Cluster, until
from connect_worker import ConnectWorker
from platform_script import CALLERS, TABLE
from platform_stories import answers_in_two_steps, incompressible, tells_everything, tells_large, tells_old_rows
from psycopg import sql
from topic_log import TopicLog, change_id, changes, ops

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres

LEFT_OUT = "__debezium_unavailable_value"
SIZES = (0, 1_450, 1_900, 2_100, 60_000, 1_500_000)  # about what a page holds of a row, and about Kafka's usual limit
A_DAY_MS = 24 * 3_600_000


@pytest.fixture(scope="module")
def logical_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Connectors leave their slots behind, and slots keep the write-ahead log: all of it goes with the server."""
    options = ["wal_level=logical", "track_commit_timestamp=on", "fsync=off"]
    with start_postgres(tmp_path_factory.mktemp("logical"), options=options, own=True) as server:
        yield server


@pytest.fixture(scope="module")
def worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectWorker]:
    """The worker of all tests that do not kill it."""
    with ConnectWorker(tmp_path_factory.mktemp("connect"), kafka) as worker:
        yield worker


@pytest.fixture
def forgetful_worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectWorker]:
    """A worker that may be killed, and that does not live to keep an offset."""
    with ConnectWorker(tmp_path_factory.mktemp("connect"), kafka, offset_flush_interval_ms=A_DAY_MS) as worker:
        yield worker


@pytest.fixture
def database_url(logical_postgres: Postgres) -> str:
    """A database with the platform's table and the view."""
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
def feed(scene: Cluster) -> Iterator[Feed]:
    scene.member()
    with (
        psycopg.connect(scene.database_url, autocommit=True) as conn,
        TopicLog(scene.bootstrap_servers, scene.topic) as log,
    ):
        feed = Feed(scene, conn, log)
        yield feed
        feed.ends()


def test_a_snapshot_of_older_rows_comes_first_and_then_the_stream(feed: Feed, worker: ConnectWorker) -> None:
    platform = feed.platform
    tells_old_rows(platform)
    last = platform.marks()
    feed.begins(worker)
    feed.tells(last)
    feed.view_equals_what_the_platform_did()
    assert ops(feed.log).keys() == {"r"}
    platform.streamed = True
    platform.becomes("old-moving", "completed", text="an answer to an old request")
    platform.answers("old-waiting", "late, in a row of its own")
    platform.fails_too_late("old-done")
    for number in range(10):
        tells_everything(platform, f"new-{number}")
    feed.tells_all()
    feed.view_equals_what_the_platform_did()
    assert ops(feed.log).keys() == {"r", "c", "u"}
    assert_keyed_by_caller(feed.log)


@pytest.mark.parametrize("identity", ["default", "full"])
def test_bodies_too_large_for_a_page_come_through_under_either_replica_identity(
    feed: Feed, worker: ConnectWorker, identity: str
) -> None:
    if identity == "full":
        feed.conn.execute("ALTER TABLE activity_logs REPLICA IDENTITY FULL")
    platform = feed.platform
    platform.asks("from-the-snapshot", task=incompressible(60_000))
    last = platform.marks()
    feed.begins(worker)
    feed.tells(last)
    platform.streamed = True
    platform.becomes("from-the-snapshot", "completed", text="an answer to what only the snapshot held whole")
    for size in SIZES:
        tells_large(platform, size)
    in_the_feed = incompressible(300)
    left_out = incompressible(30_000)
    answers_in_two_steps(platform, "small", in_the_feed, told=in_the_feed)
    answers_in_two_steps(platform, "large", left_out, told=left_out if identity == "full" else None)
    feed.tells_all()
    feed.view_equals_what_the_platform_did()
    left_out_of = {change["op"] for change in changes(feed.log.records) if LEFT_OUT in change["after"].values()}
    assert left_out_of == ({"u"} if identity == "default" else set())


def test_what_a_killed_worker_tells_again_changes_nothing(forgetful_worker: ConnectWorker, feed: Feed) -> None:
    feed.begins(forgetful_worker, snapshot="no_data")  # without an offset it reads on from where its slot stands
    feed.streams()
    tells_everything(feed.platform, "before")
    feed.tells_all()
    feed.view_equals_what_the_platform_did()
    once = Counter(map(change_id, changes(feed.log.records)))
    assert set(once.values()) == {1}
    forgetful_worker.kill()
    assert not forgetful_worker.has_kept_offsets()
    until(lambda: not feed.slot_is_used(), "a slot that its killed reader has left")
    feed.platform.becomes("before-waiting", "dispatched")
    tells_everything(feed.platform, "meanwhile")
    forgetful_worker.start()
    feed.begins(forgetful_worker, snapshot="no_data")
    tells_everything(feed.platform, "after")
    feed.tells_all()
    feed.view_equals_what_the_platform_did()
    assert once + once <= Counter(map(change_id, changes(feed.log.records)))


def test_a_snapshot_in_mid_stream_of_rows_told_before_changes_nothing(feed: Feed, worker: ConnectWorker) -> None:
    feed.begins(worker)
    feed.streams()
    tells_everything(feed.platform, "told")
    feed.tells_all()
    feed.begins_anew(worker)
    feed.streams()
    tells_everything(feed.platform, "new")
    feed.tells_all()
    feed.view_equals_what_the_platform_did()
    assert {change["op"] for change in changes(feed.log.records)} == {"c", "u", "r"}


def test_deleting_activity_rows_ends_no_delegation(feed: Feed, worker: ConnectWorker) -> None:
    feed.begins(worker)
    feed.streams()
    for number in range(5):
        tells_everything(feed.platform, f"old-{number}")
    feed.tells_all()
    forgotten = feed.platform.forgets_everything()
    feed.platform.beats("old-0-waiting")
    feed.platform.answers("old-1-waiting", "an answer to a request that is not in the table any more")
    tells_everything(feed.platform, "new")
    feed.tells_all()
    until(lambda: tombstones(feed.log.read_on()) == len(forgotten), "each delete, and its tombstone behind it")
    feed.view_equals_what_the_platform_did()
    assert ops(feed.log)["d"] == len(forgotten)


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
