"""A connection that is cut in the COMMIT: whether it happened, only the position's row can tell."""

from urllib.parse import urlsplit

import pytest
from proxy import Proxy, Verdict
from rounds import Round
from scene import Scene, until

from projector.demo.platform import Mix

COMMIT = b"COMMIT"


@pytest.mark.parametrize("verdict", ["cut before", "cut after"])
def test_a_commit_that_nobody_answered_is_looked_up_in_the_position(scene: Scene, verdict: Verdict) -> None:
    scene.watch_positions()
    with Proxy(_server(scene)) as proxy:
        member = scene.member(database_url=_through(scene, proxy))
        member.says("partition claimed", times=3)
        cut: list[Verdict] = []

        def once(sent: bytes) -> Verdict:
            if COMMIT not in sent or cut:
                return "pass"
            cut.append(verdict)
            return verdict

        proxy.look_at = once  # from here on each transaction is one of a batch
        scene.play(Mix(delegations=60))
        scene.caught_up()
        assert cut == [verdict]
        member.says("Postgres is back")
        _all_is_well(scene)
        scene.end()


def test_connections_that_are_cut_in_many_commits_lose_nothing_and_repeat_nothing(scene: Scene, chance: Round) -> None:
    scene.watch_positions()
    rng, cuts, done = chance.chances(), chance.repeats(4, 100), list[Verdict]()

    def sometimes(sent: bytes) -> Verdict:
        if COMMIT not in sent or rng.random() < 0.7 or len(done) == cuts:
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


def _all_is_well(scene: Scene) -> None:
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def _server(scene: Scene) -> str:
    return urlsplit(scene.database_url).netloc.rpartition("@")[2]


def _through(scene: Scene, proxy: Proxy) -> str:
    parts = urlsplit(scene.database_url)
    return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{proxy.address}").geturl()
