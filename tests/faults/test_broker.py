"""A broker that is killed, frozen, cut off or far away: the member resumes, and its health report shows the outage."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cluster import Cluster, Process, until
from proxied_kafka import Distant
from repetitions import Round
from short_timeouts import shorten_timeouts
from under_load import BRIEF_SESSION, under_load

from testbed.workload import Mix


def recent(delegations: int = 30, seed: int = 7) -> Mix:
    """Records of the last hours. A killed broker forgets the producers of older ones, and then stores a retry twice."""
    return Mix(delegations=delegations, seed=seed, start=datetime.now(UTC) - timedelta(hours=2))


def all_is_well(scene: Cluster) -> None:
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


class Health:
    """The health file of a member."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "health"

    def becomes(self, healthy: bool) -> None:
        expected = f'"healthy": {str(healthy).lower()}'
        until(lambda: self.path.exists() and expected in self.path.read_text(), f"a health file with {expected}")


def started(scene: Cluster, health: Health, **settings: str) -> Process:
    member = scene.member(health_file=str(health.path), **settings)
    member.says("partition claimed", times=3)
    health.becomes(True)
    return member


def test_broker_killed_and_restarted_under_load_loses_nothing(far: Cluster, broker: Distant, chance: Round) -> None:
    far.member(**BRIEF_SESSION, batch_records="100")
    with under_load(far, recent(), per_second=500):
        for _ in range(chance.repeats(1, 10)):
            far.projects_more_than(far.projected() + 200)
            broker.server.kill()
            broker.server.start()
    all_is_well(far)


def test_frozen_broker_turns_the_health_report_red(
    far: Cluster, broker: Distant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chance: Round
) -> None:
    if not chance.is_long:
        shorten_timeouts(tmp_path, monkeypatch)
    health = Health(tmp_path)
    started(far, health)
    far.play(recent())
    far.caught_up()
    broker.server.pause()
    try:
        health.becomes(False)
        frozen_until = datetime.now(UTC) + timedelta(seconds=chance.of(0, 45))
        until(lambda: datetime.now(UTC) > frozen_until, "a freeze of a minute")
    finally:
        broker.server.resume()
    far.play(recent(seed=8))
    all_is_well(far)
    health.becomes(True)
    far.each_ended_once()


def test_cut_network_turns_the_health_report_red(far: Cluster, broker: Distant, tmp_path: Path) -> None:
    health = Health(tmp_path)
    started(far, health, **BRIEF_SESSION)
    broker.proxy.close()
    health.becomes(False)
    broker.proxy.open()
    far.play(recent(60))
    all_is_well(far)
    health.becomes(True)
    far.each_ended_once()


def test_connections_cut_repeatedly_under_load_lose_nothing(far: Cluster, broker: Distant, chance: Round) -> None:
    far.member(batch_records="100")
    with under_load(far, recent(), per_second=600):
        for _ in range(chance.repeats(3, 100)):
            far.projects_more_than(far.projected())
            broker.proxy.cut()
    all_is_well(far)
    far.each_ended_once()


def test_half_open_connections_are_closed_and_replaced(
    far: Cluster, broker: Distant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chance: Round
) -> None:
    if not chance.is_long:
        shorten_timeouts(tmp_path, monkeypatch)
    member = far.member()
    member.says("partition claimed", times=3)
    far.play(recent())
    far.caught_up()
    broker.proxy.deafen()
    far.play(recent(seed=8))
    all_is_well(far)
    far.each_ended_once()


def test_slow_line_is_not_treated_as_an_outage(far: Cluster, broker: Distant, tmp_path: Path) -> None:
    """Each round trip takes a tenth of a second."""
    broker.proxy.seconds_each_way = 0.05
    health = Health(tmp_path)
    member = started(far, health)
    far.play(recent(60))
    all_is_well(far)
    health.becomes(True)
    assert "waiting for" not in member.text()
    far.each_ended_once()
