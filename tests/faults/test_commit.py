"""A connection that is cut in the call that commits: only the position's row can show whether the commit happened."""

import pytest
from cluster import Cluster, wait_until
from proxy import Action, Proxy, server_of, through
from repetitions import Repetition
from under_load import under_load

from testbed.workload import Mix

CALL = b"SELECT pg_temp.write_batch"
SYNC = b"S\x00\x00\x00\x04"
"""The last message that libpq sends for a statement; the server then commits."""


class Calls:
    """Finds the end of a batch's call in the bytes that a member sends."""

    def __init__(self) -> None:
        self._inside = False

    def ends(self, sent: bytes) -> bool:
        """Return whether these are the last bytes of a call."""
        inside = self._inside or CALL in sent
        ended = inside and sent.endswith(SYNC)
        self._inside = inside and not ended
        return ended


@pytest.mark.parametrize("verdict", ["cut before", "cut after"])
def test_unanswered_commit_is_resolved_from_the_position(cluster: Cluster, verdict: Action) -> None:
    """The connection is cut once, before or after the server has received the call."""
    cluster.watch_positions()
    with Proxy(server_of(cluster.database_url)) as proxy:
        member = cluster.start_member(database_url=through(proxy, cluster.database_url))
        member.wait_for_log("partition claimed", times=3)
        cuts, calls = list[Action](), Calls()

        def cut_once(sent: bytes) -> Action:
            if not calls.ends(sent) or cuts:
                return "pass"
            cuts.append(verdict)
            return verdict

        proxy.decide = cut_once
        cluster.publish(Mix(delegations=60))
        cluster.wait_until_caught_up()
        assert cuts == [verdict]
        member.wait_for_log("Postgres is back")
        cluster.assert_all_is_well()
        cluster.end()


def test_connections_cut_during_commits_lose_and_repeat_nothing(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    rng, times, cuts, calls = repetition.rng(), repetition.repeats(3, 100), list[Action](), Calls()

    def cut_sometimes(sent: bytes) -> Action:
        if not calls.ends(sent) or rng.random() < 0.7 or len(cuts) == times:
            return "pass"
        cuts.append(rng.choice(["cut before", "cut after"]))
        return cuts[-1]

    with Proxy(server_of(cluster.database_url)) as proxy:
        cluster.start_member(database_url=through(proxy, cluster.database_url), batch_records="20")
        proxy.decide = cut_sometimes
        with under_load(cluster, Mix(seed=repetition.seed), per_second=500):
            wait_until(lambda: len(cuts) == times, f"{times} cuts", seconds=60 + 5 * times)
        cluster.assert_all_is_well()
        cluster.end()
