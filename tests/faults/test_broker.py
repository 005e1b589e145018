"""A broker that dies, freezes, is cut off or is far away: the member goes on by itself, and its health tells of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cluster import Cluster, Process, until
from proxied_kafka import Distant
from repetitions import Round

from testbed.workload import Mix


def recent(delegations: int, seed: int = 7) -> Mix:
    """Of the last hours: a broker that was killed forgets who wrote older records, and a retry is then in it twice."""
    return Mix(delegations=delegations, seed=seed, start=datetime.now(UTC) - timedelta(hours=2))


def all_is_well(scene: Cluster) -> None:
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


class Health:
    """What a member's health file says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "health"

    def becomes(self, healthy: bool) -> None:
        wanted = f'"healthy": {str(healthy).lower()}'
        until(lambda: self.path.exists() and wanted in self.path.read_text(), f"a health file with {wanted}")


def started(scene: Cluster, health: Health) -> Process:
    member = scene.member(health_file=str(health.path))
    member.says("partition claimed", times=3)
    health.becomes(True)
    return member


def test_a_broker_that_is_killed_and_started_again_under_load_is_waited_for(
    far: Cluster, broker: Distant, chance: Round
) -> None:
    far.member(batch_records="100")
    kills = chance.repeats(1, 10)
    with far.playing(recent(chance.of(150, 700) * kills), per_second=500):
        for _ in range(kills):
            far.projects_more_than(far.projected() + 200)
            broker.server.kill()
            broker.server.start()
    all_is_well(far)


def test_a_broker_that_freezes_is_told_by_the_health_and_waited_for(
    far: Cluster, broker: Distant, tmp_path: Path, chance: Round
) -> None:
    health = Health(tmp_path)
    started(far, health)
    far.play(recent(30))
    far.caught_up()
    broker.server.pause()
    try:
        health.becomes(False)
        frozen_until = datetime.now(UTC) + timedelta(seconds=chance.of(0, 45))
        until(lambda: datetime.now(UTC) > frozen_until, "a freeze of a minute")
    finally:
        broker.server.resume()
    far.play(recent(30, seed=8))
    all_is_well(far)
    health.becomes(True)
    far.each_ended_once()


def test_a_network_that_is_cut_is_told_by_the_health_and_waited_for(
    far: Cluster, broker: Distant, tmp_path: Path
) -> None:
    health = Health(tmp_path)
    started(far, health)
    broker.proxy.close()
    health.becomes(False)
    broker.proxy.open()
    far.play(recent(60))
    all_is_well(far)
    health.becomes(True)
    far.each_ended_once()


def test_connections_that_are_cut_again_and_again_under_load_cost_nothing(
    far: Cluster, broker: Distant, chance: Round
) -> None:
    far.member(batch_records="100")
    cuts = chance.repeats(3, 100)
    with far.playing(recent(60 * cuts), per_second=600):
        for _ in range(cuts):
            far.projects_more_than(far.projected())
            broker.proxy.cut()
    all_is_well(far)
    far.each_ended_once()


def test_connections_that_stay_and_carry_nothing_any_more_are_given_up(far: Cluster, broker: Distant) -> None:
    member = far.member()
    member.says("partition claimed", times=3)
    far.play(recent(30))
    far.caught_up()
    broker.proxy.deafen()
    far.play(recent(30, seed=8))
    all_is_well(far)
    far.each_ended_once()


def test_a_tenth_of_a_second_on_each_round_trip_is_no_outage(far: Cluster, broker: Distant, tmp_path: Path) -> None:
    broker.proxy.seconds_each_way = 0.05
    health = Health(tmp_path)
    member = started(far, health)
    far.play(recent(200))
    all_is_well(far)
    health.becomes(True)
    assert "waiting for" not in member.text()
    far.each_ended_once()
