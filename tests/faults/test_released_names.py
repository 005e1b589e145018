"""A member that ends, in any loop, removes its name from the positions, or logs that the name is still there."""

import signal
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cluster import Cluster, Member, wait_until
from proxied_kafka import ProxiedKafka
from proxy import Proxy, server_of, through
from slow_writes import slow_down_inserts
from under_load import BRIEF_SESSION

from testbed.workload import Mix

NOT_RELEASED = "could not release ownership of the partitions"


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """The way of the members to the shared Postgres."""
    with Proxy(server_of(cluster.database_url)) as proxy:
        yield proxy
        cluster.end()


def claiming(cluster: Cluster, **settings: str) -> Member:
    member = cluster.start_member(**settings)
    member.wait_for_log("partition claimed", times=3)
    return member


def names(cluster: Cluster) -> set[Any]:
    """The owners that the positions name: `host/process`, or None."""
    with psycopg.connect(cluster.database_url) as conn:
        rows = conn.execute("SELECT member, owner IS NULL FROM projector.positions").fetchall()
    assert all((name is None) == is_free for name, is_free in rows)
    return {name for name, _ in rows}


def name(member: Member) -> str:
    return str(member.wait_for_log("starting")["member"])


def not_released(member: Member) -> list[dict[str, Any]]:
    return [line for line in member.lines() if line["message"] == NOT_RELEASED]


def stopped(member: Member) -> int:
    return member.signal(signal.SIGTERM).exit_code()


# --- released


def test_name_is_removed_while_kafka_is_unavailable(proxied_cluster: Cluster, broker: ProxiedKafka) -> None:
    member = claiming(proxied_cluster, **BRIEF_SESSION)
    broker.proxy.close()
    member.wait_for_log("waiting for Kafka")
    assert stopped(member) == 0
    assert names(proxied_cluster) == {None}


def test_name_is_removed_while_another_group_fences(cluster: Cluster) -> None:
    member = claiming(cluster)
    other = cluster.start_member(group_id="another")
    member.wait_for_log("fenced", times=2)
    assert stopped(member) == 0
    assert name(member) not in names(cluster)
    assert stopped(other) == 0
    assert names(cluster) == {None}


def test_name_is_removed_after_a_log_gap(cluster: Cluster) -> None:
    member = claiming(cluster)
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("UPDATE projector.positions SET next_offset = 1000")
    assert member.exit_code() == 4
    assert names(cluster) == {None}


def test_name_is_removed_after_a_misconfiguration(cluster: Cluster) -> None:
    member = claiming(cluster)
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("ALTER TABLE projector.parked RENAME TO moved")
    cluster.publish(Mix(delegations=20))
    assert member.exit_code() == 2
    assert names(cluster) == {None}


# --- not released


def says_that_it_could_not(member: Member, *, lines: int = 1) -> None:
    logged = not_released(member)
    assert len(logged) == lines
    for line in logged:
        assert line["reason"]
        assert set(line["partitions"]) <= {0, 1, 2}
    assert {number for line in logged for number in line["partitions"]} == {0, 1, 2}
    assert name(member) in {line["member"] for line in logged}


def test_name_that_stays_during_an_outage_is_logged(cluster: Cluster, proxy: Proxy) -> None:
    member = claiming(cluster, database_url=through(proxy, cluster.database_url))
    proxy.close()
    member.wait_for_log("waiting for Postgres")
    assert stopped(member) == 0
    says_that_it_could_not(member)
    assert names(cluster) == {name(member)}


def test_names_that_stay_are_logged_by_each_member(cluster: Cluster, proxy: Proxy) -> None:
    parent = cluster.start_member("--members", "2", database_url=through(proxy, cluster.database_url))
    wait_until(lambda: len(names(cluster) - {None}) == 2, "two owners")
    proxy.close()
    parent.wait_for_log("waiting for Postgres", times=2)
    assert stopped(parent) == 0
    assert len(not_released(parent)) == 2
    assert {line["member"] for line in not_released(parent)} == names(cluster)


def test_name_that_stays_when_the_time_is_over_is_logged(cluster: Cluster) -> None:
    slow_down_inserts(cluster.database_url, of_more_than=0)
    member = claiming(cluster, stop_within_seconds="1")
    cluster.publish(Mix(delegations=20))
    wait_until(lambda: _is_writing(cluster), "a batch that is being written")
    assert stopped(member) == 143
    member.wait_for_log("shutdown timed out, exiting")
    says_that_it_could_not(member)


def test_name_that_stays_after_a_second_signal_is_logged(cluster: Cluster) -> None:
    slow_down_inserts(cluster.database_url, of_more_than=0)
    member = claiming(cluster)
    cluster.publish(Mix(delegations=20))
    wait_until(lambda: _is_writing(cluster), "a batch that is being written")
    member.signal(signal.SIGTERM).wait_for_log("stopping")
    assert stopped(member) == 143
    says_that_it_could_not(member)
    assert not_released(member)[0]["reason"] == "a second signal"


def _is_writing(cluster: Cluster) -> bool:
    with psycopg.connect(cluster.database_url) as conn:
        found = conn.execute("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchall()
    return bool(found)


# --- nothing to release


def test_member_that_never_had_a_partition_ends_during_the_bootstrap(cluster: Cluster) -> None:
    """A server that accepts connections and never answers: the client waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster.bootstrap_servers = f"127.0.0.1:{silent.getsockname()[1]}"
        member = cluster.start_member()
        connection, _ = silent.accept()
        with connection:
            assert stopped(member) == 0
    assert not_released(member) == []
