"""A connection that is cut in the call that commits: only the position's row can show whether the commit happened."""

from urllib.parse import urlsplit

import pytest
from cluster import Cluster, until
from proxy import Proxy, Verdict
from repetitions import Round
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
def test_unanswered_commit_is_resolved_from_the_position(scene: Cluster, verdict: Verdict) -> None:
    """The connection is cut once, before or after the server has received the call."""
    scene.watch_positions()
    with Proxy(_server(scene)) as proxy:
        member = scene.member(database_url=_through(scene, proxy))
        member.says("partition claimed", times=3)
        cuts, calls = list[Verdict](), Calls()

        def cut_once(sent: bytes) -> Verdict:
            if not calls.ends(sent) or cuts:
                return "pass"
            cuts.append(verdict)
            return verdict

        proxy.look_at = cut_once
        scene.play(Mix(delegations=60))
        scene.caught_up()
        assert cuts == [verdict]
        member.says("Postgres is back")
        _all_is_well(scene)
        scene.end()


def test_connections_cut_during_commits_lose_and_repeat_nothing(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng, times, cuts, calls = chance.chances(), chance.repeats(3, 100), list[Verdict](), Calls()

    def cut_sometimes(sent: bytes) -> Verdict:
        if not calls.ends(sent) or rng.random() < 0.7 or len(cuts) == times:
            return "pass"
        cuts.append(rng.choice(["cut before", "cut after"]))
        return cuts[-1]

    with Proxy(_server(scene)) as proxy:
        scene.member(database_url=_through(scene, proxy), batch_records="20")
        proxy.look_at = cut_sometimes
        with under_load(scene, Mix(seed=chance.seed), per_second=500):
            until(lambda: len(cuts) == times, f"{times} cuts", seconds=60 + 5 * times)
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
