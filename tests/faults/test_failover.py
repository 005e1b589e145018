"""A primary and its standby: promotions that are planned, a primary that is lost, and one that comes back."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from repetitions import Repetition
from under_load import BRIEF_SESSION, under_load

from projector.postgres import migrations
from testbed.oracle import differences, fold_log, stored_rows
from testbed.servers.standby import promote, start_primary, start_standby, stop_replication, switch_over
from testbed.servers.start import Postgres
from testbed.workload import Mix


class Pair:
    """A primary and its standby. `url` leads to the one that accepts writes, as an operator would configure it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.primary = stack.enter_context(start_primary(folder))
        with psycopg.connect(self.primary.url) as conn:
            migrations.up(conn)
        self.standby = stack.enter_context(start_standby(folder, self.primary))
        parts = [conninfo_to_dict(server.url) for server in (self.primary, self.standby)]
        hosts = {name: ",".join(str(part[name]) for part in parts) for name in ("host", "port")}
        self.url = make_conninfo(self.primary.url, **hosts, target_session_attrs="read-write")

    def lose_primary(self) -> Postgres:
        """Kill the primary and promote the standby; returns the killed one."""
        lost, self.primary = self.primary, self.standby
        lost.stop("immediate")
        promote(self.primary)
        return lost

    def replace_lost(self, lost: Postgres) -> None:
        """Start a new standby at the address of the server that was lost."""
        port = int(str(conninfo_to_dict(lost.url)["port"]))
        self.standby = self._stack.enter_context(start_standby(self._folder, self.primary, port=port))


@pytest.fixture
def pair(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        pair = Pair(tmp_path_factory.mktemp("pair"), stack)
        cluster.database_url = pair.url
        yield pair
        cluster.end()


def positions(server: Postgres) -> dict[int, int]:
    with psycopg.connect(server.url) as conn:
        return dict(conn.execute("SELECT partition, next_offset FROM projector.positions").fetchall())


def test_planned_promotions_under_load_lose_nothing(cluster: Cluster, pair: Pair, repetition: Repetition) -> None:
    """To the standby and back. The address has both servers."""
    cluster.watch_positions()
    cluster.start_member()
    with under_load(cluster, Mix(seed=repetition.seed), per_second=400):
        for _ in range(repetition.repeats(1, 10)):
            for primary, standby in ((pair.primary, pair.standby), (pair.standby, pair.primary)):
                cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
                before = positions(primary)
                switch_over(primary, standby)
                assert all(positions(standby)[partition] >= offset for partition, offset in before.items())
                cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
    cluster.assert_all_is_well()


def test_commits_that_the_standby_lacks_are_projected_again(
    cluster: Cluster, pair: Pair, repetition: Repetition
) -> None:
    """The primary is killed. Rows and positions of its last commits are lost together."""
    cluster.watch_positions()
    cluster.start_member()
    with under_load(cluster, Mix(seed=repetition.seed), per_second=400):
        rounds = repetition.repeats(1, 10)
        for number in range(rounds):
            cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
            stop_replication(pair.standby)
            cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
            kept, had = positions(pair.standby), positions(pair.primary)
            assert sum(kept.values()) < sum(had.values())
            lost = pair.lose_primary()
            cluster.wait_until_more_projected_than(sum(had.values()))
            if number < rounds - 1:
                pair.replace_lost(lost)
    cluster.assert_all_is_well()


def test_demoted_primary_is_waited_for(cluster: Cluster, pair: Pair, tmp_path: Path) -> None:
    """The address of the member has only this server."""
    cluster.watch_positions()
    health = tmp_path / "health"
    cluster.start_member(database_url=pair.primary.url, health_file=str(health))
    with under_load(cluster, per_second=400):
        cluster.wait_until_more_projected_than(100)
        switch_over(pair.primary, pair.standby)
        wait_until(lambda: "in a read-only transaction" in health.read_text(), "a report that names the reason")
        switch_over(pair.standby, pair.primary)
        cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
    cluster.assert_all_is_well()


def test_member_of_a_standby_waits_for_its_promotion(cluster: Cluster, pair: Pair) -> None:
    cluster.watch_positions()
    member = cluster.start_member(database_url=pair.standby.url)
    reason = member.wait_for_log("waiting for Postgres")["reason"]
    assert "in a read-only transaction" in reason
    cluster.publish(Mix(delegations=60))
    assert "partition claimed" not in member.text()
    pair.lose_primary()
    cluster.assert_all_is_well()


def test_old_primary_that_comes_back_splits_the_view(cluster: Cluster, pair: Pair) -> None:
    """Not prevented: two servers that accept writes. Each has the rows of its own positions, and none has them all.

    Once the old primary is gone, the new one gets everything.
    """
    cluster.watch_positions()
    first = cluster.start_member(**BRIEF_SESSION)
    cluster.publish(Mix(delegations=60))
    cluster.wait_until_caught_up()
    stop_replication(pair.standby)
    cluster.publish(Mix(delegations=60, seed=8))
    cluster.wait_until_caught_up()
    old = pair.lose_primary()
    cluster.wait_until_caught_up()  # on the new primary
    old.start()
    second = cluster.start_member(**BRIEF_SESSION)  # its address has the old primary first
    second.wait_for_log("partition claimed")
    cluster.publish(Mix(delegations=60, seed=9))
    ends = cluster.end_offsets()

    def is_split() -> bool:
        there, here = positions(old), positions(pair.primary)
        return all(max(there[partition], here[partition]) == end for partition, end in ends.items())

    wait_until(is_split, "each record projected on one of the two servers")
    assert positions(old) != ends
    assert positions(pair.primary) != ends
    assert_view_has_its_positions(cluster, old)
    assert_view_has_its_positions(cluster, pair.primary)
    old.stop("immediate")
    cluster.assert_all_is_well()
    assert first.process.poll() is None
    assert second.process.poll() is None


def assert_view_has_its_positions(cluster: Cluster, server: Postgres) -> None:
    """Check the view of one server against the records before the positions of that server."""
    reached = positions(server)
    projected = [record for record in cluster.acknowledged if record.offset < reached[record.partition]]
    with psycopg.connect(server.url) as conn:
        assert differences(fold_log(projected).rows, stored_rows(conn)) == []
