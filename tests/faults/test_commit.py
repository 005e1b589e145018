"""A connection that is cut in the call that commits: whether it happened, only the position's row can tell."""

from urllib.parse import urlsplit

import pytest
from cluster import Cluster, until
from proxy import Proxy, Verdict
from repetitions import Round

from testbed.workload import Mix

CALL = b"SELECT pg_temp.write_batch"
SYNC = b"S\x00\x00\x00\x04"
"""The end of what libpq sends for a statement, upon which the server commits."""


class Calls:
    """Looks at what a member sends."""

    def __init__(self) -> None:
        self._within = False

    def ends(self, sent: bytes) -> bool:
        """Whether this is the last of what a batch's call consists of."""
        within = self._within or CALL in sent
        ended = within and sent.endswith(SYNC)
        self._within = within and not ended
        return ended


@pytest.mark.parametrize("verdict", ["cut before", "cut after"])
def test_a_call_that_nobody_answered_is_looked_up_in_the_position(scene: Cluster, verdict: Verdict) -> None:
    scene.watch_positions()
    with Proxy(_server(scene)) as proxy:
        member = scene.member(database_url=_through(scene, proxy))
        member.says("partition claimed", times=3)
        cut, calls = list[Verdict](), Calls()

        def once(sent: bytes) -> Verdict:
            if not calls.ends(sent) or cut:
                return "pass"
            cut.append(verdict)
            return verdict

        proxy.look_at = once
        scene.play(Mix(delegations=60))
        scene.caught_up()
        assert cut == [verdict]
        member.says("Postgres is back")
        _all_is_well(scene)
        scene.end()


def test_connections_that_are_cut_in_many_calls_lose_nothing_and_repeat_nothing(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng, cuts, done, calls = chance.chances(), chance.repeats(4, 100), list[Verdict](), Calls()

    def sometimes(sent: bytes) -> Verdict:
        if not calls.ends(sent) or rng.random() < 0.7 or len(done) == cuts:
            return "pass"
        done.append(rng.choice(["cut before", "cut after"]))
        return done[-1]

    with Proxy(_server(scene)) as proxy:
        scene.member(database_url=_through(scene, proxy), batch_records="20")
        proxy.look_at = sometimes
        with scene.playing(Mix(delegations=60 * cuts, seed=chance.seed), per_second=500):
            until(lambda: len(done) == cuts, f"{cuts} cuts", seconds=60 + 5 * cuts)
        _all_is_well(scene)
        scene.end()


def _all_is_well(scene: Cluster) -> None:
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def _server(scene: Cluster) -> str:
    return urlsplit(scene.database_url).netloc.rpartition("@")[2]


def _through(scene: Cluster, proxy: Proxy) -> str:
    parts = urlsplit(scene.database_url)
    return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{proxy.address}").geturl()
