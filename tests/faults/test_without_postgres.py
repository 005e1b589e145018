"""A member that cannot use Postgres costs the others nothing: it takes no partition, or leaves those that it has."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cluster import Cluster, Member, wait_until
from kafka import KafkaAdminClient
from proxy import Proxy, server_of, through
from short_timeouts import shorten_timeouts
from under_load import BRIEF_SESSION, under_load

from testbed.servers.start import Postgres
from testbed.workload import Mix


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """The way of one member to the shared Postgres."""
    with Proxy(server_of(cluster.database_url)) as proxy:
        yield proxy
        cluster.end()


def group_size(cluster: Cluster) -> int:
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    try:
        found = admin.describe_groups([f"group-{cluster.topic}"])
    finally:
        admin.close()
    [group] = found.values()
    return len(group["members"])


def messages(member: Member) -> list[str]:
    return [line["message"] for line in member.lines()]


WRONG = {
    "password": lambda parts: parts._replace(netloc=f"{parts.username}:wrong@{parts.hostname}:{parts.port}"),
    "database": lambda parts: parts._replace(path="/nowhere"),
    "port": lambda parts: parts._replace(netloc=f"{parts.username}:{parts.password}@{parts.hostname}:1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_member_that_cannot_connect_takes_no_partition(cluster: Cluster, tmp_path: Path, what: str) -> None:
    good = cluster.start_member()
    good.wait_for_log("partition claimed", times=3)
    health = tmp_path / "health"
    url = WRONG[what](urlsplit(cluster.database_url)).geturl()
    bad = cluster.start_member(database_url=url, health_file=str(health))
    bad.wait_for_log("waiting for Postgres")
    with under_load(cluster, per_second=300):
        cluster.wait_until_more_projected_than(300)
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    assert group_size(cluster) == 1
    assert messages(good).count("partitions assigned") == 1  # nobody else ever joined
    report = json.loads(health.read_text())
    assert not report["healthy"]
    assert report["state"].startswith("waiting for Postgres: ")
    assert bad.signal(signal.SIGTERM).exit_code() == 0


def test_member_that_loses_postgres_leaves_its_partitions_to_others(
    cluster: Cluster, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_timeouts(tmp_path, monkeypatch)
    cluster.watch_positions()
    cut_off = cluster.start_member(database_url=through(proxy, cluster.database_url))
    cut_off.wait_for_log("partition claimed", times=3)
    good = cluster.start_member()
    good.wait_for_log("partition claimed")
    with under_load(cluster, per_second=300):
        proxy.close()
        cut_off.wait_for_log("leaving the group until Postgres is back")
        wait_until(lambda: group_size(cluster) == 1, "one member in the group")
        cluster.publish(Mix(delegations=60, seed=9))
    cluster.wait_until_caught_up()
    proxy.open()
    cut_off.wait_for_log("Postgres is back")
    wait_until(lambda: group_size(cluster) == 2, "two members in the group")
    cluster.publish(Mix(delegations=60, seed=8))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def test_all_members_return_when_postgres_does(
    cluster: Cluster, server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_timeouts(tmp_path, monkeypatch)
    cluster.watch_positions()
    members = [cluster.start_member(**BRIEF_SESSION) for _ in range(2)]
    wait_until(lambda: group_size(cluster) == 2, "two members in the group")
    server.stop("immediate")
    for member in members:
        member.wait_for_log("leaving the group until Postgres is back")
    wait_until(lambda: group_size(cluster) == 0, "an empty group")
    cluster.publish(Mix(delegations=60))
    server.start()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def test_static_member_returns_to_its_group(
    cluster: Cluster, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group keeps its partitions for the session timeout: a static member does not tell that it leaves."""
    shorten_timeouts(tmp_path, monkeypatch)
    cut_off = cluster.start_member(
        database_url=through(proxy, cluster.database_url), group_instance_id="static", **BRIEF_SESSION
    )
    cut_off.wait_for_log("partition claimed", times=3)
    good = cluster.start_member(group_instance_id="other", **BRIEF_SESSION)
    good.wait_for_log("partition claimed")
    proxy.close()
    cut_off.wait_for_log("leaving the group until Postgres is back")
    cluster.publish(Mix(delegations=60))
    cluster.wait_until_caught_up()
    proxy.open()
    wait_until(lambda: group_size(cluster) == 2, "two members in the group")
    cluster.assert_view_equals_log()


def test_short_outage_keeps_the_member_in_its_group(cluster: Cluster, proxy: Proxy) -> None:
    member = cluster.start_member(database_url=through(proxy, cluster.database_url))
    member.wait_for_log("partition claimed", times=3)
    proxy.close()
    member.wait_for_log("waiting for Postgres")
    assert group_size(cluster) == 1
    proxy.open()
    member.wait_for_log("partition claimed", times=6)
    assert messages(member).count("partitions assigned") == 1
    cluster.publish(Mix(delegations=60))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
